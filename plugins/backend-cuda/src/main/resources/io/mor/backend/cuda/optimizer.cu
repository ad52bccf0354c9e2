// The optimizer's kernels.
#include "common.cuh"

// A thread takes four elements at a time; where they begin changes no element's bits. copy receives the new values in bfloat16, unless it is null.
extern "C" __global__ void __launch_bounds__(256) adamW(
    float* parameter,
    const float* gradient,
    float* firstMoment,
    float* secondMoment,
    unsigned short* copy,
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
  auto step = [&](float& value, float gradientOfValue, float& first, float& second) {
    float slope = gradientOfValue * scale;
    first = beta1 * first + oneMinusBeta1 * slope;
    second = beta2 * second + oneMinusBeta2 * slope * slope;
    float direction = first / firstCorrection / (sqrtf(second / secondCorrection) + epsilon);
    value = value - learningRate * (direction + weightDecay * value);
  };
  bool aligned = (((u64)parameter | (u64)gradient | (u64)firstMoment | (u64)secondMoment) % 16 | (u64)copy % 8) == 0;
  for (i64 i = threadIndex(); 4 * i < elements; i += threadStride()) {
    if (aligned && 4 * i + 4 <= elements) {
      float4 value = ((float4*)parameter)[i];
      float4 slope = ((const float4*)gradient)[i];
      float4 first = ((float4*)firstMoment)[i];
      float4 second = ((float4*)secondMoment)[i];
      step(value.x, slope.x, first.x, second.x);
      step(value.y, slope.y, first.y, second.y);
      step(value.z, slope.z, first.z, second.z);
      step(value.w, slope.w, first.w, second.w);
      ((float4*)parameter)[i] = value;
      ((float4*)firstMoment)[i] = first;
      ((float4*)secondMoment)[i] = second;
      if (copy != nullptr) {
        ((uint2*)copy)[i] = make_uint2(pairOf(value.x, value.y), pairOf(value.z, value.w));
      }
    } else {
      for (i64 j = 4 * i; j < elements && j < 4 * i + 4; j++) {
        step(parameter[j], gradient[j], firstMoment[j], secondMoment[j]);
        if (copy != nullptr) {
          copy[j] = (unsigned short)pairOf(parameter[j], 0.0f);
        }
      }
    }
  }
}

extern "C" __global__ void clipFactor(float* out, const float* sumOfSquares, float maxNorm) {
  float factor = maxNorm / (sqrtf(sumOfSquares[0]) + 1e-6f);
  out[0] = maxNorm == 0.0f ? 1.0f : factor != factor ? factor : fminf(1.0f, factor);
}

// One partial sum of squares per block. parts has an address and a number of elements for every block. A thread has four loads of four elements under
// way where addresses allow it; elements that are left over come last.
extern "C" __global__ void __launch_bounds__(256) squaresOfParts(double* partials, const u64* parts) {
  constexpr int LOADS = 4;
  const float* x = (const float*)parts[2 * (i64)blockIdx.x];
  int elements = (int)parts[2 * (i64)blockIdx.x + 1];
  int quads = (u64)x % 16 == 0 ? elements / 4 : 0;
  double sum = 0.0;
  auto add = [&](float value) { sum += (double)value * value; };
  for (int base = threadIdx.x; base < quads; base += LOADS * 256) {
    float4 values[LOADS];
#pragma unroll
    for (int i = 0; i < LOADS; i++) {
      values[i] = base + 256 * i < quads ? ((const float4*)x)[base + 256 * i] : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    }
#pragma unroll
    for (int i = 0; i < LOADS; i++) {
      add(values[i].x);
      add(values[i].y);
      add(values[i].z);
      add(values[i].w);
    }
  }
  for (int i = 4 * quads + threadIdx.x; i < elements; i += 256) {
    add(x[i]);
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
