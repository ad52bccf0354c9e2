package io.mor.backend.cuda;

import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Tensor;
import java.util.List;
import java.util.Optional;

/**
 * Gradients of several projections side by side in the rows of one matrix, so that those of the rows before and of all weights are a product each.
 * Whether they are laid out so follows from the matrix and the projections alone, because those who write and those who read must agree.
 */
final class PackedGradients extends KernelFamily {

    private final ProductKernels products;
    private final ProjectionKernels projections;
    private final ElementwiseKernels elementwise;
    private final AttentionKernels attention;
    private final HopperProducts hopper;
    private final HopperNormGradient throughNorm;
    // over rows of gradients times what they are the gradients of, which the norm before the projections needs
    private final RowSums dots;

    PackedGradients(
            CudaContext context,
            ProductKernels products,
            ProjectionKernels projections,
            ElementwiseKernels elementwise,
            AttentionKernels attention,
            HopperProducts hopper) {
        super(context);
        this.products = products;
        this.projections = projections;
        this.elementwise = elementwise;
        this.attention = attention;
        this.hopper = hopper;
        this.throughNorm = new HopperNormGradient(context);
        this.dots = new RowSums(context, "sums over rows of gradients");
    }

    /** Whether rows of a matrix hold the gradients of all projections side by side; else they lie one after the other. */
    boolean areSideBySide(Tensor packed, List<Ops.Projection> layers) {
        List<Ops.Rotation> rotations =
                layers.stream().flatMap(layer -> layer.rotation().stream()).toList();
        return products.hasLibrary()
                && packed.extent().isExact()
                && packed.rows() > 0
                && areVectors(packed)
                && layers.stream().allMatch(layer -> layer.weight().rows() % 8 == 0)
                && layers.getFirst().weight().columns() >= CudaBackend.NARROWEST
                && projections.follow(
                        layers.stream().map(Ops.Projection::weight).toList())
                && (rotations.isEmpty()
                        || attention.canPack(rotations.getFirst().headDim()));
    }

    /** As the backend's, side by side. */
    void gatedLinearsGradient(
            Tensor packed, Tensor inner, boolean wantsInner, Tensor gate, Tensor up, Tensor dout, Tensor down) {
        Optional<RowSums.Sums> sums = dots(packed, down.rows(), HopperProducts.gatedDots(gate.columns()));
        // where the way forward was in one pass too, so that inner has its bits
        boolean inOnePass = gate.rows() >= ProjectionKernels.LEAST_ROWS
                && areVectors(inner, gate, up, dout)
                && hopper.gatedBackward(
                        targetBytes(packed),
                        targetBytes(inner),
                        bytes(gate),
                        bytes(up),
                        bytes(dout),
                        gate.rows(),
                        dout.columns(),
                        gate.columns(),
                        context.shadow(context.of(down)),
                        addressOf(sums));
        if (inOnePass) {
            sums.ifPresent(made -> dots.hold(packed, made));
            return;
        }
        products.matmul(inner, dout, false, down, false, false);
        elementwise.packedSwiGluBackward(packed, wantsInner ? Optional.of(inner) : Optional.empty(), gate, up, inner);
    }

    /** As the backend's, side by side. */
    void attentionGradient(
            Tensor packed,
            Tensor queries,
            Tensor keys,
            Tensor values,
            Tensor out,
            Tensor logSumExp,
            Tensor dout,
            AttentionRanges ranges,
            AttentionShape shape,
            List<Ops.Projection> layers) {
        attentionGradient(
                packed,
                queries,
                keys,
                values,
                out,
                logSumExp,
                dout,
                (statistics, productSums, paddedRows) -> false,
                ranges,
                shape,
                layers);
    }

    /** As the backend's, side by side. */
    void attentionGradientThroughOutput(
            Tensor packed,
            Tensor dout,
            Tensor queries,
            Tensor keys,
            Tensor values,
            Tensor out,
            Tensor logSumExp,
            Tensor dy,
            Tensor output,
            AttentionRanges ranges,
            AttentionShape shape,
            List<Ops.Projection> layers) {
        FlashAttention.OutputGradient arrives = (statistics, productSums, paddedRows) -> {
            boolean inOnePass = dy.rows() >= HopperNormGradient.LEAST_ROWS
                    && areVectors(dout, dy, out)
                    && hopper.outputGradient(
                            targetBytes(dout),
                            statistics,
                            productSums,
                            paddedRows,
                            bytes(out),
                            bytes(logSumExp),
                            shape.heads(),
                            bytes(dy),
                            dy.rows(),
                            dy.columns(),
                            context.shadow(context.of(output)));
            if (!inOnePass) {
                products.matmul(dout, dy, false, output, false, false);
            }
            return inOnePass;
        };
        attentionGradient(packed, queries, keys, values, out, logSumExp, dout, arrives, ranges, shape, layers);
    }

