package io.mor.backend.cpu;

import static io.mor.backend.cpu.Vectors.LANES;
import static io.mor.backend.cpu.Vectors.SPECIES;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * Sums over rows: first over runs of {@link #ROWS_PER_RUN} rows, then over the runs, both in ascending order. The runs are the parts that
 * threads take, and they are always the same, so the order of the additions does not depend on the number of threads; partial sums also keep
 * the rounding errors of long columns small.
 */
final class Columns {

    /** Rows of a run; with a few hundred columns they fit the second-level cache. */
    static final int ROWS_PER_RUN = 64;

    private Columns() {}

    static int runs(int rows) {
        return (rows + ROWS_PER_RUN - 1) / ROWS_PER_RUN;
    }

    /** What is summed in every row. */
    enum Term {
        X,
        X_TIMES_Y,
        X_TIMES_Y_TIMES_FACTOR
    }

    /**
     * The sums of a run: row {@code run} of {@code partial [runs, columns]}.
     *
     * @param x {@code [rows, columns]}
     * @param y as x; x itself if the term has none
     * @param factor {@code [rows, 1]}; x itself if the term has none
     */
    static void sumRun(Term term, CpuTensor x, CpuTensor y, CpuTensor factor, int rows, int run, float[] partial) {
        int columns = x.columns();
        int to = run * columns;
        Arrays.fill(partial, to, to + columns, 0f);
        int end = Math.min(rows, (run + 1) * ROWS_PER_RUN);
        for (int row = run * ROWS_PER_RUN; row < end; row++) {
            int xo = x.rowOffset(row);
            int yo = y.rowOffset(row);
            switch (term) {
                case X -> Elementwise.add(partial, to, partial, to, x.values(), xo, 1f, columns);
                case X_TIMES_Y -> Elementwise.multiply(partial, to, x.values(), xo, y.values(), yo, true, columns);
                case X_TIMES_Y_TIMES_FACTOR ->
                    Elementwise.addScaledProduct(
                            partial,
                            to,
                            x.values(),
                            xo,
                            factor.values()[factor.offset() + row],
                            y.values(),
                            yo,
                            columns);
            }
        }
    }

    /** {@code out[c] (+)= scale * sum over runs of partial [runs, columns]}, for the columns {@code from .. to}. */
    static void sumOfRuns(
            float[] partial,
            int runs,
            int columns,
            float[] out,
            int oo,
            float scale,
            boolean accumulate,
            int from,
            int to) {
        for (int c = from; c < to; c += LANES) {
            VectorMask<Float> m = SPECIES.indexInRange(c, to);
            FloatVector sum = FloatVector.zero(SPECIES);
            for (int run = 0; run < runs; run++) {
                sum = sum.add(FloatVector.fromArray(SPECIES, partial, run * columns + c, m));
            }
            sum = sum.mul(scale);
            (accumulate ? sum.add(FloatVector.fromArray(SPECIES, out, oo + c, m)) : sum).intoArray(out, oo + c, m);
        }
    }
}
