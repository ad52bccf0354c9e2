// Attention over ranges of key rows in bfloat16 for heads of 64 on Hopper (compute capability 9.0): wgmma on tiles in shared memory that one
// warpgroup copies ahead of those that compute, or, where extents are exact, lets the copy engine bring. Elsewhere the kernels are empty; flash.cu has the same for every card.
//
// A block stays on its multiprocessor and takes items from a list, the longest first. Each of its computing warpgroups owns 64 query rows of
// one head (or 64 key rows): neighbouring warpgroups take the heads that share a key head first, then the next rows, so that a tile of keys is
// copied once for all heads that read it. A warpgroup passes over turns outside its own rows' ranges.
//
// Sums are owned by one warpgroup and made in the order of keys (or heads and queries), so the same call gives the same bits.
#include "flash_hopper.cuh"

// Of the way forward where extents are exact.
struct ForwardArguments {
  TensorMap queries; // in boxes of 64 rows
  TensorMap keys;    // in boxes of as many rows as a turn has keys
  TensorMap values;
  Bf16* out;
  i64 outPitch;
  float* logSumExp;
  const int2* ranges;
  const Bounds* bounds;
  const int4* items;
  i64 itemCount;
  i64 rows;
  i64 paddedRows;
  i64 heads;
  i64 kvHeads;
  float scale;
  int unused;
};

// ---- the plan of a batch

// A warp per tile of query rows; the last block to come to its end makes the lists. ranges and bounds as flashRanges. queryItems: (item, first key, end of keys, -) of every `groups` units of 64 query rows, unit =
// row tile * sharing + head among those that share a key head; keyItems: (item, first tile, end of tiles, -) of every keysPerItem keys with
// the tiles of query rows that see them. Both lists from much work to little; the order among equals is of chance and decides no result.
// blocksDone is 0 before and after.
extern "C" __global__ void __launch_bounds__(1024) flashPlan(
    int2* ranges, Bounds* bounds, int4* queryItems, int queryItemCount, int4* keyItems, int keyItemCount, int* lowTile, int* highTile,
    int* blocksDone, const int* start, const int* end, int bound, const int* count, int paddedRows, int sharing, int groups,
    int keysPerItem) {
  constexpr int CLASSES = 256;
  __shared__ bool isLast;
  __shared__ int histogramOfQueries[CLASSES];
  __shared__ int histogramOfKeys[CLASSES];
  int rows = rowsOf(bound, count);
  int lane = threadIdx.x % WARP;
  int warp = threadIdx.x / WARP;
  int tiles = paddedRows / ROW_TILE;
  for (int tile = blockIdx.x * (1024 / WARP) + warp; tile < tiles; tile += gridDim.x * (1024 / WARP)) {
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
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    isLast = atomicAdd(blocksDone, 1) == gridDim.x - 1; // of integers
  }
  __syncthreads();
  if (!isLast) {
    return;
  }
  __threadfence();
  if (threadIdx.x == 0) {
    *blocksDone = 0;
  }
  for (int i = threadIdx.x; i < keyItemCount; i += 1024) {
    lowTile[i] = 0x7fffffff;
    highTile[i] = 0;
  }
  for (int i = threadIdx.x; i < CLASSES; i += 1024) {
    histogramOfQueries[i] = 0;
    histogramOfKeys[i] = 0;
  }
  __syncthreads();
  for (int tile = threadIdx.x; tile < tiles; tile += 1024) {
    int4 seen = __ldcg((const int4*)bounds + tile); // (least start, most start, least end, most end)
    for (int item = seen.x / keysPerItem; item < keyItemCount && item * keysPerItem < seen.w; item++) {
      atomicMin(&lowTile[item], tile);
      atomicMax(&highTile[item], tile + 1);
    }
  }
  __syncthreads();
  // twice the same walk: count the classes of work, then place the items
  for (int pass = 0; pass < 2; pass++) {
    for (int item = threadIdx.x; item < queryItemCount; item += 1024) {
      int low = 0x7fffffff;
      int high = 0;
      for (int tile = item * groups / sharing; tile < tiles && tile * sharing < (item + 1) * groups; tile++) {
        int4 seen = __ldcg((const int4*)bounds + tile);
        low = min(low, seen.x);
        high = max(high, seen.w);
      }
      int work = CLASSES - 1 - min(CLASSES - 1, low < high ? (high - low) / 64 : 0);
      int place = atomicAdd(&histogramOfQueries[work], 1);
      if (pass == 1) {
        queryItems[place] = low < high ? make_int4(item, low, high, 0) : make_int4(item, 0, 0, 0);
      }
    }
    for (int item = threadIdx.x; item < keyItemCount; item += 1024) {
      int low = __ldcg(lowTile + item);
      int high = __ldcg(highTile + item);
      int work = CLASSES - 1 - min(CLASSES - 1, low < high ? high - low : 0);
      int place = atomicAdd(&histogramOfKeys[work], 1);
      if (pass == 1) {
        keyItems[place] = low < high ? make_int4(item, low, high, 0) : make_int4(item, 0, 0, 0);
      }
    }
    __syncthreads();
    if (pass == 0 && warp < 2) {
      int* histogram = warp == 0 ? histogramOfQueries : histogramOfKeys;
      int before = 0;
      for (int first = 0; first < CLASSES; first += WARP) { // counts to first places
        int own = histogram[first + lane];
        int sum = own;
#pragma unroll
        for (int distance = 1; distance < WARP; distance *= 2) {
          int below = __shfl_up_sync(FULL_MASK, sum, distance);
          sum += lane >= distance ? below : 0;
        }
        histogram[first + lane] = before + sum - own;
        before += __shfl_sync(FULL_MASK, sum, WARP - 1);
      }
    }
    __syncthreads();
  }
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// The number-th item of this block in a list from much work to little: back and forth, so that no block gets the longest of every round.
__device__ __forceinline__ int itemOf(u32 number) {
  return number % 2 == 0 ? number * gridDim.x + blockIdx.x : (number + 1) * gridDim.x - 1 - blockIdx.x;
}

// ---- copies

// A thread's copies into rings: the newest group's arrival is owed until the next is under way, so that two are in flight.
struct Filler {
  u32 owed; // a full barrier; 0: none

  __device__ __forceinline__ void pay() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); // wgmma reads what was copied
    arrive(owed);
  }
  __device__ __forceinline__ void finish() {
    if (owed != 0) {
      awaitCopies<0>();
      pay();
      owed = 0;
    }
  }
  template <int STAGES>
  __device__ __forceinline__ void begin(const Ring<STAGES>& ring, u32 n) {
    if (!isDone(ring.empty(n), ring.parity(n) ^ 1)) {
      finish(); // readers may need it before they can leave this place
      await(ring.empty(n), ring.parity(n) ^ 1);
    }
  }
  template <int STAGES>
  __device__ __forceinline__ void end(const Ring<STAGES>& ring, u32 n) {
    commitCopies();
    if (owed != 0) {
      awaitCopies<1>();
      pay();
    }
    owed = ring.full(n);
  }
};

