// What every kernel file of this backend shares: counted extents, reductions in a fixed order, ranks of scores.
//
// Conventions. A tensor is a pointer to its first element, or Values where it may be in either precision, and is contiguous row-major. An extent is (bound, count): count is null when the
// bound is exact, else count[0] is the number of rows, read here and never on the host. Every kernel is launched by the bound. No kernel uses
// floating-point atomics, and how a sum is split depends on columns and bounds only, so the same inputs give the same bits. The compiler fuses
// no multiply-add by itself (--fmad=false), so an element's bits do not depend on the copy of an unrolled loop that computes it; write fmaf.
#pragma once

typedef long long i64;
typedef unsigned long long u64;
typedef unsigned int u32;

#define WARP 32
#define FULL_MASK 0xffffffffu
#define INFINITE __int_as_float(0x7f800000)
#define NOT_A_NUMBER __int_as_float(0x7fffffff)

__device__ __forceinline__ int rowsOf(int bound, const int* count) {
  if (count == nullptr) {
    return bound;
  }
  int rows = *count;
  return rows < bound ? rows : bound;
}

__device__ __forceinline__ i64 threadIndex() {
  return (i64)blockIdx.x * blockDim.x + threadIdx.x;
}

__device__ __forceinline__ i64 threadStride() {
  return (i64)gridDim.x * blockDim.x;
}

// Row and column of a flat index; the 32-bit division is several times cheaper than the 64-bit one.
__device__ __forceinline__ void split(i64 index, int columns, int& row, int& column) {
  if (index <= 0xffffffffLL) {
    u32 r = (u32)index / (u32)columns;
    row = (int)r;
    column = (int)((u32)index - r * (u32)columns);
  } else {
    i64 r = index / columns;
    row = (int)r;
    column = (int)(index - r * columns);
  }
}

// ---- elements in either precision: IEEE 32 bit or bfloat16, rounded to nearest even; arithmetic is in 32 bit always

__device__ __forceinline__ float widen(u32 bits) { // bfloat16 in the low half
  return __uint_as_float(bits << 16);
}

// Two neighbours of a 32-bit word, the first in the low half.
__device__ __forceinline__ float first(u32 pair) {
  return __uint_as_float(pair << 16);
}

__device__ __forceinline__ float second(u32 pair) {
  return __uint_as_float(pair & 0xffff0000u);
}

__device__ __forceinline__ u32 pairOf(float a, float b) {
  u32 result;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(b), "f"(a));
  return result;
}

#define NARROW_TAG 0x8000000000000000ULL

// The elements of a tensor as the host passes them: an address, whose highest bit is set for bfloat16. The branch is the same in a whole launch.
struct Values {
  u64 tagged;

  struct Element {
    u64 tagged;
    i64 index;
    __device__ __forceinline__ operator float() const {
      return (i64)tagged < 0 ? widen(((const unsigned short*)(tagged & ~NARROW_TAG))[index]) : ((const float*)tagged)[index];
    }
    __device__ __forceinline__ const Element& operator=(float value) const {
      if ((i64)tagged < 0) {
        ((unsigned short*)(tagged & ~NARROW_TAG))[index] = (unsigned short)pairOf(value, 0.0f);
      } else {
        ((float*)tagged)[index] = value;
      }
      return *this;
    }
    __device__ __forceinline__ const Element& operator=(const Element& other) const { return *this = (float)other; }
    __device__ __forceinline__ const Element& operator+=(float value) const { return *this = (float)*this + value; }
  };

  __device__ __forceinline__ Element operator[](i64 index) const { return {tagged, index}; }
  __device__ __forceinline__ bool isNarrow() const { return (i64)tagged < 0; }
  __device__ __forceinline__ bool isAbsent() const { return tagged == 0; }
  __device__ __forceinline__ u64 address() const { return tagged & ~NARROW_TAG; }
  __device__ __forceinline__ Values operator+(i64 elements) const {
    return {tagged + (u64)(isNarrow() ? 2 * elements : 4 * elements)};
  }
};

__device__ __forceinline__ void put(Values out, i64 index, float value, int accumulate) {
  out[index] = accumulate ? out[index] + value : value;
}

