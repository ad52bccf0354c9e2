// The optimizer's kernels.
#include "common.cuh"

extern "C" __global__ void adamW(
    float* parameter,
    const float* gradient,
    float* firstMoment,
    float* secondMoment,
    const float* gradientScale,
    i64 elements,
    float learningRate,
    float beta1,
    float beta2,
    float epsilon,
    float weightDecay,
    float firstCorrection,
    float secondCorrection,
    float oneMinusBeta1,
    float oneMinusBeta2) {
  float scale = gradientScale[0];
  for (i64 i = threadIndex(); i < elements; i += threadStride()) {
    float slope = gradient[i] * scale;
    float first = beta1 * firstMoment[i] + oneMinusBeta1 * slope;
    float second = beta2 * secondMoment[i] + oneMinusBeta2 * slope * slope;
    firstMoment[i] = first;
    secondMoment[i] = second;
    float direction = first / firstCorrection / (sqrtf(second / secondCorrection) + epsilon);
    float value = parameter[i];
    parameter[i] = value - learningRate * (direction + weightDecay * value);
  }
}

extern "C" __global__ void clipFactor(float* out, const float* sumOfSquares, float maxNorm) {
  float factor = maxNorm / (sqrtf(sumOfSquares[0]) + 1e-6f);
  out[0] = maxNorm == 0.0f ? 1.0f : factor != factor ? factor : fminf(1.0f, factor);
}