// ---- what a warpgroup works on

struct Unit {
  int row; // first of its 64 query rows
  int head;
  int from; // the turns of its item in which it sees a key
  int to;
  Bounds bounds;

  // turns of KEYS keys begin at the item's first key
  template <int KEYS>
  static __device__ __forceinline__ Unit of(
      const int4& item, int kvHead, int sharing, int groups, int group, const Bounds* bounds, int paddedRows) {
    int index = item.x * groups + group;
    Unit unit;
    unit.row = index / sharing * ROW_TILE;
    unit.head = kvHead * sharing + index % sharing;
    unit.from = 0;
    unit.to = 0;
    unit.bounds = {0x7fffffff, 0, 0x7fffffff, 0};
    if (unit.row < paddedRows) {
      unit.bounds = bounds[unit.row / ROW_TILE];
      if (unit.bounds.leastStart < unit.bounds.mostEnd) {
        unit.from = (unit.bounds.leastStart - item.y) / KEYS;
        unit.to = (unit.bounds.mostEnd - item.y + KEYS - 1) / KEYS;
      }
    }
    unit.from = uniform(unit.from);
    unit.to = uniform(unit.to);
    return unit;
  }
};

// ---- forward

// Where tiles wait for those that compute, and in which order they come: an item's queries, then keys and values in turns.
template <int GROUPS, int STAGES, int KEYS>
struct ForwardTiles {
  static constexpr int KEY_BYTES = KEYS * HEAD * 2;

  u32 queries; // 2 x GROUPS tiles
  u32 keys;    // STAGES tiles
  u32 values;
  Ring<2> queryRing;
  Ring<STAGES> keyRing;
  Ring<STAGES> valueRing;

  static __device__ __forceinline__ ForwardTiles at(u32 shared) {
    u32 keys = shared + 2 * GROUPS * TILE_BYTES;
    u32 values = keys + STAGES * KEY_BYTES;
    u32 barriers = values + STAGES * KEY_BYTES;
    return {
        shared, keys, values, {barriers}, {barriers + Ring<2>::BYTES}, {barriers + Ring<2>::BYTES + Ring<STAGES>::BYTES}};
  }
  __device__ __forceinline__ u32 query(u32 number, int group) const {
    return queries + (queryRing.place(number) * GROUPS + group) * TILE_BYTES;
  }
  __device__ __forceinline__ u32 key(u32 n) const { return keys + keyRing.place(n) * KEY_BYTES; }
  __device__ __forceinline__ u32 value(u32 n) const { return values + valueRing.place(n) * KEY_BYTES; }
};

// Copies by the threads of a warpgroup, of matrices whose extents may be counted.
struct ThreadCopies {
  static constexpr int ARRIVALS = WARPGROUP;
  const Bf16* queries;
  int queryPitch;
  const Bf16* keys;
  int keyPitch;
  const Bf16* values;
  int valuePitch;
  int rows;
  int keyRows;