struct Sum {
  static __device__ __forceinline__ float identity() { return 0.0f; }
  static __device__ __forceinline__ float of(float a, float b) { return a + b; }
};

struct Maximum {
  static __device__ __forceinline__ float identity() { return -INFINITE; }
  static __device__ __forceinline__ float of(float a, float b) { return fmaxf(a, b); }
};

// One value per thread of a team of TEAM neighbouring threads to one value in all of them; a team is a warp or the whole block. The
// pairing of the butterfly is fixed.
template <int TEAM, class Operation>
__device__ __forceinline__ float reduceTeam(float value) {
#pragma unroll
  for (int distance = WARP / 2; distance > 0; distance /= 2) {
    value = Operation::of(value, __shfl_xor_sync(FULL_MASK, value, distance));
  }
  if (TEAM > WARP) {
    __shared__ float partial[WARP];
    __syncthreads(); // the array may still be read by the call before
    if (threadIdx.x % WARP == 0) {
      partial[threadIdx.x / WARP] = value;
    }
    __syncthreads();
    value = threadIdx.x % WARP < TEAM / WARP ? partial[threadIdx.x % WARP] : Operation::identity();
#pragma unroll
    for (int distance = WARP / 2; distance > 0; distance /= 2) {
      value = Operation::of(value, __shfl_xor_sync(FULL_MASK, value, distance));
    }
  }
  return value;
}

// A score as an integer that orders as ranks do: NaN below everything, both zeros alike.
__device__ __forceinline__ u32 rankOf(float score) {
  if (score != score) {
    return 0;
  }
  u32 bits = score == 0.0f ? 0u : __float_as_uint(score);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// The first of positions[from .. to), ascending, that is greater than the given one; to if none is.
__device__ __forceinline__ int firstAfter(const int* positions, int from, int to, i64 position) {
  while (from < to) {
    int middle = from + (to - from) / 2;
    if ((i64)positions[middle] <= position) {
      from = middle + 1;
    } else {
      to = middle;
    }
  }
  return from;
}

// Inclusive prefix sum over the block's threads; scratch has one int per warp. Returns the block's total through total.
__device__ __forceinline__ int scanBlock(int value, int* scratch, int& total) {
  int lane = threadIdx.x % WARP;
  int warp = threadIdx.x / WARP;
#pragma unroll
  for (int distance = 1; distance < WARP; distance *= 2) {
    int below = __shfl_up_sync(FULL_MASK, value, distance);
    if (lane >= distance) {
      value += below;
    }
  }
  __syncthreads();
  if (lane == WARP - 1) {
    scratch[warp] = value;
  }
  __syncthreads();
  int before = 0;
  total = 0;
  for (int w = 0; w < blockDim.x / WARP; w++) {
    if (w < warp) {
      before += scratch[w];
    }
    total += scratch[w];
  }
  return value + before;
}

// Kernels that give every row to a team exist twice: a warp per row for narrow rows, a block per row for wide ones.
#define BLOCK_TEAM 256
#define ROW_KERNEL(name, parameters, arguments)                                                     \
  extern "C" __global__ void __launch_bounds__(256) name##Warp parameters { name<WARP> arguments; } \
  extern "C" __global__ void __launch_bounds__(256) name##Block parameters { name<BLOCK_TEAM> arguments; }

#define FOR_EACH_ROW_OF_TEAM(row, rows)                                                                          \
  for (i64 row = (i64)blockIdx.x * (blockDim.x / TEAM) + threadIdx.x / TEAM; row < (rows);                       \
       row += (i64)gridDim.x * (blockDim.x / TEAM))

#define LANE (threadIdx.x % TEAM)

// ---- eight elements in bfloat16

__device__ __forceinline__ void unpack(const uint4& eight, float (&values)[8]) {
  values[0] = first(eight.x);
  values[1] = second(eight.x);
  values[2] = first(eight.y);
  values[3] = second(eight.y);
  values[4] = first(eight.z);
  values[5] = second(eight.z);
  values[6] = first(eight.w);
  values[7] = second(eight.w);
}

__device__ __forceinline__ uint4 pack(const float (&values)[8]) {
  return make_uint4(pairOf(values[0], values[1]), pairOf(values[2], values[3]), pairOf(values[4], values[5]), pairOf(values[6], values[7]));
}
