package io.mor.backend.cuda;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Tensor;
import java.util.Optional;

/** Matrix products, by cuBLASLt or by own tiles. */
final class ProductKernels extends KernelFamily {

    private static final long MOST_CHUNK_BYTES = 64L << 20;
    private static final int MOST_THIN = 4; // outputs
    private static final int LEAST_ROWS_WITH_BASE =
            8192; // for which a product of our own that is added to something is worth it
    private final ElementwiseKernels elementwise;
    private final RowKernels rows;
    private final HopperProducts hopper;
    private final RowSums squares;
    private final Optional<CublasLt> cublas;
    private Optional<DeviceMemory.Block> productWorkspace = Optional.empty();

    /**
     * @param cublas the library, empty for own kernels alone
     */
    ProductKernels(
            CudaContext context,
            ElementwiseKernels elementwise,
            RowKernels rows,
            HopperProducts hopper,
            RowSums squares,
            Optional<CublasLt> cublas) {
        super(context);
        this.rows = rows;
        this.hopper = hopper;
        this.squares = squares;
        this.elementwise = elementwise;
        this.cublas = cublas;
    }

    void matmul(Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, boolean accumulate) {
        multiply(out, accumulate ? Optional.of(out) : Optional.empty(), a, transposeA, b, transposeB);
    }

    /** {@code out = base + op(a) @ op(b)}. */
    void matmulAdd(Tensor out, Tensor base, Tensor a, boolean transposeA, Tensor b, boolean transposeB) {
        if (transposeA || !transposeB || !addInOnePass(out, base, a, b)) {
            multiply(out, Optional.of(base), a, transposeA, b, transposeB);
        }
    }

    /** {@code out = base + a @ transpose(b)} together with its rows' squares; false if that cannot be, and then nothing was done. */
    private boolean addInOnePass(Tensor out, Tensor base, Tensor a, Tensor b) {
        if (cublas.isEmpty()
                || !context.device.isHopper()
                || out.rows() < LEAST_ROWS_WITH_BASE
                || !out.extent().isExact()
                || !areVectors(out, base, a)
                || !isWeightOfVectors(b)) {
            return false;
        }
        RowSums.Sums sums = squares.take(HopperProducts.squaresParts(out.columns()), out.rows());
        boolean done = hopper.residual(
                targetBytes(out),
                sums.address(),
                bytes(base),
                bytes(a),
                out.rows(),
                a.columns(),
                context.shadow(context.of(b)),
                out.columns());
        if (done) {
            squares.hold(out, sums);
        }
        return done;
    }

    private void multiply(
            Tensor out, Optional<Tensor> base, Tensor a, boolean transposeA, Tensor b, boolean transposeB) {
        int inner = transposeA ? a.rows() : a.columns();
        if (out.rows() == 0) {
            return;
        }
        if (transposeA && !transposeB && multiplyAcross(out, base, a, b)) {
            return;
        }
        if (cublas.isPresent() && inner > 0 && multiplyByLibrary(out, base, a, transposeA, b, transposeB, inner)) {
            return;
        }
        boolean isOwnBase = base.isEmpty() || bytes(base.get()) == bytes(out);
        if (isOwnBase && multiplyThin(out, a, transposeA, b, transposeB, inner, base.isPresent())) {
            return;
        }
        if (base.isPresent() && bytes(base.get()) != bytes(out)) {
            elementwise.copy(out, base.get());
        }
        multiplyTiles(out, a, transposeA, b, transposeB, inner, base.isPresent());
    }

    /** The gradient of weights, by a product of our own; false if the library's is better. */
    private boolean multiplyAcross(Tensor out, Optional<Tensor> base, Tensor a, Tensor b) {
        return cublas.isPresent()
                && isNarrow(a)
                && isNarrow(b)
                && !isNarrow(out)
                && a.extent().isExact()
                && b.extent().isExact()
                && hopper.gainsFromOwnWeightGradient(out.rows(), out.columns(), a.rows())
                && (base.isEmpty() || bytes(base.get()) == bytes(out))
                && hopper.weightGradient(
                        targetBytes(out),
                        base.isPresent(),
                        bytes(a),
                        a.columns(),
                        out.rows(),
                        bytes(b),
                        out.columns(),
                        a.rows());
    }

    private boolean multiplyByLibrary(
            Tensor out, Optional<Tensor> base, Tensor a, boolean transposeA, Tensor b, boolean transposeB, int inner) {
        boolean narrow = isNarrow(a) || isNarrow(b);
        // the count of what is summed over is known to the device alone, and cuBLASLt takes sizes from the host
        boolean isCountedSum = transposeA && !a.extent().isExact();
        if (isCountedSum && !narrow
                || !narrow && isNarrow(out)
                || narrow && !(canBeNarrow(a) && canBeNarrow(b))
                || base.isPresent() && isNarrow(base.get()) != isNarrow(out)) {
            return false;
        }
        if (isCountedSum) {
            clearBehindCount(a);
            clearBehindCount(b);
        }
        return multiplyByLibrary(
                new CublasLt.Sizes(out.rows(), out.columns(), inner, narrow, isNarrow(out)),
                targetBytes(out),
                base.isEmpty() ? 0 : bytes(base.get()),
                new CublasLt.Factor(factor(a, narrow), transposeA),
                new CublasLt.Factor(factor(b, narrow), transposeB));
    }