  template <int GROUPS, int STAGES, int KEYS>
  __device__ __forceinline__ void fill(
      const ForwardTiles<GROUPS, STAGES, KEYS>& tiles, const int4* items, int itemCount, int kvHeads, int sharing) const {
    Filler filler = {0};
    u32 n = 0;
    u32 number = 0;
    for (int i; (i = itemOf(number)) < itemCount * kvHeads; number++) {
      int4 item = items[i / kvHeads];
      int kvHead = i % kvHeads;
      filler.begin(tiles.queryRing, number);
#pragma unroll 1
      for (int group = 0; group < GROUPS; group++) {
        int index = item.x * GROUPS + group;
        copyRows<HEAD, ROW_TILE, WARPGROUP>(
            tiles.query(number, group), queries + (kvHead * sharing + index % sharing) * HEAD, queryPitch, index / sharing * ROW_TILE, rows,
            threadIdx.x);
      }
      filler.end(tiles.queryRing, number);
      for (int first = item.y; first < item.z; first += KEYS, n++) {
        filler.begin(tiles.keyRing, n);
        copyRows<HEAD, KEYS, WARPGROUP>(tiles.key(n), keys + kvHead * HEAD, keyPitch, first, keyRows, threadIdx.x);
        filler.end(tiles.keyRing, n);
        filler.begin(tiles.valueRing, n);
        copyRows<HEAD, KEYS, WARPGROUP>(tiles.value(n), values + kvHead * HEAD, valuePitch, first, keyRows, threadIdx.x);
        filler.end(tiles.valueRing, n);
      }
    }
    filler.finish();
  }
};

// Copies by the copy engine, which one thread starts: whole tiles, so extents must be exact.
struct EngineCopies {
  static constexpr int ARRIVALS = 1;
  const TensorMap& queries; // in boxes of 64 rows
  const TensorMap& keys;    // in boxes of KEYS rows
  const TensorMap& values;

  template <int GROUPS, int STAGES, int KEYS>
  __device__ __forceinline__ void fill(
      const ForwardTiles<GROUPS, STAGES, KEYS>& tiles, const int4* items, int itemCount, int kvHeads, int sharing) const {
    if (threadIdx.x != 0) {
      return;
    }
    u32 n = 0;
    u32 number = 0;
    for (int i; (i = itemOf(number)) < itemCount * kvHeads; number++) {
      int4 item = items[i / kvHeads];
      int kvHead = i % kvHeads;
      u32 full = tiles.queryRing.full(number);
      tiles.queryRing.awaitEmpty(number);
      expect(full, GROUPS * TILE_BYTES);
#pragma unroll 1
      for (int group = 0; group < GROUPS; group++) {
        int index = item.x * GROUPS + group;
        copyBox(tiles.query(number, group), queries, (kvHead * sharing + index % sharing) * HEAD, index / sharing * ROW_TILE, full);
      }
      for (int first = item.y; first < item.z; first += KEYS, n++) {
        tiles.keyRing.awaitEmpty(n);
        expect(tiles.keyRing.full(n), tiles.KEY_BYTES);
        copyBox(tiles.key(n), keys, kvHead * HEAD, first, tiles.keyRing.full(n));
        tiles.valueRing.awaitEmpty(n);
        expect(tiles.valueRing.full(n), tiles.KEY_BYTES);
        copyBox(tiles.value(n), values, kvHead * HEAD, first, tiles.valueRing.full(n));
      }
    }
  }
};

