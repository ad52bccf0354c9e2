// Attention over ranges of key rows in bfloat16 for heads of 64 on Hopper (compute capability 9.0): wgmma on tiles in shared memory that one
// warpgroup copies ahead of those that compute. Elsewhere the kernels are empty; flash.cu has the same for every card.
//
// A block stays on its multiprocessor and takes items from a list, the longest first. Each of its computing warpgroups owns 64 query rows of
// one head (or 64 key rows): neighbouring warpgroups take the heads that share a key head first, then the next rows, so that a tile of keys is
// copied once for all heads that read it. A warpgroup passes over turns outside its own rows' ranges.
//
// Sums are owned by one warpgroup and made in the order of keys (or heads and queries), so the same call gives the same bits.
#include "hopper.cuh"

#define HEAD 64
#define TILE_BYTES (ROW_TILE * HEAD * 2) // of 64 rows

// ---- the plan of a batch

// What an item has to do with a tile of query rows.
struct Share {
  u32 word;

  static constexpr u32 NONE = 0;

  __device__ __forceinline__ bool sees(int group) const { return word >> group & 1; } // of 64 keys
  __device__ __forceinline__ bool adds() const { return word != NONE; }
  __device__ __forceinline__ bool isLast() const { return word >> 7 & 1; } // to add to the tile's sums
  __device__ __forceinline__ u32 before() const { return word >> 8; }      // items that add before
};

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

#define KEY_ITEM 192

// Of the gradients in one pass. Tensors have no counted extents: the copy engine brings whole tiles, and what lay behind a count could be anything.
struct GradientArguments {
  TensorMap queries; // in boxes of 64 rows
  TensorMap keys;    // in boxes of KEY_ITEM rows
  TensorMap values;
  TensorMap dout; // as queries
  Bf16* dqueries;
  i64 dqueryPitch;
  Bf16* dkeys;
  i64 dkeyPitch;
  Bf16* dvalues;
  i64 dvaluePitch;
  const float* statistics;
  const float* products;
  const int2* ranges;
  const Bounds* bounds;
  const int4* items; // from flashKeyPlan, as itemCount and shares
  const int* itemCount;
  const Share* shares;
  i64 shareItems;
  float4* sums; // [tiles, heads] fragments of 64 x 64 numbers
  u32* added;   // [tiles, key heads], 0 before and after
  u32* taken;   // two, 0 before and after
  i64 rows;
  i64 keyRows;
  i64 paddedRows;
  i64 heads;
  i64 kvHeads;
  float scale;
  int unused;
  i64 accumulate;
  const float4* angles;
  const Bf16* queryRows; // [rows, heads x 64], as queries
  const Bf16* keyRowsAt; // [keyRows, kvHeads x 64], as keys
  const Bf16* valueRows;
  float* dots; // [heads + kvHeads, rows], see rowDots; or null
};

