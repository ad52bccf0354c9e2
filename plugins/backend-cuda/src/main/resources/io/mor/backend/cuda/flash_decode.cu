// Attention of few query rows over long ranges of key rows in bfloat16, as generation asks for it: one row per sequence, key rows found through
// a table. What it costs is reading keys and values once, so a range is cut into chunks of CHUNK entries, counted from its own start, that
// different blocks read; a second kernel joins their results in order. What a row sees alone decides its result.
#include "flash.cuh"

#define CHUNK 256
#define MOST_HEADS 4 // heads of one key head that a block takes together
#define DECODE_THREADS 128

// parts [rows, heads, chunks, WIDTH + 2]: the weighted sum of values, the largest score (in base 2) and the sum of weights of a chunk.
template <int WIDTH>
__device__ __forceinline__ void flashDecode(
    float* parts, int chunks, const Bf16* queries, int queryPitch, const Bf16* keys, int keyPitch, const Bf16* values, int valuePitch,
    const int* start, const int* end, const int* entryRows, int bound, const int* count, int heads, int kvHeads, float scale) {
  constexpr int LANES = WIDTH / 8; // that share a key row
  constexpr int TEAMS = DECODE_THREADS / LANES;
  __shared__ float scores[MOST_HEADS][CHUNK];
  __shared__ int rowOf[CHUNK];
  __shared__ float sums[TEAMS][MOST_HEADS][WIDTH];
  i64 row = blockIdx.x;
  if (row >= rowsOf(bound, count)) {
    return;
  }
  int sharing = heads / kvHeads;
  int groups = (sharing + MOST_HEADS - 1) / MOST_HEADS;
  int kvHead = blockIdx.y / groups;
  int firstHead = kvHead * sharing + blockIdx.y % groups * MOST_HEADS;
  int own = min(MOST_HEADS, (kvHead + 1) * sharing - firstHead);
  int first = start[row] + blockIdx.z * CHUNK;
  int entries = min(CHUNK, end[row] - first);
  if (entries <= 0) {
    return; // the joining kernel counts the chunks itself
  }
  int team = threadIdx.x / LANES;
  int lane = threadIdx.x % LANES;
  for (int i = threadIdx.x; i < entries; i += DECODE_THREADS) {
    rowOf[i] = entryRows == nullptr ? first + i : entryRows[first + i];
  }
  float query[MOST_HEADS][8];
#pragma unroll
  for (int h = 0; h < MOST_HEADS; h++) {
    if (h < own) {
      uint4 four = *(const uint4*)(queries + row * queryPitch + (firstHead + h) * WIDTH + 8 * lane);
      u32 word[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
      for (int i = 0; i < 4; i++) {
        query[h][2 * i] = lowBf16(word[i]) * (scale * LOG2_E);
        query[h][2 * i + 1] = highBf16(word[i]) * (scale * LOG2_E);
      }
    }
  }
  __syncthreads();
  constexpr int TURNS = CHUNK / TEAMS;
#pragma unroll 4
  for (int turn = 0; turn < TURNS; turn++) {
    int entry = turn * TEAMS + team;
    uint4 four = make_uint4(0, 0, 0, 0);
    if (entry < entries) {
      four = *(const uint4*)(keys + (i64)rowOf[entry] * keyPitch + kvHead * WIDTH + 8 * lane);
    }
    u32 word[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
    for (int h = 0; h < MOST_HEADS; h++) {
      if (h < own) {
        float sum = 0.0f;
#pragma unroll
        for (int i = 0; i < 4; i++) {
          sum = fmaf(query[h][2 * i], lowBf16(word[i]), sum);
          sum = fmaf(query[h][2 * i + 1], highBf16(word[i]), sum);
        }
#pragma unroll
        for (int distance = LANES / 2; distance > 0; distance /= 2) {
          sum += __shfl_xor_sync(FULL_MASK, sum, distance);
        }
        if (lane == 0) {
          scores[h][entry] = entry < entries ? sum : -INFINITE;
        }
      }
    }
  }
  __syncthreads();
  // a warp per head: scores to weights
  int warp = threadIdx.x / WARP;
  int warpLane = threadIdx.x % WARP;
  if (warp < own) {
    float* score = scores[warp];
    float largest = -INFINITE;
    for (int i = warpLane; i < CHUNK; i += WARP) {
      largest = fmaxf(largest, score[i]);
    }
    largest = reduceTeam<WARP, Maximum>(largest);
    float total = 0.0f;
    for (int i = warpLane; i < CHUNK; i += WARP) {
      float weight = exp2Fast(score[i] - largest);
      score[i] = weight;
      total += weight;
    }
    total = reduceTeam<WARP, Sum>(total);
    if (warpLane == 0) {
      float* part = parts + ((row * heads + firstHead + warp) * chunks + blockIdx.z) * (WIDTH + 2);
      part[WIDTH] = largest;
      part[WIDTH + 1] = total;
    }
  }
  __syncthreads();
  float sum[MOST_HEADS][8];
#pragma unroll
  for (int h = 0; h < MOST_HEADS; h++) {
#pragma unroll
    for (int i = 0; i < 8; i++) {
      sum[h][i] = 0.0f;
    }
  }
#pragma unroll 4
  for (int turn = 0; turn < TURNS; turn++) {
    int entry = turn * TEAMS + team;
    if (entry >= entries) {
      continue;
    }
    uint4 four = *(const uint4*)(values + (i64)rowOf[entry] * valuePitch + kvHead * WIDTH + 8 * lane);
    u32 word[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
    for (int h = 0; h < MOST_HEADS; h++) {
      if (h < own) {
        float weight = scores[h][entry];
#pragma unroll
        for (int i = 0; i < 4; i++) {
          sum[h][2 * i] = fmaf(weight, lowBf16(word[i]), sum[h][2 * i]);
          sum[h][2 * i + 1] = fmaf(weight, highBf16(word[i]), sum[h][2 * i + 1]);
        }
      }
    }
  }
#pragma unroll
  for (int h = 0; h < MOST_HEADS; h++) {
#pragma unroll
    for (int i = 0; i < 8; i++) {
      sums[team][h][8 * lane + i] = sum[h][i];
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < own * WIDTH; i += DECODE_THREADS) {
    int h = i / WIDTH;
    int column = i % WIDTH;
    float all = 0.0f;
#pragma unroll
    for (int t = 0; t < TEAMS; t++) {
      all += sums[t][h][column];
    }
    parts[((row * heads + firstHead + h) * chunks + blockIdx.z) * (WIDTH + 2) + column] = all;
  }
}

template <int WIDTH>
__device__ __forceinline__ void flashDecodeJoin(
    Bf16* out, int outPitch, float* logSumExp, const float* parts, int chunks, const int* start, const int* end, int bound, const int* count,
    int heads) {
  i64 row = blockIdx.x;
  if (row >= rowsOf(bound, count)) {
    return;
  }
  int used = min(chunks, (max(0, end[row] - start[row]) + CHUNK - 1) / CHUNK);
  for (int i = threadIdx.x; i < heads * WIDTH; i += blockDim.x) {
    int head = i / WIDTH;
    int column = i % WIDTH;
    const float* part = parts + (row * heads + head) * chunks * (WIDTH + 2);
    float largest = -INFINITE;
    for (int c = 0; c < used; c++) {
      largest = fmaxf(largest, part[c * (WIDTH + 2) + WIDTH]);
    }
    float total = 0.0f;
    float sum = 0.0f;
    for (int c = 0; c < used; c++) {
      float factor = exp2Fast(part[c * (WIDTH + 2) + WIDTH] - largest);
      total = fmaf(factor, part[c * (WIDTH + 2) + WIDTH + 1], total);
      sum = fmaf(factor, part[c * (WIDTH + 2) + column], sum);
    }
    out[row * outPitch + i] = (Bf16)(packBf16(used > 0 ? sum / total : 0.0f, 0.0f) & 0xffffu);
    if (column == 0) {
      logSumExp[row * heads + head] = used > 0 ? (largest + log2Fast(total)) * LN_2 : -INFINITE;
    }
  }
}

// clang-format off
#define FLASH_DECODE(name, WIDTH)                                                                                                      \
  extern "C" __global__ void __launch_bounds__(128) name(                                                                              \
      float* parts, int chunks, const Bf16* queries, int queryPitch, const Bf16* keys, int keyPitch, const Bf16* values,               \
      int valuePitch, const int* start, const int* end, const int* entryRows, int bound, const int* count, int heads, int kvHeads,      \
      float scale) {                                                                                                                   \
    flashDecode<WIDTH>(parts, chunks, queries, queryPitch, keys, keyPitch, values, valuePitch, start, end, entryRows, bound, count,     \
        heads, kvHeads, scale);                                                                                                        \
  }
#define FLASH_DECODE_JOIN(name, WIDTH)                                                                                                 \
  extern "C" __global__ void __launch_bounds__(256) name(                                                                              \
      Bf16* out, int outPitch, float* logSumExp, const float* parts, int chunks, const int* start, const int* end, int bound,           \
      const int* count, int heads) {                                                                                                   \
    flashDecodeJoin<WIDTH>(out, outPitch, logSumExp, parts, chunks, start, end, bound, count, heads);                                  \
  }
// clang-format on

FLASH_DECODE(flashDecode32, 32)
FLASH_DECODE(flashDecode64, 64)
FLASH_DECODE(flashDecode128, 128)
FLASH_DECODE_JOIN(flashDecodeJoin32, 32)
FLASH_DECODE_JOIN(flashDecodeJoin64, 64)
FLASH_DECODE_JOIN(flashDecodeJoin128, 128)