// shared memory: ForwardTiles with their barriers
template <int GROUPS, int STAGES, int KEYS, class Copies>
__device__ __forceinline__ void hopperForward(
    const Copies& copies, Bf16* out, int outPitch, float* logSumExp, const int2* ranges, const Bounds* bounds, const int4* items,
    int itemCount, int rows, int paddedRows, int heads, int kvHeads, float scale) {
  extern __shared__ __align__(1024) unsigned char sharedTiles[];
  auto tiles = ForwardTiles<GROUPS, STAGES, KEYS>::at(sharedAddress(sharedTiles));
  const auto& queryRing = tiles.queryRing;
  const auto& keyRing = tiles.keyRing;
  const auto& valueRing = tiles.valueRing;
  int sharing = heads / kvHeads;
  if (threadIdx.x == 0) {
    queryRing.start(Copies::ARRIVALS, 4 * GROUPS);
    keyRing.start(Copies::ARRIVALS, 4 * GROUPS);
    valueRing.start(Copies::ARRIVALS, 4 * GROUPS);
    publishBarriers();
  }
  __syncthreads();
  if (threadIdx.x < WARPGROUP) {
    giveRegisters<GROUPS == 3 ? 32 : 24>();
    copies.fill(tiles, items, itemCount, kvHeads, sharing);
  } else {
    takeRegisters<GROUPS == 3 ? 160 : 240>();
    u32 n = 0; // tiles of keys so far
    u32 number = 0; // items so far
    int group = uniform(threadIdx.x / WARPGROUP) - 1;
    int lane = threadIdx.x % WARP;
    int warpRow = threadIdx.x % WARPGROUP / WARP * 16;
    float scaleLog2 = scale * LOG2_E;
    for (int i; (i = itemOf(number)) < itemCount * kvHeads; number++) {
      int4 item = items[i / kvHeads];
      Unit unit = Unit::of<KEYS>(item, i % kvHeads, sharing, GROUPS, group, bounds, paddedRows);
      int row = unit.row + warpRow + lane / 4;
      int2 range[2] = {make_int2(0, 0), make_int2(0, 0)};
      if (unit.row < paddedRows) {
        range[0] = ranges[row];
        range[1] = ranges[row + 8];
      }
      int turns = (item.z - item.y + KEYS - 1) / KEYS;
      u64 query = describe(tiles.query(number, group));
      float sum[HEAD / 8][4];
      clearFragment(sum);
      Softmax softmax;
      softmax.clear();
      queryRing.awaitFull(number);
#define PASS_TURN(turn)         \
  keyRing.awaitFull(n + turn);  \
  keyRing.release(n + turn);    \
  valueRing.awaitFull(n + turn); \
  valueRing.release(n + turn);
      for (int turn = 0; turn < unit.from; turn++) {
        PASS_TURN(turn)
      }
      if (unit.from < unit.to) {
        u32 weight[KEYS / 16][4];
        float rescale[2];
        {
          float score[KEYS / 8][4];
          keyRing.awaitFull(n + unit.from);
          beginProducts();
          multiplyRowsAsync(score, query, describe(tiles.key(n + unit.from)));
          commitProducts();
          awaitProducts<0>();
          hold(score);
          keyRing.release(n + unit.from);
          int first = item.y + unit.from * KEYS;
          if (!unit.bounds.seesAll(first, KEYS)) {
            maskScores(score, first, range);
          }
          softmax.weigh(score, scaleLog2, rescale);
          toOperand(weight, score);
        }
        for (int turn = unit.from + 1; turn < unit.to; turn++) {
          // the scores of this turn, and behind them the sums of the turn before; while those run, the weights of this turn
          float score[KEYS / 8][4];
          valueRing.awaitFull(n + turn - 1);
          keyRing.awaitFull(n + turn);
          hold(sum);
          beginProducts();
          multiplyRowsAsync(score, query, describe(tiles.key(n + turn)));
          commitProducts();
          multiplyColumnsAsync(sum, weight, describe(tiles.value(n + turn - 1)));
          commitProducts();
          awaitProducts<1>();
          hold(score);
          keyRing.release(n + turn);
          int first = item.y + turn * KEYS;
          if (!unit.bounds.seesAll(first, KEYS)) {
            maskScores(score, first, range);
          }
          softmax.weigh(score, scaleLog2, rescale);
          awaitProducts<0>();
          hold(sum);
          valueRing.release(n + turn - 1);
          scaleRows(sum, rescale);
          toOperand(weight, score);
        }
        valueRing.awaitFull(n + unit.to - 1);
        hold(sum);
        beginProducts();
        multiplyColumnsAsync(sum, weight, describe(tiles.value(n + unit.to - 1)));
        commitProducts();
        awaitProducts<0>();
        hold(sum);
        valueRing.release(n + unit.to - 1);
      }
      queryRing.release(number);
      for (int turn = unit.to; turn < turns; turn++) {
        PASS_TURN(turn)
      }
      n += turns;

      float factor[2];
#pragma unroll
      for (int half = 0; half < 2; half++) {
        float total = quadSum(softmax.total[half]);
        total = range[half].x < range[half].y ? total : 0.0f; // where the whole tile was seen nothing was masked
        factor[half] = total > 0.0f ? 1.0f / total : 0.0f;
        if (lane % 4 == 0 && row + 8 * half < rows) {
          logSumExp[(i64)(row + 8 * half) * heads + unit.head] =
              total > 0.0f ? fmaf(softmax.largest[half], scale, log2Fast(total) * LN_2) : -INFINITE;
        }
      }
      storeFragment<HEAD / 8>(
          out + (i64)(unit.row + warpRow) * outPitch + unit.head * HEAD, outPitch, sum, factor[0], factor[1], rows - unit.row - warpRow,
          false);
    }
  }
}

// ---- gradients

