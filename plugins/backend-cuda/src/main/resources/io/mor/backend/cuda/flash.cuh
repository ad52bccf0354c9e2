// What the tensor-core attention kernels share: bfloat16, fragments of matrix instructions, tiles in shared memory, ranges of key rows.
//
// A fragment of a product's result is float[n / 8][4] per thread: columns 8 j + 2 (lane % 4) + {0, 1} of rows lane / 4 (elements 0 and 1)
// and lane / 4 + 8 (elements 2 and 3) of the 16 rows of its warp; mma.sync and wgmma agree on it. Two neighbouring groups of 8 columns, as
// bfloat16, are the left operand of the next product.
#pragma once
#include "common.cuh"

typedef unsigned short Bf16; // its bits

#define LOG2_E 1.4426950408889634f
#define LN_2 0.6931471805599453f
#define ROW_TILE 64 // query rows that the range bounds are kept for

// ---- numbers

__device__ __forceinline__ u32 packBf16(float low, float high) {
  u32 pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

__device__ __forceinline__ float lowBf16(u32 pair) {
  return __uint_as_float(pair << 16);
}

__device__ __forceinline__ float highBf16(u32 pair) {
  return __uint_as_float(pair & 0xffff0000u);
}

__device__ __forceinline__ float exp2Fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ __forceinline__ float log2Fast(float x) {
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Over the four lanes that hold a row.
__device__ __forceinline__ float quadMaximum(float x) {
  x = fmaxf(x, __shfl_xor_sync(FULL_MASK, x, 1));
  return fmaxf(x, __shfl_xor_sync(FULL_MASK, x, 2));
}

__device__ __forceinline__ float quadSum(float x) {
  x += __shfl_xor_sync(FULL_MASK, x, 1);
  return x + __shfl_xor_sync(FULL_MASK, x, 2);
}

// ---- shared memory

__device__ __forceinline__ u32 sharedAddress(const void* pointer) {
  return (u32)__cvta_generic_to_shared(pointer);
}

// 16 bytes, or zeros if not valid; the address is not read then.
__device__ __forceinline__ void copyChunk(u32 to, const void* from, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(valid ? 16 : 0) : "memory");
}

__device__ __forceinline__ void commitCopies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

// Waits until at most PENDING of this thread's groups of copies are under way.
template <int PENDING>
__device__ __forceinline__ void awaitCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

// Where chunk (16 bytes) of a row lies in a tile of rows of WIDTH elements: permuted so that 8 rows' chunks of one column, and 8 chunks of a
// row, lie in different banks. For 64 elements it is the 128-byte swizzle of wgmma.
template <int WIDTH>
__device__ __forceinline__ u32 chunkAt(u32 tile, int row, int chunk) {
  int permuted = WIDTH == 32 ? chunk ^ ((row >> 1) & 3) : chunk ^ (row & 7);
  return tile + row * (2 * WIDTH) + (permuted << 4);
}

// Starts to copy ROWS rows from firstRow on by THREADS threads; rows from limit on become zeros. pitch in elements.
template <int WIDTH, int ROWS, int THREADS>
__device__ __forceinline__ void copyRows(u32 tile, const Bf16* from, i64 pitch, int firstRow, int limit, int thread) {
  constexpr int CHUNKS = WIDTH / 8;
  constexpr int STEP = THREADS / CHUNKS; // rows apart
  int chunk = thread % CHUNKS;
  int row = thread / CHUNKS;
  const Bf16* source = from + (i64)(firstRow + row) * pitch + 8 * chunk;
#pragma unroll
  for (int i = 0; i < ROWS / STEP; i++) {
    copyChunk(chunkAt<WIDTH>(tile, row + i * STEP, chunk), source, firstRow + row + i * STEP < limit);
    source += STEP * pitch;
  }
}

// As copyRows, of the rows that a table holds for entries from firstEntry on, up to limit.
template <int WIDTH, int ROWS, int THREADS>
__device__ __forceinline__ void copyEntries(u32 tile, const Bf16* from, i64 pitch, const int* rowOf, int firstEntry, int limit, int thread) {
  constexpr int CHUNKS = WIDTH / 8;
  constexpr int STEP = THREADS / CHUNKS;
  int chunk = thread % CHUNKS;
#pragma unroll
  for (int i = 0; i < ROWS / STEP; i++) {
    int row = thread / CHUNKS + i * STEP;
    bool valid = firstEntry + row < limit;
    copyChunk(chunkAt<WIDTH>(tile, row, chunk), valid ? from + rowOf[firstEntry + row] * pitch + 8 * chunk : from, valid);
  }
}

__device__ __forceinline__ void loadMatrices(u32 (&to)[4], u32 address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address)
               : "memory");
}

