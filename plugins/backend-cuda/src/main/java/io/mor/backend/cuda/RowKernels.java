package io.mor.backend.cuda;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Tensor;
import java.util.Optional;

/** Kernels over rows and columns: broadcasts, sums, softmax, norms, losses. */
final class RowKernels extends KernelFamily {

    private static final int COLUMN_CHUNK = 256; // rows that one block sums
    private static final int WIDEST_NORM = 2048; // columns that a warp holds in registers
    /** Columns of a block of narrowAddPartials. */
    static final int PARTIAL_COLUMNS = 8;

    private static final int NORM_BLOCKS = 264; // that deal rows among them in a norm's gradient, on every card alike
    private static final int WIDEST_LOSS = 65536; // logits that a block holds in registers

    private final RowSums squares;

    RowKernels(CudaContext context, RowSums squares) {
        super(context);
        this.squares = squares;
    }

    void scaleRows(Tensor out, Tensor x, Tensor factors, boolean accumulate) {
        if (areVectors(out, x) && !isNarrow(factors)) {
            vectors(
                            kernel("narrowScaleRows")
                                    .pointer(targetBytes(out))
                                    .pointer(bytes(x))
                                    .pointer(bytes(factors)),
                            out)
                    .flag(accumulate)
                    .overElements(vectorCount(out));
            return;
        }
        shape(kernel("scaleRows").pointer(target(out)).pointer(address(x)).pointer(address(factors)), out)
                .flag(accumulate)
                .overElements(elements(out));
    }

    void addRow(Tensor out, Tensor x, Tensor row) {
        shape(kernel("addRow").pointer(target(out)).pointer(address(x)).pointer(address(row)), out)
                .overElements(elements(out));
    }

    void multiplyRow(Tensor out, Tensor x, Tensor row, boolean accumulate) {
        shape(kernel("multiplyRow").pointer(target(out)).pointer(address(x)).pointer(address(row)), out)
                .flag(accumulate)
                .overElements(elements(out));
    }

    void broadcastColumn(Tensor out, Tensor column, boolean accumulate) {
        shape(kernel("broadcastColumn").pointer(target(out)).pointer(address(column)), out)
                .flag(accumulate)
                .overElements(elements(out));
    }

    void broadcastRow(Tensor out, Tensor row, double scale, boolean accumulate) {
        shape(kernel("broadcastRow").pointer(target(out)).pointer(address(row)), out)
                .real(scale)
                .flag(accumulate)
                .overElements(elements(out));
    }

    void rowSum(Tensor out, Tensor x, boolean accumulate) {
        shape(kernel("rowSum").pointer(target(out)).pointer(address(x)), x)
                .flag(accumulate)
                .overRows(x.rows(), x.columns());
    }

    void rowDot(Tensor out, Tensor a, Tensor b, boolean accumulate) {
        shape(kernel("rowDot").pointer(target(out)).pointer(address(a)).pointer(address(b)), a)
                .flag(accumulate)
                .overRows(a.rows(), a.columns());
    }

    void rowLogSumExp(Tensor out, Tensor x) {
        shape(kernel("rowLogSumExp").pointer(target(out)).pointer(address(x)), x)
                .overRows(x.rows(), x.columns());
    }

    void columnSum(Tensor out, Tensor x, double scale, boolean accumulate) {
        sumColumns(target(out), address(x), 0, 0, 0, 1, x, scale, accumulate);
    }

    void columnDot(Tensor out, Tensor a, Tensor b, double scale, boolean accumulate) {
        sumColumns(target(out), address(a), address(b), 0, 0, 1, a, scale, accumulate);
    }

    /**
     * {@code out [variants, columns] (+)= scale * } sums over rows of {@code a * b * factors}: first within chunks of rows, then over the chunks.
     *
     * @param b second factor, 0 for none
     * @param factors factors of the rows, 0 for none
     * @param variant which row of out a row belongs to, 0 if all belong to the first
     * @param rows whose extent and columns count
     */
    void sumColumns(
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
                .pointer(target(out))
                .integer(extent.bound())
                .pointer(count(extent))
                .launch(1, 1, 1, 1, 1, 0);
    }

