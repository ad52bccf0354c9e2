package io.mor.testkit;

import io.mor.api.tensor.IntTensor;
import java.util.Arrays;
import java.util.function.IntUnaryOperator;

/** A vector of integers of a {@link KernelRun}, with the values that it held at the start. */
public final class IntOperand {

    private final KernelRun run;
    private final String name;
    private final IntTensor tensor;
    private final int[] initial;
    private final int used;
    private final boolean perRow;

    IntOperand(KernelRun run, String name, IntTensor tensor, int[] initial, int used, boolean perRow) {
        this.run = run;
        this.name = name;
        this.tensor = tensor;
        this.initial = initial;
        this.used = used;
        this.perRow = perRow;
    }

    /** The vector. */
    public IntTensor tensor() {
        return tensor;
    }

    /** The value at the start. */
    public int at(int index) {
        return initial[index];
    }

    /** All values now. */
    public int[] read() {
        return run.backend().readInts(tensor);
    }

    /** Records the elements in use after checking each against a formula. */
    public void expect(IntUnaryOperator formula) {
        expect(used, formula);
    }

    /** Records the first {@code length} elements after checking each against a formula. */
    public void expect(int length, IntUnaryOperator formula) {
        int[] actual = Arrays.copyOf(read(), length);
        for (int i = 0; i < length; i++) {
            if (actual[i] != formula.applyAsInt(i)) {
                throw new AssertionError(
                        name + "[" + i + "] is " + actual[i] + " and should be " + formula.applyAsInt(i));
            }
        }
        run.record(new KernelRun.Result(
                name, perRow, 0, 1, Arrays.stream(actual).asDoubleStream().toArray()));
    }
}
