// Element-wise kernels. out may be an input, so no pointer is restrict. One thread walks over elements a grid apart.
#include "common.cuh"

#define FOR_EACH_ELEMENT(i, elements) for (i64 i = threadIndex(); i < (elements); i += threadStride())
#define ELEMENTS ((i64)rowsOf(bound, count) * columns)

extern "C" __global__ void fillFloats(Values out, i64 elements, float value) {
  FOR_EACH_ELEMENT(i, elements) out[i] = value;
}

// Whole vectors of four elements in 32 bit or eight in bfloat16.
extern "C" __global__ void __launch_bounds__(256) fillVectors(uint4* out, i64 vectors, float value, int isNarrow) {
  u32 word = isNarrow ? pairOf(value, value) : __float_as_uint(value);
  FOR_EACH_ELEMENT(i, vectors) out[i] = make_uint4(word, word, word, word);
}

extern "C" __global__ void fillInts(int* out, i64 elements, int value) {
  FOR_EACH_ELEMENT(i, elements) out[i] = value;
}

extern "C" __global__ void copyRows(Values out, Values x, int bound, const int* count, int columns) {
  FOR_EACH_ELEMENT(i, ELEMENTS) out[i] = x[i];
}

extern "C" __global__ void clearBehindCount(Values x, int bound, const int* count, int columns) {
  i64 elements = (i64)bound * columns;
  for (i64 i = ELEMENTS + threadIndex(); i < elements; i += threadStride()) {
    x[i] = 0.0f;
  }
}

extern "C" __global__ void affine(
    Values out, Values x, int bound, const int* count, int columns, float scale, float shift, int accumulate) {
  FOR_EACH_ELEMENT(i, ELEMENTS) put(out, i, scale * x[i] + shift, accumulate);
}

extern "C" __global__ void add(Values out, Values a, Values b, int bound, const int* count, int columns, float scaleB) {
  FOR_EACH_ELEMENT(i, ELEMENTS) out[i] = a[i] + scaleB * b[i];
}

extern "C" __global__ void multiply(
    Values out, Values a, Values b, int bound, const int* count, int columns, int accumulate) {
  FOR_EACH_ELEMENT(i, ELEMENTS) put(out, i, a[i] * b[i], accumulate);
}

// The numbers of io.mor.api.tensor.Unary, as the host passes them.
enum { SIGMOID, TANH, SILU, GELU, EXP, LOG, SQUARE, SQRT, RECIPROCAL, SOFTPLUS };

__device__ __forceinline__ float sigmoid(float x) {
  return 1.0f / (1.0f + expf(-x));
}

__device__ __forceinline__ float normalBelow(float x) {
  return 0.5f * erfcf(x * -0.70710678118654752f);
}

template <int FUNCTION>
__device__ __forceinline__ float valueOf(float x) {
  switch (FUNCTION) {
    case SIGMOID: return sigmoid(x);
    case TANH: return tanhf(x);
    case SILU: return x * sigmoid(x);
    case GELU: return x * normalBelow(x);
    case EXP: return expf(x);
    case LOG: return logf(x);
    case SQUARE: return x * x;
    case SQRT: return sqrtf(x);
    case RECIPROCAL: return 1.0f / x;
    default: return (x != x ? x : fmaxf(x, 0.0f)) + log1pf(expf(-fabsf(x)));
  }
}

template <int FUNCTION>
__device__ __forceinline__ float derivativeOf(float x, float y) {
  switch (FUNCTION) {
    case SIGMOID: return y * (1.0f - y);
    case TANH: return 1.0f - y * y;
    case SILU: {
      float s = sigmoid(x);
      return s * (1.0f + x * (1.0f - s));
    }
    case GELU: return normalBelow(x) + x * expf(-0.5f * x * x) * 0.39894228040143268f;
    case EXP: return y;
    case LOG: return 1.0f / x;
    case SQUARE: return 2.0f * x;
    case SQRT: return 0.5f / y;
    case RECIPROCAL: return -y * y;
    default: return sigmoid(x);
  }
}

// The switch is outside the loop: the function is chosen once a launch, not once an element.
#define WITH_FUNCTION(function, statement)                   \
  switch (function) {                                        \
    case SIGMOID: { const int F = SIGMOID; statement } break; \
    case TANH: { const int F = TANH; statement } break;       \
    case SILU: { const int F = SILU; statement } break;       \
    case GELU: { const int F = GELU; statement } break;       \
    case EXP: { const int F = EXP; statement } break;         \
    case LOG: { const int F = LOG; statement } break;         \
    case SQUARE: { const int F = SQUARE; statement } break;   \
    case SQRT: { const int F = SQRT; statement } break;       \
    case RECIPROCAL: { const int F = RECIPROCAL; statement } break; \
    default: { const int F = SOFTPLUS; statement } break;     \
  }

extern "C" __global__ void unary(Values out, Values x, int bound, const int* count, int columns, int function) {
  WITH_FUNCTION(function, FOR_EACH_ELEMENT(i, ELEMENTS) out[i] = valueOf<F>(x[i]);)
}

extern "C" __global__ void unaryBackward(
    Values dx,
    Values x,
    Values y,
    Values dy,
    int bound,
    const int* count,
    int columns,
    int function,
    int accumulate) {
  WITH_FUNCTION(function, FOR_EACH_ELEMENT(i, ELEMENTS) put(dx, i, derivativeOf<F>(x[i], y[i]) * dy[i], accumulate);)
}

