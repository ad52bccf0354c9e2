// Gather, scatter, selection, ranges and the entry tables of generation.
#include "common.cuh"

#define FOR_EACH(i, elements) for (i64 i = threadIndex(); i < (elements); i += threadStride())

// ---- gather and scatter

extern "C" __global__ void gatherRows(
    Values out, Values x, const int* index, int bound, const int* count, int columns, int accumulate) {
  FOR_EACH(i, (i64)rowsOf(bound, count) * columns) {
    int r, c;
    split(i, columns, r, c);
    put(out, i, x[(i64)index[r] * columns + c], accumulate);
  }
}

extern "C" __global__ void scatterRows(Values out, const int* index, Values x, int bound, const int* count, int columns) {
  FOR_EACH(i, (i64)rowsOf(bound, count) * columns) {
    int r, c;
    split(i, columns, r, c);
    int target = index[r];
    if (target >= 0) {
      out[(i64)target * columns + c] = x[i];
    }
  }
}

// Every index at most once, so no two threads meet; gate is null for 1.
extern "C" __global__ void addToRows(
    Values out, const int* index, Values x, Values gate, int bound, const int* count, int columns) {
  FOR_EACH(i, (i64)rowsOf(bound, count) * columns) {
    int r, c;
    split(i, columns, r, c);
    out[(i64)index[r] * columns + c] += gate.isAbsent() ? x[i] : gate[r] * x[i];
  }
}

// Repeated indices: the rows are sorted by (index, row) and every run of one index is added by one thread per column, in ascending row. The
// sort is a bitonic network over keys index << 32 | row; its size is a power of two and keys past the count are the largest.

#define NO_KEY 0xffffffffffffffffULL

extern "C" __global__ void scatterKeys(u64* keys, const int* index, int bound, const int* count, int size) {
  int rows = rowsOf(bound, count);
  FOR_EACH(i, size) keys[i] = i < rows ? (u64)(u32)index[i] << 32 | (u32)i : NO_KEY;
}

__device__ __forceinline__ void order(u64* keys, int low, int high, bool ascending) {
  u64 a = keys[low];
  u64 b = keys[high];
  if ((a > b) == ascending) {
    keys[low] = b;
    keys[high] = a;
  }
}

// The stages whose partners lie within 2048 neighbouring keys, in shared memory: all stages up to runs of `last` keys, from runs of `first`.
extern "C" __global__ void __launch_bounds__(1024) sortNear(u64* keys, int first, int last) {
  __shared__ u64 near[2048];
  i64 base = (i64)blockIdx.x * 2048;
  near[threadIdx.x] = keys[base + threadIdx.x];
  near[threadIdx.x + 1024] = keys[base + threadIdx.x + 1024];
  for (i64 run = first; run <= last; run *= 2) {
    for (int distance = (int)min(run / 2, (i64)1024); distance > 0; distance /= 2) {
      __syncthreads();
      int low = 2 * distance * (threadIdx.x / distance) + threadIdx.x % distance;
      order(near, low, low + distance, ((base + low) & run) == 0);
    }
  }
  __syncthreads();
  keys[base + threadIdx.x] = near[threadIdx.x];
  keys[base + threadIdx.x + 1024] = near[threadIdx.x + 1024];
}

extern "C" __global__ void sortFar(u64* keys, int pairs, int run, int distance) {
  FOR_EACH(i, pairs) {
    int low = (int)(2 * (i64)distance * (i / distance) + i % distance);
    order(keys, low, low + distance, (low & run) == 0);
  }
}

extern "C" __global__ void __launch_bounds__(128) addSortedRows(
    Values out, const u64* keys, Values x, int bound, const int* count, int columns) {
  int rows = rowsOf(bound, count);
  for (i64 first = blockIdx.x; first < rows; first += gridDim.x) {
    u32 index = (u32)(keys[first] >> 32);
    if (first > 0 && (u32)(keys[first - 1] >> 32) == index) {
      continue; // another block started this run
    }
    for (int c = blockIdx.y * blockDim.x + threadIdx.x; c < columns; c += gridDim.y * blockDim.x) {
      float sum = out[(i64)index * columns + c];
      for (i64 i = first; i < rows && (u32)(keys[i] >> 32) == index; i++) {
        sum += x[(i64)(u32)keys[i] * columns + c];
      }
      out[(i64)index * columns + c] = sum;
    }
  }
}

