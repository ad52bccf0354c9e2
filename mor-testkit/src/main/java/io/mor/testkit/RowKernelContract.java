package io.mor.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Kernels over rows and columns. */
public interface RowKernelContract extends OnBench {

    @Test
    default void scaleRowsMultipliesEachRowByItsFactor() {
        bench().kernel().bothWays().check(run -> {
            Operand x = run.rows("x", run.columns());
            Operand factors = run.rows("factors", 1);
            Operand out = run.rows("out", run.columns());
            run.backend().scaleRows(out.tensor(), x.tensor(), factors.tensor(), run.accumulate());
            out.expectPut(1, (row, column) -> x.at(row, column) * factors.at(row, 0));
        });
    }

    @Test
    default void addRowAddsOneRowToAll() {
        bench().kernel().check(run -> {
            Operand x = run.rows("x", run.columns());
            Operand term = run.matrix("row", 1, run.columns());
            Operand out = run.rows("out", run.columns());
            run.backend().addRow(out.tensor(), x.tensor(), term.tensor());
            out.expect(2, (row, column) -> x.at(row, column) + term.at(0, column));
        });
    }

    @Test
    default void multiplyRowMultipliesAllByOneRow() {
        bench().kernel().bothWays().check(run -> {
            Operand x = run.rows("x", run.columns());
            Operand factor = run.matrix("row", 1, run.columns());
            Operand out = run.rows("out", run.columns());
            run.backend().multiplyRow(out.tensor(), x.tensor(), factor.tensor(), run.accumulate());
            out.expectPut(1, (row, column) -> x.at(row, column) * factor.at(0, column));
        });
    }

    @Test
    default void broadcastColumnFillsEachRow() {
        bench().kernel().bothWays().check(run -> {
            Operand source = run.rows("column", 1);
            Operand out = run.rows("out", run.columns());
            run.backend().broadcastColumn(out.tensor(), source.tensor(), run.accumulate());
            out.expectPut(1, (row, column) -> source.at(row, 0));
        });
    }

    @Test
    default void broadcastRowFillsEachColumn() {
        bench().kernel().bothWays().check(run -> {
            Operand source = run.matrix("row", 1, run.columns());
            Operand out = run.rows("out", run.columns());
            run.backend().broadcastRow(out.tensor(), source.tensor(), -0.75, run.accumulate());
            out.expectPut(1, (row, column) -> -0.75 * source.at(0, column));
        });
    }

    @Test
    default void rowSumSumsEachRow() {
        bench().kernel().columns(1, 2, 7, 67, 577).bothWays().check(run -> {
            Operand x = run.rows("x", run.columns());
            Operand out = run.rows("out", 1);
            run.backend().rowSum(out.tensor(), x.tensor(), run.accumulate());
            out.expectPut(run.columns(), (row, ignored) -> sum(run.columns(), column -> x.at(row, column)));
        });
    }

    @Test
    default void rowDotMultipliesAndSumsEachRow() {
        bench().kernel().columns(1, 2, 7, 67, 577).bothWays().check(run -> {
            Operand a = run.rows("a", run.columns());
            Operand b = run.rows("b", run.columns());
            Operand out = run.rows("out", 1);
            run.backend().rowDot(out.tensor(), a.tensor(), b.tensor(), run.accumulate());
            out.expectPut(
                    run.columns(),
                    (row, ignored) -> sum(run.columns(), column -> a.at(row, column) * b.at(row, column)));
        });
    }

    @Test
    default void rowLogSumExpIsTheLogarithmOfTheSumOfExponentials() {
        bench().kernel().columns(1, 2, 7, 67, 577).check(run -> {
            Operand x = run.rows("x", run.columns(), -4, 4);
            Operand out = run.rows("out", 1);
            run.backend().rowLogSumExp(out.tensor(), x.tensor());
            out.expect(
                    run.columns(),
                    (row, ignored) -> Math.log(sum(run.columns(), column -> Math.exp(x.at(row, column)))));
        });
    }

    @Test
    default void rowLogSumExpAndSoftmaxDoNotOverflow() {
        Tensor x = backend().allocate(2, 2);
        Tensor logSumExp = backend().allocate(2, 1);
        Tensor softmax = backend().allocate(2, 2);
        backend().write(x, new double[] {1024, 1024, -1024, Double.NEGATIVE_INFINITY});
        backend().rowLogSumExp(logSumExp, x);
        assertArrayEquals(new double[] {1024 + Math.log(2), -1024}, backend().readDoubles(logSumExp), 4);
        backend().softmax(softmax, x);
        assertArrayEquals(new double[] {0.5, 0.5, 1, 0}, backend().readDoubles(softmax), tolerantOf(2));
    }

    private double tolerantOf(int terms) {
        return bench().tolerance(backend()).of(terms);
    }

    @Test
    default void columnSumSumsTheRowsInUse() {
        bench().kernel().wholeBatch().batches(manyRows()).bothWays().check(run -> {
            Operand x = run.rows("x", run.columns());
            Operand out = run.matrix("out", 1, run.columns());
            run.backend().columnSum(out.tensor(), x.tensor(), 0.5, run.accumulate());
            out.expectPut(run.rows(), (ignored, column) -> 0.5 * sum(run.rows(), row -> x.at(row, column)));
        });
    }