// shared memory: 2 x GROUPS tiles of queries, as many of dout, STAGES tiles of keys, as many of values, barriers
template <int GROUPS, int STAGES>
__device__ __forceinline__ void hopperQueryGradient(
    Bf16* dqueries, int dqueryPitch, const Bf16* queries, int queryPitch, const Bf16* keys, int keyPitch, const Bf16* values, int valuePitch,
    const Bf16* dout, int doutPitch, const float* statistics, const float* products, const int2* ranges, const Bounds* bounds,
    const int4* items, int itemCount, int bound, const int* count, int keyBound, const int* keyCount, int paddedRows, int heads, int kvHeads,
    float scale, Rotation rotation, float* dots) {
  constexpr int KEYS = 64;
  extern __shared__ __align__(1024) unsigned char sharedTiles[];
  u32 queryTiles = sharedAddress(sharedTiles);
  u32 doutTiles = queryTiles + 2 * GROUPS * TILE_BYTES;
  u32 keyTiles = doutTiles + 2 * GROUPS * TILE_BYTES;
  u32 valueTiles = keyTiles + STAGES * TILE_BYTES;
  Ring<2> queryRing = {valueTiles + STAGES * TILE_BYTES};
  Ring<STAGES> keyRing = {queryRing.barriers + Ring<2>::BYTES};
  int rows = rowsOf(bound, count);
  int sharing = heads / kvHeads;
  if (threadIdx.x == 0) {
    queryRing.start(WARPGROUP, 4 * GROUPS);
    keyRing.start(WARPGROUP, 4 * GROUPS);
  }
  __syncthreads();
  u32 n = 0;
  u32 number = 0;
  if (threadIdx.x < WARPGROUP) {
    giveRegisters<GROUPS == 3 ? 32 : 24>();
    int keyRows = rowsOf(keyBound, keyCount);
    Filler filler = {0};
    for (int i; (i = itemOf(number)) < itemCount * kvHeads; number++) {
      int4 item = items[i / kvHeads];
      int kvHead = i % kvHeads;
      filler.begin(queryRing, number);
#pragma unroll 1
      for (int group = 0; group < GROUPS; group++) {
        int index = item.x * GROUPS + group;
        int column = (kvHead * sharing + index % sharing) * HEAD;
        u32 place = (queryRing.place(number) * GROUPS + group) * TILE_BYTES;
        copyRows<HEAD, ROW_TILE, WARPGROUP>(
            queryTiles + place, queries + column, queryPitch, index / sharing * ROW_TILE, rows, threadIdx.x);
        copyRows<HEAD, ROW_TILE, WARPGROUP>(doutTiles + place, dout + column, doutPitch, index / sharing * ROW_TILE, rows, threadIdx.x);
      }
      filler.end(queryRing, number);
      for (int first = item.y; first < item.z; first += KEYS, n++) {
        filler.begin(keyRing, n);
        u32 place = keyRing.place(n) * TILE_BYTES;
        copyRows<HEAD, KEYS, WARPGROUP>(keyTiles + place, keys + kvHead * HEAD, keyPitch, first, keyRows, threadIdx.x);
        copyRows<HEAD, KEYS, WARPGROUP>(valueTiles + place, values + kvHead * HEAD, valuePitch, first, keyRows, threadIdx.x);
        filler.end(keyRing, n);
      }
    }
    filler.finish();
  } else {
    takeRegisters<GROUPS == 3 ? 160 : 240>();
    int group = uniform(threadIdx.x / WARPGROUP) - 1;
    int lane = threadIdx.x % WARP;
    int warpRow = threadIdx.x % WARPGROUP / WARP * 16;
    float scaleLog2 = scale * LOG2_E;
    for (int i; (i = itemOf(number)) < itemCount * kvHeads; number++) {
      int4 item = items[i / kvHeads];
      Unit unit = Unit::of<KEYS>(item, i % kvHeads, sharing, GROUPS, group, bounds, paddedRows);
      int row = unit.row + warpRow + lane / 4;
      int2 range[2] = {make_int2(0, 0), make_int2(0, 0)};
      float statistic[2] = {INFINITE, INFINITE};
      float product[2] = {0.0f, 0.0f};
      if (unit.row < paddedRows) {
        i64 at = (i64)unit.head * paddedRows + row;
#pragma unroll
        for (int half = 0; half < 2; half++) {
          range[half] = ranges[row + 8 * half];
          statistic[half] = statistics[at + 8 * half];
          product[half] = products[at + 8 * half];
        }
      }
      int turns = (item.z - item.y + KEYS - 1) / KEYS;
      u32 place = (queryRing.place(number) * GROUPS + group) * TILE_BYTES;
      u64 query = describe(queryTiles + place);
      u64 gradient = describe(doutTiles + place);
      float sum[HEAD / 8][4];
      clearFragment(sum);
      queryRing.awaitFull(number);
      for (int turn = 0; turn < unit.from; turn++) {
        keyRing.awaitFull(n + turn);
        keyRing.release(n + turn);
      }
      u32 dscore[KEYS / 16][4];
      for (int turn = unit.from; turn < unit.to; turn++) {
        float score[KEYS / 8][4];
        float dweight[KEYS / 8][4];
        keyRing.awaitFull(n + turn);
        u32 tile = keyRing.place(n + turn) * TILE_BYTES;
        beginProducts();
        multiplyRowsAsync(score, query, describe(keyTiles + tile));
        commitProducts();
        multiplyRowsAsync(dweight, gradient, describe(valueTiles + tile));
        commitProducts();
        if (turn > unit.from) {
          awaitProducts<2>(); // the sums of the turn before
          keyRing.release(n + turn - 1);
        }
        awaitProducts<1>();
        hold(score);
        int first = item.y + turn * KEYS;
        if (!unit.bounds.seesAll(first, KEYS)) {
          maskScores(score, first, range);
        }
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
          for (int c = 0; c < 4; c++) {
            score[j][c] = exp2Fast(fmaf(score[j][c], scaleLog2, -statistic[c / 2]));
          }
        }
        awaitProducts<0>();
        hold(dweight);
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
          for (int c = 0; c < 4; c++) {
            score[j][c] *= dweight[j][c] - product[c / 2];
          }
        }
        toOperand(dscore, score);
        hold(sum);
        beginProducts();
        multiplyColumnsAsync(sum, dscore, describe(keyTiles + tile));
        commitProducts();
      }
      awaitProducts<0>();
      hold(sum);
      if (unit.from < unit.to) {
        keyRing.release(n + unit.to - 1);
      }
      queryRing.release(number);
      for (int turn = unit.to; turn < turns; turn++) {
        keyRing.awaitFull(n + turn);
        keyRing.release(n + turn);
      }
      n += turns;
      int limit = rows - unit.row - warpRow;
      if (dots != nullptr && limit > 0) {
        float own[2];
        rowDots(own, sum, scale, queries + (i64)(unit.row + warpRow) * queryPitch + unit.head * HEAD, queryPitch, limit);
        storeDots(dots + (i64)unit.head * bound + unit.row + warpRow, own, limit);
      }
      Rotation::Own angles;
      rotation.load(angles, unit.row + warpRow, rows);
      rotation.turnBack(sum, angles);
      storeFragment<HEAD / 8>(
          dqueries + (i64)(unit.row + warpRow) * dqueryPitch + unit.head * HEAD, dqueryPitch, sum, scale, scale,
          rows - unit.row - warpRow, false);
    }
  }
}

