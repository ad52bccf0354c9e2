// Kernels that reduce rows or columns. A row belongs to one warp or one block, chosen by its number of columns alone; a column is summed in
// chunks of rows whose size is fixed, and the chunks in ascending order.
#include "common.cuh"

template <int TEAM>
__device__ __forceinline__ void rowSum(Values out, Values x, int bound, const int* count, int columns, int accumulate) {
  FOR_EACH_ROW_OF_TEAM(row, rowsOf(bound, count)) {
    float sum = 0.0f;
    for (int c = LANE; c < columns; c += TEAM) {
      sum += x[row * columns + c];
    }
    sum = reduceTeam<TEAM, Sum>(sum);
    if (LANE == 0) {
      put(out, row, sum, accumulate);
    }
  }
}
ROW_KERNEL(rowSum, (Values out, Values x, int bound, const int* count, int columns, int accumulate),
    (out, x, bound, count, columns, accumulate))

template <int TEAM>
__device__ __forceinline__ void rowDot(
    Values out, Values a, Values b, int bound, const int* count, int columns, int accumulate) {
  FOR_EACH_ROW_OF_TEAM(row, rowsOf(bound, count)) {
    float sum = 0.0f;
    for (int c = LANE; c < columns; c += TEAM) {
      sum = fmaf(a[row * columns + c], b[row * columns + c], sum);
    }
    sum = reduceTeam<TEAM, Sum>(sum);
    if (LANE == 0) {
      put(out, row, sum, accumulate);
    }
  }
}
ROW_KERNEL(rowDot, (Values out, Values a, Values b, int bound, const int* count, int columns, int accumulate),
    (out, a, b, bound, count, columns, accumulate))

template <int TEAM>
__device__ __forceinline__ float largestOf(Values x, int columns) {
  float largest = -INFINITE;
  for (int c = LANE; c < columns; c += TEAM) {
    largest = fmaxf(largest, x[c]);
  }
  return reduceTeam<TEAM, Maximum>(largest);
}

template <int TEAM>
__device__ __forceinline__ float exponentialsOf(Values x, int columns, float largest) {
  float sum = 0.0f;
  for (int c = LANE; c < columns; c += TEAM) {
    sum += expf(x[c] - largest);
  }
  return reduceTeam<TEAM, Sum>(sum);
}

template <int TEAM>
__device__ __forceinline__ float logSumExpOf(Values x, int columns) {
  float largest = largestOf<TEAM>(x, columns);
  float sum = exponentialsOf<TEAM>(x, columns, isinf(largest) ? 0.0f : largest);
  if (sum != sum) {
    return sum;
  }
  return isinf(largest) ? largest : largest + logf(sum);
}

template <int TEAM>
__device__ __forceinline__ void rowLogSumExp(Values out, Values x, int bound, const int* count, int columns) {
  FOR_EACH_ROW_OF_TEAM(row, rowsOf(bound, count)) {
    float value = logSumExpOf<TEAM>(x + row * columns, columns);
    if (LANE == 0) {
      out[row] = value;
    }
  }
}
ROW_KERNEL(rowLogSumExp, (Values out, Values x, int bound, const int* count, int columns), (out, x, bound, count, columns))

template <int TEAM>
__device__ __forceinline__ void softmax(Values out, Values x, int bound, const int* count, int columns) {
  FOR_EACH_ROW_OF_TEAM(row, rowsOf(bound, count)) {
    Values from = x + row * columns;
    float largest = largestOf<TEAM>(from, columns);
    float sum = exponentialsOf<TEAM>(from, columns, largest);
    for (int c = LANE; c < columns; c += TEAM) {
      out[row * columns + c] = expf(from[c] - largest) / sum;
    }
  }
}
ROW_KERNEL(softmax, (Values out, Values x, int bound, const int* count, int columns), (out, x, bound, count, columns))

template <int TEAM>
__device__ __forceinline__ void softmaxBackward(
    Values dx, Values y, Values dy, int bound, const int* count, int columns, int accumulate) {
  FOR_EACH_ROW_OF_TEAM(row, rowsOf(bound, count)) {
    float dot = 0.0f;
    for (int c = LANE; c < columns; c += TEAM) {
      dot = fmaf(y[row * columns + c], dy[row * columns + c], dot);
    }
    dot = reduceTeam<TEAM, Sum>(dot);
    for (int c = LANE; c < columns; c += TEAM) {
      i64 i = row * columns + c;
      put(dx, i, y[i] * (dy[i] - dot), accumulate);
    }
  }
}
ROW_KERNEL(softmaxBackward, (Values dx, Values y, Values dy, int bound, const int* count, int columns, int accumulate),
    (dx, y, dy, bound, count, columns, accumulate))

