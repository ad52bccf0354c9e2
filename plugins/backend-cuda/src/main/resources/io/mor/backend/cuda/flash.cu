// Attention over ranges of key rows in bfloat16 on tensor cores (mma.sync, compute capability 8.0 and later), for heads of 32, 64 and 128:
// blocks of query rows against tiles of keys with a running softmax, tiles outside all ranges skipped.
//
// The gradients are two kernels, each of which owns what it sums (queries, or keys and values), so nothing is added in an order of chance; the
// weights are computed again from the statistics in both. Weights and their gradients go from one product to the next in registers.
//
// Tensors may be column slices: each has a pitch, in elements, and begins at a multiple of 16 bytes.
#include "flash.cuh"

#define BLOCK_ROWS 128 // query rows, or key rows, of a block: 16 for each of 8 warps
#define BLOCK_THREADS 256

// ---- products: fragments of a warp's 16 rows; the right operand's tile has rows of WIDTH

__device__ __forceinline__ void multiply(float (&sum)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// The left operand of 16 rows from a tile.
template <int WIDTH>
__device__ __forceinline__ void loadOperand(u32 (&operand)[WIDTH / 16][4], u32 tile, int firstRow) {
  int lane = threadIdx.x % WARP;
#pragma unroll
  for (int k = 0; k < WIDTH / 16; k++) {
    loadMatrices(operand[k], chunkAt<WIDTH>(tile, firstRow + lane % 16, 2 * k + lane / 16));
  }
}

// sum [16, 8 GROUPS] = a [16, WIDTH] @ transpose(tile [8 GROUPS, WIDTH])
template <int WIDTH, int GROUPS>
__device__ __forceinline__ void multiplyRows(float (&sum)[GROUPS][4], const u32 (&a)[WIDTH / 16][4], u32 tile) {
  int lane = threadIdx.x % WARP;
  clearFragment(sum);
#pragma unroll
  for (int k = 0; k < WIDTH / 16; k++) {
#pragma unroll
    for (int j = 0; j < GROUPS; j += 2) {
      u32 b[4];
      loadMatrices(b, chunkAt<WIDTH>(tile, 8 * j + lane % 8 + (lane / 16) * 8, 2 * k + (lane / 8) % 2));
      multiply(sum[j], a[k], b[0], b[1]);
      multiply(sum[j + 1], a[k], b[2], b[3]);
    }
  }
}

// As multiplyRows with the left operand's 16 rows, from firstRow on, in a tile too: for heads whose operands do not fit in registers.
template <int WIDTH, int GROUPS>
__device__ __forceinline__ void multiplyTiles(float (&sum)[GROUPS][4], u32 left, int firstRow, u32 tile) {
  int lane = threadIdx.x % WARP;
  clearFragment(sum);
#pragma unroll
  for (int k = 0; k < WIDTH / 16; k++) {
    u32 a[4];
    loadMatrices(a, chunkAt<WIDTH>(left, firstRow + lane % 16, 2 * k + lane / 16));
#pragma unroll
    for (int j = 0; j < GROUPS; j += 2) {
      u32 b[4];
      loadMatrices(b, chunkAt<WIDTH>(tile, 8 * j + lane % 8 + (lane / 16) * 8, 2 * k + (lane / 8) % 2));
      multiply(sum[j], a, b[0], b[1]);
      multiply(sum[j + 1], a, b[2], b[3]);
    }
  }
}

// sum [16, WIDTH] += a [16, 8 GROUPS] @ tile [8 GROUPS, WIDTH]
template <int WIDTH, int GROUPS>
__device__ __forceinline__ void multiplyColumns(float (&sum)[WIDTH / 8][4], const u32 (&a)[GROUPS / 2][4], u32 tile) {
  int lane = threadIdx.x % WARP;
#pragma unroll
  for (int k = 0; k < GROUPS / 2; k++) {
#pragma unroll
    for (int j = 0; j < WIDTH / 8; j += 2) {
      u32 b[4];
      loadTransposed(b, chunkAt<WIDTH>(tile, 16 * k + lane % 16, j + lane / 16));
      multiply(sum[j], a[k], b[0], b[1]);
      multiply(sum[j + 1], a[k], b[2], b[3]);
    }
  }
}

// ---- ranges

// For the rows of a block: every warp's bounds, and through low and high what the block sees.
__device__ __forceinline__ Bounds boundsOfRows(const int2 (&range)[2], int& low, int& high) {
  __shared__ int lows[BLOCK_THREADS / WARP];
  __shared__ int highs[BLOCK_THREADS / WARP];
  Bounds bounds = boundsOfWarp(range[0], range[1]);
  if (threadIdx.x % WARP == 0) {
    lows[threadIdx.x / WARP] = bounds.leastStart;
    highs[threadIdx.x / WARP] = bounds.mostEnd;
  }
  __syncthreads();
  low = lows[0];
  high = highs[0];
#pragma unroll
  for (int warp = 1; warp < BLOCK_THREADS / WARP; warp++) {
    low = min(low, lows[warp]);
    high = max(high, highs[warp]);
  }
  return bounds;
}

// What one batch's ranges mean for the gradients: the ranges padded to whole blocks, the bounds of every ROW_TILE query rows.
extern "C" __global__ void __launch_bounds__(256) flashRanges(
    int2* ranges, Bounds* bounds, const int* start, const int* end, int bound, const int* count, int paddedRows) {
  int rows = rowsOf(bound, count);
  int lane = threadIdx.x % WARP;
  int tile = (blockIdx.x * 256 + threadIdx.x) / WARP;
  if (tile * ROW_TILE >= paddedRows) {
    return;
  }
  int row = tile * ROW_TILE + lane;
  int2 a = rangeOf(start, end, row, rows);
  int2 b = rangeOf(start, end, row + WARP, rows);
  ranges[row] = a;
  ranges[row + WARP] = b;
  Bounds all = boundsOfWarp(a, b);
  if (lane == 0) {
    bounds[tile] = all;
  }
}

// statistics [heads, paddedRows] = log-sum-exp in base 2, +inf for rows without keys (their weights become 0); products = out . dout.
template <int WIDTH>
__device__ __forceinline__ void flashStatistics(
    float* statistics, float* products, const Bf16* out, int outPitch, const Bf16* dout, int doutPitch, const float* logSumExp, int bound,
    const int* count, int paddedRows, int heads) {
  constexpr int LANES = WIDTH / 8;
  i64 index = threadIndex() / LANES;
  int lane = threadIdx.x % LANES;
  int row = (int)(index / heads);
  int head = (int)(index % heads);
  float product = 0.0f;
  float statistic = INFINITE;
  if (row < rowsOf(bound, count)) {
    uint4 a = *(const uint4*)(out + (i64)row * outPitch + head * WIDTH + 8 * lane);
    uint4 b = *(const uint4*)(dout + (i64)row * doutPitch + head * WIDTH + 8 * lane);
    u32 x[4] = {a.x, a.y, a.z, a.w};
    u32 y[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
      product = fmaf(lowBf16(x[i]), lowBf16(y[i]), product);
      product = fmaf(highBf16(x[i]), highBf16(y[i]), product);
    }
    float value = logSumExp[(i64)row * heads + head];
    statistic = value == -INFINITE ? INFINITE : value * LOG2_E;
  }
#pragma unroll
  for (int distance = LANES / 2; distance > 0; distance /= 2) {
    product += __shfl_xor_sync(FULL_MASK, product, distance);
  }
  if (lane == 0 && row < paddedRows) {
    i64 at = (i64)head * paddedRows + row;
    statistics[at] = statistic;
    products[at] = product;
  }
}

// ---- forward

template <int WIDTH>
__device__ __forceinline__ void flashForward(
    Bf16* out, int outPitch, float* logSumExp, const Bf16* queries, int queryPitch, const Bf16* keys, int keyPitch, const Bf16* values,
    int valuePitch, const int* start, const int* end, const int* entryRows, int bound, const int* count, int keyBound, const int* keyCount, int heads, int kvHeads,
    float scale) {
  constexpr int KEYS = 64;
  constexpr u32 TILE_BYTES = KEYS * WIDTH * 2;
  extern __shared__ __align__(128) unsigned char dynamic[];
  int rows = rowsOf(bound, count);
  int firstRow = (gridDim.x - 1 - blockIdx.x) * BLOCK_ROWS; // later rows see more: long blocks first
  if (firstRow >= rows) {
    return;
  }
  int head = blockIdx.y;
  int kvHead = head / (heads / kvHeads);
  int lane = threadIdx.x % WARP;
  int warpRow = threadIdx.x / WARP * 16;
  int keyRows = rowsOf(keyBound, keyCount);
  queries += head * WIDTH;
  keys += kvHead * WIDTH;
  values += kvHead * WIDTH;
  u32 queryTile = sharedAddress(dynamic);
  u32 keyTiles = queryTile + BLOCK_ROWS * WIDTH * 2;
  u32 valueTiles = keyTiles + 2 * TILE_BYTES;

  int row = firstRow + warpRow + lane / 4;
  int2 range[2] = {rangeOf(start, end, row, rows), rangeOf(start, end, row + 8, rows)};
  int low;
  int high;
  Bounds bounds = boundsOfRows(range, low, high);
  copyRows<WIDTH, BLOCK_ROWS, BLOCK_THREADS>(queryTile, queries, queryPitch, firstRow, rows, threadIdx.x);
  auto copyKeys = [&](int stage, int first) {
    u32 place = stage * TILE_BYTES;
    if (entryRows == nullptr) {
      copyRows<WIDTH, KEYS, BLOCK_THREADS>(keyTiles + place, keys, keyPitch, first, keyRows, threadIdx.x);
      copyRows<WIDTH, KEYS, BLOCK_THREADS>(valueTiles + place, values, valuePitch, first, keyRows, threadIdx.x);
    } else {
      copyEntries<WIDTH, KEYS, BLOCK_THREADS>(keyTiles + place, keys, keyPitch, entryRows, first, high, threadIdx.x);
      copyEntries<WIDTH, KEYS, BLOCK_THREADS>(valueTiles + place, values, valuePitch, entryRows, first, high, threadIdx.x);
    }
  };
  if (low < high) {
    copyKeys(0, low);
  }
  commitCopies();

  float scaleLog2 = scale * LOG2_E;
  u32 query[WIDTH / 16][4];
  float sum[WIDTH / 8][4];
  clearFragment(sum);
  Softmax softmax;
  softmax.clear();
  int stage = 0;
  for (int first = low; first < high; first += KEYS, stage ^= 1) {
    awaitCopies<0>();
    __syncthreads(); // the tiles of this turn are there, those of the turn before are free
    if (first == low) {
      loadOperand<WIDTH>(query, queryTile, warpRow);
    }
    if (first + KEYS < high) {
      copyKeys(stage ^ 1, first + KEYS);
      commitCopies();
    }
    if (!bounds.sees(first, KEYS)) {
      continue;
    }
    float score[KEYS / 8][4];
    multiplyRows<WIDTH, KEYS / 8>(score, query, keyTiles + stage * TILE_BYTES);
    if (!bounds.seesAll(first, KEYS)) {
      maskScores(score, first, range);
    }
    float rescale[2];
    softmax.weigh(score, scaleLog2, rescale);
    scaleRows(sum, rescale);
    u32 weight[KEYS / 16][4];
    toOperand(weight, score);
    multiplyColumns<WIDTH, KEYS / 8>(sum, weight, valueTiles + stage * TILE_BYTES);
  }
  awaitCopies<0>();

  float factor[2];
#pragma unroll
  for (int half = 0; half < 2; half++) {
    float total = quadSum(softmax.total[half]);
    total = range[half].x < range[half].y ? total : 0.0f; // where the whole tile was seen nothing was masked
    factor[half] = total > 0.0f ? 1.0f / total : 0.0f;
    if (lane % 4 == 0 && row + 8 * half < rows) {
      logSumExp[(i64)(row + 8 * half) * heads + head] =
          total > 0.0f ? fmaf(softmax.largest[half], scale, log2Fast(total) * LN_2) : -INFINITE;
    }
  }
  storeFragment<WIDTH / 8>(
      out + (i64)(firstRow + warpRow) * outPitch + head * WIDTH, outPitch, sum, factor[0], factor[1], rows - firstRow - warpRow, false);
}

// ---- gradients

template <int WIDTH>
__device__ __forceinline__ void flashQueryGradient(
    Bf16* dqueries, int dqueryPitch, const Bf16* queries, int queryPitch, const Bf16* keys, int keyPitch, const Bf16* values, int valuePitch,
    const Bf16* dout, int doutPitch, const float* statistics, const float* products, const int* start, const int* end, int bound,
    const int* count, int keyBound, const int* keyCount, int paddedRows, int heads, int kvHeads, float scale) {
  constexpr int KEYS = WIDTH == 128 ? 32 : 64;
  constexpr u32 TILE_BYTES = KEYS * WIDTH * 2;
  extern __shared__ __align__(128) unsigned char dynamic[];
  int rows = rowsOf(bound, count);
  int firstRow = (gridDim.x - 1 - blockIdx.x) * BLOCK_ROWS;
  if (firstRow >= rows) {
    return;
  }
  int head = blockIdx.y;
  int kvHead = head / (heads / kvHeads);
  int lane = threadIdx.x % WARP;
  int warpRow = threadIdx.x / WARP * 16;
  int keyRows = rowsOf(keyBound, keyCount);
  queries += head * WIDTH;
  dout += head * WIDTH;
  keys += kvHead * WIDTH;
  values += kvHead * WIDTH;
  u32 queryTile = sharedAddress(dynamic);
  u32 doutTile = queryTile + BLOCK_ROWS * WIDTH * 2;
  u32 keyTiles = doutTile + BLOCK_ROWS * WIDTH * 2;
  u32 valueTiles = keyTiles + 2 * TILE_BYTES;

  int row = firstRow + warpRow + lane / 4;
  int2 range[2] = {rangeOf(start, end, row, rows), rangeOf(start, end, row + 8, rows)};
  int low;
  int high;
  Bounds bounds = boundsOfRows(range, low, high);
  copyRows<WIDTH, BLOCK_ROWS, BLOCK_THREADS>(queryTile, queries, queryPitch, firstRow, rows, threadIdx.x);
  copyRows<WIDTH, BLOCK_ROWS, BLOCK_THREADS>(doutTile, dout, doutPitch, firstRow, rows, threadIdx.x);
  if (low < high) {
    copyRows<WIDTH, KEYS, BLOCK_THREADS>(keyTiles, keys, keyPitch, low, keyRows, threadIdx.x);
    copyRows<WIDTH, KEYS, BLOCK_THREADS>(valueTiles, values, valuePitch, low, keyRows, threadIdx.x);
  }
  commitCopies();
  i64 at = (i64)head * paddedRows + row;
  float statistic[2] = {statistics[at], statistics[at + 8]};
  float product[2] = {products[at], products[at + 8]};

  float scaleLog2 = scale * LOG2_E;
  float sum[WIDTH / 8][4];
  clearFragment(sum);
  int stage = 0;
  for (int first = low; first < high; first += KEYS, stage ^= 1) {
    awaitCopies<0>();
    __syncthreads();
    if (first + KEYS < high) {
      u32 next = (stage ^ 1) * TILE_BYTES;
      copyRows<WIDTH, KEYS, BLOCK_THREADS>(keyTiles + next, keys, keyPitch, first + KEYS, keyRows, threadIdx.x);
      copyRows<WIDTH, KEYS, BLOCK_THREADS>(valueTiles + next, values, valuePitch, first + KEYS, keyRows, threadIdx.x);
      commitCopies();
    }
    if (!bounds.sees(first, KEYS)) {
      continue;
    }
    float score[KEYS / 8][4];
    float dweight[KEYS / 8][4];
    multiplyTiles<WIDTH, KEYS / 8>(score, queryTile, warpRow, keyTiles + stage * TILE_BYTES);
    if (!bounds.seesAll(first, KEYS)) {
      maskScores(score, first, range);
    }
    multiplyTiles<WIDTH, KEYS / 8>(dweight, doutTile, warpRow, valueTiles + stage * TILE_BYTES);
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        float weight = exp2Fast(fmaf(score[j][i], scaleLog2, -statistic[i / 2]));
        score[j][i] = weight * (dweight[j][i] - product[i / 2]);
      }
    }
    u32 dscore[KEYS / 16][4];
    toOperand(dscore, score);
    multiplyColumns<WIDTH, KEYS / 8>(sum, dscore, keyTiles + stage * TILE_BYTES);
  }
  awaitCopies<0>();
  storeFragment<WIDTH / 8>(
      dqueries + (i64)(firstRow + warpRow) * dqueryPitch + head * WIDTH, dqueryPitch, sum, scale, scale, rows - firstRow - warpRow, false);
}

