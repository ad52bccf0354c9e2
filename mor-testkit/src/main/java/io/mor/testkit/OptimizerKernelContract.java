package io.mor.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.backend.AdamWStep;
import io.mor.api.backend.HostCopy;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The optimizer's kernels, and what lets a step go without the host. */
public interface OptimizerKernelContract extends OnBench {

    @Test
    default void adamWFollowsItsFormula() {
        for (AdamWStep step : new AdamWStep[] {
            new AdamWStep(3e-3, 0.9, 0.95, 1e-8, 0.1, 1), new AdamWStep(0.5, 0.9, 0.999, 1e-5, 0, 1000)
        }) {
            bench().kernel()
                    .batches(Batch.exact(1), Batch.exact(7), Batch.exact(37))
                    .check(run -> {
                        Operand parameter = run.fullRows("parameter", run.columns(), -1, 1);
                        Operand gradient = run.fullRows("gradient", run.columns(), -1, 1);
                        Operand first = run.fullRows("first", run.columns(), -1, 1);
                        Operand second = run.fullRows("second", run.columns(), 0, 1);
                        Operand scale = run.matrix("scale", 1, 1, 0.5, 1);
                        run.backend()
                                .adamW(
                                        parameter.tensor(),
                                        gradient.tensor(),
                                        first.tensor(),
                                        second.tensor(),
                                        scale.tensor(),
                                        step);
                        Operand.Cell m = (row, column) -> step.beta1() * first.at(row, column)
                                + (1 - step.beta1()) * gradient.at(row, column) * scale.at(0, 0);
                        Operand.Cell v = (row, column) -> step.beta2() * second.at(row, column)
                                + (1 - step.beta2()) * Math.pow(gradient.at(row, column) * scale.at(0, 0), 2);
                        first.expect(3, m);
                        second.expect(3, v);
                        double firstCorrection = 1 - Math.pow(step.beta1(), step.step());
                        double secondCorrection = 1 - Math.pow(step.beta2(), step.step());
                        parameter.expect(64, (row, column) -> {
                            double direction = m.at(row, column)
                                    / firstCorrection
                                    / (Math.sqrt(v.at(row, column) / secondCorrection) + step.epsilon());
                            return parameter.at(row, column)
                                    - step.learningRate()
                                            * (direction + step.weightDecay() * parameter.at(row, column));
                        });
                    });
        }
    }

    @Test
    default void adamWLeavesEverythingAsItIsWhenTheScaleIsNotFinite() {
        for (double scale : new double[] {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY}) {
            Tensor factor = backend().allocate(1, 1);
            backend().fill(factor, scale);
            Tensor[] tensors = new Tensor[4];
            for (int i = 0; i < tensors.length; i++) {
                tensors[i] = backend().allocate(37, 3);
                backend().fill(tensors[i], i + 1);
            }
            backend()
                    .adamW(
                            tensors[0],
                            tensors[1],
                            tensors[2],
                            tensors[3],
                            factor,
                            new AdamWStep(0.5, 0.9, 0.999, 1e-5, 0.1, 3));
            for (int i = 0; i < tensors.length; i++) {
                double[] expected = new double[37 * 3];
                Arrays.fill(expected, i + 1);
                assertArrayEquals(expected, backend().readDoubles(tensors[i]), "tensor " + i + ", scale " + scale);
            }
        }
    }

    @Test
    default void adamWOnNeighboursAtOnceHasTheBitsOfOneByOne() {
        int[] rows = {7, 64, 1, 333};
        int columns = 5;
        int all = Arrays.stream(rows).sum();
        Tensor factor = backend().allocate(1, 1);
        backend().fill(factor, 0.75);
        AdamWStep step = new AdamWStep(3e-3, 0.9, 0.95, 1e-8, 0.1, 2);
        Tensor[] together = new Tensor[4];
        Tensor[] apart = new Tensor[4];
        for (int i = 0; i < 4; i++) {
            double[] values = new double[all * columns];
            for (int j = 0; j < values.length; j++) {
                values[j] = RandomKey.of(i, "adamW", 0).uniform(0, j);
            }
            together[i] = backend().allocate(all, columns);
            apart[i] = backend().allocate(all, columns);
            backend().write(together[i], values);
            backend().write(apart[i], values);
        }
        backend().adamW(together[0], together[1], together[2], together[3], factor, step);
        int first = 0;
        for (int part : rows) {
            Tensor[] views = new Tensor[4];
            for (int i = 0; i < 4; i++) {
                views[i] = backend().view(apart[i], first, Extent.exact(part), columns);
            }
            backend().adamW(views[0], views[1], views[2], views[3], factor, step);
            first += part;
        }
        for (int i = 0; i < 4; i++) {
            assertArrayEquals(backend().readDoubles(together[i]), backend().readDoubles(apart[i]), "tensor " + i);
        }
    }

