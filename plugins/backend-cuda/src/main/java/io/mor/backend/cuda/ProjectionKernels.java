package io.mor.backend.cuda;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Tensor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Rotary embeddings, and the linear layers before an attention. Weights that lie one after the other are multiplied as one; what comes out is rotated
 * where it is dealt to its tensors, and gradients are rotated back where they are put together.
 */
final class ProjectionKernels extends KernelFamily {

    private static final int MOST_TOGETHER = 3;
    private static final int HEADS_AT_A_TIME = 5; // that one thread of the kernels rotates

    static final int LEAST_ROWS = 512; // for which own products are worth it

    private final ProductKernels products;
    private final RowKernels rows;
    private final HopperProducts hopper;
    private final NormedWeights normedWeights;
    private final Map<Frequencies, Long> frequencyTables = new HashMap<>();

    /** A rotary embedding's constants. */
    private record Frequencies(int headDim, double theta) {}

    ProjectionKernels(
            CudaContext context,
            ProductKernels products,
            RowKernels rows,
            HopperProducts hopper,
            NormedWeights normedWeights) {
        super(context);
        this.products = products;
        this.rows = rows;
        this.hopper = hopper;
        this.normedWeights = normedWeights;
    }

    void rope(Tensor out, Tensor x, IntTensor position, int headDim, double theta, boolean inverse) {
        long frequencies = frequencies(headDim, theta);
        if (areVectors(out, x) && headDim % 16 == 0) {
            kernel("narrowRope")
                    .pointer(targetBytes(out))
                    .pointer(bytes(x))
                    .pointer(address(position))
                    .pointer(frequencies)
                    .integer(x.rows())
                    .pointer(count(x.extent()))
                    .integer(x.columns() / headDim)
                    .integer(headDim)
                    .flag(inverse)
                    .overElements((long) x.rows() * headDim / 16);
            return;
        }
        shape(
                        kernel("rope")
                                .pointer(target(out))
                                .pointer(address(x))
                                .pointer(address(position))
                                .pointer(frequencies),
                        x)
                .integer(headDim)
                .flag(inverse)
                .overElements(elements(x) / 2);
    }

    /** The angles that a position turns each pair of a head by, {@code double [headDim / 2]}. */
    long frequencies(int headDim, double theta) {
        return frequencyTables.computeIfAbsent(new Frequencies(headDim, theta), this::frequencies);
    }

    private long frequencies(Frequencies rotation) {
        double[] frequencies = new double[rotation.headDim / 2];
        for (int i = 0; i < frequencies.length; i++) {
            frequencies[i] = StrictMath.pow(rotation.theta, -2.0 * i / rotation.headDim);
        }
        long table = context.memory
                .allocate(8L * frequencies.length, "rotary frequencies")
                .address();
        context.transfers.writeWide(table, frequencies);
        return table;
    }

    /** As {@link Backend#linears}; false if these tensors cannot be treated together, and then nothing was done. */
    boolean linears(List<Tensor> outs, Tensor x, List<Ops.Projection> projections) {
        if (!areTogether(outs, x, projections)) {
            return false;
        }
        if (isOnePass(x, projections) && linearsInOnePass(outs, x, projections, weights(projections), 0)) {
            return true;
        }
        int width = width(projections);
        long packed = scratch(2L * x.rows() * width);
        boolean done = products.multiplyByLibrary(
                new CublasLt.Sizes(x.rows(), width, x.columns(), true, true),
                packed,
                0,
                new CublasLt.Factor(bytes(x), false),
                new CublasLt.Factor(weights(projections), true));
        if (done) {
            deal(
                    "narrowSplit",
                    packed,
                    outs,
                    projections,
                    outs.stream().map(this::targetBytes).toList());
        }
        return done;
    }

    /** As {@link Backend#normedLinears}, from rows as they were before the norm; false as above. */
    boolean normedLinears(
            List<Tensor> outs, Tensor normed, boolean wantsNormed, Ops.Norm norm, List<Ops.Projection> projections) {
        Tensor x = norm.x();
        if (!context.device.isHopper()
                || !rows.isNormOfVectors(norm)
                || !areVectors(normed)
                || !areTogether(outs, x, projections)
                || !isOnePass(x, projections)) {
            return false;
        }
        long weights = normedWeights.of(context.of(projections.getFirst().weight()), width(projections), norm.weight());
        norm(normed, wantsNormed, norm);
        require(linearsInOnePass(outs, x, projections, weights, bytes(norm.rstd())));
        return true;
    }