// The lowest of equals wins: the column, turned around, is the low half of what is maximised.
template <int TEAM>
__device__ __forceinline__ void argMax(int* out, Values x, int bound, const int* count, int columns) {
  FOR_EACH_ROW_OF_TEAM(row, rowsOf(bound, count)) {
    u64 best = 0;
    for (int c = LANE; c < columns; c += TEAM) {
      u64 candidate = (u64)rankOf(x[row * columns + c]) << 32 | (0xffffffffu - (u32)c);
      best = candidate > best ? candidate : best;
    }
    for (int distance = WARP / 2; distance > 0; distance /= 2) {
      u64 other = __shfl_xor_sync(FULL_MASK, best, distance);
      best = other > best ? other : best;
    }
    if (TEAM > WARP) {
      __shared__ u64 partial[WARP];
      __syncthreads();
      if (threadIdx.x % WARP == 0) {
        partial[threadIdx.x / WARP] = best;
      }
      __syncthreads();
      for (int w = 0; w < TEAM / WARP; w++) {
        best = partial[w] > best ? partial[w] : best;
      }
    }
    if (LANE == 0) {
      out[row] = (int)(0xffffffffu - (u32)best);
    }
  }
}
ROW_KERNEL(argMax, (int* out, Values x, int bound, const int* count, int columns), (out, x, bound, count, columns))

template <int TEAM>
__device__ __forceinline__ void crossEntropy(
    Values out, Values logits, const int* target, int bound, const int* count, int columns) {
  FOR_EACH_ROW_OF_TEAM(row, rowsOf(bound, count)) {
    float value = logSumExpOf<TEAM>(logits + row * columns, columns);
    if (LANE == 0) {
      out[row] = value - logits[row * columns + target[row]];
    }
  }
}
ROW_KERNEL(crossEntropy, (Values out, Values logits, const int* target, int bound, const int* count, int columns),
    (out, logits, target, bound, count, columns))

// dlogits may be logits: each thread writes only what it alone still reads.
template <int TEAM>
__device__ __forceinline__ void crossEntropyBackward(
    Values dlogits, Values logits, const int* target, Values dy, int bound, const int* count, int columns) {
  FOR_EACH_ROW_OF_TEAM(row, rowsOf(bound, count)) {
    float total = logSumExpOf<TEAM>(logits + row * columns, columns);
    int wanted = target[row];
    float gradient = dy[row];
    for (int c = LANE; c < columns; c += TEAM) {
      i64 i = row * columns + c;
      dlogits[i] = (expf(logits[i] - total) - (c == wanted ? 1.0f : 0.0f)) * gradient;
    }
  }
}
ROW_KERNEL(crossEntropyBackward,
    (Values dlogits, Values logits, const int* target, Values dy, int bound, const int* count, int columns),
    (dlogits, logits, target, dy, bound, count, columns))

template <int TEAM>
__device__ __forceinline__ void rmsNorm(
    Values out, Values rstd, Values x, Values weight, const int* variant, int bound, const int* count, int columns, float epsilon) {
  FOR_EACH_ROW_OF_TEAM(row, rowsOf(bound, count)) {
    float squares = 0.0f;
    for (int c = LANE; c < columns; c += TEAM) {
      float value = x[row * columns + c];
      squares = fmaf(value, value, squares);
    }
    squares = reduceTeam<TEAM, Sum>(squares);
    float reciprocal = 1.0f / sqrtf(squares / columns + epsilon);
    Values scale = weight + (variant == nullptr ? 0 : (i64)variant[row] * columns);
    for (int c = LANE; c < columns; c += TEAM) {
      out[row * columns + c] = x[row * columns + c] * reciprocal * scale[c];
    }
    if (LANE == 0) {
      rstd[row] = reciprocal;
    }
  }
}
ROW_KERNEL(rmsNorm,
    (Values out, Values rstd, Values x, Values weight, const int* variant, int bound, const int* count, int columns, float epsilon),
    (out, rstd, x, weight, variant, bound, count, columns, epsilon))

// y_c = w_c x_c r with r = (mean(x^2) + eps)^(-1/2), so dr/dx_c = -r^3 x_c / columns
template <int TEAM>
__device__ __forceinline__ void rmsNormBackward(
    Values dx,
    Values x,
    Values rstd,
    Values weight,
    const int* variant,
    Values dy,
    int bound,
    const int* count,
    int columns,
    int accumulate) {
  FOR_EACH_ROW_OF_TEAM(row, rowsOf(bound, count)) {
    Values scale = weight + (variant == nullptr ? 0 : (i64)variant[row] * columns);
    float dot = 0.0f;
    for (int c = LANE; c < columns; c += TEAM) {
      i64 i = row * columns + c;
      dot = fmaf(dy[i] * scale[c], x[i], dot);
    }
    dot = reduceTeam<TEAM, Sum>(dot);
    float reciprocal = rstd[row];
    float common = dot * reciprocal * reciprocal * reciprocal / columns;
    for (int c = LANE; c < columns; c += TEAM) {
      i64 i = row * columns + c;
      put(dx, i, dy[i] * scale[c] * reciprocal - x[i] * common, accumulate);
    }
  }
}
ROW_KERNEL(rmsNormBackward,
    (Values dx, Values x, Values rstd, Values weight, const int* variant, Values dy, int bound, const int* count, int columns, int accumulate),
    (dx, x, rstd, weight, variant, dy, bound, count, columns, accumulate))

