// Attention over ranges of entries, for any head width and any number of rows, calculated in single precision. A block of 128 threads takes one head of
// one row; 128 entries at a time, counted from the start of the row's own range, so what a row sees alone decides its result.
//
// A thread has two tasks in turn: as thread t the score of entry t of the tile; as (group, column) the column's sum over the entries group,
// group + groups, ... of the tile. sums [groups, headDim] in shared memory, each element the property of one thread at a time.
#include "common.cuh"

#define TILE 128

struct Heads {
  int heads;
  int kvHeads;
  int width; // of a head
  __device__ __forceinline__ int kvHead(int head) const { return head / (heads / kvHeads); }
  __device__ __forceinline__ i64 query(i64 row, int head) const { return (row * heads + head) * width; }
  __device__ __forceinline__ i64 key(i64 row, int kvHead) const { return (row * kvHeads + kvHead) * width; }
  // groups of threads that share the entries of a tile, each wide enough for a head if that is possible
  __device__ __forceinline__ int groups() const { return width >= TILE ? 1 : TILE / width; }
};

__device__ __forceinline__ bool isAligned(Values row, int width) {
  return !row.isNarrow() && width % 4 == 0 && row.address() % 16 == 0;
}

// One chain of multiply-adds in ascending order either way.
__device__ __forceinline__ float dot(const float* inShared, Values row, int width) {
  float sum = 0.0f;
  if (isAligned(row, width)) {
    const float4* four = (const float4*)row.address();
    for (int i = 0; i < width / 4; i++) {
      float4 value = four[i];
      sum = fmaf(inShared[4 * i], value.x, sum);
      sum = fmaf(inShared[4 * i + 1], value.y, sum);
      sum = fmaf(inShared[4 * i + 2], value.z, sum);
      sum = fmaf(inShared[4 * i + 3], value.w, sum);
    }
  } else {
    for (int i = 0; i < width; i++) {
      sum = fmaf(inShared[i], row[i], sum);
    }
  }
  return sum;
}

template <class Operation>
__device__ __forceinline__ float reduceTile(float value) {
  return reduceTeam<TILE, Operation>(value);
}

// Calls body(slot, column) for every element of sums that this thread owns.
#define FOR_EACH_OWN_SUM(groups, width, group, c)                                                         \
  for (int own = threadIdx.x, group = own / min(width, TILE); group < (groups); group = (groups))          \
    for (int c = own % min(width, TILE); c < (width); c += TILE)

// dynamic shared memory: headDim + groups * headDim floats
extern "C" __global__ void __launch_bounds__(128) attention(
    Values out,
    float* logSumExp,
    Values queries,
    Values keys,
    Values values,
    const int* start,
    const int* end,
    const int* entryRows,
    int bound,
    const int* count,
    int heads,
    int kvHeads,
    int width,
    float scale) {
  extern __shared__ float dynamic[];
  __shared__ float weights[TILE];
  __shared__ int rowOf[TILE];
  Heads shape = {heads, kvHeads, width};
  i64 row = blockIdx.x;
  int head = blockIdx.y;
  if (row >= rowsOf(bound, count)) {
    return;
  }
  float* query = dynamic;
  float* sums = dynamic + width;
  int groups = shape.groups();
  for (int c = threadIdx.x; c < width; c += TILE) {
    query[c] = queries[shape.query(row, head) + c];
  }
  for (int i = threadIdx.x; i < groups * width; i += TILE) {
    sums[i] = 0.0f;
  }
  int first = start[row];
  int last = end[row];
  float largest = -INFINITE;
  float total = 0.0f;
  __syncthreads();
  for (int tile = first; tile < last; tile += TILE) {
    int entry = tile + threadIdx.x;
    int entries = min(TILE, last - tile);
    float score = -INFINITE;
    if (threadIdx.x < entries) {
      int keyRow = entryRows == nullptr ? entry : entryRows[entry];
      rowOf[threadIdx.x] = keyRow;
      score = dot(query, keys + shape.key(keyRow, shape.kvHead(head)), width) * scale;
    }
    float before = largest;
    largest = fmaxf(largest, reduceTile<Maximum>(score));
    float weight = threadIdx.x < entries ? expf(score - largest) : 0.0f;
    weights[threadIdx.x] = weight;
    float rescale = expf(before - largest); // 0 in the first tile
    total = total * rescale + reduceTile<Sum>(weight); // its barriers also publish weights and rowOf
    FOR_EACH_OWN_SUM(groups, width, group, c) {
      float sum = 0.0f;
      for (int j = group; j < entries; j += groups) {
        sum = fmaf(weights[j], values[shape.key(rowOf[j], shape.kvHead(head)) + c], sum);
      }
      sums[group * width + c] = sums[group * width + c] * rescale + sum;
    }
    __syncthreads();
  }
  for (int c = threadIdx.x; c < width; c += TILE) {
    float sum = 0.0f;
    for (int group = 0; group < groups; group++) {
      sum += sums[group * width + c];
    }
    out[shape.query(row, head) + c] = first < last ? sum / total : 0.0f;
  }
  if (threadIdx.x == 0) {
    logSumExp[row * heads + head] = first < last ? largest + logf(total) : -INFINITE;
  }
}

