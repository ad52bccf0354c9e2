package io.mor.backend.reference;

import io.mor.api.backend.AdamWStep;
import io.mor.api.tensor.Tensor;

/** The optimizer and the norm of gradients. */
final class OptimizerKernels extends KernelFamily {

    OptimizerKernels(Memory memory) {
        super(memory);
    }

    void sumOfSquares(Tensor out, Tensor x, boolean accumulate) {
        ReferenceTensor from = of(x);
        double total = 0;
        for (int row = 0; row < rows(x); row++) {
            for (int column = 0; column < from.columns(); column++) {
                total += from.get(row, column) * from.get(row, column);
            }
        }
        of(out).put(0, 0, total, accumulate);
    }

    void adamW(
            Tensor parameter,
            Tensor gradient,
            Tensor firstMoment,
            Tensor secondMoment,
            Tensor gradientScale,
            AdamWStep step) {
        ReferenceTensor p = of(parameter);
        ReferenceTensor g = of(gradient);
        ReferenceTensor m = of(firstMoment);
        ReferenceTensor v = of(secondMoment);
        double scale = of(gradientScale).get(0, 0);
        if (!Double.isFinite(scale)) {
            return;
        }
        double firstCorrection = 1 - StrictMath.pow(step.beta1(), step.step());
        double secondCorrection = 1 - StrictMath.pow(step.beta2(), step.step());
        for (int row = 0; row < rows(parameter); row++) {
            for (int column = 0; column < p.columns(); column++) {
                double slope = g.get(row, column) * scale;
                double first = step.beta1() * m.get(row, column) + (1 - step.beta1()) * slope;
                double second = step.beta2() * v.get(row, column) + (1 - step.beta2()) * slope * slope;
                m.set(row, column, first);
                v.set(row, column, second);
                double direction = first / firstCorrection / (Math.sqrt(second / secondCorrection) + step.epsilon());
                p.add(row, column, -step.learningRate() * (direction + step.weightDecay() * p.get(row, column)));
            }
        }
    }

    void clipFactor(Tensor out, Tensor sumOfSquares, double maxNorm) {
        double norm = Math.sqrt(of(sumOfSquares).get(0, 0));
        of(out).set(0, 0, maxNorm == 0 ? 1 : Math.min(1, maxNorm / (norm + 1e-6)));
    }
}