// Sums of columns over one chunk of rows: out [chunks, columns]. A block is 32 columns by 8 lanes of rows; lane l adds rows l, l + 8, ... of
// the chunk, then the lanes are added in ascending order. With b the products a*b are summed, with factors [rows, 1] each row is scaled, with a
// variant only the rows of variant blockIdx.z count and out is [chunks, variants, columns].
extern "C" __global__ void __launch_bounds__(256) columnSums(
    Values out,
    Values a,
    Values b,
    Values factors,
    const int* variant,
    int bound,
    const int* count,
    int columns,
    int chunk,
    float scale,
    int accumulate) {
  __shared__ float partial[8][WARP + 1];
  int c = blockIdx.x * WARP + threadIdx.x;
  i64 from = (i64)blockIdx.y * chunk;
  i64 to = min(from + chunk, (i64)rowsOf(bound, count));
  float sum = 0.0f;
  if (c < columns) {
    for (i64 row = from + threadIdx.y; row < to; row += 8) {
      if (variant != nullptr && variant[row] != blockIdx.z) {
        continue;
      }
      float value = a[row * columns + c];
      if (!b.isAbsent()) {
        value *= b[row * columns + c];
      }
      if (!factors.isAbsent()) {
        value *= factors[row];
      }
      sum += value;
    }
  }
  partial[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y == 0 && c < columns) {
    for (int lane = 1; lane < 8; lane++) {
      sum += partial[lane][threadIdx.x];
    }
    put(out, ((i64)blockIdx.y * gridDim.z + blockIdx.z) * columns + c, scale * sum, accumulate);
  }
}

// One partial sum of squares per block, over a share of the elements that the bound fixes.
extern "C" __global__ void __launch_bounds__(256) squares(
    double* out, Values x, int bound, const int* count, int columns, i64 share) {
  i64 from = blockIdx.x * share;
  i64 to = min(from + share, (i64)rowsOf(bound, count) * columns);
  double sum = 0.0;
  for (i64 i = from + threadIdx.x; i < to; i += blockDim.x) {
    double value = x[i];
    sum += value * value;
  }
  __shared__ double partial[256];
  partial[threadIdx.x] = sum;
  __syncthreads();
  for (int half = 128; half > 0; half /= 2) {
    if (threadIdx.x < half) {
      partial[threadIdx.x] += partial[threadIdx.x + half];
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    out[blockIdx.x] = partial[0];
  }
}

extern "C" __global__ void __launch_bounds__(256) addSquares(Values out, const double* partials, int blocks, int accumulate) {
  double sum = 0.0;
  for (int i = threadIdx.x; i < blocks; i += blockDim.x) {
    sum += partials[i];
  }
  __shared__ double partial[256];
  partial[threadIdx.x] = sum;
  __syncthreads();
  for (int half = 128; half > 0; half /= 2) {
    if (threadIdx.x < half) {
      partial[threadIdx.x] += partial[threadIdx.x + half];
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    put(out, 0, (float)partial[0], accumulate);
  }
}

extern "C" __global__ void reciprocalCount(Values out, int bound, const int* count) {
  out[0] = 1.0f / max(1, rowsOf(bound, count));
}

// The numbers of io.mor.api.tensor.Reduction, as the host passes them. A block per group; NaN wins.
extern "C" __global__ void __launch_bounds__(256) reduceGroups(
    Values out, Values x, const int* offsets, int groups, const int* count, int reduction) {
  int group = blockIdx.x;
  if (group >= rowsOf(groups, count)) {
    return;
  }
  float result = reduction == 0 ? 0.0f : reduction == 1 ? -INFINITE : INFINITE;
  bool invalid = false;
  for (int row = offsets[group] + threadIdx.x; row < offsets[group + 1]; row += blockDim.x) {
    float value = x[row];
    invalid |= value != value;
    result = reduction == 0 ? result + value : reduction == 1 ? fmaxf(result, value) : fminf(result, value);
  }
  if (reduction == 2) {
    result = -reduceTeam<BLOCK_TEAM, Maximum>(-result);
  } else if (reduction == 1) {
    result = reduceTeam<BLOCK_TEAM, Maximum>(result);
  } else {
    result = reduceTeam<BLOCK_TEAM, Sum>(result);
  }
  int invalids = __syncthreads_or(invalid);
  if (threadIdx.x == 0) {
    out[group] = invalids ? NOT_A_NUMBER : result;
  }
}