// The list of items for the gradients in one pass, by one block: up to KEY_ITEM keys each, cut where sequences begin so that no item has keys of
// one that goes on and of the next; ordered by how many tiles of query rows see them, then by their keys, which is the order in which sums of queries'
// gradients are made. items: (first key, end of keys, first tile, end of tiles) with the first tile as ~ where it is to come second, and
// (item in the order of keys, first and end of the tiles to which it may be the last to add, -). shares: [tiles, itemBound].
// inside: keys + 1 numbers; starts: a bit a key; keyItems: 4 x itemBound numbers; itemBound: 3 x ceil(keys / KEY_ITEM) + 3.
extern "C" __global__ void __launch_bounds__(1024) flashKeyPlan(
    int4* items, int* itemCount, Share* shares, int itemBound, int* inside, u32* starts, int* keyItems, int2* tileItems, const int* start,
    const int* end, const Bounds* bounds, int rows, int keys, int tiles) {
  __shared__ int warpSums[WARP];
  __shared__ int count;
  int* firstKeys = keyItems; // with the sign that says that a sequence begins
  int* lowTiles = keyItems + itemBound;
  int* highTiles = keyItems + 2 * itemBound;
  int* ranks = keyItems + 3 * itemBound;
  int lane = threadIdx.x % WARP;
  int words = keys / 32 + 1;
  for (int i = threadIdx.x; i <= keys; i += 1024) {
    inside[i] = 0;
  }
  for (int i = threadIdx.x; i < words; i += 1024) {
    starts[i] = 0;
  }
  for (i64 i = threadIdx.x; i < (i64)tiles * itemBound; i += 1024) {
    shares[i].word = Share::NONE;
  }
  for (int i = threadIdx.x; i < itemBound; i += 1024) {
    lowTiles[i] = 0x7fffffff;
    highTiles[i] = 0;
  }
  __syncthreads();
  // how many rows see both a key and the one before
  for (int row = threadIdx.x; row < rows; row += 1024) {
    int2 range = rangeOf(start, end, row, rows);
    if (range.x < range.y) {
      atomicAdd(&inside[range.x + 1], 1); // of integers
      atomicSub(&inside[range.y], 1);     // of integers
    }
  }
  __syncthreads();
  int chunk = (keys + 1024) / 1024;
  int from = min(keys + 1, (int)threadIdx.x * chunk);
  int to = min(keys + 1, from + chunk);
  int own = 0;
  for (int i = from; i < to; i++) {
    own += inside[i];
  }
  int sum = own;
#pragma unroll
  for (int distance = 1; distance < WARP; distance *= 2) {
    int below = __shfl_up_sync(FULL_MASK, sum, distance);
    sum += lane >= distance ? below : 0;
  }
  if (lane == WARP - 1) {
    warpSums[threadIdx.x / WARP] = sum;
  }
  __syncthreads();
  int before = sum - own;
  for (int warp = 0; warp < threadIdx.x / WARP; warp++) {
    before += warpSums[warp];
  }
  for (int i = from; i < to; i++) {
    before += inside[i];
    inside[i] = before;
  }
  __syncthreads();
  for (int row = threadIdx.x; row < rows; row += 1024) {
    int2 range = rangeOf(start, end, row, rows);
    if (range.x < range.y && inside[range.x] == 0) {
      atomicOr(&starts[range.x / 32], 1u << range.x % 32); // bits
    }
  }
  __syncthreads();
  if (threadIdx.x < WARP) {
    int n = 0;
    for (int x = 0; x < keys; n++) {
      bool begins = x == 0 || starts[x / 32] >> x % 32 & 1;
      int limit = min(keys, x + KEY_ITEM);
      int word = x / 32 + lane;
      u32 bits = word < words && word * 32 <= limit ? starts[word] : 0;
      if (lane == 0) {
        bits &= x % 32 == 31 ? 0 : 0xfffffffeu << x % 32; // behind x
      }
      int above = limit - word * 32; // the last that may be
      bits &= above >= 31 ? 0xffffffffu : above < 0 ? 0 : (2u << above) - 1;
      u32 any = __ballot_sync(FULL_MASK, bits != 0);
      int next = limit;
      if (any != 0) {
        int chosen = begins ? 31 - __clz(any) : __ffs(any) - 1;
        u32 theirs = __shfl_sync(FULL_MASK, bits, chosen);
        next = (x / 32 + chosen) * 32 + (begins ? 31 - __clz(theirs) : __ffs(theirs) - 1);
      }
      if (lane == 0) {
        firstKeys[n] = begins ? ~x : x;
      }
      x = next;
    }
    if (lane == 0) {
      count = n;
      *itemCount = n;
    }
  }
  __syncthreads();
  int n = count;
  auto firstKey = [&](int item) { return item == n ? keys : firstKeys[item] < 0 ? ~firstKeys[item] : firstKeys[item]; };
  auto itemOfKey = [&](int key) {
    int low = 0;
    for (int high = n; high - low > 1;) {
      int middle = (low + high) / 2;
      bool right = firstKey(middle) <= key;
      low = right ? middle : low;
      high = right ? high : middle;
    }
    return low;
  };
  for (int tile = threadIdx.x; tile < tiles; tile += 1024) {
    Bounds seen = bounds[tile];
    int2 range = make_int2(0, 0);
    if (seen.leastStart < seen.mostEnd) {
      range = make_int2(itemOfKey(seen.leastStart), itemOfKey(seen.mostEnd - 1) + 1);
    }
    tileItems[tile] = range;
    for (int item = range.x; item < range.y; item++) {
      atomicMin(&lowTiles[item], tile);
      atomicMax(&highTiles[item], tile + 1);
    }
  }
  __syncthreads();
  for (int item = threadIdx.x; item < n; item += 1024) {
    int work = max(1, highTiles[item] - lowTiles[item]);
    int rank = 0;
    for (int other = 0; other < n; other++) {
      int theirs = max(1, highTiles[other] - lowTiles[other]);
      rank += theirs > work || (theirs == work && other < item);
    }
    ranks[item] = rank;
    int low = lowTiles[item];
    int high = highTiles[item];
    if (low >= high) { // nobody sees it: a tile that adds nothing, so that its gradients are written
      low = 0;
      high = 1;
    }
    int first = firstKey(item);
    bool early = firstKeys[item] < 0 && bounds[low].leastStart < first;
    items[2 * rank] = make_int4(first, firstKey(item + 1), early ? ~low : low, high);
    items[2 * rank + 1] = make_int4(item, 0x7fffffff, 0, 0);
  }
  __syncthreads();
  for (int tile = threadIdx.x / WARP; tile < tiles; tile += 1024 / WARP) {
    int2 range = tileItems[tile];
    Bounds seen = bounds[tile];
    for (int item = range.x + lane; item < range.y; item += WARP) {
      int rank = ranks[item];
      int earlier = 0;
      for (int other = range.x; other < range.y; other++) {
        earlier += ranks[other] < rank;
      }
      bool last = earlier == range.y - range.x - 1;
      u32 word = (u32)earlier << 8 | (last ? 128u : 0);
      for (int group = 0; group < KEY_ITEM / ROW_TILE; group++) {
        int first = firstKey(item) + group * ROW_TILE;
        int keysOfGroup = min(ROW_TILE, firstKey(item + 1) - first);
        word |= keysOfGroup > 0 && seen.sees(first, keysOfGroup) ? 1u << group : 0;
      }
      shares[(i64)tile * itemBound + item].word = word;
      if (last) {
        atomicMin(&items[2 * rank + 1].y, tile); // of integers
        atomicMax(&items[2 * rank + 1].z, tile + 1); // of integers
      }
    }
  }
  __syncthreads();
  for (int item = threadIdx.x; item < n; item += 1024) {
    if (items[2 * item + 1].z == 0) {
      items[2 * item + 1].y = 0;
    }
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

// ---- wgmma

// clang-format off
// d [64, 128] (+)= a [64, 16] @ transpose(b [128, 16]), both in shared memory; with add 0 d is set
__device__ __forceinline__ void multiplyAsync(float (&d)[16][4], u64 a, u64 b, int add) {
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "setp.ne.b32 p, %66, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, "
      "%26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, "
      "%50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
      "}, %64, %65, p, 1, 1, 0, 0;\n"
      "}\n"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]),
        "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]),
        "+f"(d[5][0]), "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]), "+f"(d[7][0]), "+f"(d[7][1]),
        "+f"(d[7][2]), "+f"(d[7][3]), "+f"(d[8][0]), "+f"(d[8][1]), "+f"(d[8][2]), "+f"(d[8][3]), "+f"(d[9][0]), "+f"(d[9][1]), "+f"(d[9][2]), "+f"(d[9][3]),
        "+f"(d[10][0]), "+f"(d[10][1]), "+f"(d[10][2]), "+f"(d[10][3]), "+f"(d[11][0]), "+f"(d[11][1]), "+f"(d[11][2]), "+f"(d[11][3]), "+f"(d[12][0]),
        "+f"(d[12][1]), "+f"(d[12][2]), "+f"(d[12][3]), "+f"(d[13][0]), "+f"(d[13][1]), "+f"(d[13][2]), "+f"(d[13][3]), "+f"(d[14][0]), "+f"(d[14][1]),
        "+f"(d[14][2]), "+f"(d[14][3]), "+f"(d[15][0]), "+f"(d[15][1]), "+f"(d[15][2]), "+f"(d[15][3])
      : "l"(a), "l"(b), "r"(add));
}

