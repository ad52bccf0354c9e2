package io.mor.backend.cuda;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.Optional;

/** Kernels over rows and columns: broadcasts, sums, softmax, norms, losses. */
final class RowKernels extends KernelFamily {

    private static final int COLUMN_CHUNK = 256; // rows that one block sums

    RowKernels(CudaContext context) {
        super(context);
    }

    void scaleRows(Tensor out, Tensor x, Tensor factors, boolean accumulate) {
        shape(kernel("scaleRows").pointer(address(out)).pointer(address(x)).pointer(address(factors)), out)
                .flag(accumulate)
                .overElements(elements(out));
    }

    void addRow(Tensor out, Tensor x, Tensor row) {
        shape(kernel("addRow").pointer(address(out)).pointer(address(x)).pointer(address(row)), out)
                .overElements(elements(out));
    }

    void multiplyRow(Tensor out, Tensor x, Tensor row, boolean accumulate) {
        shape(kernel("multiplyRow").pointer(address(out)).pointer(address(x)).pointer(address(row)), out)
                .flag(accumulate)
                .overElements(elements(out));
    }

    void broadcastColumn(Tensor out, Tensor column, boolean accumulate) {
        shape(kernel("broadcastColumn").pointer(address(out)).pointer(address(column)), out)
                .flag(accumulate)
                .overElements(elements(out));
    }

    void broadcastRow(Tensor out, Tensor row, double scale, boolean accumulate) {
        shape(kernel("broadcastRow").pointer(address(out)).pointer(address(row)), out)
                .real(scale)
                .flag(accumulate)
                .overElements(elements(out));
    }

    void rowSum(Tensor out, Tensor x, boolean accumulate) {
        shape(kernel("rowSum").pointer(address(out)).pointer(address(x)), x)
                .flag(accumulate)
                .overRows(x.rows(), x.columns());
    }

    void rowDot(Tensor out, Tensor a, Tensor b, boolean accumulate) {
        shape(kernel("rowDot").pointer(address(out)).pointer(address(a)).pointer(address(b)), a)
                .flag(accumulate)
                .overRows(a.rows(), a.columns());
    }

    void rowLogSumExp(Tensor out, Tensor x) {
        shape(kernel("rowLogSumExp").pointer(address(out)).pointer(address(x)), x)
                .overRows(x.rows(), x.columns());
    }

    void columnSum(Tensor out, Tensor x, double scale, boolean accumulate) {
        sumColumns(address(out), address(x), 0, 0, 0, 1, x, scale, accumulate);
    }

    void columnDot(Tensor out, Tensor a, Tensor b, double scale, boolean accumulate) {
        sumColumns(address(out), address(a), address(b), 0, 0, 1, a, scale, accumulate);
    }

    /**
     * {@code out [variants, columns] (+)= scale * } sums over rows of {@code a * b * factors}: first within chunks of rows, then over the chunks.
     *
     * @param b second factor, 0 for none
     * @param factors factors of the rows, 0 for none
     * @param variant which row of out a row belongs to, 0 if all belong to the first
     * @param rows whose extent and columns count
     */
    private void sumColumns(
            long out,
            long a,
            long b,
            long factors,
            long variant,
            int variants,
            Tensor rows,
            double scale,
            boolean accumulate) {
        int columns = rows.columns();
        int chunks = Math.max(1, (rows.rows() + COLUMN_CHUNK - 1) / COLUMN_CHUNK);
        boolean isWhole = chunks == 1;
        long partial = isWhole ? out : scratch(4L * chunks * variants * columns);
        shape(
                        kernel("columnSums")
                                .pointer(partial)
                                .pointer(a)
                                .pointer(b)
                                .pointer(factors)
                                .pointer(variant),
                        rows)
                .integer(COLUMN_CHUNK)
                .real(isWhole ? scale : 1)
                .flag(isWhole && accumulate)
                .launch((columns + 31) / 32, chunks, variants, 32, 8, 0);
        if (!isWhole) {
            int width = variants * columns;
            kernel("columnSums")
                    .pointer(out)
                    .pointer(partial)
                    .pointer(0)
                    .pointer(0)
                    .pointer(0)
                    .integer(chunks)
                    .pointer(0)
                    .integer(width)
                    .integer(chunks)
                    .real(scale)
                    .flag(accumulate)
                    .launch((width + 31) / 32, 1, 1, 32, 8, 0);
        }
    }

    void reciprocalCount(Tensor out, Extent extent) {
        kernel("reciprocalCount")
                .pointer(address(out))
                .integer(extent.bound())
                .pointer(count(extent))
                .launch(1, 1, 1, 1, 1, 0);
    }

    void softmax(Tensor out, Tensor x) {
        shape(kernel("softmax").pointer(address(out)).pointer(address(x)), x).overRows(x.rows(), x.columns());
    }

    void softmaxBackward(Tensor dx, Tensor y, Tensor dy, boolean accumulate) {
        shape(kernel("softmaxBackward").pointer(address(dx)).pointer(address(y)).pointer(address(dy)), dx)
                .flag(accumulate)
                .overRows(dx.rows(), dx.columns());
    }

    void argMax(IntTensor out, Tensor x) {
        shape(kernel("argMax").pointer(address(out)).pointer(address(x)), x).overRows(x.rows(), x.columns());
    }

    void rmsNorm(Tensor out, Tensor rstd, Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon) {
        shape(
                        kernel("rmsNorm")
                                .pointer(address(out))
                                .pointer(address(rstd))
                                .pointer(address(x))
                                .pointer(address(weight))
                                .pointer(address(variant)),
                        x)
                .real(epsilon)
                .overRows(x.rows(), x.columns());
    }

    void rmsNormBackward(
            Tensor dx,
            Tensor dweight,
            Tensor x,
            Tensor rstd,
            Tensor weight,
            Optional<IntTensor> variant,
            Tensor dy,
            boolean accumulate) {
        // first, because dx may be dy
        sumColumns(
                address(dweight), address(x), address(dy), address(rstd), address(variant), dweight.rows(), x, 1, true);
        shape(
                        kernel("rmsNormBackward")
                                .pointer(address(dx))
                                .pointer(address(x))
                                .pointer(address(rstd))
                                .pointer(address(weight))
                                .pointer(address(variant))
                                .pointer(address(dy)),
                        x)
                .flag(accumulate)
                .overRows(x.rows(), x.columns());
    }

    void crossEntropy(Tensor out, Tensor logits, IntTensor target) {
        shape(
                        kernel("crossEntropy")
                                .pointer(address(out))
                                .pointer(address(logits))
                                .pointer(address(target)),
                        logits)
                .overRows(logits.rows(), logits.columns());
    }

    void crossEntropyBackward(Tensor dlogits, Tensor logits, IntTensor target, Tensor dy) {
        shape(
                        kernel("crossEntropyBackward")
                                .pointer(address(dlogits))
                                .pointer(address(logits))
                                .pointer(address(target))
                                .pointer(address(dy)),
                        logits)
                .overRows(logits.rows(), logits.columns());
    }
}