    private void norm(Tensor normed, boolean wantsNormed, Ops.Norm norm) {
        rows.rstd(norm);
        if (wantsNormed) {
            rows.normed(normed, norm);
        }
    }

    private static void require(boolean done) {
        if (!done) {
            throw new IllegalStateException("rows before a norm are multiplied one way and not the other");
        }
    }

    private static boolean isOnePass(Tensor x, List<Ops.Projection> projections) {
        return x.rows() >= LEAST_ROWS && rotation(projections).headDim() == HopperProducts.HEAD;
    }

    private boolean linearsInOnePass(
            List<Tensor> outs, Tensor x, List<Ops.Projection> projections, long weights, long factors) {
        Ops.Rotation rotation = rotation(projections);
        long[] targets = new long[outs.size()];
        int[] heads = new int[outs.size()];
        boolean[] rotated = new boolean[outs.size()];
        for (int i = 0; i < outs.size(); i++) {
            targets[i] = targetBytes(outs.get(i));
            heads[i] = outs.get(i).columns() / HopperProducts.HEAD;
            rotated[i] = projections.get(i).rotation().isPresent();
        }
        return hopper.linears(
                targets,
                heads,
                rotated,
                bytes(x),
                x.rows(),
                x.columns(),
                weights,
                address(rotation.position()),
                frequencies(rotation.headDim(), rotation.theta()),
                factors);
    }

    private static Ops.Rotation rotation(List<Ops.Projection> projections) {
        return projections.stream()
                .flatMap(projection -> projection.rotation().stream())
                .findFirst()
                .orElseThrow();
    }

    /** As {@link Backend#gatedLinears}; false if it cannot be done in one pass, and then nothing was done. */
    boolean gatedLinears(Tensor gate, Tensor up, Tensor inner, Tensor x, Tensor gateWeight, Tensor upWeight) {
        return areGatedInOnePass(gate, up, inner, x, gateWeight, upWeight)
                && gatedLinearsInOnePass(gate, up, inner, x, context.shadow(context.of(gateWeight)), 0);
    }

    /** As {@link Backend#normedGatedLinears}, from rows as they were before the norm; false as above. */
    boolean normedGatedLinears(
            Tensor gate,
            Tensor up,
            Tensor inner,
            Tensor normed,
            boolean wantsNormed,
            Ops.Norm norm,
            Tensor gateWeight,
            Tensor upWeight) {
        Tensor x = norm.x();
        if (!context.device.isHopper()
                || gate.columns() % 64 != 0
                || !rows.isNormOfVectors(norm)
                || !areVectors(normed)
                || !areGatedInOnePass(gate, up, inner, x, gateWeight, upWeight)) {
            return false;
        }
        long weights = normedWeights.of(context.of(gateWeight), 2 * gateWeight.rows(), norm.weight());
        norm(normed, wantsNormed, norm);
        require(gatedLinearsInOnePass(gate, up, inner, x, weights, bytes(norm.rstd())));
        return true;
    }

    private boolean areGatedInOnePass(
            Tensor gate, Tensor up, Tensor inner, Tensor x, Tensor gateWeight, Tensor upWeight) {
        return products.hasLibrary()
                && x.extent().isExact()
                && x.rows() >= LEAST_ROWS
                && areVectors(gate, up, inner, x)
                && follow(List.of(gateWeight, upWeight));
    }

    private boolean gatedLinearsInOnePass(Tensor gate, Tensor up, Tensor inner, Tensor x, long weights, long factors) {
        return hopper.gatedLinears(
                targetBytes(gate),
                targetBytes(up),
                targetBytes(inner),
                bytes(x),
                x.rows(),
                x.columns(),
                gate.columns(),
                weights,
                factors);
    }

