package io.mor.testkit;

import io.mor.api.tensor.Tensor;
import java.util.Arrays;
import java.util.Locale;

/** A tensor of a {@link KernelRun}, with the values that it held at the start. */
public final class Operand {

    private final KernelRun run;
    private final String name;
    private final Tensor tensor;
    private final double[] initial;
    private final int rows;
    private final boolean perRow;

    Operand(KernelRun run, String name, Tensor tensor, double[] initial, int rows, boolean perRow) {
        this.run = run;
        this.name = name;
        this.tensor = tensor;
        this.initial = initial;
        this.rows = rows;
        this.perRow = perRow;
    }

    /** The value of an element. */
    @FunctionalInterface
    public interface Cell {
        /** The value at a row in use and a column. */
        double at(int row, int column);
    }

    /** The tensor. */
    public Tensor tensor() {
        return tensor;
    }

    /** Rows in use. */
    public int rows() {
        return rows;
    }

    /** The value at the start. */
    public double at(int row, int column) {
        return initial[row * tensor.columns() + column];
    }

    /** Sets the tensor to its initial values again. */
    public void reset() {
        run.backend().write(tensor, initial);
    }

    /**
     * Records the tensor as a result, to be compared with the reference's and with other calls; it must hold no NaN.
     *
     * @param terms how many terms the longest sum behind an element has
     */
    public void record(int terms) {
        double[] values = read();
        for (int i = 0; i < values.length; i++) {
            if (Double.isNaN(values[i])) {
                throw new AssertionError(name + "[" + i / tensor.columns() + ", " + i % tensor.columns()
                        + "] is NaN: a row not in use was read");
            }
        }
        run.record(new KernelRun.Result(name, perRow, terms, tensor.columns(), values));
    }

    /** Records the tensor after checking each element in use against a formula. */
    public void expect(int terms, Cell formula) {
        double[] actual = read();
        for (int row = 0; row < rows; row++) {
            for (int column = 0; column < tensor.columns(); column++) {
                double expected = formula.at(row, column);
                double found = actual[row * tensor.columns() + column];
                if (!KernelRun.close(expected, found, run.tolerance(terms))) {
                    throw new AssertionError(String.format(
                            Locale.ROOT,
                            "%s[%d, %d] is %.17g and should be %.17g",
                            name,
                            row,
                            column,
                            found,
                            expected));
                }
            }
        }
        run.record(new KernelRun.Result(name, perRow, terms, tensor.columns(), actual));
    }

    /** As {@link #expect}, where the kernel replaces or, if the run accumulates, adds to what was there. */
    public void expectPut(int terms, Cell formula) {
        expect(terms + 1, (row, column) -> formula.at(row, column) + (run.accumulate() ? at(row, column) : 0));
    }

    /** The values that the tensor holds now. */
    public Cell now() {
        double[] values = read();
        return (row, column) -> values[row * tensor.columns() + column];
    }

    private double[] read() {
        double[] all = run.backend().readDoubles(tensor);
        return Arrays.copyOf(all, rows * tensor.columns());
    }
}