    private void attentionGradient(
            Tensor packed,
            Tensor queries,
            Tensor keys,
            Tensor values,
            Tensor out,
            Tensor logSumExp,
            Tensor dout,
            FlashAttention.OutputGradient arrives,
            AttentionRanges ranges,
            AttentionShape shape,
            List<Ops.Projection> layers) {
        Ops.Rotation rotation = layers.getFirst().rotation().orElseThrow();
        Optional<RowSums.Sums> sums =
                dots(packed, layers.getFirst().weight().columns(), shape.heads() + shape.kvHeads());
        boolean done = attention.backwardPacked(
                targetBytes(packed),
                packed.columns(),
                queries,
                keys,
                values,
                out,
                logSumExp,
                dout,
                arrives,
                ranges,
                shape,
                rotation.position(),
                projections.frequencies(rotation.headDim(), rotation.theta()),
                addressOf(sums));
        if (!done) {
            throw new IllegalStateException("queries, keys and values of one projection are not of the same rows");
        }
        sums.ifPresent(made -> dots.hold(packed, made));
    }

    /** Room for sums over the rows, if the norm before the projections, of so many columns, takes them. */
    private Optional<RowSums.Sums> dots(Tensor packed, int columns, int parts) {
        return throughNorm.takes(packed.rows(), columns)
                ? Optional.of(dots.take(parts, packed.rows()))
                : Optional.empty();
    }

    private static long addressOf(Optional<RowSums.Sums> sums) {
        return sums.map(RowSums.Sums::address).orElse(0L);
    }

    /** As the backend's, from side by side. */
    void inputGradient(Tensor dx, Tensor packed, List<Ops.Projection> layers) {
        require(products.multiplyByLibrary(
                new CublasLt.Sizes(packed.rows(), dx.columns(), packed.columns(), true, isNarrow(dx)),
                targetBytes(dx),
                0,
                new CublasLt.Factor(bytes(packed), false),
                new CublasLt.Factor(projections.weights(layers), false)));
    }

    /** As the backend's, from side by side; false, and nothing is done, where it is not one pass. */
    boolean inputGradientThroughNorm(
            Tensor dx,
            Tensor dweight,
            Optional<Tensor> normed,
            Tensor packed,
            List<Ops.Projection> layers,
            Ops.Norm norm,
            boolean accumulate) {
        Optional<RowSums.Sums> made = dots.of(packed);
        return made.isPresent()
                && norm.variant().isEmpty()
                && areVectors(dx, norm.x())
                && areVectors(normed.stream().toArray(Tensor[]::new))
                && !isNarrow(norm.weight())
                && !isNarrow(dweight)
                && throughNorm.launch(
                        targetBytes(dx),
                        targetBytes(dweight),
                        normed.isPresent() ? targetBytes(normed.get()) : 0,
                        bytes(norm.x()),
                        bytes(norm.rstd()),
                        bytes(norm.weight()),
                        bytes(packed),
                        dx.rows(),
                        packed.columns(),
                        dx.columns(),
                        projections.weights(layers),
                        made.get().address(),
                        made.get().parts(),
                        accumulate);
    }

    /** As the backend's, from side by side. */
    void weightGradients(
            List<Optional<Tensor>> dweights, Tensor packed, Tensor x, List<Ops.Projection> layers, boolean accumulate) {
        if (dweights.stream().allMatch(Optional::isPresent)
                && projections.follow(dweights.stream().map(Optional::get).toList())) {
            long target = 0;
            for (Optional<Tensor> dweight : dweights.reversed()) {
                target = targetBytes(dweight.orElseThrow()); // the first's in the end
            }
            weightGradient(target, packed.columns(), packed, 0, x, accumulate);
            return;
        }
        int first = 0;
        for (int i = 0; i < layers.size(); i++) {
            int width = layers.get(i).weight().rows();
            if (dweights.get(i).isPresent()) {
                weightGradient(targetBytes(dweights.get(i).get()), width, packed, first, x, accumulate);
            }
            first += width;
        }
    }

    private void weightGradient(long dweight, int width, Tensor packed, int firstColumn, Tensor x, boolean accumulate) {
        if (hopper.gainsFromOwnWeightGradient(width, x.columns(), x.rows())
                && hopper.weightGradient(
                        dweight,
                        accumulate,
                        bytes(packed) + 2L * firstColumn,
                        packed.columns(),
                        width,
                        bytes(x),
                        x.columns(),
                        x.rows())) {
            return;
        }
        require(products.multiplyByLibrary(
                new CublasLt.Sizes(width, x.columns(), x.rows(), true, false),
                dweight,
                accumulate ? dweight : 0,
                new CublasLt.Factor(bytes(packed) + 2L * firstColumn, true, packed.columns()),
                new CublasLt.Factor(bytes(x), false)));
    }

    private static void require(boolean multiplied) {
        if (!multiplied) {
            throw new IllegalStateException("cuBLASLt has no algorithm for gradients of projections");
        }
    }
}
