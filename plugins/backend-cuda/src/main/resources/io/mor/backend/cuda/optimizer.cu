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
  if (!isfinite(scale)) {
    return;
  }
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

// One partial sum of squares per block. parts has an address and a number of elements for every block.
extern "C" __global__ void __launch_bounds__(256) squaresOfParts(double* partials, const u64* parts) {
  const float* x = (const float*)parts[2 * (i64)blockIdx.x];
  int elements = (int)parts[2 * (i64)blockIdx.x + 1];
  double sum = 0.0;
  for (int i = threadIdx.x; i < elements; i += blockDim.x) {
    double value = x[i];
    sum += value * value;
  }
  __shared__ double partial[256];
  partial[threadIdx.x] = sum;
  __syncthreads();
  for (int half = 128; half > 0; half /= 2) {
    if (threadIdx.x < half) {
      partial[threadIdx.x] += partial[threadIdx.x + half];
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    partials[blockIdx.x] = partial[0];
  }
}
