// The kernels of a training step for tensors in bfloat16 throughout: sixteen bytes, eight elements, at a time. The host launches them where rows
// are whole vectors and addresses are multiples of sixteen; elsewhere the kernels for either precision do the same work. Arithmetic is in 32 bit.
#include "common.cuh"

#define EACH8 _Pragma("unroll") for (int e = 0; e < 8; e++)

// ---- eight elements

__device__ __forceinline__ void read8(const float* from, float (&values)[8]) {
  float4 low = ((const float4*)from)[0];
  float4 high = ((const float4*)from)[1];
  values[0] = low.x;
  values[1] = low.y;
  values[2] = low.z;
  values[3] = low.w;
  values[4] = high.x;
  values[5] = high.y;
  values[6] = high.z;
  values[7] = high.w;
}

#define FOR_EACH_VECTOR(i) \
  for (i64 i = threadIndex(), end##i = (i64)rowsOf(bound, count) * vectors; i < end##i; i += threadStride())

__device__ __forceinline__ float sigmoidOf(float x) {
  return __fdividef(1.0f, 1.0f + __expf(-x));
}

// ---- element-wise; vectors counts those of a row

extern "C" __global__ void __launch_bounds__(256) narrowCopy(uint4* out, const uint4* x, int bound, const int* count, int vectors) {
  FOR_EACH_VECTOR(i) out[i] = x[i];
}

// All elements of memory in 32 bit, for products.
extern "C" __global__ void __launch_bounds__(256) narrowShadow(uint4* out, const float* x, i64 elements) {
  for (i64 i = threadIndex(); 8 * i < elements; i += threadStride()) {
    float values[8];
    if (8 * i + 8 <= elements) {
      read8(x + 8 * i, values);
    } else {
      EACH8 values[e] = 8 * i + e < elements ? x[8 * i + e] : 0.0f;
    }
    out[i] = pack(values);
  }
}

// Each column of weights times a norm's weight, of a matrix for each block in y.
struct NormedWeight {
  uint4* out;
  const uint4* weights; // [rows, vectors]
  const float* norm;    // [8 vectors]
  int vectors;
  int rows;
};

struct NormedWeights {
  NormedWeight of[16];
};

extern "C" __global__ void __launch_bounds__(256) narrowNormedWeights(const __grid_constant__ NormedWeights all) {
  constexpr int AT_ONCE = 4;
  const NormedWeight& matrix = all.of[blockIdx.y];
  int vectors = matrix.vectors;
  i64 end = (i64)matrix.rows * vectors;
  for (i64 first = threadIndex(); first < end; first += AT_ONCE * threadStride()) {
    uint4 held[AT_ONCE];
#pragma unroll
    for (int j = 0; j < AT_ONCE; j++) {
      i64 i = first + j * threadStride();
      held[j] = i < end ? matrix.weights[i] : make_uint4(0, 0, 0, 0);
    }
#pragma unroll
    for (int j = 0; j < AT_ONCE; j++) {
      i64 i = first + j * threadStride();
      if (i < end) {
        float values[8], scale[8];
        unpack(held[j], values);
        read8(matrix.norm + 8 * ((u32)i % (u32)vectors), scale);
        EACH8 values[e] *= scale[e];
        matrix.out[i] = pack(values);
      }
    }
  }
}

extern "C" __global__ void __launch_bounds__(256) narrowAdd(
    uint4* out, const uint4* a, const uint4* b, int bound, const int* count, int vectors, float scaleB) {
  FOR_EACH_VECTOR(i) {
    float x[8], y[8];
    unpack(a[i], x);
    unpack(b[i], y);
    EACH8 x[e] = fmaf(scaleB, y[e], x[e]);
    out[i] = pack(x);
  }
}

extern "C" __global__ void __launch_bounds__(256) narrowSwiGlu(
    uint4* out, const uint4* gate, const uint4* up, int bound, const int* count, int vectors) {
  FOR_EACH_VECTOR(i) {
    float g[8], u[8];
    unpack(gate[i], g);
    unpack(up[i], u);
    EACH8 g[e] = g[e] * sigmoidOf(g[e]) * u[e];
    out[i] = pack(g);
  }
}

// inner receives silu(gate) * up again, unless it is null; it may be dy. Rows of dgate and dup are pitch vectors apart.
extern "C" __global__ void __launch_bounds__(256) narrowSwiGluBackward(
    uint4* dgate,
    uint4* dup,
    uint4* inner,
    const uint4* gate,
    const uint4* up,
    const uint4* dy,
    int bound,
    const int* count,
    int vectors,
    int pitch) {
  FOR_EACH_VECTOR(i) {
    int r, c;
    split(i, vectors, r, c);
    i64 to = (i64)r * pitch + c;
    float g[8], u[8], d[8], value[8];
    unpack(gate[i], g);
    unpack(up[i], u);
    unpack(dy[i], d);
    EACH8 {
      float s = sigmoidOf(g[e]);
      float silu = g[e] * s;
      value[e] = silu * u[e];
      g[e] = s * fmaf(g[e], 1.0f - s, 1.0f) * u[e] * d[e];
      d[e] = silu * d[e];
    }
    dgate[to] = pack(g);
    dup[to] = pack(d);
    if (inner != nullptr) {
      inner[i] = pack(value);
    }
  }
}

// One thread turns eight neighbouring pairs of all heads of a row, so each angle is found once. Launched over rows * headDim / 16.
extern "C" __global__ void __launch_bounds__(256) narrowRope(
    uint4* out,
    const uint4* x,
    const int* position,
    const double* frequencies,
    int bound,
    const int* count,
    int heads,
    int headDim,
    int inverse) {
  int groups = headDim / 16; // of eight pairs
  i64 last = (i64)rowsOf(bound, count) * groups;
  for (i64 i = threadIndex(); i < last; i += threadStride()) {
    int row, group;
    split(i, groups, row, group);
    float sine[8], cosine[8];
    EACH8 {
      double turns = (double)position[row] * frequencies[8 * group + e] * 0.15915494309189533577; // 1 / (2 pi)
      sincospif((float)(2.0 * (turns - rint(turns))), &sine[e], &cosine[e]);
      sine[e] = inverse ? -sine[e] : sine[e];
    }
    i64 at = (i64)row * heads * (2 * groups) + group;
    for (int head = 0; head < heads; head++, at += 2 * groups) {
      float a[8], b[8], turned[8];
      unpack(x[at], a);
      unpack(x[at + groups], b);
      EACH8 turned[e] = a[e] * cosine[e] - b[e] * sine[e];
      out[at] = pack(turned);
      EACH8 turned[e] = b[e] * cosine[e] + a[e] * sine[e];
      out[at + groups] = pack(turned);
    }
  }
}

// Cosine and sine of the angles of a rotary embedding, [rows, pairs], for kernels that would else find each once a head.
extern "C" __global__ void __launch_bounds__(256) rotationAngles(
    float2* out, const int* position, const double* frequencies, int rows, int pairs) {
  for (i64 i = threadIndex(); i < (i64)rows * pairs; i += threadStride()) {
    int row, pair;
    split(i, pairs, row, pair);
    double turns = (double)position[row] * frequencies[pair] * 0.15915494309189533577; // 1 / (2 pi)
    float sine, cosine;
    sincospif((float)(2.0 * (turns - rint(turns))), &sine, &cosine);
    out[i] = make_float2(cosine, sine);
  }
}

// ---- packed projections: rows [packed width] of heads that belong to up to three tensors

#define HEADS_AT_A_TIME 5

struct Dealt {
  uint4* tensors[3];
  int ends[3]; // the head after the last of each
  int rotated; // a bit for each
};

// One thread takes eight pairs of a few neighbouring heads of a row, so that each angle is found once for them.
template <bool SPLIT>
__device__ __forceinline__ void deal(
    uint4* packed, const Dealt& dealt, const int* position, const double* frequencies, int rows, int headDim) {
  int groups = headDim / 16;
  int heads = dealt.ends[2];
  int chunks = (heads + HEADS_AT_A_TIME - 1) / HEADS_AT_A_TIME;
  for (i64 i = threadIndex(), last = (i64)rows * chunks * groups; i < last; i += threadStride()) {
    int row, place;
    split(i, chunks * groups, row, place);
    int group = place % groups;
    int from = place / groups * HEADS_AT_A_TIME;
    float sine[8], cosine[8];
    EACH8 {
      double turns = (double)position[row] * frequencies[8 * group + e] * 0.15915494309189533577; // 1 / (2 pi)
      sincospif((float)(2.0 * (turns - rint(turns))), &sine[e], &cosine[e]);
      sine[e] = SPLIT ? sine[e] : -sine[e];
    }
#pragma unroll
    for (int h = 0; h < HEADS_AT_A_TIME; h++) {
      int head = from + h;
      if (head < heads) {
        bool inFirst = head < dealt.ends[0];
        bool inSecond = head < dealt.ends[1];
        uint4* tensor = inFirst ? dealt.tensors[0] : inSecond ? dealt.tensors[1] : dealt.tensors[2];
        int begin = inFirst ? 0 : inSecond ? dealt.ends[0] : dealt.ends[1];
        int end = inFirst ? dealt.ends[0] : inSecond ? dealt.ends[1] : dealt.ends[2];
        bool turns = (dealt.rotated >> (inFirst ? 0 : inSecond ? 1 : 2) & 1) != 0;
        uint4* own = tensor + ((i64)row * (end - begin) + head - begin) * (2 * groups) + group;
        uint4* together = packed + ((i64)row * heads + head) * (2 * groups) + group;
        const uint4* source = SPLIT ? together : own;
        uint4* target = SPLIT ? own : together;
        uint4 low = source[0];
        uint4 high = source[groups];
        if (turns) {
          float a[8], b[8], turned[8];
          unpack(low, a);
          unpack(high, b);
          EACH8 turned[e] = a[e] * cosine[e] - b[e] * sine[e];
          low = pack(turned);
          EACH8 turned[e] = b[e] * cosine[e] + a[e] * sine[e];
          high = pack(turned);
        }
        target[0] = low;
        target[groups] = high;
      }
    }
  }
}

// packed to its tensors, rotated
extern "C" __global__ void __launch_bounds__(256) narrowSplit(
    uint4* packed, uint4* a, uint4* b, uint4* c, const int* position, const double* frequencies, int rows, int headDim, int endA, int endB, int endC, int rotated) {
  deal<true>(packed, {{a, b, c}, {endA, endB, endC}, rotated}, position, frequencies, rows, headDim);
}

// tensors to packed, rotated back
extern "C" __global__ void __launch_bounds__(256) narrowMerge(
    uint4* packed, uint4* a, uint4* b, uint4* c, const int* position, const double* frequencies, int rows, int headDim, int endA, int endB, int endC, int rotated) {
  deal<false>(packed, {{a, b, c}, {endA, endB, endC}, rotated}, position, frequencies, rows, headDim);
}

// x in either precision
extern "C" __global__ void __launch_bounds__(256) narrowGather(
    uint4* out, Values x, const int* index, int bound, const int* count, int vectors) {
  FOR_EACH_VECTOR(i) {
    int r, c;
    split(i, vectors, r, c);
    i64 from = (i64)index[r] * vectors + c;
    if (x.isNarrow()) {
      out[i] = ((const uint4*)x.address())[from];
    } else {
      float values[8];
      read8((const float*)x.address() + 8 * from, values);
      out[i] = pack(values);
    }
  }
}

// Every index at most once, so no two threads meet; gate is null for 1.
extern "C" __global__ void __launch_bounds__(256) narrowAddToRows(
    uint4* out, const int* index, const uint4* x, const float* gate, int bound, const int* count, int vectors) {
  FOR_EACH_VECTOR(i) {
    int r, c;
    split(i, vectors, r, c);
    i64 to = (i64)index[r] * vectors + c;
    float factor = gate == nullptr ? 1.0f : gate[r];
    float values[8], sums[8];
    unpack(x[i], values);
    unpack(out[to], sums);
    EACH8 sums[e] = fmaf(factor, values[e], sums[e]);
    out[to] = pack(sums);
  }
}

extern "C" __global__ void __launch_bounds__(256) narrowScaleRows(
    uint4* out, const uint4* x, const float* factors, int bound, const int* count, int vectors, int accumulate) {
  FOR_EACH_VECTOR(i) {
    int r, c;
    split(i, vectors, r, c);
    float values[8];
    unpack(x[i], values);
    float factor = factors[r];
    EACH8 values[e] *= factor;
    if (accumulate) {
      float sums[8];
      unpack(out[i], sums);
      EACH8 values[e] += sums[e];
    }
    out[i] = pack(values);
  }
}

// ---- products with few outputs, weights in 32 bit

// out [rows, outputs] (+)= x @ weightT, a warp per row
extern "C" __global__ void __launch_bounds__(256) narrowThin(
    Values out, const uint4* x, const float* weight, int bound, const int* count, int vectors, int outputs, int accumulate) {
  int rows = rowsOf(bound, count);
  int warps = blockDim.x / WARP;
  for (i64 row = (i64)blockIdx.x * warps + threadIdx.x / WARP; row < rows; row += (i64)gridDim.x * warps) {
    for (int output = 0; output < outputs; output++) {
      float sum = 0.0f;
      for (int c = threadIdx.x % WARP; c < vectors; c += WARP) {
        float values[8], scale[8];
        unpack(x[row * vectors + c], values);
        read8(weight + ((i64)output * vectors + c) * 8, scale);
        EACH8 sum = fmaf(values[e], scale[e], sum);
      }
      sum = reduceTeam<WARP, Sum>(sum);
      if (threadIdx.x % WARP == 0) {
        put(out, row * outputs + output, sum, accumulate);
      }
    }
  }
}

// out (+)= a [rows, 1] @ b [1, columns]
extern "C" __global__ void __launch_bounds__(256) narrowOuter(
    uint4* out, const float* a, const float* b, int bound, const int* count, int vectors, int accumulate) {
  FOR_EACH_VECTOR(i) {
    int r, c;
    split(i, vectors, r, c);
    float values[8];
    read8(b + 8 * c, values);
    float factor = a[r];
    EACH8 values[e] *= factor;
    if (accumulate) {
      float sums[8];
      unpack(out[i], sums);
      EACH8 values[e] += sums[e];
    }
    out[i] = pack(values);
  }
}

// ---- norms: a warp per row, N vectors per lane, which stay in registers

#define VECTOR_KERNEL(name, parameters, arguments)                                                   \
  extern "C" __global__ void __launch_bounds__(256, 2) name##1 parameters { name<1> arguments; }        \
  extern "C" __global__ void __launch_bounds__(256, 2) name##2 parameters { name<2> arguments; }        \
  extern "C" __global__ void __launch_bounds__(256, 2) name##3 parameters { name<3> arguments; }        \
  extern "C" __global__ void __launch_bounds__(256, 2) name##4 parameters { name<4> arguments; }        \
  extern "C" __global__ void __launch_bounds__(256) name##8 parameters { name<8> arguments; }

#define EACH_VECTOR(j, c) _Pragma("unroll") for (int j = 0, c = threadIdx.x % WARP; j < N; j++, c += WARP) if (c < vectors)

// A warp's row, which is held from then on, and the reciprocal of the root of its mean square.
template <int N>
__device__ __forceinline__ float reciprocalOf(uint4 (&held)[N], const uint4* row, int vectors, float epsilon) {
  float squares = 0.0f;
  EACH_VECTOR(j, c) {
    held[j] = row[c];
    float values[8];
    unpack(held[j], values);
    EACH8 squares = fmaf(values[e], values[e], squares);
  }
  squares = reduceTeam<WARP, Sum>(squares);
  return 1.0f / sqrtf(squares / (8 * vectors) + epsilon);
}

// rstd as narrowNorm makes it.
template <int N>
__device__ __forceinline__ void narrowRstd(float* rstd, const uint4* x, int bound, const int* count, int vectors, float epsilon) {
  int rows = rowsOf(bound, count);
  int warps = blockDim.x / WARP;
  for (i64 row = (i64)blockIdx.x * warps + threadIdx.x / WARP; row < rows; row += (i64)gridDim.x * warps) {
    uint4 held[N];
    float reciprocal = reciprocalOf<N>(held, x + row * vectors, vectors, epsilon);
    if (threadIdx.x % WARP == 0) {
      rstd[row] = reciprocal;
    }
  }
}
VECTOR_KERNEL(narrowRstd,
    (float* rstd, const uint4* x, int bound, const int* count, int vectors, float epsilon),
    (rstd, x, bound, count, vectors, epsilon))

// rstd of rows of which parts of the sums of squares are known: squares [parts, rows].
extern "C" __global__ void __launch_bounds__(256) rstdOfSquares(
    float* rstd, const float* squares, int rows, int parts, int columns, float epsilon) {
  for (i64 row = threadIndex(); row < rows; row += threadStride()) {
    float sum = 0.0f;
    for (int part = 0; part < parts; part++) {
      sum += squares[(i64)part * rows + row];
    }
    rstd[row] = 1.0f / sqrtf(sum / columns + epsilon);
  }
}

// x as narrowNorm makes it of rows whose rstd is known.
extern "C" __global__ void __launch_bounds__(256) narrowNormed(
    uint4* out, const uint4* x, const float* rstd, const float* weight, int bound, const int* count, int vectors) {
  FOR_EACH_VECTOR(i) {
    int r, c;
    split(i, vectors, r, c);
    float values[8], scale[8];
    unpack(x[i], values);
    read8(weight + 8 * c, scale);
    float reciprocal = rstd[r];
    EACH8 values[e] = values[e] * reciprocal * scale[e];
    out[i] = pack(values);
  }
}

template <int N>
__device__ __forceinline__ void narrowNorm(
    uint4* out, float* rstd, const uint4* x, const float* weight, int bound, const int* count, int vectors, float epsilon) {
  int rows = rowsOf(bound, count);
  int warps = blockDim.x / WARP;
  for (i64 row = (i64)blockIdx.x * warps + threadIdx.x / WARP; row < rows; row += (i64)gridDim.x * warps) {
    uint4 held[N];
    float reciprocal = reciprocalOf<N>(held, x + row * vectors, vectors, epsilon);
    EACH_VECTOR(j, c) {
      float values[8], scale[8];
      unpack(held[j], values);
      read8(weight + 8 * c, scale);
      EACH8 values[e] = values[e] * reciprocal * scale[e];
      out[row * vectors + c] = pack(values);
    }
    if (threadIdx.x % WARP == 0) {
      rstd[row] = reciprocal;
    }
  }
}
VECTOR_KERNEL(narrowNorm,
    (uint4* out, float* rstd, const uint4* x, const float* weight, int bound, const int* count, int vectors, float epsilon),
    (out, rstd, x, weight, bound, count, vectors, epsilon))

// dx as rmsNormBackward says, normed as narrowNorm makes it unless it is null, and for each block the sum over its rows of dy * x * rstd: partials [blocks, columns]. How rows are dealt to blocks
// and warps depends on the grid alone, which is the same on every card. Dynamic shared memory: columns floats.
template <int N>
__device__ __forceinline__ void narrowNormBackward(
    uint4* dx,
    float* partials,
    uint4* normed,
    const uint4* x,
    const float* rstd,
    const float* weight,
    const uint4* dy,
    int bound,
    const int* count,
    int vectors,
    int accumulate) {
  extern __shared__ float sums[];
  int rows = rowsOf(bound, count);
  int warps = blockDim.x / WARP;
  float own[N][8];
#pragma unroll
  for (int j = 0; j < N; j++) {
    EACH8 own[j][e] = 0.0f;
  }
  float scale[N][8];
  EACH_VECTOR(j, c) {
    read8(weight + 8 * c, scale[j]);
  }
  for (i64 row = (i64)blockIdx.x * warps + threadIdx.x / WARP; row < rows; row += (i64)gridDim.x * warps) {
    uint4 heldX[N], heldDy[N], before[N];
    float reciprocal = rstd[row];
    // all that a row needs is asked for before the first of it is used
    EACH_VECTOR(j, c) {
      heldX[j] = x[row * vectors + c];
      heldDy[j] = dy[row * vectors + c];
      if (accumulate) {
        before[j] = dx[row * vectors + c];
      }
    }
    float dot = 0.0f;
    EACH_VECTOR(j, c) {
      float values[8], gradients[8];
      unpack(heldX[j], values);
      unpack(heldDy[j], gradients);
      EACH8 {
        dot = fmaf(gradients[e] * scale[j][e], values[e], dot);
        own[j][e] = fmaf(gradients[e], values[e] * reciprocal, own[j][e]);
      }
    }
    dot = reduceTeam<WARP, Sum>(dot);
    float common = dot * reciprocal * reciprocal * reciprocal / (8 * vectors);
    EACH_VECTOR(j, c) {
      float values[8], gradients[8];
      unpack(heldX[j], values);
      unpack(heldDy[j], gradients);
      EACH8 gradients[e] = fmaf(gradients[e] * scale[j][e], reciprocal, -values[e] * common);
      if (normed != nullptr) {
        EACH8 values[e] = values[e] * reciprocal * scale[j][e];
        normed[row * vectors + c] = pack(values);
      }
      if (accumulate) {
        float sums[8];
        unpack(before[j], sums);
        EACH8 gradients[e] += sums[e];
      }
      dx[row * vectors + c] = pack(gradients);
    }
  }
  for (int turn = 0; turn < warps; turn++) {
    if (threadIdx.x / WARP == turn) {
      EACH_VECTOR(j, c) {
        EACH8 sums[8 * c + e] = turn == 0 ? own[j][e] : sums[8 * c + e] + own[j][e];
      }
    }
    __syncthreads();
  }
  for (int c = threadIdx.x; c < 8 * vectors; c += blockDim.x) {
    partials[(i64)blockIdx.x * 8 * vectors + c] = sums[c];
  }
}
VECTOR_KERNEL(narrowNormBackward,
    (uint4* dx, float* partials, uint4* normed, const uint4* x, const float* rstd, const float* weight, const uint4* dy, int bound, const int* count, int vectors, int accumulate),
    (dx, partials, normed, x, rstd, weight, dy, bound, count, vectors, accumulate))

// out [columns] += the sums of the columns of partials [number, columns]; a block takes 8 columns, so that many blocks share what is read. Two threads
// have a row.
#define PARTIAL_COLUMNS 8
extern "C" __global__ void __launch_bounds__(1024) narrowAddPartials(float* out, const float* partials, int number, int columns) {
  __shared__ float sums[WARP][PARTIAL_COLUMNS];
  const float4* from = (const float4*)(partials + blockIdx.x * PARTIAL_COLUMNS) + threadIdx.x % 2;
  int pitch = columns / 4;
  float own[4] = {};
#pragma unroll 4
  for (int row = threadIdx.x / 2; row < number; row += 512) {
    float4 value = from[(i64)row * pitch];
    own[0] += value.x;
    own[1] += value.y;
    own[2] += value.z;
    own[3] += value.w;
  }
#pragma unroll
  for (int distance = 2; distance < WARP; distance *= 2) {
#pragma unroll
    for (int e = 0; e < 4; e++) {
      own[e] += __shfl_xor_sync(FULL_MASK, own[e], distance);
    }
  }
  if (threadIdx.x % WARP < 2) {
#pragma unroll
    for (int e = 0; e < 4; e++) {
      sums[threadIdx.x / WARP][threadIdx.x % 2 * 4 + e] = own[e];
    }
  }
  __syncthreads();
  int column = threadIdx.x / WARP;
  if (column < PARTIAL_COLUMNS) { // a warp each
    float total = reduceTeam<WARP, Sum>(sums[threadIdx.x % WARP][column]);
    if (threadIdx.x % WARP == 0) {
      out[blockIdx.x * PARTIAL_COLUMNS + column] += total;
    }
  }
}

// ---- loss

// Cross-entropy of a row of logits, which a block holds in registers: read once, and its gradient written over it. dy [rows] is null without
// gradient.
template <int N>
__device__ __forceinline__ void narrowLoss(
    float* out, uint4* logits, const int* target, const float* dy, int bound, const int* count, int vectors) {
  const int THREADS = 1024;
  i64 row = blockIdx.x;
  if (row >= rowsOf(bound, count)) {
    return;
  }
  uint4* own = logits + row * vectors;
  int wanted = target[row];
  float chosen = widen(((const unsigned short*)own)[wanted]); // before anything is written
  uint4 held[N];
  float largest = -INFINITE;
#pragma unroll
  for (int j = 0; j < N; j++) {
    int c = threadIdx.x + j * THREADS;
    if (c < vectors) {
      held[j] = own[c];
      float values[8];
      unpack(held[j], values);
      EACH8 largest = fmaxf(largest, values[e]);
    }
  }
  largest = reduceTeam<THREADS, Maximum>(largest);
  float shift = isinf(largest) ? 0.0f : largest;
  float sum = 0.0f;
#pragma unroll
  for (int j = 0; j < N; j++) {
    if (threadIdx.x + j * THREADS < vectors) {
      float values[8];
      unpack(held[j], values);
      EACH8 sum += __expf(values[e] - shift);
    }
  }
  sum = reduceTeam<THREADS, Sum>(sum);
  float total = sum != sum ? sum : isinf(largest) ? largest : largest + logf(sum);
  if (threadIdx.x == 0) {
    out[row] = total - chosen;
  }
  if (dy == nullptr) {
    return;
  }
  float gradient = dy[row];
#pragma unroll
  for (int j = 0; j < N; j++) {
    int c = threadIdx.x + j * THREADS;
    if (c < vectors) {
      float values[8];
      unpack(held[j], values);
      EACH8 values[e] = (__expf(values[e] - total) - (8 * c + e == wanted ? 1.0f : 0.0f)) * gradient;
      own[c] = pack(values);
    }
  }
}

#define LOSS_KERNEL(name, number)                                                                                       \
  extern "C" __global__ void __launch_bounds__(1024) name(                                                              \
      float* out, uint4* logits, const int* target, const float* dy, int bound, const int* count, int vectors) {        \
    narrowLoss<number>(out, logits, target, dy, bound, count, vectors);                                                 \
  }

LOSS_KERNEL(narrowLoss1, 1)
LOSS_KERNEL(narrowLoss4, 4)
LOSS_KERNEL(narrowLoss6, 6)
LOSS_KERNEL(narrowLoss8, 8)