// shared memory: 2 x GROUPS tiles of keys, as many of values, STAGES tiles of queries, as many of dout and of QueryRows, barriers
template <int GROUPS, int STAGES>
__device__ __forceinline__ void hopperKeyGradient(
    Bf16* dkeys, int dkeyPitch, Bf16* dvalues, int dvaluePitch, const Bf16* queries, int queryPitch, const Bf16* keys, int keyPitch,
    const Bf16* values, int valuePitch, const Bf16* dout, int doutPitch, const float* statistics, const float* products, const int2* ranges,
    const Bounds* bounds, const int4* items, int itemCount, int bound, const int* count, int keyBound, const int* keyCount, int paddedRows,
    int heads, int kvHeads, float scale, int accumulate, Rotation rotation, float* dots) {
  constexpr bool EARLY = GROUPS == 2; // registers suffice to calculate the weights' gradients beside the weights
  extern __shared__ __align__(1024) unsigned char sharedTiles[];
  u32 keyTiles = sharedAddress(sharedTiles);
  u32 valueTiles = keyTiles + 2 * GROUPS * TILE_BYTES;
  u32 queryTiles = valueTiles + 2 * GROUPS * TILE_BYTES;
  u32 doutTiles = queryTiles + STAGES * TILE_BYTES;
  QueryRows* queryRows = (QueryRows*)(sharedTiles + (4 * GROUPS + 2 * STAGES) * TILE_BYTES);
  Ring<2> keyRing = {sharedAddress(queryRows + STAGES)};
  Ring<STAGES> queryRing = {keyRing.barriers + Ring<2>::BYTES};
  int keyRows = rowsOf(keyBound, keyCount);
  int sharing = heads / kvHeads;
  if (threadIdx.x == 0) {
    keyRing.start(WARPGROUP, 4 * GROUPS);
    queryRing.start(WARPGROUP, 4 * GROUPS);
  }
  __syncthreads();
  u32 n = 0; // turns so far
  u32 number = 0; // items so far
  if (threadIdx.x < WARPGROUP) {
    giveRegisters<GROUPS == 3 ? 32 : 24>();
    int rows = rowsOf(bound, count);
    Filler filler = {0};
    for (int i; (i = itemOf(number)) < itemCount * kvHeads; number++) {
      int4 item = items[i / kvHeads];
      int kvHead = i % kvHeads;
      int firstKey = item.x * GROUPS * ROW_TILE;
      filler.begin(keyRing, number);
      u32 keyPlace = keyRing.place(number) * GROUPS * TILE_BYTES;
      copyRows<HEAD, GROUPS * ROW_TILE, WARPGROUP>(keyTiles + keyPlace, keys + kvHead * HEAD, keyPitch, firstKey, keyRows, threadIdx.x);
      copyRows<HEAD, GROUPS * ROW_TILE, WARPGROUP>(
          valueTiles + keyPlace, values + kvHead * HEAD, valuePitch, firstKey, keyRows, threadIdx.x);
      filler.end(keyRing, number);
      for (int head = kvHead * sharing; head < (kvHead + 1) * sharing; head++) {
        for (int tile = item.y; tile < item.z; tile++, n++) {
          int row = tile * ROW_TILE;
          filler.begin(queryRing, n);
          u32 place = queryRing.place(n) * TILE_BYTES;
          copyRows<HEAD, ROW_TILE, WARPGROUP>(queryTiles + place, queries + head * HEAD, queryPitch, row, rows, threadIdx.x);
          copyRows<HEAD, ROW_TILE, WARPGROUP>(doutTiles + place, dout + head * HEAD, doutPitch, row, rows, threadIdx.x);
          // 16 + 16 + 32 + 1 chunks
          u32 beside = sharedAddress(queryRows + queryRing.place(n));
          i64 at = (i64)head * paddedRows + row;
          int chunk = threadIdx.x;
          if (chunk < 16) {
            copyChunk(beside + 16 * chunk, statistics + at + 4 * chunk, true);
          } else if (chunk < 32) {
            copyChunk(beside + 16 * chunk, products + at + 4 * (chunk - 16), true);
          } else if (chunk < 64) {
            copyChunk(beside + 16 * chunk, ranges + row + 2 * (chunk - 32), true);
          } else if (chunk == 64) {
            copyChunk(beside + 16 * chunk, bounds + tile, true);
          }
          filler.end(queryRing, n);
        }
      }
    }
    filler.finish();
  } else {
    takeRegisters<GROUPS == 3 ? 160 : 240>();
    int group = uniform(threadIdx.x / WARPGROUP) - 1;
    int lane = threadIdx.x % WARP;
    int warpRow = threadIdx.x % WARPGROUP / WARP * 16;
    float scaleLog2 = scale * LOG2_E;
    for (int i; (i = itemOf(number)) < itemCount * kvHeads; number++) {
      int4 item = items[i / kvHeads];
      int kvHead = i % kvHeads;
      int firstKey = (item.x * GROUPS + group) * ROW_TILE;
      int key = firstKey + warpRow + lane / 4;
      int turns = (item.z - item.y) * sharing;
      u32 keyPlace = (keyRing.place(number) * GROUPS + group) * TILE_BYTES;
      u64 keyTile = describe(keyTiles + keyPlace);
      u64 valueTile = describe(valueTiles + keyPlace);
      float keySum[HEAD / 8][4];
      float valueSum[HEAD / 8][4];
      clearFragment(keySum);
      clearFragment(valueSum);
      keyRing.awaitFull(number);
      bool pending = false; // the sums of the turn before may be under way
      u32 weightOperand[ROW_TILE / 16][4];
      u32 dscoreOperand[ROW_TILE / 16][4];
      for (int turn = 0; turn < turns; turn++, n++) {
        queryRing.awaitFull(n);
        const QueryRows& beside = queryRows[queryRing.place(n)];
        Bounds seen = beside.bounds;
        if (!uniform(seen.sees(firstKey, ROW_TILE))) {
          if (pending) {
            awaitProducts<0>();
            queryRing.release(n - 1);
            pending = false;
          }
          queryRing.release(n);
          continue;
        }
        float weight[ROW_TILE / 8][4];
        float dweight[ROW_TILE / 8][4];
        u32 place = queryRing.place(n) * TILE_BYTES;
        u64 queryTile = describe(queryTiles + place);
        u64 doutTile = describe(doutTiles + place);
        beginProducts();
        multiplyRowsAsync(weight, keyTile, queryTile);
        commitProducts();
        if (pending) {
          awaitProducts<1>(); // the sums of the turn before: their operands' registers are needed
          queryRing.release(n - 1);
        }
        if constexpr (EARLY) {
          beginProducts();
          multiplyRowsAsync(dweight, valueTile, doutTile);
          commitProducts();
          awaitProducts<1>();
        } else {
          awaitProducts<0>();
        }
        hold(weight);
        const float* statistic = beside.statistic + 2 * (lane % 4);
#pragma unroll
        for (int j = 0; j < ROW_TILE / 8; j++) {
          float2 base = *(const float2*)(statistic + 8 * j);
          weight[j][0] = exp2Fast(fmaf(weight[j][0], scaleLog2, -base.x));
          weight[j][1] = exp2Fast(fmaf(weight[j][1], scaleLog2, -base.y));
          weight[j][2] = exp2Fast(fmaf(weight[j][2], scaleLog2, -base.x));
          weight[j][3] = exp2Fast(fmaf(weight[j][3], scaleLog2, -base.y));
        }
        if (!seen.seesAll(firstKey, ROW_TILE)) {
#pragma unroll
          for (int j = 0; j < ROW_TILE / 8; j++) {
            int4 pair = *(const int4*)(beside.range + 8 * j + 2 * (lane % 4));
            weight[j][0] = pair.x <= key && key < pair.y ? weight[j][0] : 0.0f;
            weight[j][1] = pair.z <= key && key < pair.w ? weight[j][1] : 0.0f;
            weight[j][2] = pair.x <= key + 8 && key + 8 < pair.y ? weight[j][2] : 0.0f;
            weight[j][3] = pair.z <= key + 8 && key + 8 < pair.w ? weight[j][3] : 0.0f;
          }
        }
        toOperand(weightOperand, weight);
        hold(valueSum);
        beginProducts();
        if constexpr (!EARLY) {
          multiplyRowsAsync(dweight, valueTile, doutTile);
          commitProducts();
        }
        multiplyColumnsAsync(valueSum, weightOperand, doutTile);
        commitProducts();
        awaitProducts<1>();
        hold(dweight);
        const float* product = beside.product + 2 * (lane % 4);
#pragma unroll
        for (int j = 0; j < ROW_TILE / 8; j++) {
          // the weights as they were rounded for the values: registers for both do not suffice
          float2 base = *(const float2*)(product + 8 * j);
          u32 upper = weightOperand[j / 2][j % 2 * 2];
          u32 lower = weightOperand[j / 2][j % 2 * 2 + 1];
          dscoreOperand[j / 2][j % 2 * 2] = packBf16(lowBf16(upper) * (dweight[j][0] - base.x), highBf16(upper) * (dweight[j][1] - base.y));
          dscoreOperand[j / 2][j % 2 * 2 + 1] =
              packBf16(lowBf16(lower) * (dweight[j][2] - base.x), highBf16(lower) * (dweight[j][3] - base.y));
        }
        hold(keySum);
        beginProducts();
        multiplyColumnsAsync(keySum, dscoreOperand, queryTile);
        commitProducts();
        pending = true;
      }
      awaitProducts<0>();
      hold(keySum);
      hold(valueSum);
      if (pending) {
        queryRing.release(n - 1);
      }
      keyRing.release(number);
      int limit = keyRows - firstKey - warpRow;
      if (dots != nullptr && limit > 0) {
        float own[2], more[2];
        rowDots(own, keySum, scale, keys + (i64)(firstKey + warpRow) * keyPitch + kvHead * HEAD, keyPitch, limit);
        rowDots(more, valueSum, 1.0f, values + (i64)(firstKey + warpRow) * valuePitch + kvHead * HEAD, valuePitch, limit);
        own[0] += more[0];
        own[1] += more[1];
        storeDots(dots + (i64)(heads + kvHead) * bound + firstKey + warpRow, own, limit);
      }
      Rotation::Own angles;
      rotation.load(angles, firstKey + warpRow, keyRows);
      rotation.turnBack(keySum, angles);
      storeFragment<HEAD / 8>(
          dkeys + (i64)(firstKey + warpRow) * dkeyPitch + kvHead * HEAD, dkeyPitch, keySum, scale, scale, limit, accumulate);
      storeFragment<HEAD / 8>(
          dvalues + (i64)(firstKey + warpRow) * dvaluePitch + kvHead * HEAD, dvaluePitch, valueSum, 1.0f, 1.0f, limit, accumulate);
    }
  }
}

