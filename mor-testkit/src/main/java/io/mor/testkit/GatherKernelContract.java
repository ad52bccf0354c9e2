package io.mor.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import org.junit.jupiter.api.Test;

/** Gather and scatter. */
public interface GatherKernelContract extends OnBench {

    @Test
    default void gatherRowsTakesTheRowsAtTheIndices() {
        bench().kernel().bothWays().check(run -> {
            Operand x = run.matrix("x", 11, run.columns());
            IntOperand index = run.rowIndices("index", 11);
            Operand out = run.rows("out", run.columns());
            run.backend().gatherRows(out.tensor(), x.tensor(), index.tensor(), run.accumulate());
            out.expectPut(0, (row, column) -> x.at(index.at(row), column));
        });
    }

    @Test
    default void scatterRowsReplacesTheRowsAtTheIndicesAndSkipsNegativeOnes() {
        bench().kernel().wholeBatch().check(run -> {
            Operand x = run.rows("x", run.columns());
            IntOperand index = run.rowInts("index", identity -> identity % 5 == 4 ? -1 : 2 * identity + 1);
            Operand out = run.matrix("out", 80, run.columns());
            run.backend().scatterRows(out.tensor(), index.tensor(), x.tensor());
            out.expect(0, (target, column) -> {
                for (int row = 0; row < run.rows(); row++) {
                    if (index.at(row) == target) {
                        return x.at(row, column);
                    }
                }
                return out.at(target, column);
            });
        });
    }

    @Test
    default void scatterAddRowsAddsRepeatedRows() {
        bench().kernel().wholeBatch().check(run -> {
            Operand x = run.rows("x", run.columns());
            IntOperand index = run.rowIndices("index", 5);
            Operand out = run.matrix("out", 9, run.columns());
            run.backend().scatterAddRows(out.tensor(), index.tensor(), x.tensor());
            out.expect(run.rows(), (target, column) -> {
                double sum = out.at(target, column);
                for (int row = 0; row < run.rows(); row++) {
                    sum += index.at(row) == target ? x.at(row, column) : 0;
                }
                return sum;
            });
        });
    }

    @Test
    default void scatterAddRowsAddsRepeatedIndicesInAscendingOrder() {
        Tensor out = backend().allocate(1, 1);
        Tensor x = backend().allocate(4, 1);
        IntTensor index = backend().allocateInts(4);
        double large = 0x1p60; // swallows a 1 in every precision
        backend().write(x, new double[] {large, 1, -large, 0.5});
        backend().fill(index, 0);
        backend().fill(out, 0);
        backend().scatterAddRows(out, index, x);
        assertArrayEquals(new double[] {0.5}, backend().readDoubles(out));
    }

    @Test
    default void pickColumnTakesOneElementPerRow() {
        bench().kernel().check(run -> {
            Operand x = run.rows("x", run.columns());
            IntOperand column = run.rowIndices("column", run.columns());
            Operand out = run.rows("out", 1);
            run.backend().pickColumn(out.tensor(), x.tensor(), column.tensor());
            out.expect(0, (row, ignored) -> x.at(row, column.at(row)));
        });
    }

    @Test
    default void pickColumnBackwardAddsToOneElementPerRow() {
        bench().kernel().check(run -> {
            Operand dx = run.rows("dx", run.columns());
            IntOperand picked = run.rowIndices("column", run.columns());
            Operand dy = run.rows("dy", 1);
            run.backend().pickColumnBackward(dx.tensor(), picked.tensor(), dy.tensor());
            dx.expect(2, (row, column) -> dx.at(row, column) + (picked.at(row) == column ? dy.at(row, 0) : 0));
        });
    }

    @Test
    default void gatherIntsTakesTheElementsAtTheIndices() {
        bench().kernel().columns(1).check(run -> {
            IntOperand table = run.ints("table", 5, -3, 9, 1 << 30, 0, 2, 7);
            IntOperand index = run.rowIndices("index", 7);
            IntOperand out = run.rowInts("out", identity -> -1);
            run.backend().gatherInts(out.tensor(), table.tensor(), index.tensor(), run.extent());
            out.expect(row -> table.at(index.at(row)));
        });
    }

    @Test
    default void toColumnConvertsIntegers() {
        bench().kernel().columns(1).check(run -> {
            IntOperand values = run.rowInts("values", identity -> identity % 7 - 3);
            Operand out = run.rows("out", 1);
            run.backend().toColumn(out.tensor(), values.tensor());
            out.expect(0, (row, ignored) -> values.at(row));
        });
    }
}