// dqueries, and outDotGradient [rows, heads] for the keys' pass. dynamic shared memory: 2 * headDim + groups * headDim floats
extern "C" __global__ void __launch_bounds__(128) attentionQueryGradient(
    Values dqueries,
    float* outDotGradient,
    Values queries,
    Values keys,
    Values values,
    Values out,
    const float* logSumExp,
    Values dout,
    const int* start,
    const int* end,
    int bound,
    const int* count,
    int heads,
    int kvHeads,
    int width,
    float scale) {
  extern __shared__ float dynamic[];
  __shared__ float dscores[TILE];
  Heads shape = {heads, kvHeads, width};
  i64 row = blockIdx.x;
  int head = blockIdx.y;
  if (row >= rowsOf(bound, count)) {
    return;
  }
  float* query = dynamic;
  float* gradient = dynamic + width;
  float* sums = dynamic + 2 * width;
  int groups = shape.groups();
  float product = 0.0f;
  for (int c = threadIdx.x; c < width; c += TILE) {
    i64 at = shape.query(row, head) + c;
    query[c] = queries[at];
    gradient[c] = dout[at];
    product = fmaf(out[at], dout[at], product);
  }
  for (int i = threadIdx.x; i < groups * width; i += TILE) {
    sums[i] = 0.0f;
  }
  product = reduceTile<Sum>(product);
  if (threadIdx.x == 0) {
    outDotGradient[row * heads + head] = product;
  }
  int first = start[row];
  int last = end[row];
  float statistics = logSumExp[row * heads + head];
  for (int tile = first; tile < last; tile += TILE) {
    int entries = min(TILE, last - tile);
    float dscore = 0.0f;
    if (threadIdx.x < entries) {
      i64 at = shape.key(tile + threadIdx.x, shape.kvHead(head));
      float weight = expf(dot(query, keys + at, width) * scale - statistics);
      dscore = weight * (dot(gradient, values + at, width) - product) * scale;
    }
    dscores[threadIdx.x] = dscore;
    __syncthreads();
    FOR_EACH_OWN_SUM(groups, width, group, c) {
      float sum = 0.0f;
      for (int j = group; j < entries; j += groups) {
        sum = fmaf(dscores[j], keys[shape.key(tile + j, shape.kvHead(head)) + c], sum);
      }
      sums[group * width + c] += sum;
    }
    __syncthreads();
  }
  __syncthreads();
  for (int c = threadIdx.x; c < width; c += TILE) {
    float sum = 0.0f;
    for (int group = 0; group < groups; group++) {
      sum += sums[group * width + c];
    }
    dqueries[shape.query(row, head) + c] = sum;
  }
}