    @Test
    default void columnDotMultipliesAndSumsTheRowsInUse() {
        bench().kernel().wholeBatch().batches(manyRows()).bothWays().check(run -> {
            Operand a = run.rows("a", run.columns());
            Operand b = run.rows("b", run.columns());
            Operand out = run.matrix("out", 1, run.columns());
            run.backend().columnDot(out.tensor(), a.tensor(), b.tensor(), -2, run.accumulate());
            out.expectPut(
                    run.rows(),
                    (ignored, column) -> -2 * sum(run.rows(), row -> a.at(row, column) * b.at(row, column)));
        });
    }

    @Test
    default void sumOfSquaresSumsTheRowsInUse() {
        bench().kernel().wholeBatch().batches(manyRows()).bothWays().check(run -> {
            Operand x = run.rows("x", run.columns());
            Operand out = run.matrix("out", 1, 1);
            run.backend().sumOfSquares(out.tensor(), x.tensor(), run.accumulate());
            out.expectPut(
                    run.rows() * run.columns(),
                    (i, j) -> sum(
                            run.rows(), row -> sum(run.columns(), column -> x.at(row, column) * x.at(row, column))));
        });
    }

    /** Enough rows for a reduction in blocks. */
    private static Batch[] manyRows() {
        return new Batch[] {
            Batch.exact(0),
            Batch.exact(1),
            Batch.exact(7),
            Batch.counted(0, 5),
            Batch.counted(3, 7),
            Batch.exact(257),
            Batch.counted(521, 1031)
        };
    }

    @Test
    default void reciprocalCountIsOneOverTheRowsInUse() {
        Tensor out = backend().allocate(1, 1);
        IntTensor count = backend().allocateInts(1);
        for (int rows : new int[] {0, 1, 3, 4}) {
            double expected = 1.0 / Math.max(1, rows);
            backend().reciprocalCount(out, Extent.exact(rows));
            assertEquals(expected, backend().readDoubles(out)[0], tolerantOf(1));
            backend().write(count, new int[] {rows});
            backend().reciprocalCount(out, Extent.counted(9, count));
            assertEquals(expected, backend().readDoubles(out)[0], tolerantOf(1));
        }
    }

    @Test
    default void softmaxIsNormalisedPerRow() {
        bench().kernel().columns(1, 2, 7, 67, 257).check(run -> {
            Operand x = run.rows("x", run.columns(), -4, 4);
            Operand out = run.rows("out", run.columns());
            run.backend().softmax(out.tensor(), x.tensor());
            out.expect(
                    run.columns(),
                    (row, column) ->
                            Math.exp(x.at(row, column)) / sum(run.columns(), other -> Math.exp(x.at(row, other))));
        });
    }

    @Test
    default void softmaxBackwardIsTheSlope() {
        bench().gradient(gradient -> gradient.input("x", 3, 7, -2, 2)
                .check(
                        3,
                        7,
                        (in, out) -> gradient.backend().softmax(out, in.get("x")),
                        (in, out, dout, gradients) ->
                                gradient.backend().softmaxBackward(gradients.get("x"), out, dout, true)));
        bench().kernel().bothWays().check(run -> {
            Operand y = run.rows("y", run.columns(), 0, 1);
            Operand dy = run.rows("dy", run.columns());
            Operand dx = run.rows("dx", run.columns());
            run.backend().softmaxBackward(dx.tensor(), y.tensor(), dy.tensor(), run.accumulate());
            dx.expectPut(
                    2 * run.columns(),
                    (row, column) -> y.at(row, column)
                            * (dy.at(row, column) - sum(run.columns(), other -> dy.at(row, other) * y.at(row, other))));
        });
    }

    @Test
    default void argMaxIsTheLowestOfTheLargest() {
        bench().kernel().check(run -> {
            int[] identities = run.batch().identities();
            Operand x = run.rows(
                    "x", run.columns(), (row, column) -> (int) run.uniform("x", identities[row], column, 0, 4));
            IntOperand out = run.rowInts("out", identity -> -1);
            run.backend().argMax(out.tensor(), x.tensor());
            out.expect(row -> {
                int best = 0;
                for (int column = 0; column < run.columns(); column++) {
                    best = x.at(row, column) > x.at(row, best) ? column : best;
                }
                return best;
            });
        });
    }

    @Test
    default void argMaxTakesNanForTheSmallest() {
        double nan = Double.NaN;
        double infinite = Double.POSITIVE_INFINITY;
        Tensor x = backend().allocate(4, 3);
        IntTensor out = backend().allocateInts(4);
        backend().write(x, new double[] {nan, -5, -7, nan, nan, nan, nan, -infinite, -infinite, 1, nan, infinite});
        backend().argMax(out, x);
        assertArrayEquals(new int[] {1, 0, 1, 2}, backend().readInts(out));
    }

    private static double sum(int terms, IntToDoubleFunction term) {
        return IntStream.range(0, terms).mapToDouble(term).sum();
    }
}
