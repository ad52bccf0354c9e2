package io.mor.backend.cpu;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Tensor;

/** Sums over rows, and what means divide them by. */
final class ColumnKernels extends KernelFamily {

    ColumnKernels(Memory memory, Workers workers) {
        super(memory, workers);
    }

    void columnSum(Tensor out, Tensor x, double scale, boolean accumulate) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        columnSums(o, Columns.Term.X, a, a, a, rows(x), (float) scale, accumulate);
    }

    void columnDot(Tensor out, Tensor a, Tensor b, double scale, boolean accumulate) {
        columnSums(written(out), Columns.Term.X_TIMES_Y, of(a), of(b), of(a), rows(a), (float) scale, accumulate);
    }

    private void columnSums(
            CpuTensor out,
            Columns.Term term,
            CpuTensor x,
            CpuTensor y,
            CpuTensor factor,
            int rows,
            float scale,
            boolean accumulate) {
        int runs = Columns.runs(rows);
        float[] partial = memory.take((long) runs * x.columns(), "partial sums of columns");
        boolean isSmall = rows * x.columns() < 2 * ELEMENTS_PER_PART;
        workers.run(isSmall, runs, (thread, run) -> Columns.sumRun(term, x, y, factor, rows, run, partial));
        sumRuns(out, partial, runs, scale, accumulate);
        memory.giveBack(partial);
    }

    /** {@code out (+)= scale * sum of the runs} of partial sums {@code [runs, columns]}. */
    void sumRuns(CpuTensor out, float[] partial, int runs, float scale, boolean accumulate) {
        int columns = out.columns();
        workers.split(
                (columns + Vectors.LANES - 1) / Vectors.LANES,
                1 + ELEMENTS_PER_PART / Math.max(1, runs * Vectors.LANES),
                (from, to) -> Columns.sumOfRuns(
                        partial,
                        runs,
                        columns,
                        out.values(),
                        out.offset(),
                        scale,
                        accumulate,
                        from * Vectors.LANES,
                        Math.min(columns, to * Vectors.LANES)));
    }

    void reciprocalCount(Tensor out, Extent extent) {
        setScalar(out, 1.0 / Math.max(1, rows(extent)));
    }
}