extern "C" __global__ void pickColumn(Values out, Values x, const int* column, int bound, const int* count, int columns) {
  FOR_EACH(i, rowsOf(bound, count)) out[i] = x[i * columns + column[i]];
}

extern "C" __global__ void pickColumnBackward(
    Values dx, const int* column, Values dy, int bound, const int* count, int columns) {
  FOR_EACH(i, rowsOf(bound, count)) dx[i * columns + column[i]] += dy[i];
}

extern "C" __global__ void gatherInts(int* out, const int* table, const int* index, int bound, const int* count) {
  FOR_EACH(i, rowsOf(bound, count)) out[i] = table[index[i]];
}

extern "C" __global__ void toColumn(Values out, const int* values, int bound, const int* count) {
  FOR_EACH(i, rowsOf(bound, count)) out[i] = (float)values[i];
}

// ---- selection

// Marks the k rows of the highest rank of one group per block, the lower of equals first. The k-th rank is found digit by digit, eight bits a
// round, with a histogram of those that agree in the digits above; integer atomics add in any order to the same numbers.
extern "C" __global__ void __launch_bounds__(1024) topKMask(
    Values out, Values scores, const int* offsets, const int* k, int bound, const int* count) {
  __shared__ int histogram[256];
  __shared__ int scratch[WARP];
  __shared__ u32 chosenDigit;
  __shared__ int stillWanted;
  int rows = rowsOf(bound, count);
  int from = offsets[blockIdx.x];
  int to = min(offsets[blockIdx.x + 1], rows);
  int wanted = min(k[blockIdx.x], to - from);
  if (wanted <= 0) {
    return; // the mask is zero already
  }
  u32 prefix = 0;
  u32 prefixMask = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    __syncthreads();
    if (threadIdx.x < 256) {
      histogram[threadIdx.x] = 0;
    }
    __syncthreads();
    for (int row = from + threadIdx.x; row < to; row += blockDim.x) {
      u32 rank = rankOf(scores[row]);
      if ((rank & prefixMask) == prefix) {
        atomicAdd(&histogram[rank >> shift & 255], 1);
      }
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      int left = wanted;
      int digit = 255;
      while (histogram[digit] < left) {
        left -= histogram[digit--];
      }
      chosenDigit = (u32)digit;
      stillWanted = left;
    }
    __syncthreads();
    prefix |= chosenDigit << shift;
    prefixMask |= 255u << shift;
    wanted = stillWanted;
  }
  // prefix is now the k-th rank itself; of the rows that have it the first `wanted` are marked
  int equalsBefore = 0;
  for (int base = from; base < to; base += blockDim.x) {
    int row = base + threadIdx.x;
    u32 rank = row < to ? rankOf(scores[row]) : 0;
    int isEqual = row < to && rank == prefix;
    int total;
    int place = equalsBefore + scanBlock(isEqual, scratch, total);
    if (row < to && (rank > prefix || (isEqual && place <= wanted))) {
      out[row] = 1.0f;
    }
    equalsBefore += total;
  }
}

// One block walks over the rows; each round places the marked rows of 4096.
extern "C" __global__ void __launch_bounds__(1024) compact(int* index, int* selected, Values mask, int bound, const int* count) {
  __shared__ int scratch[WARP];
  int rows = rowsOf(bound, count);
  int before = 0;
  for (i64 base = 0; base < rows; base += 4096) {
    i64 first = base + threadIdx.x * 4;
    bool marked[4];
    int mine = 0;
#pragma unroll
    for (int j = 0; j < 4; j++) {
      marked[j] = first + j < rows && mask[first + j] > 0.0f;
      mine += marked[j];
    }
    int total;
    int place = before + scanBlock(mine, scratch, total) - mine;
#pragma unroll
    for (int j = 0; j < 4; j++) {
      if (marked[j]) {
        index[place++] = (int)(first + j);
      }
    }
    before += total;
  }
  if (threadIdx.x == 0) {
    selected[0] = before;
  }
}

extern "C" __global__ void compactOffsets(int* out, const int* index, int bound, const int* count, const int* offsets, int length) {
  int rows = rowsOf(bound, count);
  FOR_EACH(g, length) out[g] = firstAfter(index, 0, rows, (i64)offsets[g] - 1);
}

// ---- ranges of keys

