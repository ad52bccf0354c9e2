package io.mor.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Element-wise kernels. */
public interface ElementwiseKernelContract extends OnBench {

    @Test
    default void fillSetsAllElementsUpToTheBound() {
        bench().kernel().check(run -> {
            Operand out = run.rows("out", run.columns());
            run.backend().fill(out.tensor(), -1.5);
            out.expect(1, (row, column) -> -1.5);
            for (double value : run.backend().readDoubles(out.tensor())) {
                assertEquals(-1.5, value, "fill reaches the bound");
            }
        });
    }

    @Test
    default void fillSetsAllIntegers() {
        for (int length : new int[] {0, 1, 7, 64, 131}) {
            IntTensor out = backend().allocateInts(length);
            backend().fill(out, -9);
            for (int value : backend().readInts(out)) {
                assertEquals(-9, value);
            }
            backend().release(out);
        }
    }

    @Test
    default void copyCopiesBits() {
        bench().kernel().check(run -> {
            Operand x = run.rows("x", run.columns());
            Operand out = run.rows("out", run.columns());
            run.backend().copy(out.tensor(), x.tensor());
            double[] actual = run.backend().readDoubles(out.tensor());
            for (int i = 0; i < run.rows() * run.columns(); i++) {
                assertEquals(x.at(i / run.columns(), i % run.columns()), actual[i], "element " + i);
            }
            out.record(0);
        });
    }

    @Test
    default void affineScalesAndShifts() {
        bench().kernel().bothWays().check(run -> {
            Operand x = run.rows("x", run.columns());
            Operand out = run.rows("out", run.columns());
            run.backend().affine(out.tensor(), x.tensor(), -2.5, 0.75, run.accumulate());
            out.expectPut(2, (row, column) -> -2.5 * x.at(row, column) + 0.75);
        });
    }

    @Test
    default void addScalesTheSecondTerm() {
        for (double scale : new double[] {1, -1, 0.3}) {
            bench().kernel().check(run -> {
                Operand a = run.rows("a", run.columns());
                Operand b = run.rows("b", run.columns());
                Operand out = run.rows("out", run.columns());
                run.backend().add(out.tensor(), a.tensor(), b.tensor(), scale);
                out.expect(2, (row, column) -> a.at(row, column) + scale * b.at(row, column));
            });
        }
    }

    @Test
    default void multiplyMultipliesElements() {
        bench().kernel().bothWays().check(run -> {
            Operand a = run.rows("a", run.columns());
            Operand b = run.rows("b", run.columns());
            Operand out = run.rows("out", run.columns());
            run.backend().multiply(out.tensor(), a.tensor(), b.tensor(), run.accumulate());
            out.expectPut(1, (row, column) -> a.at(row, column) * b.at(row, column));
        });
    }

    @ParameterizedTest
    @EnumSource
    default void unaryHasItsValue(Unary function) {
        bench().kernel().check(run -> {
            Operand x = run.rows("x", run.columns(), UnaryModel.low(function), UnaryModel.high(function));
            Operand out = run.rows("out", run.columns());
            run.backend().unary(out.tensor(), function, x.tensor());
            out.expect(4, (row, column) -> UnaryModel.value(function, x.at(row, column)));
        });
    }

    @ParameterizedTest
    @EnumSource
    default void unaryBackwardIsTheSlope(Unary function) {
        bench().gradient(gradient -> gradient.input("x", 5, 7, UnaryModel.low(function), UnaryModel.high(function))
                .check(
                        5,
                        7,
                        (in, out) -> on(gradient).unary(out, function, in.get("x")),
                        (in, out, dout, gradients) -> on(gradient)
                                .unaryBackward(gradients.get("x"), function, in.get("x"), out, dout, true)));
        bench().kernel().bothWays().check(run -> {
            Operand x = run.rows("x", run.columns(), UnaryModel.low(function), UnaryModel.high(function));
            Operand y = run.rows("y", run.columns(), (row, column) -> UnaryModel.value(function, x.at(row, column)));
            Operand dy = run.rows("dy", run.columns());
            Operand dx = run.rows("dx", run.columns());
            Operand slope = run.rows("slope", run.columns());
            run.backend().unaryBackward(slope.tensor(), function, x.tensor(), y.tensor(), dy.tensor(), false);
            run.backend().unaryBackward(dx.tensor(), function, x.tensor(), y.tensor(), dy.tensor(), run.accumulate());
            slope.record(8);
            dx.expectPut(8, slope.now());
        });
    }

    /** The backend that a gradient check runs on. */
    private static Backend on(GradientCheck gradient) {
        return gradient.backend();
    }