// The gradients of a block of key rows: over the heads that share them and, for each, the tiles of query rows that see one of them. Scores are
// transposed, [keys, queries], so that weights are the left operand of the sums over queries as they are.
template <int WIDTH>
__device__ __forceinline__ void flashKeyGradient(
    Bf16* dkeys, int dkeyPitch, Bf16* dvalues, int dvaluePitch, const Bf16* queries, int queryPitch, const Bf16* keys, int keyPitch,
    const Bf16* values, int valuePitch, const Bf16* dout, int doutPitch, const float* statistics, const float* products, const int2* ranges,
    const Bounds* bounds, int bound, const int* count, int keyBound, const int* keyCount, int paddedRows, int heads, int kvHeads, float scale,
    int accumulate) {
  constexpr int QUERIES = WIDTH == 128 ? 32 : 64;
  constexpr int PARTS = ROW_TILE / QUERIES; // of a tile with bounds
  constexpr u32 TILE_BYTES = QUERIES * WIDTH * 2;
  extern __shared__ __align__(128) unsigned char dynamic[];
  __shared__ int firstTiles[BLOCK_THREADS / WARP];
  __shared__ int lastTiles[BLOCK_THREADS / WARP];
  int rows = rowsOf(bound, count);
  int keyRows = rowsOf(keyBound, keyCount);
  int firstKey = blockIdx.x * BLOCK_ROWS; // earlier keys are seen by more
  if (firstKey >= keyRows) {
    return;
  }
  int kvHead = blockIdx.y;
  int sharing = heads / kvHeads;
  int lane = threadIdx.x % WARP;
  int warpRow = threadIdx.x / WARP * 16;
  u32 keyTile = sharedAddress(dynamic);
  u32 valueTile = keyTile + BLOCK_ROWS * WIDTH * 2;
  u32 queryTiles = valueTile + BLOCK_ROWS * WIDTH * 2;
  u32 doutTiles = queryTiles + 2 * TILE_BYTES;
  copyRows<WIDTH, BLOCK_ROWS, BLOCK_THREADS>(keyTile, keys + kvHead * WIDTH, keyPitch, firstKey, keyRows, threadIdx.x);
  copyRows<WIDTH, BLOCK_ROWS, BLOCK_THREADS>(valueTile, values + kvHead * WIDTH, valuePitch, firstKey, keyRows, threadIdx.x);
  commitCopies();

  // the tiles of query rows between the first and the last that sees one of the keys
  int from = 0x7fffffff;
  int to = 0;
  for (int tile = threadIdx.x; tile * ROW_TILE < rows; tile += BLOCK_THREADS) {
    if (bounds[tile].sees(firstKey, BLOCK_ROWS)) {
      from = min(from, tile);
      to = tile + 1;
    }
  }
  from = __reduce_min_sync(FULL_MASK, from);
  to = __reduce_max_sync(FULL_MASK, to);
  if (lane == 0) {
    firstTiles[threadIdx.x / WARP] = from;
    lastTiles[threadIdx.x / WARP] = to;
  }
  __syncthreads();
#pragma unroll
  for (int warp = 0; warp < BLOCK_THREADS / WARP; warp++) {
    from = min(from, firstTiles[warp]);
    to = max(to, lastTiles[warp]);
  }
  int turnsPerHead = from < to ? (to - from) * PARTS : 0;
  int turns = turnsPerHead * sharing;

  float keySum[WIDTH / 8][4];
  float valueSum[WIDTH / 8][4];
  clearFragment(keySum);
  clearFragment(valueSum);
  float scaleLog2 = scale * LOG2_E;
  int key = firstKey + warpRow + lane / 4;

#define COPY_TURN(turn, stage)                                                                                                        \
  {                                                                                                                                   \
    int head = kvHead * sharing + (turn) / turnsPerHead;                                                                              \
    int row = from * ROW_TILE + (turn) % turnsPerHead * QUERIES;                                                                      \
    copyRows<WIDTH, QUERIES, BLOCK_THREADS>(queryTiles + (stage) * TILE_BYTES, queries + head * WIDTH, queryPitch, row, rows, threadIdx.x); \
    copyRows<WIDTH, QUERIES, BLOCK_THREADS>(doutTiles + (stage) * TILE_BYTES, dout + head * WIDTH, doutPitch, row, rows, threadIdx.x);     \
    commitCopies();                                                                                                                   \
  }
  if (turns > 0) {
    COPY_TURN(0, 0)
  }
  int stage = 0;
  for (int turn = 0; turn < turns; turn++, stage ^= 1) {
    awaitCopies<0>();
    __syncthreads();
    if (turn + 1 < turns) {
      COPY_TURN(turn + 1, stage ^ 1)
    }
    int head = kvHead * sharing + turn / turnsPerHead;
    int row = from * ROW_TILE + turn % turnsPerHead * QUERIES;
    Bounds seen = bounds[row / ROW_TILE];
    if (!seen.sees(firstKey + warpRow, 16)) {
      continue;
    }
    bool all = seen.seesAll(firstKey + warpRow, 16);
    float weight[QUERIES / 8][4];
    float dweight[QUERIES / 8][4];
    u32 operand[QUERIES / 16][4];
    multiplyTiles<WIDTH, QUERIES / 8>(weight, keyTile, warpRow, queryTiles + stage * TILE_BYTES);
    int firstColumn = row + 2 * (lane % 4);
    const float* statistic = statistics + (i64)head * paddedRows + firstColumn;
#pragma unroll
    for (int j = 0; j < QUERIES / 8; j++) {
      float2 base = *(const float2*)(statistic + 8 * j);
      weight[j][0] = exp2Fast(fmaf(weight[j][0], scaleLog2, -base.x));
      weight[j][1] = exp2Fast(fmaf(weight[j][1], scaleLog2, -base.y));
      weight[j][2] = exp2Fast(fmaf(weight[j][2], scaleLog2, -base.x));
      weight[j][3] = exp2Fast(fmaf(weight[j][3], scaleLog2, -base.y));
      if (!all) {
        int4 pair = *(const int4*)(ranges + firstColumn + 8 * j);
        weight[j][0] = pair.x <= key && key < pair.y ? weight[j][0] : 0.0f;
        weight[j][1] = pair.z <= key && key < pair.w ? weight[j][1] : 0.0f;
        weight[j][2] = pair.x <= key + 8 && key + 8 < pair.y ? weight[j][2] : 0.0f;
        weight[j][3] = pair.z <= key + 8 && key + 8 < pair.w ? weight[j][3] : 0.0f;
      }
    }
    toOperand(operand, weight);
    multiplyColumns<WIDTH, QUERIES / 8>(valueSum, operand, doutTiles + stage * TILE_BYTES);
    multiplyTiles<WIDTH, QUERIES / 8>(dweight, valueTile, warpRow, doutTiles + stage * TILE_BYTES);
    const float* product = products + (i64)head * paddedRows + firstColumn;
#pragma unroll
    for (int j = 0; j < QUERIES / 8; j++) {
      float2 base = *(const float2*)(product + 8 * j);
      weight[j][0] *= dweight[j][0] - base.x;
      weight[j][1] *= dweight[j][1] - base.y;
      weight[j][2] *= dweight[j][2] - base.x;
      weight[j][3] *= dweight[j][3] - base.y;
    }
    toOperand(operand, weight);
    multiplyColumns<WIDTH, QUERIES / 8>(keySum, operand, queryTiles + stage * TILE_BYTES);
  }
  awaitCopies<0>();
  int limit = keyRows - firstKey - warpRow;
  storeFragment<WIDTH / 8>(
      dkeys + (i64)(firstKey + warpRow) * dkeyPitch + kvHead * WIDTH, dkeyPitch, keySum, scale, scale, limit, accumulate);
  storeFragment<WIDTH / 8>(
      dvalues + (i64)(firstKey + warpRow) * dvaluePitch + kvHead * WIDTH, dvaluePitch, valueSum, 1.0f, 1.0f, limit, accumulate);
}

