// Single-precision matrix products for any sizes: out [m, n] (+)= op(a) @ op(b). Every element of out is one chain of fused multiply-adds over
// ascending k, whatever the tile it falls into, so a row of out depends on that row of op(a) and on b alone.
#include "common.cuh"

// A block of 256 threads computes a tile of TILE x TILE; a thread MICRO x MICRO of it, as four quadrants TILE/2 apart so that shared memory is
// read without bank conflicts. The next slice of both operands is fetched into registers while this one is multiplied.
// The operands' elements: a(row, k) = transposeA ? a[k * m + row] : a[row * inner + k]; b(k, column) = transposeB ? b[column * inner + k] : b[k * n + column].
// With transposeA the rows of a are what is summed over: the count bounds k, and blockIdx.z takes the k of one chunk into out + z * m * n.
template <bool TRANSPOSE_A, bool TRANSPOSE_B, int TILE, int SLICE>
__device__ __forceinline__ void matmulTile(
    Values out, Values a, Values b, int m, int n, int inner, const int* count, int chunk, int accumulate) {
  const int MICRO = TILE / 16;
  const int HALF = MICRO / 2;
  const int PER_THREAD = TILE * SLICE / 256;
  __shared__ float tileA[2][SLICE][TILE + 4];
  __shared__ float tileB[2][SLICE][TILE + 4];
  int rows = TRANSPOSE_A ? m : rowsOf(m, count);
  int kEnd = TRANSPOSE_A ? rowsOf(inner, count) : inner;
  int kBegin = 0;
  if (TRANSPOSE_A) {
    kBegin = blockIdx.z * chunk;
    kEnd = min(kEnd, kBegin + chunk);
    out = out + (i64)blockIdx.z * m * n;
  }
  int firstRow = blockIdx.y * TILE;
  int firstColumn = blockIdx.x * TILE;
  if (firstRow >= rows) {
    return;
  }
  float fetchedA[PER_THREAD];
  float fetchedB[PER_THREAD];
  float sums[MICRO][MICRO];
#pragma unroll
  for (int i = 0; i < MICRO; i++) {
#pragma unroll
    for (int j = 0; j < MICRO; j++) {
      sums[i][j] = 0.0f;
    }
  }

  // neighbouring threads read neighbouring addresses: along k where k is contiguous, else along the row or column
  auto fetch = [&](int k0) {
#pragma unroll
    for (int p = 0; p < PER_THREAD; p++) {
      int e = p * 256 + threadIdx.x;
      int kA = TRANSPOSE_A ? e / TILE : e % SLICE;
      int rowA = firstRow + (TRANSPOSE_A ? e % TILE : e / SLICE);
      int k = k0 + kA;
      fetchedA[p] = rowA < rows && k < kEnd ? (TRANSPOSE_A ? a[(i64)k * m + rowA] : a[(i64)rowA * inner + k]) : 0.0f;
      int kB = TRANSPOSE_B ? e % SLICE : e / TILE;
      int columnB = firstColumn + (TRANSPOSE_B ? e / SLICE : e % TILE);
      k = k0 + kB;
      fetchedB[p] = columnB < n && k < kEnd ? (TRANSPOSE_B ? b[(i64)columnB * inner + k] : b[(i64)k * n + columnB]) : 0.0f;
    }
  };
  auto store = [&](int stage) {
#pragma unroll
    for (int p = 0; p < PER_THREAD; p++) {
      int e = p * 256 + threadIdx.x;
      tileA[stage][TRANSPOSE_A ? e / TILE : e % SLICE][TRANSPOSE_A ? e % TILE : e / SLICE] = fetchedA[p];
      tileB[stage][TRANSPOSE_B ? e % SLICE : e / TILE][TRANSPOSE_B ? e / SLICE : e % TILE] = fetchedB[p];
    }
  };

  int rowInTile = threadIdx.x / 16 * HALF;
  int columnInTile = threadIdx.x % 16 * HALF;
  int stage = 0;
  fetch(kBegin);
  store(0);
  __syncthreads();
  for (int k0 = kBegin; k0 < kEnd; k0 += SLICE) {
    bool more = k0 + SLICE < kEnd;
    if (more) {
      fetch(k0 + SLICE);
    }
    // past the end both operands are zero, which changes no sum
#pragma unroll
    for (int k = 0; k < SLICE; k++) {
      float left[MICRO];
      float right[MICRO];
#pragma unroll
      for (int i = 0; i < MICRO; i++) {
        left[i] = tileA[stage][k][rowInTile + i % HALF + i / HALF * (TILE / 2)];
        right[i] = tileB[stage][k][columnInTile + i % HALF + i / HALF * (TILE / 2)];
      }
#pragma unroll
      for (int i = 0; i < MICRO; i++) {
#pragma unroll
        for (int j = 0; j < MICRO; j++) {
          sums[i][j] = fmaf(left[i], right[j], sums[i][j]);
        }
      }
    }
    if (more) {
      stage ^= 1;
      store(stage);
      __syncthreads();
    }
  }
#pragma unroll
  for (int i = 0; i < MICRO; i++) {
    int row = firstRow + rowInTile + i % HALF + i / HALF * (TILE / 2);
#pragma unroll
    for (int j = 0; j < MICRO; j++) {
      int column = firstColumn + columnInTile + j % HALF + j / HALF * (TILE / 2);
      if (row < rows && column < n) {
        put(out, (i64)row * n + column, sums[i][j], accumulate);
      }
    }
  }
}

#define MATMUL(name, transposeA, transposeB, tile, slice)                                                     \
  extern "C" __global__ void __launch_bounds__(256) name(                                                     \
      Values out, Values a, Values b, int m, int n, int inner, const int* count, int chunk, int accumulate) { \
    matmulTile<transposeA, transposeB, tile, slice>(out, a, b, m, n, inner, count, chunk, accumulate);        \
  }

MATMUL(matmulWide, false, false, 128, 8)
MATMUL(matmulWideB, false, true, 128, 8)
MATMUL(matmulWideA, true, false, 128, 8)
MATMUL(matmulWideAB, true, true, 128, 8)
MATMUL(matmulNarrow, false, false, 32, 16)
MATMUL(matmulNarrowB, false, true, 32, 16)
MATMUL(matmulNarrowA, true, false, 32, 16)
MATMUL(matmulNarrowAB, true, true, 32, 16)

// The chunks of a sum over rows, in ascending order.
extern "C" __global__ void addChunks(Values out, Values chunks, int number, i64 elements, int accumulate) {
  for (i64 i = threadIndex(); i < elements; i += threadStride()) {
    float sum = 0.0f;
    for (int z = 0; z < number; z++) {
      sum += chunks[z * elements + i];
    }
    put(out, i, sum, accumulate);
  }
}