// d [64, 64] (+)= a [64, 16] @ transpose(b [64, 16]), both in shared memory; with add 0 d is set
__device__ __forceinline__ void multiplyAsync(float (&d)[8][4], u64 a, u64 b, int add) {
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "setp.ne.b32 p, %34, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, "
      "%26, %27, %28, %29, %30, %31"
      "}, %32, %33, p, 1, 1, 0, 0;\n"
      "}\n"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]),
        "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]),
        "+f"(d[5][0]), "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]), "+f"(d[7][0]), "+f"(d[7][1]),
        "+f"(d[7][2]), "+f"(d[7][3])
      : "l"(a), "l"(b), "r"(add));
}

// d [64, 64] (+)= transpose(a [16, 64]) @ b [16, 64], both in shared memory; with add 0 d is set
__device__ __forceinline__ void multiplyAcrossAsync(float (&d)[8][4], u64 a, u64 b, int add) {
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "setp.ne.b32 p, %34, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, "
      "%26, %27, %28, %29, %30, %31"
      "}, %32, %33, p, 1, 1, 1, 1;\n"
      "}\n"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]),
        "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]),
        "+f"(d[5][0]), "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]), "+f"(d[7][0]), "+f"(d[7][1]),
        "+f"(d[7][2]), "+f"(d[7][3])
      : "l"(a), "l"(b), "r"(add));
}

