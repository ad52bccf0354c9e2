// What arrives at rows before a norm, of what arrives at projections of the normed rows, on Hopper (compute capability 9.0) in one pass: the product with
// the projections' weights, and with it the gradient of the norm. Elsewhere the kernels are empty.
//
// A norm's gradient needs the sum over a row of what arrives at the normed row times that row. It is the sum of what arrives at the projections times
// what they gave, because they are linear; so those who make the gradients of the projections have it, and the product's tiles need nothing of each
// other. In a block one thread lets the copy engine bring 64 columns of the gradients and rows of the weights at a time, two warpgroups of 64 rows multiply,
// and four warps take the results of a tile on from shared memory while the next is multiplied.
//
// Every sum has a fixed order that depends on sizes alone, so the same call gives the same bits on every card.
#include "hopper.cuh"

#define TILE_ROWS 128
#define DEPTH 64 // of the factors at a time
#define COLUMNS 192 // of a tile
#define GRADIENT_BYTES (TILE_ROWS * DEPTH * 2)
#define WEIGHT_BYTES (DEPTH * 64 * 2) // of 64 columns
#define FINISHERS 4 // warps
#define FINISHER_ROWS (TILE_ROWS / FINISHERS)
#define NORM_THREADS (3 * WARPGROUP + FINISHERS * WARP)

struct NormGradientArguments {
  TensorMap gradients; // [rows, inner], boxes [128, 64]
  TensorMap weights;   // [inner, width], boxes [64, 64]
  Bf16* dx;            // [rows, width]
  Bf16* normed;        // the same, or null
  const Bf16* x;       // the same
  const float* rstd;   // [rows]
  const float* scale;  // [width]: the norm's weight
  float* partials;     // [FINISHERS * tiles of rows, width]: sums over rows for the gradient of the norm's weight
  const float* dots;   // [dotCount, rows]: of each row, parts of the sum of gradients times what they are the gradients of
  i64 rows;
  i64 inner;
  i64 accumulate;
  i64 dotCount;
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

template <int TILES> // of the same rows
struct NormGradient {
  static constexpr int WIDTH = TILES * COLUMNS;
  static constexpr int PARTS = COLUMNS / 64;
  static constexpr int STAGES = 4;
  static constexpr int STAGE_BYTES = GRADIENT_BYTES + PARTS * WEIGHT_BYTES;
  static constexpr int PITCH = 2 * COLUMNS + 16; // bytes of a row of results: eight rows at the same column are in different banks
  static constexpr int RESULTS = STAGES * STAGE_BYTES;
  static constexpr int BARRIERS = RESULTS + TILE_ROWS * PITCH;
  static constexpr int UNDER_WAY = 8; // rows of a finishing warp

  const NormGradientArguments& a;
  u32 shared;
  int tiles;
  int steps;

  __device__ __forceinline__ Ring<STAGES> ring() const { return {shared + BARRIERS}; }
  __device__ __forceinline__ Ring<1> results() const { return {shared + BARRIERS + Ring<STAGES>::BYTES}; }

  __device__ __forceinline__ void start() const {
    ring().start(1, 8);
    results().start(8, FINISHERS);
    publishBarriers();
  }

  __device__ __forceinline__ void copy() const {
    u32 n = 0;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
      for (int k = 0; k < steps; k++, n++) {
        u32 stage = shared + ring().place(n) * STAGE_BYTES;
        u32 full = ring().full(n);
        await(ring().empty(n), ring().parity(n) ^ 1);
        expect(full, STAGE_BYTES);
        copyBox(stage, a.gradients, k * DEPTH, tile / TILES * TILE_ROWS, full);
#pragma unroll
        for (int part = 0; part < PARTS; part++) {
          copyBox(stage + GRADIENT_BYTES + part * WEIGHT_BYTES, a.weights, tile % TILES * COLUMNS + 64 * part, k * DEPTH, full);
        }
      }
    }
  }

