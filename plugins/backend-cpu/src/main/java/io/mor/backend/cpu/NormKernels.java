package io.mor.backend.cpu;

import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.Optional;

/** RMSNorm and its gradients. */
final class NormKernels extends KernelFamily {

    private final ColumnKernels columnWise;

    NormKernels(Memory memory, Workers workers, ColumnKernels columnWise) {
        super(memory, workers);
        this.columnWise = columnWise;
    }

    void rmsNorm(Tensor out, Tensor rstd, Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon) {
        CpuTensor o = written(out);
        CpuTensor r = written(rstd);
        CpuTensor a = of(x);
        CpuTensor w = of(weight);
        Optional<CpuInts> rowOfWeight = variant.map(this::of);
        int columns = a.columns();
        eachRow(rows(out), 2 * columns, i -> {
            double meanSquare =
                    (double) Elementwise.dot(a.values(), a.rowOffset(i), a.values(), a.rowOffset(i), columns) / columns;
            float factor = (float) (1 / Math.sqrt(meanSquare + epsilon));
            r.values()[r.offset() + i] = factor;
            Elementwise.normalise(
                    o.values(),
                    o.rowOffset(i),
                    a.values(),
                    a.rowOffset(i),
                    factor,
                    w.values(),
                    w.rowOffset(variant(rowOfWeight, i)),
                    columns);
        });
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
        CpuTensor dw = written(dweight);
        CpuTensor a = of(x);
        CpuTensor r = of(rstd);
        CpuTensor w = of(weight);
        CpuTensor g = of(dy);
        Optional<CpuInts> rowOfWeight = variant.map(this::of);
        int rows = rows(dx);
        int columns = a.columns();
        if (rowOfWeight.isPresent()) {
            variantGradients(dw, a, r, g, rowOfWeight.get(), rows);
            CpuTensor d = written(dx);
            eachRow(rows, 3 * columns, i -> rmsNormRowBackward(d, a, r, w, variant(rowOfWeight, i), g, i, accumulate));
            return;
        }
        CpuTensor d = written(dx);
        int runs = Columns.runs(rows);
        float[] partial = memory.take((long) runs * columns, "partial sums of columns");
        workers.run(rows * columns < ELEMENTS_PER_PART, runs, (thread, run) -> {
            Columns.sumRun(Columns.Term.X_TIMES_Y_TIMES_FACTOR, g, a, r, rows, run, partial);
            for (int i = run * Columns.ROWS_PER_RUN; i < Math.min(rows, (run + 1) * Columns.ROWS_PER_RUN); i++) {
                rmsNormRowBackward(d, a, r, w, 0, g, i, accumulate);
            }
        });
        columnWise.sumRuns(dw, partial, runs, 1f, true);
        memory.giveBack(partial);
    }

    private static void rmsNormRowBackward(
            CpuTensor dx,
            CpuTensor x,
            CpuTensor rstd,
            CpuTensor weight,
            int weightRow,
            CpuTensor dy,
            int i,
            boolean accumulate) {
        int columns = x.columns();
        int wo = weight.rowOffset(weightRow);
        double factor = rstd.values()[rstd.offset() + i];
        double dot = Elementwise.tripleDot(
                x.values(), x.rowOffset(i), dy.values(), dy.rowOffset(i), weight.values(), wo, columns);
        float common =
                (float) (dot * factor * factor * factor / columns); // of y_c = w_c x_c r: dr/dx_c = -r^3 x_c / columns
        Elementwise.normaliseBackward(
                dx.values(),
                dx.rowOffset(i),
                dy.values(),
                dy.rowOffset(i),
                weight.values(),
                wo,
                (float) factor,
                x.values(),
                x.rowOffset(i),
                common,
                accumulate,
                columns);
    }

    /** {@code dweight[variant[i]] += dy * x * rstd}, ascending i. */
    private void variantGradients(
            CpuTensor dweight, CpuTensor x, CpuTensor rstd, CpuTensor dy, CpuInts variant, int rows) {
        workers.split(x.columns(), 1 + ELEMENTS_PER_PART / Math.max(1, rows), (from, to) -> {
            for (int i = 0; i < rows; i++) {
                float factor = rstd.values()[rstd.offset() + i];
                int dwo = dweight.rowOffset(variant.get(i));
                for (int c = from; c < to; c++) {
                    dweight.values()[dwo + c] +=
                            dy.values()[dy.rowOffset(i) + c] * x.values()[x.rowOffset(i) + c] * factor;
                }
            }
        });
    }

    private static int variant(Optional<CpuInts> variant, int row) {
        return variant.isEmpty() ? 0 : variant.get().get(row);
    }
}