// For every tile of 128 query rows the lowest start and the highest end: the keys' pass skips tiles that do not see a key.
extern "C" __global__ void __launch_bounds__(128) rangeBounds(int* bounds, const int* start, const int* end, int bound, const int* count) {
  __shared__ int low;
  __shared__ int high;
  if (threadIdx.x == 0) {
    low = 0x7fffffff;
    high = 0;
  }
  __syncthreads();
  i64 row = (i64)blockIdx.x * TILE + threadIdx.x;
  if (row < rowsOf(bound, count) && start[row] < end[row]) {
    atomicMin(&low, start[row]);
    atomicMax(&high, end[row]);
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    bounds[2 * blockIdx.x] = low;
    bounds[2 * blockIdx.x + 1] = high;
  }
}

// dkeys and dvalues of one key row and key head: over the query rows that see it and the heads that share it, in ascending order.
// dynamic shared memory: 2 * headDim + 2 * groups * headDim floats
extern "C" __global__ void __launch_bounds__(128) attentionKeyGradient(
    Values dkeys,
    Values dvalues,
    Values queries,
    Values keys,
    Values values,
    const float* logSumExp,
    const float* outDotGradient,
    Values dout,
    const int* start,
    const int* end,
    const int* bounds,
    int bound,
    const int* count,
    int keyBound,
    const int* keyCount,
    int heads,
    int kvHeads,
    int width,
    float scale) {
  extern __shared__ float dynamic[];
  __shared__ float weights[TILE];
  __shared__ float dscores[TILE];
  Heads shape = {heads, kvHeads, width};
  i64 keyRow = blockIdx.x;
  int kvHead = blockIdx.y;
  if (keyRow >= rowsOf(keyBound, keyCount)) {
    return;
  }
  int rows = rowsOf(bound, count);
  float* key = dynamic;
  float* value = dynamic + width;
  float* keySums = dynamic + 2 * width;
  int groups = shape.groups();
  float* valueSums = keySums + groups * width;
  for (int c = threadIdx.x; c < width; c += TILE) {
    key[c] = keys[shape.key(keyRow, kvHead) + c];
    value[c] = values[shape.key(keyRow, kvHead) + c];
  }
  for (int i = threadIdx.x; i < 2 * groups * width; i += TILE) {
    keySums[i] = 0.0f;
  }
  __syncthreads();
  int sharing = heads / kvHeads;
  for (int tile = 0; (i64)tile * TILE < rows; tile++) {
    if (keyRow < bounds[2 * tile] || keyRow >= bounds[2 * tile + 1]) {
      continue;
    }
    i64 firstRow = (i64)tile * TILE;
    i64 row = firstRow + threadIdx.x;
    int tileRows = (int)min((i64)TILE, rows - firstRow);
    bool sees = threadIdx.x < tileRows && start[row] <= keyRow && keyRow < end[row];
    for (int head = kvHead * sharing; head < (kvHead + 1) * sharing; head++) {
      float weight = 0.0f;
      float dscore = 0.0f;
      if (sees) {
        i64 at = shape.query(row, head);
        i64 statistic = row * heads + head;
        weight = expf(dot(key, queries + at, width) * scale - logSumExp[statistic]);
        dscore = weight * (dot(value, dout + at, width) - outDotGradient[statistic]) * scale;
      }
      weights[threadIdx.x] = weight;
      dscores[threadIdx.x] = dscore;
      __syncthreads();
      FOR_EACH_OWN_SUM(groups, width, group, c) {
        float keySum = 0.0f;
        float valueSum = 0.0f;
        for (int j = group; j < tileRows; j += groups) {
          if (weights[j] != 0.0f) { // most rows of a tile at a range's edge do not see the key
            i64 at = shape.query(firstRow + j, head) + c;
            keySum = fmaf(dscores[j], queries[at], keySum);
            valueSum = fmaf(weights[j], dout[at], valueSum);
          }
        }
        keySums[group * width + c] += keySum;
        valueSums[group * width + c] += valueSum;
      }
      __syncthreads();
    }
  }
  for (int c = threadIdx.x; c < width; c += TILE) {
    float keySum = 0.0f;
    float valueSum = 0.0f;
    for (int group = 0; group < groups; group++) {
      keySum += keySums[group * width + c];
      valueSum += valueSums[group * width + c];
    }
    dkeys[shape.key(keyRow, kvHead) + c] += keySum;
    dvalues[shape.key(keyRow, kvHead) + c] += valueSum;
  }
}
