package io.mor.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.mor.api.backend.AdamWStep;
import io.mor.api.tensor.Tensor;
import org.junit.jupiter.api.Test;

/** The optimizer's kernels. */
public interface OptimizerKernelContract extends OnBench {

    @Test
    default void adamWFollowsItsFormula() {
        for (AdamWStep step : new AdamWStep[] {
            new AdamWStep(3e-3, 0.9, 0.95, 1e-8, 0.1, 1), new AdamWStep(0.5, 0.9, 0.999, 1e-5, 0, 1000)
        }) {
            bench().kernel()
                    .batches(Batch.exact(1), Batch.exact(7), Batch.exact(37))
                    .check(run -> {
                        Operand parameter = run.rows("parameter", run.columns());
                        Operand gradient = run.rows("gradient", run.columns());
                        Operand first = run.rows("first", run.columns());
                        Operand second = run.rows("second", run.columns(), 0, 1);
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
