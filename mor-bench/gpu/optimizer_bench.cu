// Times the optimizer's and the element-wise kernels of the backend cuda by themselves, which the memory limits, beside a copy and a fill, other ways
// to write them, and other numbers of blocks.
//
// build: nvcc -std=c++17 -O2 --fmad=false -gencode=arch=compute_90a,code=sm_90a \
//          -I plugins/backend-cuda/src/main/resources/io/mor/backend/cuda -o optimizer_bench mor-bench/gpu/optimizer_bench.cu
// usage: optimizer_bench [MILLIONS OF PARAMETERS]
#include "narrow.cu"
#include "optimizer.cu"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#define CHECK(call)                                                                        \
  do {                                                                                     \
    cudaError_t status = (call);                                                           \
    if (status != cudaSuccess) {                                                           \
      std::printf("%s:%d %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorString(status)); \
      std::exit(3);                                                                        \
    }                                                                                      \
  } while (0)

struct Constants {
  float learningRate, beta1, beta2, epsilon, weightDecay, firstCorrection, secondCorrection, oneMinusBeta1, oneMinusBeta2;
};

// UNROLL groups of four in flight in a thread; with STREAM memory is not kept in the caches; with ZERO the gradient is set to zero; elements
// are a multiple of 4 UNROLL and everything is aligned.
template <int UNROLL, bool STREAM, bool ZERO>
static __global__ void __launch_bounds__(256) adamWith(
    float4* parameter, float4* gradient, float4* firstMoment, float4* secondMoment, uint2* copy, const float* gradientScale, i64 groups,
    Constants c) {
  float scale = gradientScale[0];
  if (!isfinite(scale)) {
    return;
  }
  auto step = [&](float& value, float gradientOfValue, float& first, float& second) {
    float slope = gradientOfValue * scale;
    first = c.beta1 * first + c.oneMinusBeta1 * slope;
    second = c.beta2 * second + c.oneMinusBeta2 * slope * slope;
    float direction = first / c.firstCorrection / (sqrtf(second / c.secondCorrection) + c.epsilon);
    value = value - c.learningRate * (direction + c.weightDecay * value);
  };
  i64 stride = threadStride();
  for (i64 base = (i64)blockIdx.x * 256 * UNROLL + threadIdx.x; base < groups; base += stride * UNROLL) {
    float4 value[UNROLL], slope[UNROLL], first[UNROLL], second[UNROLL];
#pragma unroll
    for (int u = 0; u < UNROLL; u++) {
      i64 i = base + 256 * u;
      if (i < groups) {
        value[u] = STREAM ? __ldcs(parameter + i) : parameter[i];
        slope[u] = STREAM ? __ldcs(gradient + i) : gradient[i];
        first[u] = STREAM ? __ldcs(firstMoment + i) : firstMoment[i];
        second[u] = STREAM ? __ldcs(secondMoment + i) : secondMoment[i];
      }
    }
#pragma unroll
    for (int u = 0; u < UNROLL; u++) {
      i64 i = base + 256 * u;
      if (i < groups) {
        step(value[u].x, slope[u].x, first[u].x, second[u].x);
        step(value[u].y, slope[u].y, first[u].y, second[u].y);
        step(value[u].z, slope[u].z, first[u].z, second[u].z);
        step(value[u].w, slope[u].w, first[u].w, second[u].w);
        uint2 narrow = make_uint2(pairOf(value[u].x, value[u].y), pairOf(value[u].z, value[u].w));
        if (STREAM) {
          __stcs(parameter + i, value[u]);
          __stcs(firstMoment + i, first[u]);
          __stcs(secondMoment + i, second[u]);
          __stcs(copy + i, narrow);
        } else {
          parameter[i] = value[u];
          firstMoment[i] = first[u];
          secondMoment[i] = second[u];
          copy[i] = narrow;
        }
        if (ZERO) {
          gradient[i] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        }
      }
    }
  }
}

static __global__ void __launch_bounds__(256) squaresOneAtATime(double* partials, const u64* parts) {
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

static __global__ void __launch_bounds__(256) copyFloats(float4* out, const float4* x, i64 groups) {
  for (i64 i = threadIndex(); i < groups; i += threadStride()) {
    out[i] = x[i];
  }
}

static __global__ void __launch_bounds__(256) fillFloats4(float4* out, float value, i64 groups) {
  for (i64 i = threadIndex(); i < groups; i += threadStride()) {
    out[i] = make_float4(value, value, value, value);
  }
}

static __global__ void __launch_bounds__(256) fillFloats1(float* out, float value, i64 elements) {
  for (i64 i = threadIndex(); i < elements; i += threadStride()) {
    out[i] = value;
  }
}

static __global__ void someValues(float* out, i64 elements, float spread, u32 seed) {
  for (i64 i = threadIndex(); i < elements; i += threadStride()) {
    u32 x = ((u32)i ^ seed) * 2654435761u;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    x ^= x >> 16;
    out[i] = spread * ((x >> 8) * (1.0f / (1 << 24)) - (spread < 0 ? 1.0f : 0.5f));
  }
}

static double milliseconds(const std::function<void()>& work) {
  cudaEvent_t from, to;
  CHECK(cudaEventCreate(&from));
  CHECK(cudaEventCreate(&to));
  for (int i = 0; i < 2; i++) {
    work();
  }
  std::vector<float> times;
  for (int i = 0; i < 9; i++) {
    CHECK(cudaEventRecord(from));
    work();
    CHECK(cudaEventRecord(to));
    CHECK(cudaEventSynchronize(to));
    float time;
    CHECK(cudaEventElapsedTime(&time, from, to));
    times.push_back(time);
  }
  CHECK(cudaGetLastError());
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

int main(int argc, char** argv) {
  i64 elements = (argc > 1 ? std::atoi(argv[1]) : 362) * (i64)1000000 / 1024 * 1024;
  cudaDeviceProp properties;
  CHECK(cudaGetDeviceProperties(&properties, 0));
  int sms = properties.multiProcessorCount;
  std::printf("%s, %lld parameters\n", properties.name, elements);
  float *p, *g, *m, *v, *scale;
  unsigned short* copy;
  double* partials;
  u64* table;
  for (float** each : {&p, &g, &m, &v}) {
    CHECK(cudaMalloc(each, 4 * elements));
  }
  CHECK(cudaMalloc(&copy, 2 * elements));
  CHECK(cudaMalloc(&scale, 4));
  float one = 1;
  CHECK(cudaMemcpy(scale, &one, 4, cudaMemcpyHostToDevice));
  auto restart = [&] {
    someValues<<<1024, 256>>>(p, elements, 0.1f, 1);
    someValues<<<1024, 256>>>(g, elements, 0.01f, 2);
    someValues<<<1024, 256>>>(m, elements, 0.01f, 3);
    someValues<<<1024, 256>>>(v, elements, -1e-4f, 4); // not negative
    CHECK(cudaDeviceSynchronize());
  };
  Constants c = {1e-3f, 0.9f, 0.95f, 1e-8f, 0.1f, 0.5f, 0.3f, 0.1f, 0.05f};
  i64 groups = elements / 4;
  auto say = [&](const std::string& name, double bytes, const std::function<void()>& work) {
    double time = milliseconds(work);
    std::printf("%-44s %.3f ms %5.0f GB/s\n", name.c_str(), time, bytes * elements / time * 1e-6);
    std::fflush(stdout);
  };
  auto backends = [&](int blocks) {
    adamW<<<blocks, 256>>>(p, g, m, v, copy, scale, elements, c.learningRate, c.beta1, c.beta2, c.epsilon, c.weightDecay, c.firstCorrection,
                           c.secondCorrection, c.oneMinusBeta1, c.oneMinusBeta2);
  };
  // the same bits from all
  std::vector<u32> sums;
  auto checksum = [&] {
    std::vector<float> host(1 << 16);
    u32 sum = 0;
    for (float* from : {p, m, v}) {
      CHECK(cudaMemcpy(host.data(), from + elements - host.size(), 4 * host.size(), cudaMemcpyDeviceToHost));
      for (float x : host) {
        u32 bits;
        std::memcpy(&bits, &x, 4);
        sum = sum * 31 + bits;
      }
    }
    return sum;
  };
  restart();
  backends(16 * sms);
  u32 expected = checksum();
  restart();
  adamWith<2, true, false><<<8 * sms, 256>>>((float4*)p, (float4*)g, (float4*)m, (float4*)v, (uint2*)copy, scale, groups, c);
  std::printf("bits %s\n", checksum() == expected ? "equal" : "DIFFER");

  say("copy", 8, [&] { copyFloats<<<16 * sms, 256>>>((float4*)p, (float4*)g, groups); });
  say("fill, one at a time", 4, [&] { fillFloats1<<<16 * sms, 256>>>(g, 0.0f, elements); });
  say("fill, four", 4, [&] { fillFloats4<<<16 * sms, 256>>>((float4*)g, 0.0f, groups); });
  say("memset", 4, [&] { CHECK(cudaMemsetAsync(g, 0, 4 * elements)); });
  restart();
  i64 part = 1 << 16;
  int parts = (int)((elements + part - 1) / part);
  std::vector<u64> places;
  for (int i = 0; i < parts; i++) {
    places.push_back((u64)(g + i * part));
    places.push_back((u64)std::min(part, elements - i * part));
  }
  CHECK(cudaMalloc(&partials, 8 * parts));
  CHECK(cudaMalloc(&table, 16 * parts));
  CHECK(cudaMemcpy(table, places.data(), 16 * parts, cudaMemcpyHostToDevice));
  say("squares, one at a time", 4, [&] { squaresOneAtATime<<<parts, 256>>>(partials, table); });
  say("squaresOfParts", 4, [&] { squaresOfParts<<<parts, 256>>>(partials, table); });
  for (int blocks : {4 * sms, 6 * sms, 8 * sms, 16 * sms, 64 * sms}) {
    say("adamW, " + std::to_string(blocks / sms) + " blocks a multiprocessor", 30, [&] { backends(blocks); });
  }
#define TRY(UNROLL, STREAM, ZERO)                                                                                       \
  for (int blocks : {4 * sms, 8 * sms, 16 * sms, (int)((groups + 256 * UNROLL - 1) / (256 * UNROLL))}) {                  \
    say("unroll " #UNROLL ", stream " #STREAM ", zero " #ZERO ", " + std::to_string(blocks), ZERO ? 34 : 30, [&] {        \
      adamWith<UNROLL, STREAM, ZERO><<<blocks, 256>>>((float4*)p, (float4*)g, (float4*)m, (float4*)v, (uint2*)copy, scale, \
                                                      groups, c);                                                       \
    });                                                                                                                 \
  }
  TRY(1, false, false)
  TRY(1, true, false)
  TRY(2, true, false)
  TRY(1, true, true)

  // element-wise, at the sizes of a layer of the 360M model: [32768, columns] in bfloat16
  restart();
  auto layer = [&](const char* name, int columns, double tensors, const std::function<void(int, int)>& launch) {
    int rows = 32768;
    int vectors = columns / 8;
    i64 all = (i64)rows * vectors;
    for (int blocks : {4 * sms, 8 * sms, 16 * sms, 64 * sms, (int)((all + 255) / 256)}) {
      double time = milliseconds([&] { launch(blocks, vectors); });
      std::printf("%-30s %7d blocks %.4f ms %5.0f GB/s\n", name, blocks, time, 2.0 * tensors * rows * columns / time * 1e-6);
    }
    std::fflush(stdout);
  };
  auto at = [&](float* slab, int place) { return (uint4*)slab + (i64)place * 32768 * 320; }; // 168 MB each
  layer("narrowCopy 960", 960, 2, [&](int blocks, int vectors) { narrowCopy<<<blocks, 256>>>(at(p, 0), at(g, 0), 32768, nullptr, vectors); });
  layer("narrowAdd 960", 960, 3, [&](int blocks, int vectors) {
    narrowAdd<<<blocks, 256>>>(at(p, 0), at(g, 0), at(m, 0), 32768, nullptr, vectors, 1.0f);
  });
  layer("narrowSwiGlu 2560", 2560, 3, [&](int blocks, int vectors) {
    narrowSwiGlu<<<blocks, 256>>>(at(p, 0), at(g, 0), at(m, 0), 32768, nullptr, vectors);
  });
  layer("narrowSwiGluBackward 2560", 2560, 6, [&](int blocks, int vectors) {
    narrowSwiGluBackward<<<blocks, 256>>>(at(p, 0), at(p, 1), at(p, 2), at(g, 0), at(m, 0), at(m, 1), 32768, nullptr, vectors, vectors);
  });
  return 0;
}