#define ON_HOPPER(call) call
#else
#define ON_HOPPER(call)
#endif

// ---- kernels

// clang-format off
#define HOPPER_FORWARD(name, THREADS, GROUPS, STAGES, KEYS)                                                                            \
  extern "C" __global__ void __launch_bounds__(THREADS, 1) name(                                                                       \
      Bf16* out, int outPitch, float* logSumExp, const Bf16* queries, int queryPitch, const Bf16* keys, int keyPitch,                  \
      const Bf16* values, int valuePitch, const int2* ranges, const Bounds* bounds, const int4* items, int itemCount, int bound,        \
      const int* count, int keyBound, const int* keyCount, int paddedRows, int heads, int kvHeads, float scale) {                      \
    ON_HOPPER((hopperForward<GROUPS, STAGES, KEYS>(                                                                                    \
        ThreadCopies{queries, queryPitch, keys, keyPitch, values, valuePitch, rowsOf(bound, count), rowsOf(keyBound, keyCount)}, out,  \
        outPitch, logSumExp, ranges, bounds, items, itemCount, rowsOf(bound, count), paddedRows, heads, kvHeads, scale)));             \
  }
#define HOPPER_FORWARD_OF_EXACT(name, THREADS, GROUPS, STAGES, KEYS)                                                                   \
  extern "C" __global__ void __launch_bounds__(THREADS, 1) name(const __grid_constant__ ForwardArguments a) {                          \
    ON_HOPPER((hopperForward<GROUPS, STAGES, KEYS>(                                                                                    \
        EngineCopies{a.queries, a.keys, a.values}, a.out, (int)a.outPitch, a.logSumExp, a.ranges, a.bounds, a.items, (int)a.itemCount, \
        (int)a.rows, (int)a.paddedRows, (int)a.heads, (int)a.kvHeads, a.scale)));                                                      \
  }