__device__ __forceinline__ void loadTransposed(u32 (&to)[4], u32 address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address)
               : "memory");
}

// ---- results

// Lane i of a quad gives word j of four, and gets word i of lane j's: a quad's pieces of four groups of columns become 16 bytes a lane.
__device__ __forceinline__ void transposeQuad(u32 (&word)[4]) {
  bool odd = threadIdx.x & 1;
  bool upper = threadIdx.x & 2;
  u32 a = odd ? word[0] : word[1];
  u32 b = odd ? word[2] : word[3];
  a = __shfl_xor_sync(FULL_MASK, a, 1);
  b = __shfl_xor_sync(FULL_MASK, b, 1);
  u32 r0 = odd ? a : word[0];
  u32 r1 = odd ? word[1] : a;
  u32 r2 = odd ? b : word[2];
  u32 r3 = odd ? word[3] : b;
  u32 c = upper ? r0 : r2;
  u32 d = upper ? r1 : r3;
  c = __shfl_xor_sync(FULL_MASK, c, 2);
  d = __shfl_xor_sync(FULL_MASK, d, 2);
  word[0] = upper ? c : r0;
  word[1] = upper ? d : r1;
  word[2] = upper ? r2 : c;
  word[3] = upper ? r3 : d;
}

// Stores a warp's fragment [16, 8 GROUPS] times factors per row; out is the tile's column 0 of row 0 of the warp; rows from limit on are not
// stored. With accumulate the result is added to what is there.
template <int GROUPS>
__device__ __forceinline__ void storeFragment(
    Bf16* out, i64 pitch, const float (&fragment)[GROUPS][4], float factor0, float factor1, int limit, bool accumulate) {
  int lane = threadIdx.x % WARP;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    int row = lane / 4 + 8 * half;
    float factor = half == 0 ? factor0 : factor1;
#pragma unroll
    for (int group = 0; group < GROUPS; group += 4) {
      uint4* to = (uint4*)(out + row * pitch + 8 * (group + lane % 4));
      u32 word[4];
      if (accumulate) {
        uint4 old = row < limit ? *to : make_uint4(0, 0, 0, 0);
        u32 before[4] = {old.x, old.y, old.z, old.w};
        transposeQuad(before); // its own inverse
#pragma unroll
        for (int i = 0; i < 4; i++) {
          word[i] = packBf16(
              fmaf(fragment[group + i][2 * half], factor, lowBf16(before[i])),
              fmaf(fragment[group + i][2 * half + 1], factor, highBf16(before[i])));
        }
      } else {
#pragma unroll
        for (int i = 0; i < 4; i++) {
          word[i] = packBf16(fragment[group + i][2 * half] * factor, fragment[group + i][2 * half + 1] * factor);
        }
      }
      transposeQuad(word);
      if (row < limit) {
        *to = make_uint4(word[0], word[1], word[2], word[3]);
      }
    }
  }
}

// ---- softmax

// Running statistics of the two rows that a thread shares with its quad.
struct Softmax {
  float largest[2]; // of the scores before scaling
  float total[2];   // of this thread's columns

  __device__ __forceinline__ void clear() {
    largest[0] = largest[1] = -INFINITE;
    total[0] = total[1] = 0.0f;
  }

  // Scores to weights; rescale receives what the sums so far have to be multiplied by. scale includes log2(e).
  template <int GROUPS>
  __device__ __forceinline__ void weigh(float (&score)[GROUPS][4], float scale, float (&rescale)[2]) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float most = largest[half];
#pragma unroll
      for (int j = 0; j < GROUPS; j++) {
        most = fmaxf(most, fmaxf(score[j][2 * half], score[j][2 * half + 1]));
      }
      most = quadMaximum(most);
      float reference = most == -INFINITE ? 0.0f : most * scale; // a row that has seen nothing stays at weight 0
      rescale[half] = exp2Fast(fmaf(largest[half], scale, -reference));
      largest[half] = most;
      float sum = 0.0f;
#pragma unroll
      for (int j = 0; j < GROUPS; j++) {
        score[j][2 * half] = exp2Fast(fmaf(score[j][2 * half], scale, -reference));
        score[j][2 * half + 1] = exp2Fast(fmaf(score[j][2 * half + 1], scale, -reference));
        sum += score[j][2 * half] + score[j][2 * half + 1];
      }
      total[half] = fmaf(total[half], rescale[half], sum);
    }
  }
};