    @Test
    default void sumOfSquaresOfManyTensorsAddsThemAllUpAndGivesTheSameBitsAgain() {
        int[][] shapes = {{1, 1}, {7, 3}, {0, 4}, {300, 129}, {1, 64}};
        List<Tensor> tensors = new ArrayList<>();
        double expected = 0;
        for (int i = 0; i < shapes.length; i++) {
            double[] values = new double[shapes[i][0] * shapes[i][1]];
            for (int j = 0; j < values.length; j++) {
                values[j] = (float) RandomKey.of(i, "squares", 0).uniform(0, j);
                expected += values[j] * values[j];
            }
            Tensor whole = backend().allocate(shapes[i][0] + 1, shapes[i][1]);
            backend().fill(whole, 768);
            Tensor tensor = backend().view(whole, 1, Extent.exact(shapes[i][0]), shapes[i][1]);
            backend().write(tensor, values);
            tensors.add(tensor);
        }
        Tensor out = backend().allocate(1, 1);
        for (int round = 0; round < 3; round++) {
            backend().fill(out, -3);
            backend().sumOfSquares(out, tensors);
            assertEquals(expected, backend().readDoubles(out)[0], expected * 1e-6, "round " + round);
        }
        double once = backend().readDoubles(out)[0];
        backend().sumOfSquares(out, tensors);
        assertEquals(once, backend().readDoubles(out)[0], "the same call gives the same bits");
        backend().sumOfSquares(out, List.of());
        assertEquals(0, backend().readDoubles(out)[0], "no tensors");
    }

    @Test
    default void whatIsReadLaterIsAsItWasWhenAskedFor() {
        Tensor x = backend().allocate(3, 2);
        backend().fill(x, 1);
        HostCopy before = backend().readLater(x);
        backend().fill(x, 2);
        HostCopy after = backend().readLater(x);
        backend().fill(x, 3);
        assertArrayEquals(new double[] {2, 2, 2, 2, 2, 2}, after.values());
        assertArrayEquals(new double[] {1, 1, 1, 1, 1, 1}, before.values());
        assertArrayEquals(new double[] {1, 1, 1, 1, 1, 1}, before.values(), "asked again");
        assertTrue(before.hasArrived() && after.hasArrived());
    }

    /** The same calls, calls with other arguments, on other memory, fewer and more of them, and reads between them: all as without. */
    @Test
    default void whatIsRepeatedHasTheValuesOfRunningIt() {
        int length = 33;
        Tensor x = backend().allocate(length, 1);
        Tensor y = backend().allocate(length, 1);
        IntTensor index = backend().allocateInts(length);
        double expectedX = 0;
        double expectedY = 0;
        backend().fill(x, 0);
        backend().fill(y, 0);
        for (int round = 0; round < 24; round++) {
            double scale = round % 5 == 0 ? 0.5 : 0.25;
            boolean other = round >= 8 && round < 12;
            boolean more = round % 7 == 6;
            boolean reads = round == 15 || round == 16;
            int written = round;
            double[] seen = new double[1];
            Tensor from = other ? y : x;
            Tensor to = other ? x : y;
            backend().repeated("key " + round % 2, () -> {
                int[] values = new int[length];
                Arrays.fill(values, written);
                backend().write(index, values);
                backend().toColumn(from, index);
                if (reads) {
                    seen[0] = backend().readDoubles(from)[length - 1];
                }
                backend().affine(to, from, scale, 1, true);
                if (more) {
                    backend().affine(to, to, 1, 1, false);
                }
            });
            double value = round;
            if (other) {
                expectedY = value;
                expectedX += scale * value + 1 + (more ? 1 : 0);
            } else {
                expectedX = value;
                expectedY += scale * value + 1 + (more ? 1 : 0);
            }
            if (reads) {
                assertEquals(value, seen[0], "read within round " + round);
            }
            double[] expected = new double[length];
            Arrays.fill(expected, expectedX);
            assertArrayEquals(expected, backend().readDoubles(x), "x after round " + round);
            Arrays.fill(expected, expectedY);
            assertArrayEquals(expected, backend().readDoubles(y), "y after round " + round);
        }
    }

    @Test
    default void whatThrowsWhileRepeatedHasDoneWhatCameBefore() {
        Tensor x = backend().allocate(2, 2);
        for (int round = 0; round < 4; round++) {
            boolean fails = round == 3;
            double value = round;
            Runnable work = () -> {
                backend().fill(x, value);
                if (fails) {
                    throw new IllegalStateException("on purpose");
                }
                backend().affine(x, x, 1, 10, false);
            };
            if (fails) {
                assertThrows(IllegalStateException.class, () -> backend().repeated("key", work));
            } else {
                backend().repeated("key", work);
            }
            assertEquals(fails ? 3 : value + 10, backend().readDoubles(x)[0], "round " + round);
        }
    }

    @Test
    default void clipFactorShortensOnlyWhatIsTooLong() {
        Tensor squares = backend().allocate(1, 1);
        Tensor out = backend().allocate(1, 1);
        double tolerance = bench().tolerance(backend()).of(4);
        double[][] cases = {{0, 1, 1}, {0.25, 1, 1}, {4, 1, 1 / (2 + 1e-6)}, {16, 0.5, 0.5 / (4 + 1e-6)}, {1024, 0, 1}};
        for (double[] one : cases) {
            backend().fill(squares, one[0]);
            backend().clipFactor(out, squares, one[1]);
            assertEquals(one[2], backend().readDoubles(out)[0], tolerance, "squares " + one[0] + ", limit " + one[1]);
        }
    }
}
