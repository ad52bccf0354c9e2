// The gradients of attention over ranges of key rows in bfloat16, for heads of 64 on Hopper (compute capability 9.0), in one pass: five products instead of
// the seven of the two kernels in flash_hopper.cu, for rows that see many keys. Elsewhere the kernel is empty.
#include "flash_hopper.cuh"

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

// ---- what a block works on

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

extern "C" __global__ void __launch_bounds__(512, 1) flashHopperGradient(const __grid_constant__ GradientArguments arguments) {
  ON_HOPPER(hopperGradient(arguments));
}