// ---- kernels

// clang-format off
#define FLASH_STATISTICS(name, WIDTH)                                                                                                  \
  extern "C" __global__ void __launch_bounds__(256) name(                                                                              \
      float* statistics, float* products, const Bf16* out, int outPitch, const Bf16* dout, int doutPitch, const float* logSumExp,       \
      int bound, const int* count, int paddedRows, int heads) {                                                                        \
    flashStatistics<WIDTH>(statistics, products, out, outPitch, dout, doutPitch, logSumExp, bound, count, paddedRows, heads);           \
  }
#define FLASH_FORWARD(name, WIDTH)                                                                                                     \
  extern "C" __global__ void __launch_bounds__(256, WIDTH == 128 ? 1 : 2) name(                                                                              \
      Bf16* out, int outPitch, float* logSumExp, const Bf16* queries, int queryPitch, const Bf16* keys, int keyPitch,                  \
      const Bf16* values, int valuePitch, const int* start, const int* end, const int* entryRows, int bound, const int* count,          \
      int keyBound, const int* keyCount, int heads, int kvHeads, float scale) {                                                        \
    flashForward<WIDTH>(out, outPitch, logSumExp, queries, queryPitch, keys, keyPitch, values, valuePitch, start, end, entryRows,       \
        bound, count, keyBound, keyCount, heads, kvHeads, scale);                                                                                    \
  }
