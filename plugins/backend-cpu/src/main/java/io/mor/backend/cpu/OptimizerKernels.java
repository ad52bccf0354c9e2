package io.mor.backend.cpu;

import io.mor.api.backend.AdamWStep;
import io.mor.api.tensor.Tensor;

/** The optimizer and the norm of gradients. */
final class OptimizerKernels extends KernelFamily {

    private static final int SQUARES_PER_SUM =
            1 << 14; // elements of one partial sum; fixed, since it decides the order of additions

    OptimizerKernels(Memory memory, Workers workers) {
        super(memory, workers);
    }

    void sumOfSquares(Tensor out, Tensor x, boolean accumulate) {
        CpuTensor a = of(x);
        int n = rows(x) * a.columns();
        int sums = (n + SQUARES_PER_SUM - 1) / SQUARES_PER_SUM;
        double[] partial = new double[sums];
        workers.run(sums, (thread, i) -> {
            int first = i * SQUARES_PER_SUM;
            int at = a.offset() + first;
            partial[i] = Elementwise.dot(a.values(), at, a.values(), at, Math.min(SQUARES_PER_SUM, n - first));
        });
        double total = accumulate ? scalar(out) : 0;
        for (double sum : partial) {
            total += sum;
        }
        setScalar(out, total);
    }

    void adamW(
            Tensor parameter,
            Tensor gradient,
            Tensor firstMoment,
            Tensor secondMoment,
            Tensor gradientScale,
            AdamWStep step) {
        CpuTensor p = written(parameter);
        CpuTensor g = of(gradient);
        CpuTensor m = written(firstMoment);
        CpuTensor v = written(secondMoment);
        float scale = scalar(gradientScale);
        if (!Float.isFinite(scale)) {
            return;
        }
        Elementwise.AdamW numbers = new Elementwise.AdamW(
                scale,
                (float) step.beta1(),
                (float) (1 - step.beta1()),
                (float) step.beta2(),
                (float) (1 - step.beta2()),
                (float) (step.learningRate() / (1 - StrictMath.pow(step.beta1(), step.step()))),
                (float) (1 / (1 - StrictMath.pow(step.beta2(), step.step()))),
                (float) step.epsilon(),
                (float) (1 - step.learningRate() * step.weightDecay()));
        elements(
                rows(parameter) * p.columns(),
                (from, to) -> Elementwise.adamW(
                        p.values(),
                        p.offset() + from,
                        g.values(),
                        g.offset() + from,
                        m.values(),
                        m.offset() + from,
                        v.values(),
                        v.offset() + from,
                        numbers,
                        to - from));
    }

    void clipFactor(Tensor out, Tensor sumOfSquares, double maxNorm) {
        double norm = Math.sqrt(scalar(sumOfSquares));
        setScalar(out, maxNorm == 0 ? 1 : Math.min(1, maxNorm / (norm + 1e-6)));
    }
}