// The numbers of io.mor.api.tensor.Comparison, as the host passes them. A comparison with NaN does not hold.
__device__ __forceinline__ float holds(float a, int comparison, float b) {
  bool result = comparison == 0 ? a > b : comparison == 1 ? a >= b : comparison == 2 ? a == b : a < b;
  return result ? 1.0f : 0.0f;
}

extern "C" __global__ void compareRow(
    Values out, Values x, Values row, int bound, const int* count, int columns, int comparison) {
  FOR_EACH_ELEMENT(i, ELEMENTS) {
    int r, c;
    split(i, columns, r, c);
    out[i] = holds(x[i], comparison, row[c]);
  }
}

extern "C" __global__ void compareElements(
    Values out, Values a, Values b, int bound, const int* count, int columns, int comparison) {
  FOR_EACH_ELEMENT(i, ELEMENTS) out[i] = holds(a[i], comparison, b[i]);
}

extern "C" __global__ void scaleRows(
    Values out, Values x, Values factors, int bound, const int* count, int columns, int accumulate) {
  FOR_EACH_ELEMENT(i, ELEMENTS) {
    int r, c;
    split(i, columns, r, c);
    put(out, i, x[i] * factors[r], accumulate);
  }
}

extern "C" __global__ void addRow(Values out, Values x, Values row, int bound, const int* count, int columns) {
  FOR_EACH_ELEMENT(i, ELEMENTS) {
    int r, c;
    split(i, columns, r, c);
    out[i] = x[i] + row[c];
  }
}

extern "C" __global__ void multiplyRow(
    Values out, Values x, Values row, int bound, const int* count, int columns, int accumulate) {
  FOR_EACH_ELEMENT(i, ELEMENTS) {
    int r, c;
    split(i, columns, r, c);
    put(out, i, x[i] * row[c], accumulate);
  }
}

extern "C" __global__ void broadcastColumn(
    Values out, Values column, int bound, const int* count, int columns, int accumulate) {
  FOR_EACH_ELEMENT(i, ELEMENTS) {
    int r, c;
    split(i, columns, r, c);
    put(out, i, column[r], accumulate);
  }
}

extern "C" __global__ void broadcastRow(
    Values out, Values row, int bound, const int* count, int columns, float scale, int accumulate) {
  FOR_EACH_ELEMENT(i, ELEMENTS) {
    int r, c;
    split(i, columns, r, c);
    put(out, i, scale * row[c], accumulate);
  }
}

extern "C" __global__ void swiGlu(Values out, Values gate, Values up, int bound, const int* count, int columns) {
  FOR_EACH_ELEMENT(i, ELEMENTS) {
    float g = gate[i];
    out[i] = g * sigmoid(g) * up[i];
  }
}

extern "C" __global__ void swiGluBackward(
    Values dgate, Values dup, Values gate, Values up, Values dy, int bound, const int* count, int columns) {
  FOR_EACH_ELEMENT(i, ELEMENTS) {
    float g = gate[i];
    float u = up[i];
    float d = dy[i];
    float s = sigmoid(g);
    dgate[i] = s * (1.0f + g * (1.0f - s)) * u * d;
    dup[i] = g * s * d;
  }
}

// Halves are rotated: element i of a head pairs with i + headDim/2. The angle is reduced in double, so that it is exact to single precision
// at any position; frequencies [headDim / 2].
extern "C" __global__ void rope(
    Values out,
    Values x,
    const int* position,
    const double* frequencies,
    int bound,
    const int* count,
    int columns,
    int headDim,
    int inverse) {
  int half = headDim / 2;
  int pairs = columns / 2;
  FOR_EACH_ELEMENT(p, (i64)rowsOf(bound, count) * pairs) {
    int r, pair;
    split(p, pairs, r, pair);
    int head = pair / half;
    int i = pair - head * half;
    double turns = (double)position[r] * frequencies[i] * 0.15915494309189533577; // 1 / (2 pi)
    float sine, cosine;
    sincospif((float)(2.0 * (turns - rint(turns))), &sine, &cosine);
    if (inverse) {
      sine = -sine;
    }
    i64 at = (i64)r * columns + head * headDim + i;
    float first = x[at];
    float second = x[at + half];
    out[at] = first * cosine - second * sine;
    out[at + half] = second * cosine + first * sine;
  }
}

// ---- random numbers: the three SplitMix64 rounds of io.mor.api.tensor.RandomKey

__device__ __forceinline__ u64 mix(u64 z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

__device__ __forceinline__ float uniformOf(u64 seed, u64 stream, u64 step, u64 high, u64 low) {
  u64 z = mix(seed + 0x9e3779b97f4a7c15ULL * (stream + 1));
  z = mix(z ^ mix(step * 0xd1342543de82ef95ULL + high));
  z = mix(z + 0x9e3779b97f4a7c15ULL * (low + 1));
  return (float)(z >> 40) * 5.9604644775390625e-8f; // 2^-24
}

extern "C" __global__ void uniformRows(
    Values out, const int* high, const int* low, int bound, const int* count, u64 seed, u64 stream, u64 step) {
  FOR_EACH_ELEMENT(i, rowsOf(bound, count)) out[i] = uniformOf(seed, stream, step, (u64)(i64)high[i], (u64)(i64)low[i]);
}

extern "C" __global__ void uniform(Values out, int bound, const int* count, int columns, u64 seed, u64 stream, u64 step) {
  FOR_EACH_ELEMENT(i, ELEMENTS) out[i] = uniformOf(seed, stream, step, 0, (u64)i);
}