    /** Whether products are the library's, so that {@link #multiplyByLibrary} may be called. */
    boolean hasLibrary() {
        return cublas.isPresent();
    }

    /** {@code out = base + op(a) @ op(b)} on addresses, see {@link CublasLt#multiply}; false if the library cannot. */
    boolean multiplyByLibrary(CublasLt.Sizes sizes, long out, long base, CublasLt.Factor a, CublasLt.Factor b) {
        context.device.makeCurrent();
        if (productWorkspace.isEmpty()) {
            productWorkspace = Optional.of(context.memory.allocate(CublasLt.WORKSPACE, "workspace of matrix products"));
        }
        CublasLt library = cublas.get();
        if (!library.canMultiply(sizes, out, base, a, b)) {
            return false;
        }
        long workspace = productWorkspace.get().address();
        context.kernels.library(
                "product [" + sizes.m() + ", " + sizes.n() + "] over " + sizes.inner(),
                sizes.bytes(base != 0),
                sizes.operations(),
                new Product(sizes, out, base, a, b),
                () -> library.multiply(sizes, out, base, a, b, workspace, context.device.streamHandle()));
        return true;
    }

    /** All that decides what the library does for a product. */
    private record Product(CublasLt.Sizes sizes, long out, long base, CublasLt.Factor a, CublasLt.Factor b) {}

    /** The products of a router with one output, or few: rows of bfloat16 are read once. False for all others. */
    private boolean multiplyThin(
            Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, int inner, boolean accumulate) {
        if (!transposeA && transposeB && out.columns() <= MOST_THIN && isWeightOfVectors(b) && areVectors(a)) {
            vectors(kernel("narrowThin").pointer(target(out)).pointer(bytes(a)).pointer(bytes(b)), a)
                    .integer(out.columns())
                    .flag(accumulate)
                    .launch(Math.min((a.rows() + 7) / 8, 1 << 16), 1, 1, 256, 1, 0);
            return true;
        }
        if (transposeA && !transposeB && out.rows() == 1 && !isNarrow(a) && isNarrow(b)) {
            rows.sumColumns(target(out), address(b), 0, address(a), 0, 1, b, 1, accumulate);
            return true;
        }
        if (!transposeA && !transposeB && inner == 1 && isWeightOfVectors(b) && !isNarrow(a) && areVectors(out)) {
            vectors(
                            kernel("narrowOuter")
                                    .pointer(targetBytes(out))
                                    .pointer(bytes(a))
                                    .pointer(bytes(b)),
                            out)
                    .flag(accumulate)
                    .overElements(vectorCount(out));
            return true;
        }
        return false;
    }

    private boolean isWeightOfVectors(Tensor weight) {
        return !isNarrow(weight) && bytes(weight) % 16 == 0 && weight.columns() % 8 == 0;
    }

    /** Whether a factor is, or may be copied, in bfloat16: weights may, logits of routers and gates are too narrow. */
    private boolean canBeNarrow(Tensor tensor) {
        return isNarrow(tensor) || tensor.columns() >= CudaBackend.NARROWEST && tensor.rows() >= CudaBackend.NARROWEST;
    }

    private long factor(Tensor tensor, boolean narrow) {
        return narrow && !isNarrow(tensor) ? context.shadow(context.of(tensor)) : bytes(tensor);
    }

    /** Sets rows that nobody reads to zero, so that they add nothing to a sum over all. */
    private void clearBehindCount(Tensor tensor) {
        if (!tensor.extent().isExact()) {
            shape(kernel("clearBehindCount").pointer(target(tensor)), tensor).overElements(elements(tensor));
        }
    }

    private void multiplyTiles(
            Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, int inner, boolean accumulate) {
        int m = out.rows();
        int n = out.columns();
        boolean isWide = m >= 128 && n >= 128;
        int tile = isWide ? 128 : 32;
        int gridX = (n + tile - 1) / tile;
        int gridY = (m + tile - 1) / tile;
        int chunks = transposeA ? chunks((long) gridX * gridY, inner, 4L * m * n) : 1;
        int chunk = Math.max(1, (inner + chunks - 1) / chunks);
        long target = chunks == 1 ? target(out) : scratch(4L * m * n * chunks);
        Extent counted = transposeA ? a.extent() : out.extent();
        kernel((isWide ? "matmulWide" : "matmulNarrow") + (transposeA ? "A" : "") + (transposeB ? "B" : ""))
                .pointer(target)
                .pointer(address(a))
                .pointer(address(b))
                .integer(m)
                .integer(n)
                .integer(inner)
                .pointer(count(counted))
                .integer(chunk)
                .flag(chunks == 1 && accumulate)
                .launch(gridX, gridY, chunks, 256, 1, 0);
        if (chunks > 1) {
            long elements = (long) m * n;
            kernel("addChunks")
                    .pointer(target(out))
                    .pointer(target)
                    .integer(chunks)
                    .wide(elements)
                    .flag(accumulate)
                    .overElements(elements);
        }
    }

    /** Into how many chunks a sum over rows is cut, so that a gradient of few tiles still fills the card; the same on every card. */
    private static int chunks(long tiles, int inner, long bytes) {
        long wanted = Math.min((264 + tiles - 1) / tiles, (inner + 511) / 512);
        return (int) Math.max(1, Math.min(wanted, MOST_CHUNK_BYTES / bytes));
    }
}