    @ParameterizedTest
    @EnumSource(names = {"SIGMOID", "TANH", "SILU", "GELU", "SOFTPLUS"})
    default void saturatingFunctionsDoNotOverflow(Unary function) {
        double[] limits = switch (function) {
            case SIGMOID -> new double[] {0, 0, 0.5, 1, 1};
            case TANH -> new double[] {-1, -1, 0, 1, 1};
            case SILU, GELU -> new double[] {0, 0, 0, 128, 1024};
            default -> new double[] {0, 0, Math.log(2), 128, 1024}; // SOFTPLUS
        };
        Tensor x = backend().allocate(1, 5);
        Tensor y = backend().allocate(1, 5);
        Tensor dx = backend().allocate(1, 5);
        Tensor one = backend().allocate(1, 5);
        backend().write(x, new double[] {-1024, -128, 0, 128, 1024});
        backend().fill(one, 1);
        backend().unary(y, function, x);
        assertArrayEquals(limits, backend().readDoubles(y), 1e-2);
        backend().unaryBackward(dx, function, x, y, one, false);
        double[] slopes = backend().readDoubles(dx);
        double right = function == Unary.SIGMOID || function == Unary.TANH ? 0 : 1;
        assertArrayEquals(
                new double[] {0, 0, right, right}, new double[] {slopes[0], slopes[1], slopes[3], slopes[4]}, 1e-2);
    }

    @ParameterizedTest
    @EnumSource
    default void compareMarksWhereItHolds(Comparison comparison) {
        bench().kernel().check(run -> {
            Operand x = run.rows(
                    "x",
                    run.columns(),
                    (row, column) -> thirds(run, "x", run.batch().identities()[row], column));
            Operand limit = run.matrix("limit", 1, run.columns(), (row, column) -> thirds(run, "limit", row, column));
            Operand out = run.rows("out", run.columns());
            run.backend().compare(out.tensor(), x.tensor(), comparison, limit.tensor());
            out.expect(0, (row, column) -> holds(x.at(row, column), comparison, limit.at(0, column)));
        });
    }

    @ParameterizedTest
    @EnumSource
    default void compareElementsMarksWhereItHolds(Comparison comparison) {
        bench().kernel().check(run -> {
            Operand a = run.rows(
                    "a",
                    run.columns(),
                    (row, column) -> thirds(run, "a", run.batch().identities()[row], column));
            Operand b = run.rows(
                    "b",
                    run.columns(),
                    (row, column) -> thirds(run, "b", run.batch().identities()[row], column));
            Operand out = run.rows("out", run.columns());
            run.backend().compareElements(out.tensor(), a.tensor(), comparison, b.tensor());
            out.expect(0, (row, column) -> holds(a.at(row, column), comparison, b.at(row, column)));
        });
    }

    /** -1, 0, 1 or NaN, so that equality and NaN happen. */
    private static double thirds(KernelRun run, String name, int identity, int column) {
        int draw = (int) run.uniform(name, identity, column, 0, 4);
        return draw == 3 ? Double.NaN : draw - 1;
    }

    private static double holds(double a, Comparison comparison, double b) {
        if (Double.isNaN(a) || Double.isNaN(b)) {
            return 0;
        }
        int order = Double.compare(a, b);
        return switch (comparison) {
            case GREATER -> order > 0 ? 1 : 0;
            case AT_LEAST -> order >= 0 ? 1 : 0;
            case EQUAL -> order == 0 ? 1 : 0;
            case LESS -> order < 0 ? 1 : 0;
        };
    }

    @Test
    default void elementwiseKernelsMayWriteOverTheirInputs() {
        bench().kernel().columns(1, 3, 67).bothWays().check(run -> {
            int width = run.columns();
            Operand a = run.rows("a", width);
            Operand b = run.rows("b", width);
            Backend on = run.backend();
            boolean add = run.accumulate();

            on.affine(a.tensor(), a.tensor(), 2, 1, add);
            a.expect(2, (row, column) -> 2 * a.at(row, column) + 1 + (add ? a.at(row, column) : 0));
            a.reset();
            on.add(b.tensor(), a.tensor(), b.tensor(), 3);
            b.expect(2, (row, column) -> a.at(row, column) + 3 * b.at(row, column));
            b.reset();
            on.add(a.tensor(), a.tensor(), a.tensor(), 0.5);
            a.expect(2, (row, column) -> 1.5 * a.at(row, column));
            a.reset();
            on.multiply(a.tensor(), a.tensor(), b.tensor(), add);
            a.expect(2, (row, column) -> a.at(row, column) * b.at(row, column) + (add ? a.at(row, column) : 0));
            a.reset();
            on.unary(a.tensor(), Unary.TANH, a.tensor());
            a.expect(4, (row, column) -> Math.tanh(a.at(row, column)));
            a.reset();
            on.compareElements(b.tensor(), a.tensor(), Comparison.GREATER, b.tensor());
            b.expect(0, (row, column) -> a.at(row, column) > b.at(row, column) ? 1 : 0);
            b.reset();
            on.unaryBackward(b.tensor(), Unary.SQUARE, a.tensor(), a.tensor(), b.tensor(), add);
            b.expect(2, (row, column) -> 2 * a.at(row, column) * b.at(row, column) + (add ? b.at(row, column) : 0));
        });
    }
}
