package io.mor.backend.cuda;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Tensor;
import java.util.Optional;

/** Matrix products, by cuBLASLt or by own tiles. */
final class ProductKernels extends KernelFamily {

    private static final long MOST_CHUNK_BYTES = 64L << 20;
    private final Optional<CublasLt> cublas;
    private Optional<DeviceMemory.Block> productWorkspace = Optional.empty();

    /**
     * @param cublas the library, empty for own kernels alone
     */
    ProductKernels(CudaContext context, Optional<CublasLt> cublas) {
        super(context);
        this.cublas = cublas;
    }

    void matmul(Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, boolean accumulate) {
        int m = out.rows();
        int n = out.columns();
        int inner = transposeA ? a.rows() : a.columns();
        if (m == 0) {
            return;
        }
        // the count of what is summed over is known to the device alone, and cuBLASLt takes sizes from the host
        boolean isCountedSum = transposeA && !a.extent().isExact();
        if (cublas.isPresent() && !isCountedSum && inner > 0) {
            context.device.makeCurrent();
            if (productWorkspace.isEmpty()) {
                productWorkspace =
                        Optional.of(context.memory.allocate(CublasLt.WORKSPACE, "workspace of matrix products"));
            }
            cublas.get()
                    .multiply(
                            address(out),
                            m,
                            n,
                            address(a),
                            transposeA,
                            address(b),
                            transposeB,
                            inner,
                            accumulate,
                            productWorkspace.get().address(),
                            context.device.streamHandle());
            return;
        }
        multiplyTiles(out, a, transposeA, b, transposeB, inner, accumulate);
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
        long target = chunks == 1 ? address(out) : scratch(4L * m * n * chunks);
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
                    .pointer(address(out))
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