  __device__ __forceinline__ void multiply(int group) const {
    int lane = threadIdx.x % WARP;
    u32 n = 0;
    u32 number = 0;
    u32 own = shared + RESULTS + (group * 64 + threadIdx.x % WARPGROUP / WARP * 16 + lane % 16) * PITCH + lane / 16 * 16;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x, number++) {
      float sum[COLUMNS / 8][4];
      for (int k = 0; k < steps; k++, n++) {
        ring().awaitFull(n);
        u32 stage = shared + ring().place(n) * STAGE_BYTES;
        u64 left = describe(stage + group * (GRADIENT_BYTES / 2));
        u64 right = describeAcross(stage + GRADIENT_BYTES, WEIGHT_BYTES);
        beginProducts();
#pragma unroll
        for (int i = 0; i < DEPTH / 16; i++) {
          multiplyTileAsync<COLUMNS, 1>(sum, left + 2 * i, right + 128 * i, k + i); // 16 columns are 32 bytes, 16 rows 2048
        }
        commitProducts();
        if (k > 0) {
          awaitProducts<1>();
          ring().release(n - 1);
        }
      }
      awaitProducts<0>();
      hold(sum);
      ring().release(n - 1);
      await(results().empty(number), results().parity(number) ^ 1);
#pragma unroll
      for (int i = 0; i < COLUMNS / 16; i++) {
        u32 words[4];
#pragma unroll
        for (int word = 0; word < 4; word++) {
          const float* pair = sum[2 * i + word / 2] + word % 2 * 2;
          words[word] = packBf16(pair[0], pair[1]);
        }
        storeMatrices(own + 32 * i, words);
      }
      __syncwarp();
      if (lane == 0) {
        arrive(results().full(number));
      }
    }
  }

  // eight elements of a row; of the last of the warp for those behind it, because a load under a condition would hold up those after it
  static __device__ __forceinline__ uint4 load(const Bf16* from, int row, int last) {
    return *(const uint4*)(from + (i64)min(row, last) * WIDTH);
  }

  // The sum of all parts of a row's, which are under way at once.
  __device__ __forceinline__ float dotOf(int row) const {
    constexpr int PARTS_AT_ONCE = 24;
    static_assert(FINISHER_ROWS == WARP);
    int count = (int)a.dotCount;
    float sum = 0.0f;
#pragma unroll 1
    for (int first = 0; first < count; first += PARTS_AT_ONCE) {
      float part[PARTS_AT_ONCE];
#pragma unroll
      for (int i = 0; i < PARTS_AT_ONCE; i++) {
        part[i] = a.dots[min(first + i, count - 1) * a.rows + row];
      }
#pragma unroll
      for (int i = 0; i < PARTS_AT_ONCE; i++) {
        sum += first + i < count ? part[i] : 0.0f;
      }
    }
    return sum;
  }

  __device__ __forceinline__ void finish() const {
    int warp = threadIdx.x / WARP - 3 * WARPGROUP / WARP;
    int lane = threadIdx.x % WARP;
    bool active = lane < COLUMNS / 8;
    u32 result = shared + RESULTS + warp * FINISHER_ROWS * PITCH + (active ? 16 * lane : 0);
    u32 number = 0;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x, number++) {
      int rowTile = tile / TILES;
      int begin = rowTile * TILE_ROWS + warp * FINISHER_ROWS;
      int last = min((int)a.rows, begin + FINISHER_ROWS) - 1;
      int column = tile % TILES * COLUMNS + (active ? 8 * lane : 0);
      const Bf16* x = a.x + column;
      const Bf16* base = (a.accumulate ? (const Bf16*)a.dx : a.x) + column;
      float4 low = *(const float4*)(a.scale + column);
      float4 high = *(const float4*)(a.scale + column + 4);
      float scale[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
      for (int e = 0; e < 8; e++) {
        scale[e] = active ? scale[e] : 0.0f; // lanes without columns add nothing
      }
      float reciprocal = a.rstd[min(begin + lane, last)]; // of the row of this lane's number
      uint4 held[UNDER_WAY];
#pragma unroll
      for (int s = 0; s < UNDER_WAY; s++) {
        held[s] = load(x, begin + s, last);
      }
      uint4 before[UNDER_WAY];
#pragma unroll
      for (int s = 0; s < UNDER_WAY; s++) {
        before[s] = load(base, begin + s, last);
      }
      float common = dotOf(min(begin + lane, last)); // of the same row
      results().awaitFull(number);
      float own[8] = {};
      common = common * reciprocal * reciprocal / WIDTH; // the dots have one reciprocal already
#pragma unroll 1
      for (int first = 0; first < FINISHER_ROWS; first += UNDER_WAY) {
#pragma unroll
        for (int s = 0; s < UNDER_WAY; s++) {
          float values[8], gradients[8], sum[8];
          unpack(held[s], values);
          unpack(before[s], sum);
          int row = begin + first + s;
          held[s] = load(x, row + UNDER_WAY, last);
          before[s] = load(base, row + UNDER_WAY, last);
          unpack(loadShared(result + (first + s) * PITCH), gradients);
          float r = __shfl_sync(FULL_MASK, reciprocal, first + s);
          float c = __shfl_sync(FULL_MASK, common, first + s);
#pragma unroll
          for (int e = 0; e < 8; e++) {
            own[e] = fmaf(gradients[e], values[e] * r, own[e]);
            gradients[e] = fmaf(gradients[e] * scale[e], r, -values[e] * c);
            values[e] = values[e] * r * scale[e];
          }
          if (a.accumulate) {
#pragma unroll
            for (int e = 0; e < 8; e++) {
              gradients[e] += sum[e];
            }
          }
          if (active && row <= last) {
            i64 at = (i64)row * WIDTH + column;
            if (a.normed != nullptr) {
              *(uint4*)(a.normed + at) = pack(values);
            }
            *(uint4*)(a.dx + at) = pack(gradients);
          }
        }
      }
      if (active) {
        float* out = a.partials + (i64)(rowTile * FINISHERS + warp) * WIDTH + column;
        *(float4*)out = make_float4(own[0], own[1], own[2], own[3]);
        *(float4*)(out + 4) = make_float4(own[4], own[5], own[6], own[7]);
      }
      __syncwarp();
      results().release(number);
    }
  }

  static __device__ __forceinline__ void run(const NormGradientArguments& a) {
    extern __shared__ __align__(1024) unsigned char sharedTiles[];
    NormGradient self = {
        a, sharedAddress(sharedTiles), ((int)a.rows + TILE_ROWS - 1) / TILE_ROWS * TILES, ((int)a.inner + DEPTH - 1) / DEPTH};
    if (threadIdx.x == 0) {
      self.start();
    }
    __syncthreads();
    if (threadIdx.x < WARPGROUP) {
      giveRegisters<24>();
      if (threadIdx.x == 0) {
        self.copy();
      }
    } else if (threadIdx.x < 3 * WARPGROUP) {
      takeRegisters<168>();
      self.multiply(uniform(threadIdx.x / WARPGROUP) - 1);
    } else {
      takeRegisters<152>();
      self.finish();
    }
  }
};

#define ON_HOPPER(call) call
#else
#define ON_HOPPER(call)
#endif

// ---- kernels

#define HOPPER_NORM_GRADIENT(name, TILES)                                                          \
  extern "C" __global__ void __launch_bounds__(NORM_THREADS, 1) name(                         \
      const __grid_constant__ NormGradientArguments arguments) {                              \
    ON_HOPPER(NormGradient<TILES>::run(arguments));                                         \
  }

HOPPER_NORM_GRADIENT(hopperNormGradient3, 3)
HOPPER_NORM_GRADIENT(hopperNormGradient5, 5)