// d [64, 64] += a [64, 16] in registers @ b [16, 64] in shared memory
__device__ __forceinline__ void multiplyAsync(float (&d)[8][4], const u32 (&a)[4], u64 b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, "
      "%26, %27, %28, %29, %30, %31"
      "}, {%32, %33, %34, %35}, %36, 1, 1, 1, 1;\n"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]),
        "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]),
        "+f"(d[5][0]), "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]), "+f"(d[7][0]), "+f"(d[7][1]),
        "+f"(d[7][2]), "+f"(d[7][3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
// clang-format on

// d [64, 8 GROUPS] = rows of a @ transpose(rows of b), 64 deep
template <int GROUPS>
__device__ __forceinline__ void multiplyRowsAsync(float (&d)[GROUPS][4], u64 a, u64 b) {
#pragma unroll
  for (int k = 0; k < HEAD / 16; k++) {
    multiplyAsync(d, a + 2 * k, b + 2 * k, k != 0); // 16 elements are 32 bytes
  }
}

// d [64, 64] += a [64, 8 GROUPS] @ tile [8 GROUPS, 64]
template <int STEPS>
__device__ __forceinline__ void multiplyColumnsAsync(float (&d)[HEAD / 8][4], const u32 (&a)[STEPS][4], u64 tile) {
#pragma unroll
  for (int k = 0; k < STEPS; k++) {
    multiplyAsync(d, a[k], tile + 128 * k); // 16 rows are 2048 bytes
  }
}

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

// shared memory: 2 x GROUPS tiles of queries, STAGES tiles of keys, as many of values, barriers
template <int GROUPS, int STAGES, int KEYS>
__device__ __forceinline__ void hopperForward(
    Bf16* out, int outPitch, float* logSumExp, const Bf16* queries, int queryPitch, const Bf16* keys, int keyPitch, const Bf16* values,
    int valuePitch, const int2* ranges, const Bounds* bounds, const int4* items, int itemCount, int bound, const int* count, int keyBound,
    const int* keyCount, int paddedRows, int heads, int kvHeads, float scale) {
  constexpr int KEY_BYTES = KEYS * HEAD * 2;
  extern __shared__ __align__(1024) unsigned char sharedTiles[];
  u32 queryTiles = sharedAddress(sharedTiles);
  u32 keyTiles = queryTiles + 2 * GROUPS * TILE_BYTES;
  u32 valueTiles = keyTiles + STAGES * KEY_BYTES;
  Ring<2> queryRing = {valueTiles + STAGES * KEY_BYTES};
  Ring<STAGES> keyRing = {queryRing.barriers + Ring<2>::BYTES};
  Ring<STAGES> valueRing = {keyRing.barriers + Ring<STAGES>::BYTES};
  int rows = rowsOf(bound, count);
  int sharing = heads / kvHeads;
  if (threadIdx.x == 0) {
    queryRing.start(WARPGROUP, 4 * GROUPS);
    keyRing.start(WARPGROUP, 4 * GROUPS);
    valueRing.start(WARPGROUP, 4 * GROUPS);
  }
  __syncthreads();
  u32 n = 0; // tiles of keys so far
  u32 number = 0; // items so far
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
        copyRows<HEAD, ROW_TILE, WARPGROUP>(
            queryTiles + (queryRing.place(number) * GROUPS + group) * TILE_BYTES, queries + (kvHead * sharing + index % sharing) * HEAD,
            queryPitch, index / sharing * ROW_TILE, rows, threadIdx.x);
      }
      filler.end(queryRing, number);
      for (int first = item.y; first < item.z; first += KEYS, n++) {
        filler.begin(keyRing, n);
        copyRows<HEAD, KEYS, WARPGROUP>(
            keyTiles + keyRing.place(n) * KEY_BYTES, keys + kvHead * HEAD, keyPitch, first, keyRows, threadIdx.x);
        filler.end(keyRing, n);
        filler.begin(valueRing, n);
        copyRows<HEAD, KEYS, WARPGROUP>(
            valueTiles + valueRing.place(n) * KEY_BYTES, values + kvHead * HEAD, valuePitch, first, keyRows, threadIdx.x);
        filler.end(valueRing, n);
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
      if (unit.row < paddedRows) {
        range[0] = ranges[row];
        range[1] = ranges[row + 8];
      }
      int turns = (item.z - item.y + KEYS - 1) / KEYS;
      u64 query = describe(queryTiles + (queryRing.place(number) * GROUPS + group) * TILE_BYTES);
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
          multiplyRowsAsync(score, query, describe(keyTiles + keyRing.place(n + unit.from) * KEY_BYTES));
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
          multiplyRowsAsync(score, query, describe(keyTiles + keyRing.place(n + turn) * KEY_BYTES));
          commitProducts();
          multiplyColumnsAsync(sum, weight, describe(valueTiles + valueRing.place(n + turn - 1) * KEY_BYTES));
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
        multiplyColumnsAsync(sum, weight, describe(valueTiles + valueRing.place(n + unit.to - 1) * KEY_BYTES));
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

// What the gradients of rotated rows are rotated back by, so that they are those of the rows before: cosine and sine of each row's 32 angles as
// rotationAngles has them, for two neighbouring pairs at a time; a head's pairs are columns i and i + 32. Null where nothing was rotated.
struct Rotation {
  const float4* angles;

  typedef float4 Own[2][HEAD / 16]; // of a thread's two rows

  // For a warp's 16 rows from firstRow on.
  __device__ __forceinline__ void load(Own& own, int firstRow, int rows) const {
    if (angles == nullptr) {
      return;
    }
    int lane = threadIdx.x % WARP;
#pragma unroll
    for (int half = 0; half < 2; half++) {
      int row = min(firstRow + lane / 4 + 8 * half, rows - 1);
#pragma unroll
      for (int group = 0; group < HEAD / 16; group++) {
        own[half][group] = __ldg(angles + (i64)row * (HEAD / 4) + 4 * group + lane % 4);
      }
    }
  }

  __device__ __forceinline__ void turnBack(float (&fragment)[HEAD / 8][4], const Own& own) const {
    if (angles == nullptr) {
      return;
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
#pragma unroll
      for (int group = 0; group < HEAD / 16; group++) {
        float4 angle = own[half][group];
        turnPair(fragment[group][2 * half], fragment[group + HEAD / 16][2 * half], angle.x, angle.y);
        turnPair(fragment[group][2 * half + 1], fragment[group + HEAD / 16][2 * half + 1], angle.z, angle.w);
      }
    }
  }

  // As load and turnBack, with fewer registers.
  __device__ __forceinline__ void loadAndTurnBack(float (&fragment)[HEAD / 8][4], int firstRow, int rows) const {
    if (angles == nullptr) {
      return;
    }
    int lane = threadIdx.x % WARP;
#pragma unroll
    for (int half = 0; half < 2; half++) {
      int row = min(firstRow + lane / 4 + 8 * half, rows - 1);
#pragma unroll
      for (int group = 0; group < HEAD / 16; group++) {
        float4 angle = __ldg(angles + (i64)row * (HEAD / 4) + 4 * group + lane % 4);
        turnPair(fragment[group][2 * half], fragment[group + HEAD / 16][2 * half], angle.x, angle.y);
        turnPair(fragment[group][2 * half + 1], fragment[group + HEAD / 16][2 * half + 1], angle.z, angle.w);
      }
    }
  }

  static __device__ __forceinline__ void turnPair(float& low, float& high, float cosine, float sine) {
    float turned = low * cosine + high * sine;
    high = high * cosine - low * sine;
    low = turned;
  }
};

// shared memory: 2 x GROUPS tiles of queries, as many of dout, STAGES tiles of keys, as many of values, barriers
// Of two of a warp's 16 rows the sum over a head of a gradient times what it is the gradient of: what a norm's gradient before the projections needs
// of it, and the same before and after the rotation.
__device__ __forceinline__ void rowDots(
    float (&dots)[2], const float (&fragment)[HEAD / 8][4], float factor, const Bf16* beside, int pitch, int limit) {
  int lane = threadIdx.x % WARP;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    int row = lane / 4 + 8 * half;
    const Bf16* own = beside + (i64)min(row, limit - 1) * pitch + 2 * (lane % 4);
    float sum = 0.0f;
#pragma unroll
    for (int group = 0; group < HEAD / 8; group++) {
      u32 pair = *(const u32*)(own + 8 * group);
      sum = fmaf(fragment[group][2 * half], lowBf16(pair), sum);
      sum = fmaf(fragment[group][2 * half + 1], highBf16(pair), sum);
    }
    dots[half] = quadSum(sum) * factor;
  }
}

__device__ __forceinline__ void storeDots(float* to, const float (&dots)[2], int limit) {
  int lane = threadIdx.x % WARP;
  if (lane % 4 == 0) {
    if (lane / 4 < limit) {
      to[lane / 4] = dots[0];
    }
    if (lane / 4 + 8 < limit) {
      to[lane / 4 + 8] = dots[1];
    }
  }
}

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

// What a turn of the key gradients needs beside its tiles, in shared memory.
struct QueryRows {
  float statistic[ROW_TILE];
  float product[ROW_TILE];
  int2 range[ROW_TILE];
  Bounds bounds;
};

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

// ---- gradients in one pass

// Keys of one key head, and the tiles of query rows that see them.
struct KeyWork {
  int firstKey;
  int endKey;
  int lowTile;
  int highTile;
  int lowEarly; // whether the lowest tile comes second
  int kvHead;   // -1: there is no more work
  int item;     // in the order of keys
  int lowFinal; // tiles of which this item may be the last to add
  int highFinal;

  __device__ __forceinline__ int tile(int index) const {
    return lowEarly && index > 0 ? index == 1 ? lowTile : highTile - index : highTile - 1 - index;
  }
};

// The turns of a block one after the other: tiles from the last to the first, the heads that share the key head for each.
struct Turns {
  int index; // of the tile
  int head;  // of those that share the key head

  __device__ __forceinline__ bool advance(const KeyWork& work, int sharing) {
    if (++head == sharing) {
      head = 0;
      index++;
    }
    return index < work.highTile - work.lowTile;
  }
};

// Where the gradients of queries are added up: partial sums [tile, head] of fragments [8, WARPGROUP] of 16 bytes, and how many have been added to
// each, 0 before and after.
struct QuerySums {
  float4* sums;
  u32* added; // [tile, key head]: after the last of the heads that share it

  static constexpr int BYTES = ROW_TILE * HEAD * 4;

  __device__ __forceinline__ float4* of(int place) const { return sums + (i64)place * (BYTES / 16); }
};

__device__ __forceinline__ u32 readCount(const u32* counter) {
  u32 value;
  asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(counter) : "memory");
  return value;
}

__device__ __forceinline__ void writeCount(u32* counter, u32 value) {
  asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(counter), "r"(value) : "memory");
}