    /** As {@link Backend#linearsBackward}; false as above. */
    boolean linearsBackward(
            Tensor dx,
            List<Optional<Tensor>> dweights,
            Tensor x,
            List<Ops.Projection> projections,
            List<Tensor> douts) {
        boolean wantsWeights = dweights.stream().anyMatch(Optional::isPresent);
        if (!areTogether(douts, x, projections)
                || !areVectors(dx)
                || wantsWeights
                        && !(dweights.stream().allMatch(Optional::isPresent)
                                && follow(dweights.stream().map(Optional::get).toList()))) {
            return false;
        }
        int width = width(projections);
        long packed = scratch(2L * x.rows() * width);
        deal(
                "narrowMerge",
                packed,
                douts,
                projections,
                douts.stream().map(this::bytes).toList());
        boolean done = products.multiplyByLibrary(
                new CublasLt.Sizes(x.rows(), x.columns(), width, true, true),
                targetBytes(dx),
                0,
                new CublasLt.Factor(packed, false),
                new CublasLt.Factor(weights(projections), false));
        if (done && wantsWeights) {
            long target = 0;
            for (Optional<Tensor> dweight : dweights.reversed()) {
                target = targetBytes(dweight.get()); // the first's in the end
            }
            boolean added = products.multiplyByLibrary(
                    new CublasLt.Sizes(width, x.columns(), x.rows(), true, false),
                    target,
                    target,
                    new CublasLt.Factor(packed, true),
                    new CublasLt.Factor(bytes(x), false));
            if (!added) {
                throw new IllegalStateException("cuBLASLt multiplies these operands one way and not the other");
            }
        }
        return done;
    }

    private boolean areTogether(List<Tensor> rows, Tensor x, List<Ops.Projection> projections) {
        List<Ops.Rotation> rotations = projections.stream()
                .flatMap(projection -> projection.rotation().stream())
                .distinct()
                .toList();
        return products.hasLibrary()
                && rows.size() > 1
                && rows.size() <= MOST_TOGETHER
                && rotations.size() == 1
                && rotations.getFirst().headDim() % 16 == 0
                && rows.stream()
                        .allMatch(each -> each.columns() % rotations.getFirst().headDim() == 0)
                && x.extent().isExact()
                && x.rows() > 0
                && areVectors(x)
                && areVectors(rows.toArray(Tensor[]::new))
                && follow(projections.stream().map(Ops.Projection::weight).toList());
    }

    /** Whether matrices in 32 bit lie one after the other without a gap. */
    boolean follow(List<Tensor> matrices) {
        CudaTensor before = context.of(matrices.getFirst());
        if (before.isNarrow || before.address % 32 != 0) {
            return false;
        }
        for (Tensor matrix : matrices.subList(1, matrices.size())) {
            CudaTensor next = context.of(matrix);
            if (next.isNarrow
                    || next.lifetime != before.lifetime
                    || next.address != before.address + 4 * before.size()) {
                return false;
            }
            before = next;
        }
        return true;
    }

    static int width(List<Ops.Projection> projections) {
        return projections.stream()
                .mapToInt(projection -> projection.weight().rows())
                .sum();
    }

    /** The weights of projections as one matrix in bfloat16. */
    long weights(List<Ops.Projection> projections) {
        return context.shadow(context.of(projections.getFirst().weight()));
    }

    private void deal(
            String kernel, long packed, List<Tensor> rows, List<Ops.Projection> projections, List<Long> addresses) {
        Ops.Rotation rotation = rotation(projections);
        int headDim = rotation.headDim();
        long frequencies = frequencies(headDim, rotation.theta());
        long positions = address(rotation.position());
        Kernels launch = kernel(kernel).pointer(packed);
        double moved = 0;
        for (Tensor each : rows) {
            moved += 4.0 * elements(each); // read in one place and written in the other
        }
        context.kernels.operand(moved);
        int heads = 0;
        int rotated = 0;
        List<Integer> ends = new ArrayList<>();
        for (int i = 0; i < MOST_TOGETHER; i++) {
            launch = launch.pointer(i < rows.size() ? addresses.get(i) : 0);
            if (i < rows.size()) {
                heads += rows.get(i).columns() / headDim;
                rotated |= projections.get(i).rotation().isPresent() ? 1 << i : 0;
            }
            ends.add(heads);
        }
        int chunks = (heads + HEADS_AT_A_TIME - 1) / HEADS_AT_A_TIME;
        int count = rows.getFirst().rows();
        launch.pointer(positions)
                .pointer(frequencies)
                .integer(count)
                .integer(headDim)
                .integer(ends.get(0))
                .integer(ends.get(1))
                .integer(ends.get(2))
                .integer(rotated)
                .overElements((long) count * chunks * headDim / 16);
    }
}