template <int GROUPS>
__device__ __forceinline__ void scaleRows(float (&fragment)[GROUPS][4], const float (&factor)[2]) {
#pragma unroll
  for (int j = 0; j < GROUPS; j++) {
    fragment[j][0] *= factor[0];
    fragment[j][1] *= factor[0];
    fragment[j][2] *= factor[1];
    fragment[j][3] *= factor[1];
  }
}

template <int GROUPS>
__device__ __forceinline__ void clearFragment(float (&fragment)[GROUPS][4]) {
#pragma unroll
  for (int j = 0; j < GROUPS; j++) {
    fragment[j][0] = fragment[j][1] = fragment[j][2] = fragment[j][3] = 0.0f;
  }
}

// A result as left operand: 16 columns, from group 2 i on, are operand[i].
template <int GROUPS>
__device__ __forceinline__ void toOperand(u32 (&operand)[GROUPS / 2][4], const float (&fragment)[GROUPS][4]) {
#pragma unroll
  for (int i = 0; i < GROUPS / 2; i++) {
    operand[i][0] = packBf16(fragment[2 * i][0], fragment[2 * i][1]);
    operand[i][1] = packBf16(fragment[2 * i][2], fragment[2 * i][3]);
    operand[i][2] = packBf16(fragment[2 * i + 1][0], fragment[2 * i + 1][1]);
    operand[i][3] = packBf16(fragment[2 * i + 1][2], fragment[2 * i + 1][3]);
  }
}

// Scores outside the two rows' ranges to -inf; firstKey is the key row of column 0.
template <int GROUPS>
__device__ __forceinline__ void maskScores(float (&score)[GROUPS][4], int firstKey, const int2 (&range)[2]) {
  int column = firstKey + 2 * (threadIdx.x % 4);
#pragma unroll
  for (int half = 0; half < 2; half++) {
    int from = range[half].x - column;
    int to = range[half].y - column;
#pragma unroll
    for (int j = 0; j < GROUPS; j++) {
      if (8 * j < from || 8 * j >= to) {
        score[j][2 * half] = -INFINITE;
      }
      if (8 * j + 1 < from || 8 * j + 1 >= to) {
        score[j][2 * half + 1] = -INFINITE;
      }
    }
  }
}

// ---- ranges

// What the rows of a tile see: every row sees [most start, least end), none sees anything outside [least start, most end). Rows without keys
// do not count; a tile without any has leastStart = most and mostEnd = 0.
struct Bounds {
  int leastStart;
  int mostStart;
  int leastEnd;
  int mostEnd;

  __device__ __forceinline__ bool sees(int firstKey, int keys) const { return firstKey < mostEnd && firstKey + keys > leastStart; }
  __device__ __forceinline__ bool seesAll(int firstKey, int keys) const {
    return firstKey >= mostStart && firstKey + keys <= leastEnd;
  }
};

// Over the lanes of a warp, each with the ranges of two rows.
__device__ __forceinline__ Bounds boundsOfWarp(int2 a, int2 b) {
  bool anyA = a.x < a.y;
  bool anyB = b.x < b.y;
  Bounds bounds;
  bounds.leastStart = __reduce_min_sync(FULL_MASK, min(anyA ? a.x : 0x7fffffff, anyB ? b.x : 0x7fffffff));
  bounds.mostStart = __reduce_max_sync(FULL_MASK, max(anyA ? a.x : 0, anyB ? b.x : 0));
  bounds.leastEnd = __reduce_min_sync(FULL_MASK, min(anyA ? a.y : 0x7fffffff, anyB ? b.y : 0x7fffffff));
  bounds.mostEnd = __reduce_max_sync(FULL_MASK, max(anyA ? a.y : 0, anyB ? b.y : 0));
  return bounds;
}

// A row's range, (0, 0) if it has none or does not exist.
__device__ __forceinline__ int2 rangeOf(const int* start, const int* end, int row, int rows) {
  int2 range = make_int2(0, 0);
  if (row < rows) {
    range = make_int2(start[row], end[row]);
    if (range.x >= range.y) {
      range = make_int2(0, 0);
    }
  }
  return range;
}