    void softmax(Tensor out, Tensor x) {
        shape(kernel("softmax").pointer(target(out)).pointer(address(x)), x).overRows(x.rows(), x.columns());
    }

    void softmaxBackward(Tensor dx, Tensor y, Tensor dy, boolean accumulate) {
        shape(kernel("softmaxBackward").pointer(target(dx)).pointer(address(y)).pointer(address(dy)), dx)
                .flag(accumulate)
                .overRows(dx.rows(), dx.columns());
    }

    void argMax(IntTensor out, Tensor x) {
        shape(kernel("argMax").pointer(target(out)).pointer(address(x)), x).overRows(x.rows(), x.columns());
    }

    /** Whether the norm's kernels for vectors, whose rows a warp holds in registers, can take these. */
    private boolean areNormVectors(Tensor weight, Optional<IntTensor> variant, Tensor... rows) {
        return variant.isEmpty()
                && rows[0].columns() <= WIDEST_NORM
                && !isNarrow(weight)
                && bytes(weight) % 16 == 0
                && areVectors(rows);
    }

    /** The kernel for rows of so many vectors: its name's ending is how many of them a lane holds. */
    private static String normKernel(String name, int columns) {
        int held = (columns / 8 + 31) / 32;
        return name + (held <= 4 ? held : 8);
    }

    void rmsNorm(Tensor out, Tensor rstd, Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon) {
        if (areNormVectors(weight, variant, x, out)) {
            if (x.rows() > 0) {
                vectors(
                                kernel(normKernel("narrowNorm", x.columns()))
                                        .pointer(targetBytes(out))
                                        .pointer(targetBytes(rstd))
                                        .pointer(bytes(x))
                                        .pointer(bytes(weight)),
                                x)
                        .real(epsilon)
                        .launch(Math.min((x.rows() + 7) / 8, 1 << 16), 1, 1, 256, 1, 0);
            }
            return;
        }
        shape(
                        kernel("rmsNorm")
                                .pointer(target(out))
                                .pointer(target(rstd))
                                .pointer(address(x))
                                .pointer(address(weight))
                                .pointer(address(variant)),
                        x)
                .real(epsilon)
                .overRows(x.rows(), x.columns());
    }

    /** Whether rows can be normed by kernels for vectors, and so {@link #rstd} be found without their norm. */
    boolean isNormOfVectors(Ops.Norm norm) {
        return areNormVectors(norm.weight(), norm.variant(), norm.x());
    }

    /**
     * A norm's {@code rstd} alone, of rows that {@link #isNormOfVectors} says yes to: from the sums of squares that the product which made the rows
     * brought, if it did, else with the bits of {@link #rmsNorm}.
     */
    void rstd(Ops.Norm norm) {
        Tensor x = norm.x();
        Optional<RowSums.Sums> known = squares.of(x);
        if (known.isPresent()) {
            kernel("rstdOfSquares")
                    .pointer(targetBytes(norm.rstd()))
                    .pointer(known.get().address())
                    .integer(x.rows())
                    .integer(known.get().parts())
                    .integer(x.columns())
                    .real(norm.epsilon())
                    .overElements(x.rows());
            return;
        }
        vectors(
                        kernel(normKernel("narrowRstd", x.columns()))
                                .pointer(targetBytes(norm.rstd()))
                                .pointer(bytes(x)),
                        x)
                .real(norm.epsilon())
                .launch(Math.min((x.rows() + 7) / 8, 1 << 16), 1, 1, 256, 1, 0);
    }

    /** The normed rows of a norm whose {@code rstd} is there, of rows that {@link #isNormOfVectors} says yes to. */
    void normed(Tensor out, Ops.Norm norm) {
        vectors(
                        kernel("narrowNormed")
                                .pointer(targetBytes(out))
                                .pointer(bytes(norm.x()))
                                .pointer(bytes(norm.rstd()))
                                .pointer(bytes(norm.weight())),
                        norm.x())
                .overElements(vectorCount(norm.x()));
    }