extern "C" __global__ void causalRanges(
    int* start,
    int* end,
    const int* sequence,
    const int* position,
    int bound,
    const int* count,
    const int* keyOffsets,
    const int* keyPosition,
    int window) {
  FOR_EACH(i, rowsOf(bound, count)) {
    int from = keyOffsets[sequence[i]];
    int to = keyOffsets[sequence[i] + 1];
    start[i] = window == 0 ? from : firstAfter(keyPosition, from, to, (i64)position[i] - window);
    end[i] = firstAfter(keyPosition, from, to, position[i]);
  }
}

// ---- generation's entry tables (io.mor.api.backend.EntryTables). visits [recursions, 4]: writes, source, overlays, window

__device__ __forceinline__ int listOf(int sequence, int recursion, int recursions) {
  return sequence * recursions + recursion - 1;
}

// A row's rank among the rows of its sequence and recursion says which reserved pool row and which entries it takes; the tables' lengths stay
// as they were until advanceEntries. grown[i] becomes the number of those rows if i is their last, else 0.
extern "C" __global__ void appendEntries(
    int* poolRow,
    int* grown,
    const int* visits,
    int recursions,
    int capacity,
    int* rows,
    int* positions,
    const int* length,
    const int* reserved,
    const int* written,
    const int* sequence,
    const int* position,
    const int* recursion,
    int bound,
    const int* count) {
  int batch = rowsOf(bound, count);
  FOR_EACH(i, batch) {
    int s = sequence[i];
    int r = recursion[i];
    grown[i] = 0;
    if (!visits[(r - 1) * 4]) {
      poolRow[i] = -1;
      continue;
    }
    int rank = 0;
    bool last = true;
    for (int j = 0; j < batch; j++) {
      if (sequence[j] == s && recursion[j] == r) {
        rank += j < i;
        last &= j <= i;
      }
    }
    int own = listOf(s, r, recursions);
    int row = reserved[(i64)own * capacity + written[own] + rank];
    poolRow[i] = row;
    if (last) {
      grown[i] = rank + 1;
    }
    for (int reader = 1; reader <= recursions; reader++) {
      if (visits[(reader - 1) * 4 + 1] == r) {
        int list = listOf(s, reader, recursions);
        i64 entry = (i64)list * capacity + length[list] + rank;
        rows[entry] = row;
        positions[entry] = position[i];
      }
    }
  }
}

extern "C" __global__ void advanceEntries(
    const int* grown,
    const int* visits,
    int recursions,
    int* length,
    int* written,
    const int* sequence,
    const int* recursion,
    int bound,
    const int* count) {
  FOR_EACH(i, rowsOf(bound, count)) {
    if (grown[i] > 0) {
      written[listOf(sequence[i], recursion[i], recursions)] += grown[i];
      for (int reader = 1; reader <= recursions; reader++) {
        if (visits[(reader - 1) * 4 + 1] == recursion[i]) {
          length[listOf(sequence[i], reader, recursions)] += grown[i];
        }
      }
    }
  }
}

extern "C" __global__ void overlayEntries(
    const int* poolRow,
    const int* visits,
    int recursions,
    int capacity,
    int* rows,
    const int* positions,
    const int* length,
    const int* sequence,
    const int* position,
    const int* recursion,
    int bound,
    const int* count) {
  FOR_EACH(i, rowsOf(bound, count)) {
    if (visits[(recursion[i] - 1) * 4 + 2]) {
      int list = listOf(sequence[i], recursion[i], recursions);
      int from = list * capacity;
      int entry = firstAfter(positions, from, from + length[list], position[i]) - 1;
      if (entry >= from && positions[entry] == position[i]) {
        rows[entry] = poolRow[i];
      }
    }
  }
}

extern "C" __global__ void entryRanges(
    int* start,
    int* end,
    const int* visits,
    int recursions,
    int capacity,
    const int* positions,
    const int* length,
    const int* sequence,
    const int* position,
    const int* recursion,
    int bound,
    const int* count) {
  FOR_EACH(i, rowsOf(bound, count)) {
    const int* visit = visits + (recursion[i] - 1) * 4;
    int list = listOf(sequence[i], visit[2] ? recursion[i] : visit[1], recursions);
    int from = list * capacity;
    int to = from + length[list];
    start[i] = visit[3] == 0 ? from : firstAfter(positions, from, to, (i64)position[i] - visit[3]);
    end[i] = firstAfter(positions, from, to, position[i]);
  }
}