// Between a count that was read and what it counts, and between what was added and the count that says so.
__device__ __forceinline__ void orderCounts() {
  asm volatile("fence.acq_rel.gpu;" ::: "memory");
}

// Shared memory to global memory, or added to what is there as float32; by the copy engine.
__device__ __forceinline__ void storeBulk(float4* to, u32 from, int bytes) {
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(to), "r"(from), "r"(bytes) : "memory");
}

__device__ __forceinline__ void addBulk(float4* to, u32 from, int bytes) {
  asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%0], [%1], %2;" ::"l"(to), "r"(from), "r"(bytes) : "memory");
}

// Waits until this thread's stores and additions are done and seen.
__device__ __forceinline__ void awaitBulk() {
  asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
}

// Global memory to shared memory: 16 bytes or a multiple.
__device__ __forceinline__ void copyBulk(u32 to, const void* from, int bytes, u32 barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to), "l"(from), "r"(bytes), "r"(barrier)
      : "memory");
}

__device__ __forceinline__ void storeShared(u32 address, const float (&value)[4]) {
  asm volatile("st.shared.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(address), "f"(value[0]), "f"(value[1]), "f"(value[2]), "f"(value[3])
               : "memory");
}

// A block takes 64 GROUPS keys of a key head at a time, in the order of a list, and goes over the query rows that see them. GROUPS warpgroups own 64
// keys each: they make the weights and their gradients, add up the gradients of keys and values in registers, and leave those of the scores in
// shared memory. The first warpgroup copies tiles for them, multiplies the scores' gradients of all keys by the keys, and adds that to the sums of the
// queries' gradients in the order of the list; who adds last writes the result. So a sum's order depends on the plan alone, and what is waited
// for has been taken before by a block that waits for nothing later.
//
// A turn's arrivals in dscoreRing say that everybody is done with the turn before and, in an item's first turn, with the item before: nothing
// else guards the other places.
//
// shared memory: 2 x GROUPS tiles of keys, as many of values, STAGES tiles of queries, as many of dout, DSCORES x GROUPS of the scores' gradients, STAGES
// QueryRows, 2 KeyWorks, barriers
__device__ __forceinline__ void hopperGradient(const GradientArguments& arguments) {
  constexpr int GROUPS = KEY_ITEM / ROW_TILE;
  constexpr int STAGES = 4;
  constexpr int DSCORES = 2;
  const int4* items = arguments.items;
  const Share* shares = arguments.shares;
  i64 shareItems = arguments.shareItems;
  QuerySums querySums = {arguments.sums, arguments.added};
  Rotation rotation = {arguments.angles};
  int paddedRows = (int)arguments.paddedRows;
  int heads = (int)arguments.heads;
  int kvHeads = (int)arguments.kvHeads;
  int keyRows = (int)arguments.keyRows;
  int rows = (int)arguments.rows;
  float scale = arguments.scale;
  extern __shared__ __align__(1024) unsigned char sharedTiles[];
  u32 keyTiles = sharedAddress(sharedTiles);
  u32 valueTiles = keyTiles + 2 * GROUPS * TILE_BYTES;
  u32 queryTiles = valueTiles + 2 * GROUPS * TILE_BYTES;
  u32 doutTiles = queryTiles + STAGES * TILE_BYTES;
  u32 dscoreTiles = doutTiles + STAGES * TILE_BYTES;
  QueryRows* queryRows = (QueryRows*)(sharedTiles + ((4 + DSCORES) * GROUPS + 2 * STAGES) * TILE_BYTES);
  KeyWork* works = (KeyWork*)(queryRows + STAGES);
  Ring<2> keyRing = {sharedAddress(works + 2)};
  Ring<STAGES> queryRing = {keyRing.barriers + Ring<2>::BYTES};
  Ring<DSCORES> dscoreRing = {queryRing.barriers + Ring<STAGES>::BYTES};
  u32 sumsDone = dscoreRing.barriers + Ring<DSCORES>::BYTES; // an item's additions
  int sharing = heads / kvHeads;
  if (threadIdx.x == 0) {
    initialize(sumsDone, 1);
    keyRing.start(1, 1);
    queryRing.start(1, 1);
    dscoreRing.start(4 * GROUPS, 1);
    publishBarriers();
  }
  __syncthreads();
  u32 n = 0; // turns so far
  if (threadIdx.x < WARPGROUP) {
    giveRegisters<80>();
    int total = *arguments.itemCount * kvHeads;

    bool copies = threadIdx.x == WARP; // the thread that does
    u32 copied = 0;   // turns whose copies have begun
    u32 itemsTaken = 0;
    u32 itemCopied = 0; // whose turns are being copied
    Turns copying = {0, 0};
    // takes the next item and begins to copy its keys and values
    auto take = [&] {
      u32 number = itemsTaken++;
      KeyWork& work = works[keyRing.place(number)];
      int i = atomicAdd(arguments.taken, 1); // of integers; which block takes an item decides no result
      if (i >= total) {
        work.kvHead = -1;
        arrive(keyRing.full(number));
        return;
      }
      int4 item = items[i / kvHeads * 2];
      int4 more = items[i / kvHeads * 2 + 1];
      work.item = more.x;
      work.lowFinal = more.y;
      work.highFinal = more.z;
      work.firstKey = item.x;
      work.endKey = item.y;
      work.lowTile = item.z < 0 ? ~item.z : item.z;
      work.highTile = item.w;
      work.lowEarly = item.z < 0;
      work.kvHead = i % kvHeads;
      u32 place = keyRing.place(number) * GROUPS * TILE_BYTES;
      expect(keyRing.full(number), 2 * GROUPS * TILE_BYTES);
      copyBox(keyTiles + place, arguments.keys, work.kvHead * HEAD, item.x, keyRing.full(number));
      copyBox(valueTiles + place, arguments.values, work.kvHead * HEAD, item.x, keyRing.full(number));
    };
    auto copyTurns = [&](u32 end) {
      while (copied < end && itemCopied < itemsTaken) {
        const KeyWork& work = works[keyRing.place(itemCopied)];
        if (work.kvHead < 0) {
          break;
        }
        int tile = work.tile(copying.index);
        int head = work.kvHead * sharing + copying.head;
        int row = tile * ROW_TILE;
        u32 place = queryRing.place(copied) * TILE_BYTES;
        u32 full = queryRing.full(copied);
        u32 beside = sharedAddress(queryRows + queryRing.place(copied));
        i64 at = (i64)head * paddedRows + row;
        expect(full, 2 * TILE_BYTES + (int)sizeof(QueryRows));
        copyBox(queryTiles + place, arguments.queries, head * HEAD, row, full);
        copyBox(doutTiles + place, arguments.dout, head * HEAD, row, full);
        copyBulk(beside, arguments.statistics + at, 4 * ROW_TILE, full);
        copyBulk(beside + 4 * ROW_TILE, arguments.products + at, 4 * ROW_TILE, full);
        copyBulk(beside + 8 * ROW_TILE, arguments.ranges + row, 8 * ROW_TILE, full);
        copyBulk(beside + 16 * ROW_TILE, arguments.bounds + tile, 16, full);
        copied++;
        if (!copying.advance(work, sharing)) {
          copying = {0, 0};
          itemCopied++;
        }
      }
    };

    if (copies) {
      take();
      copyTurns(STAGES - 1);
    }
    __syncwarp();
    bool owed = false; // whether the turn before has added
    int owedPlace = 0; // whose count is to be told
    int owedValue = -1; // -1: none
    u32 owedTurn = 0;
    auto tellAdded = [&] {
      if (owed && threadIdx.x == 0) {
        if (owedValue < 0) {
          awaitStores<0>();
        } else {
          awaitBulk();
        }
        arrive(dscoreRing.empty(owedTurn));
      }
      owed = false;
    };
    for (u32 number = 0;; number++) {
      asm volatile("bar.sync 1, 128;" ::: "memory"); // all are done with the item before
      keyRing.awaitFull(number);
      const KeyWork& work = works[keyRing.place(number)];
      if (uniform(work.kvHead) < 0) {
        break;
      }
      int tileCount = uniform(work.highTile - work.lowTile);
      Share upcoming = {__ldg(&shares[(i64)work.tile(0) * shareItems + work.item].word)};
      for (int index = 0; index < tileCount; index++) {
        int tile = work.tile(index);
        Share share = upcoming;
        // without a condition: where branches meet the compiler waits for loads
        upcoming.word = __ldg(&shares[(i64)work.tile(min(index + 1, tileCount - 1)) * shareItems + work.item].word);
        for (int head = 0; head < sharing; head++, n++) {
          int counter = tile * kvHeads + work.kvHead;
          bool awaits = threadIdx.x == 0 && share.before() > 0 && head == 0;
          u32 counted = awaits ? readCount(querySums.added + counter) : 0;
          dscoreRing.awaitFull(n);
          float sum[HEAD / 8][4];
          int begun = 0;
          beginProducts();
#pragma unroll
          for (int group = 0; group < GROUPS; group++) {
            if (uniform(share.sees(group))) {
              u64 dscores = describe(dscoreTiles + (dscoreRing.place(n) * GROUPS + group) * TILE_BYTES);
              u64 tileOfKeys = describe(keyTiles + (keyRing.place(number) * GROUPS + group) * TILE_BYTES);
#pragma unroll
              for (int k = 0; k < ROW_TILE / 16; k++) {
                multiplyAcrossAsync(sum, dscores + 128 * k, tileOfKeys + 128 * k, begun + k);
              }
              commitProducts();
              begun = 1;
            }
          }
          if (copies) {
            if (index == 0 && head == 0) {
              take();
            }
            copyTurns(n + STAGES);
          }
          __syncwarp();
          tellAdded();
          if (threadIdx.x == 0 && (awaits || owedValue >= 0)) {
            orderCounts();
            if (owedValue >= 0) {
              writeCount(querySums.added + owedPlace, owedValue);
            }
            if (awaits && counted != share.before()) {
              do {
                counted = readCount(querySums.added + counter);
              } while (counted != share.before());
              orderCounts();
            }
          }
          owedValue = -1;
          awaitProducts<0>();
          hold(sum);
          asm volatile("bar.sync 1, 128;" ::: "memory"); // nobody reads the scores' gradients any more, and it is this item's turn to add
          bool adds = uniform(share.adds());
          u32 staged = dscoreTiles + dscoreRing.place(n) * GROUPS * TILE_BYTES;
          if (adds) {
#pragma unroll
            for (int j = 0; j < HEAD / 8; j++) {
              storeShared(staged + 16 * (j * WARPGROUP + threadIdx.x), sum[j]);
            }
          }
          publishWrites();
          asm volatile("bar.sync 1, 128;" ::: "memory");
          if (threadIdx.x == 0) {
            if (!adds) {
              arrive(dscoreRing.empty(n));
            } else {
              float4* sums = querySums.of(tile * heads + work.kvHead * sharing + head);
              if (share.before() == 0) {
                storeBulk(sums, staged, QuerySums::BYTES);
              } else {
                addBulk(sums, staged, QuerySums::BYTES);
              }
              commitStores();
            }
          }
          owedPlace = counter;
          owedTurn = n;
          // told to who adds next; who is last leaves 0
          owedValue = !adds || head < sharing - 1 ? -1 : share.isLast() ? 0 : (int)share.before() + 1;
          owed = adds;
        }
      }
      tellAdded();
      if (threadIdx.x == 0) {
        if (owedValue >= 0) {
          orderCounts();
          writeCount(querySums.added + owedPlace, owedValue);
        }
        arrive(sumsDone);
      }
      owedValue = -1;
    }
    // nothing adds to rows that see nothing
    for (int tile = blockIdx.x; tile < paddedRows / ROW_TILE; tile += gridDim.x) {
      Bounds seen = arguments.bounds[tile];
      if (seen.leastStart >= seen.mostEnd) {
        for (int i = threadIdx.x; i < ROW_TILE * heads * (HEAD / 8); i += WARPGROUP) {
          int row = tile * ROW_TILE + i / (heads * (HEAD / 8));
          if (row < rows) {
            *(uint4*)(arguments.dqueries + row * arguments.dqueryPitch + i % (heads * (HEAD / 8)) * 8) = make_uint4(0, 0, 0, 0);
          }
        }
        for (int i = threadIdx.x; arguments.dots != nullptr && i < ROW_TILE * heads; i += WARPGROUP) {
          int row = tile * ROW_TILE + i % ROW_TILE;
          if (row < rows) {
            arguments.dots[i / ROW_TILE * arguments.rows + row] = 0.0f;
          }
        }
      }
    }
    if (threadIdx.x == 0) {
      __threadfence();
      if (atomicAdd(arguments.taken + 1, 1) == gridDim.x - 1) { // all have taken their last
        arguments.taken[0] = 0;
        arguments.taken[1] = 0;
      }
    }
  } else {
    takeRegisters<144>();
    int group = uniform(threadIdx.x / WARPGROUP) - 1;
    int lane = threadIdx.x % WARP;
    int warpRow = threadIdx.x % WARPGROUP / WARP * 16;
    float scaleLog2 = scale * LOG2_E;
    u32 ownDscores = dscoreTiles + group * TILE_BYTES;
    for (u32 number = 0;; number++) {
      keyRing.awaitFull(number);
      const KeyWork& work = works[keyRing.place(number)];
      if (uniform(work.kvHead) < 0) {
        break;
      }
      int firstKey = work.firstKey + group * ROW_TILE;
      int keysLeft = work.endKey - firstKey;
      int turns = uniform((work.highTile - work.lowTile) * sharing);
      u32 keyPlace = (keyRing.place(number) * GROUPS + group) * TILE_BYTES;
      u64 keyTile = describe(keyTiles + keyPlace);
      u64 valueTile = describe(valueTiles + keyPlace);
      float keySum[HEAD / 8][4];
      float valueSum[HEAD / 8][4];
      clearFragment(keySum);
      clearFragment(valueSum);
      bool pending = false; // the sums of the turn before may be under way
      u32 operand[ROW_TILE / 16][4]; // the weights, then the scores' gradients
      for (int turn = 0; turn < turns; turn++, n++) {
        queryRing.awaitFull(n);
        const QueryRows& beside = queryRows[queryRing.place(n)];
        Bounds seen = beside.bounds;
        if (!uniform(keysLeft > 0 && seen.sees(firstKey, min(ROW_TILE, keysLeft)))) {
          if (pending) {
            awaitProducts<0>();
            pending = false;
          }
          dscoreRing.awaitEmpty(n);
          if (lane == 0) {
            arrive(dscoreRing.full(n));
          }
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
        awaitProducts<0>();
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
        if (keysLeft < ROW_TILE || !seen.seesAll(firstKey, ROW_TILE)) {
          int own = warpRow + lane / 4;
          int key = own < keysLeft ? firstKey + own : 0x7fffffff;
          int lowerKey = own + 8 < keysLeft ? firstKey + own + 8 : 0x7fffffff;
#pragma unroll
          for (int j = 0; j < ROW_TILE / 8; j++) {
            int4 pair = *(const int4*)(beside.range + 8 * j + 2 * (lane % 4));
            weight[j][0] = pair.x <= key && key < pair.y ? weight[j][0] : 0.0f;
            weight[j][1] = pair.z <= key && key < pair.w ? weight[j][1] : 0.0f;
            weight[j][2] = pair.x <= lowerKey && lowerKey < pair.y ? weight[j][2] : 0.0f;
            weight[j][3] = pair.z <= lowerKey && lowerKey < pair.w ? weight[j][3] : 0.0f;
          }
        }
        toOperand(operand, weight);
        hold(valueSum);
        beginProducts();
        multiplyRowsAsync(dweight, valueTile, doutTile);
        commitProducts();
        multiplyColumnsAsync(valueSum, operand, doutTile);
        commitProducts();
        awaitProducts<0>(); // the operand's registers are needed
        hold(dweight);
        const float* product = beside.product + 2 * (lane % 4);
#pragma unroll
        for (int j = 0; j < ROW_TILE / 8; j++) {
          // the weights as they were rounded for the values: registers for both do not suffice
          float2 base = *(const float2*)(product + 8 * j);
          u32 upper = operand[j / 2][j % 2 * 2];
          u32 lower = operand[j / 2][j % 2 * 2 + 1];
          operand[j / 2][j % 2 * 2] = packBf16(lowBf16(upper) * (dweight[j][0] - base.x), highBf16(upper) * (dweight[j][1] - base.y));
          operand[j / 2][j % 2 * 2 + 1] =
              packBf16(lowBf16(lower) * (dweight[j][2] - base.x), highBf16(lower) * (dweight[j][3] - base.y));
        }
        dscoreRing.awaitEmpty(n);
#pragma unroll
        for (int k = 0; k < ROW_TILE / 16; k++) {
          storeMatrices(
              chunkAt<HEAD>(ownDscores + dscoreRing.place(n) * GROUPS * TILE_BYTES, warpRow + lane % 16, 2 * k + lane / 16), operand[k]);
        }
        publishWrites();
        __syncwarp();
        if (lane == 0) {
          arrive(dscoreRing.full(n));
        }
        hold(keySum);
        beginProducts();
        multiplyColumnsAsync(keySum, operand, queryTile);
        commitProducts();
        pending = true;
      }
      awaitProducts<0>();
      hold(keySum);
      hold(valueSum);
      int first = work.firstKey + group * ROW_TILE + warpRow;
      int limit = min(keyRows, work.endKey) - first;
      int kvHead = work.kvHead;
      storeFragment<HEAD / 8>(
          arguments.dvalues + first * arguments.dvaluePitch + kvHead * HEAD, arguments.dvaluePitch, valueSum, 1.0f, 1.0f, limit, arguments.accumulate);
      if (arguments.dots != nullptr && limit > 0) {
        float own[2], more[2];
        int pitch = kvHeads * HEAD;
        rowDots(own, keySum, scale, arguments.keyRowsAt + (i64)first * pitch + kvHead * HEAD, pitch, limit);
        rowDots(more, valueSum, 1.0f, arguments.valueRows + (i64)first * pitch + kvHead * HEAD, pitch, limit);
        own[0] += more[0];
        own[1] += more[1];
        storeDots(arguments.dots + (heads + kvHead) * arguments.rows + first, own, limit);
      }
      Rotation::Own angles;
      rotation.load(angles, first, keyRows);
      rotation.turnBack(keySum, angles);
      storeFragment<HEAD / 8>(
          arguments.dkeys + first * arguments.dkeyPitch + kvHead * HEAD, arguments.dkeyPitch, keySum, scale, scale, limit, arguments.accumulate);
      // what this item was the last to add to
      int finals = uniform((work.highFinal - work.lowFinal) * sharing);
      if (finals > 0) {
        await(sumsDone, number % 2);
      }
#pragma unroll 1
      for (int i = group; i < finals; i += GROUPS) {
        int tile = work.lowFinal + i / sharing;
        int head = kvHead * sharing + i % sharing;
        Share share = {__ldg(&shares[(i64)tile * shareItems + work.item].word)};
        if (!share.isLast()) {
          continue;
        }
        int row = tile * ROW_TILE + warpRow;
        const float4* sums = querySums.of(tile * heads + head) + threadIdx.x % WARPGROUP;
        float sum[HEAD / 8][4];
#pragma unroll
        for (int j = 0; j < HEAD / 8; j++) {
          float4 value = __ldcg(sums + j * WARPGROUP);
          sum[j][0] = value.x;
          sum[j][1] = value.y;
          sum[j][2] = value.z;
          sum[j][3] = value.w;
        }
        if (arguments.dots != nullptr && rows > row) {
          float own[2];
          rowDots(own, sum, scale, arguments.queryRows + (i64)row * (heads * HEAD) + head * HEAD, heads * HEAD, rows - row);
          storeDots(arguments.dots + head * arguments.rows + row, own, rows - row);
        }
        rotation.loadAndTurnBack(sum, row, rows);
        storeFragment<HEAD / 8>(
            arguments.dqueries + row * arguments.dqueryPitch + head * HEAD, arguments.dqueryPitch, sum, scale, scale, rows - row, false);
      }
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
    ON_HOPPER((hopperForward<GROUPS, STAGES, KEYS>(out, outPitch, logSumExp, queries, queryPitch, keys, keyPitch, values, valuePitch,  \
        ranges, bounds, items, itemCount, bound, count, keyBound, keyCount, paddedRows, heads, kvHeads, scale)));                      \
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
HOPPER_QUERY_GRADIENT(flashHopperQueryGradient, 512, 3, 4)
HOPPER_KEY_GRADIENT(flashHopperKeyGradient, 512, 3, 4)

extern "C" __global__ void __launch_bounds__(512, 1) flashHopperGradient(const __grid_constant__ GradientArguments arguments) {
  ON_HOPPER(hopperGradient(arguments));
}