    /** As the backend's; {@code normed}, if it is there, receives the norm again. */
    void rmsNormBackward(
            Tensor dx,
            Tensor dweight,
            Optional<Tensor> normed,
            Tensor x,
            Tensor rstd,
            Tensor weight,
            Optional<IntTensor> variant,
            Tensor dy,
            boolean accumulate) {
        if (isNormOfVectors(dx, dweight, x, weight, variant, dy)) {
            if (x.rows() > 0) {
                int columns = x.columns();
                int blocks = Math.min((x.rows() + 7) / 8, NORM_BLOCKS);
                long partials = scratch(4L * blocks * columns);
                vectors(
                                kernel(normKernel("narrowNormBackward", columns))
                                        .pointer(targetBytes(dx))
                                        .pointer(partials)
                                        .pointer(normed.isEmpty() ? 0 : targetBytes(normed.get()))
                                        .pointer(bytes(x))
                                        .pointer(bytes(rstd))
                                        .pointer(bytes(weight))
                                        .pointer(bytes(dy)),
                                x)
                        .flag(accumulate)
                        .launch(blocks, 1, 1, 256, 1, 4 * columns);
                kernel("narrowAddPartials")
                        .pointer(targetBytes(dweight))
                        .pointer(partials)
                        .integer(blocks)
                        .integer(columns)
                        .launch(columns / PARTIAL_COLUMNS, 1, 1, 1024, 1, 0);
            }
            return;
        }
        // first, because dx may be dy
        sumColumns(
                target(dweight), address(x), address(dy), address(rstd), address(variant), dweight.rows(), x, 1, true);
        shape(
                        kernel("rmsNormBackward")
                                .pointer(target(dx))
                                .pointer(address(x))
                                .pointer(address(rstd))
                                .pointer(address(weight))
                                .pointer(address(variant))
                                .pointer(address(dy)),
                        x)
                .flag(accumulate)
                .overRows(x.rows(), x.columns());
    }

    /** Whether {@link #rmsNormBackward} can give the norm again in the same pass. */
    boolean isNormOfVectors(
            Tensor dx, Tensor dweight, Tensor x, Tensor weight, Optional<IntTensor> variant, Tensor dy) {
        return areNormVectors(weight, variant, x, dy, dx) && !isNarrow(dweight);
    }

    void crossEntropy(Tensor out, Tensor logits, IntTensor target) {
        if (areVectors(logits) && logits.columns() <= WIDEST_LOSS) {
            loss(out, logits, target, 0);
            return;
        }
        shape(
                        kernel("crossEntropy")
                                .pointer(target(out))
                                .pointer(address(logits))
                                .pointer(address(target)),
                        logits)
                .overRows(logits.rows(), logits.columns());
    }

    void crossEntropyBackward(Tensor dlogits, Tensor logits, IntTensor target, Tensor dy) {
        shape(
                        kernel("crossEntropyBackward")
                                .pointer(target(dlogits))
                                .pointer(address(logits))
                                .pointer(address(target))
                                .pointer(address(dy)),
                        logits)
                .overRows(logits.rows(), logits.columns());
    }

    /** Losses of rows of logits, and over the logits their gradient, scaled by {@code dy [rows, 1]}. */
    void crossEntropyGradient(Tensor out, Tensor logits, IntTensor target, Tensor dy) {
        if (areVectors(logits) && logits.columns() <= WIDEST_LOSS) {
            loss(out, logits, target, bytes(dy));
            return;
        }
        crossEntropy(out, logits, target);
        crossEntropyBackward(logits, logits, target, dy);
    }

    private void loss(Tensor out, Tensor logits, IntTensor target, long dy) {
        if (logits.rows() > 0) {
            int held = (logits.columns() / 8 + 1023) / 1024;
            vectors(
                            kernel("narrowLoss" + (held <= 1 ? 1 : held <= 4 ? 4 : held <= 6 ? 6 : 8))
                                    .pointer(targetBytes(out))
                                    .pointer(targetBytes(logits))
                                    .pointer(address(target))
                                    .pointer(dy),
                            logits)
                    .launch(logits.rows(), 1, 1, 1024, 1, 0);
        }
    }
}