#define HOPPER_QUERY_GRADIENT(name, THREADS, GROUPS, STAGES)                                                                           \
  extern "C" __global__ void __launch_bounds__(THREADS, 1) name(                                                                       \
      Bf16* dqueries, int dqueryPitch, const Bf16* queries, int queryPitch, const Bf16* keys, int keyPitch, const Bf16* values,        \
      int valuePitch, const Bf16* dout, int doutPitch, const float* statistics, const float* products, const int2* ranges,             \
      const Bounds* bounds, const int4* items, int itemCount, int bound, const int* count, int keyBound, const int* keyCount,          \
      int paddedRows, int heads, int kvHeads, float scale, const float4* angles, float* dots) {                                                     \
    ON_HOPPER((hopperQueryGradient<GROUPS, STAGES>(dqueries, dqueryPitch, queries, queryPitch, keys, keyPitch, values, valuePitch,     \
        dout, doutPitch, statistics, products, ranges, bounds, items, itemCount, bound, count, keyBound, keyCount, paddedRows, heads,  \
        kvHeads, scale, {angles}, dots)));                                                                                                   \
  }
#define HOPPER_KEY_GRADIENT(name, THREADS, GROUPS, STAGES)                                                                             \
  extern "C" __global__ void __launch_bounds__(THREADS, 1) name(                                                                       \
      Bf16* dkeys, int dkeyPitch, Bf16* dvalues, int dvaluePitch, const Bf16* queries, int queryPitch, const Bf16* keys,               \
      int keyPitch, const Bf16* values, int valuePitch, const Bf16* dout, int doutPitch, const float* statistics,                      \
      const float* products, const int2* ranges, const Bounds* bounds, const int4* items, int itemCount, int bound,                    \
      const int* count, int keyBound, const int* keyCount, int paddedRows, int heads, int kvHeads, float scale, int accumulate, const float4* angles, float* dots) {\
    ON_HOPPER((hopperKeyGradient<GROUPS, STAGES>(dkeys, dkeyPitch, dvalues, dvaluePitch, queries, queryPitch, keys, keyPitch, values,  \
        valuePitch, dout, doutPitch, statistics, products, ranges, bounds, items, itemCount, bound, count, keyBound, keyCount,         \
        paddedRows, heads, kvHeads, scale, accumulate, {angles}, dots)));                                                                    \
  }
// clang-format on

HOPPER_FORWARD(flashHopperForward, 512, 3, 2, 128)
HOPPER_FORWARD_OF_EXACT(flashHopperForwardOfExact, 512, 3, 3, 128)
HOPPER_QUERY_GRADIENT(flashHopperQueryGradient, 512, 3, 4)
HOPPER_KEY_GRADIENT(flashHopperKeyGradient, 512, 3, 4)