#define FLASH_QUERY_GRADIENT(name, WIDTH)                                                                                              \
  extern "C" __global__ void __launch_bounds__(256) name(                                                                              \
      Bf16* dqueries, int dqueryPitch, const Bf16* queries, int queryPitch, const Bf16* keys, int keyPitch, const Bf16* values,         \
      int valuePitch, const Bf16* dout, int doutPitch, const float* statistics, const float* products, const int* start,               \
      const int* end, int bound, const int* count, int keyBound, const int* keyCount, int paddedRows, int heads, int kvHeads,           \
      float scale) {                                                                                                                   \
    flashQueryGradient<WIDTH>(dqueries, dqueryPitch, queries, queryPitch, keys, keyPitch, values, valuePitch, dout, doutPitch,          \
        statistics, products, start, end, bound, count, keyBound, keyCount, paddedRows, heads, kvHeads, scale);                        \
  }
#define FLASH_KEY_GRADIENT(name, WIDTH)                                                                                                \
  extern "C" __global__ void __launch_bounds__(256) name(                                                                              \
      Bf16* dkeys, int dkeyPitch, Bf16* dvalues, int dvaluePitch, const Bf16* queries, int queryPitch, const Bf16* keys,                \
      int keyPitch, const Bf16* values, int valuePitch, const Bf16* dout, int doutPitch, const float* statistics,                      \
      const float* products, const int2* ranges, const Bounds* bounds, int bound, const int* count, int keyBound,                      \
      const int* keyCount, int paddedRows, int heads, int kvHeads, float scale, int accumulate) {                                      \
    flashKeyGradient<WIDTH>(dkeys, dkeyPitch, dvalues, dvaluePitch, queries, queryPitch, keys, keyPitch, values, valuePitch, dout,      \
        doutPitch, statistics, products, ranges, bounds, bound, count, keyBound, keyCount, paddedRows, heads, kvHeads, scale,           \
        accumulate);                                                                                                                   \
  }
// clang-format on

FLASH_STATISTICS(flashStatistics32, 32)
FLASH_STATISTICS(flashStatistics64, 64)
FLASH_STATISTICS(flashStatistics128, 128)
FLASH_FORWARD(flashForward32, 32)
FLASH_FORWARD(flashForward64, 64)
FLASH_FORWARD(flashForward128, 128)
FLASH_QUERY_GRADIENT(flashQueryGradient32, 32)
FLASH_QUERY_GRADIENT(flashQueryGradient64, 64)
FLASH_QUERY_GRADIENT(flashQueryGradient128, 128)
FLASH_KEY_GRADIENT(flashKeyGradient32, 32)
FLASH_KEY_GRADIENT(flashKeyGradient64, 64)
FLASH_KEY_GRADIENT(flashKeyGradient128, 128)
