package io.mor.backend.cuda;

import io.mor.api.backend.AdamWStep;
import io.mor.api.tensor.Tensor;

/** The optimizer: AdamW, the norm of gradients, clipping. */
final class OptimizerKernels extends KernelFamily {

    OptimizerKernels(CudaContext context) {
        super(context);
    }

    void sumOfSquares(Tensor out, Tensor x, boolean accumulate) {
        int blocks = Math.clamp((elements(x) + 16383) / 16384, 1, 1024);
        long share = (elements(x) + blocks - 1) / blocks;
        long partials = scratch(8L * blocks);
        shape(kernel("squares").pointer(partials).pointer(address(x)), x)
                .wide(share)
                .launch(blocks, 1, 1, 256, 1, 0);
        kernel("addSquares")
                .pointer(address(out))
                .pointer(partials)
                .integer(blocks)
                .flag(accumulate)
                .launch(1, 1, 1, 256, 1, 0);
    }

    void adamW(
            Tensor parameter,
            Tensor gradient,
            Tensor firstMoment,
            Tensor secondMoment,
            Tensor gradientScale,
            AdamWStep step) {
        kernel("adamW")
                .pointer(address(parameter))
                .pointer(address(gradient))
                .pointer(address(firstMoment))
                .pointer(address(secondMoment))
                .pointer(address(gradientScale))
                .wide(elements(parameter))
                .real(step.learningRate())
                .real(step.beta1())
                .real(step.beta2())
                .real(step.epsilon())
                .real(step.weightDecay())
                .real(1 - Math.pow(step.beta1(), step.step()))
                .real(1 - Math.pow(step.beta2(), step.step()))
                .real(1 - step.beta1())
                .real(1 - step.beta2())
                .overElements(elements(parameter));
    }

    void clipFactor(Tensor out, Tensor sumOfSquares, double maxNorm) {
        kernel("clipFactor")
                .pointer(address(out))
                .pointer(address(sumOfSquares))
                .real(maxNorm)
                .launch(1, 1, 1, 1, 1, 0);
    }
}
