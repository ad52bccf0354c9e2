// Checks and times the matrix products for Hopper of the backend cuda by themselves: against a reference in double on odd sizes and those of training,
// then beside cuBLASLt's product with the passes that they replace.
//
// build: nvcc -std=c++17 -O2 --fmad=false -gencode=arch=compute_90a,code=sm_90a \
//          -I plugins/backend-cuda/src/main/resources/io/mor/backend/cuda -o products_bench mor-bench/gpu/products_bench.cu -ldl
// usage: products_bench check PART
//        products_bench time PART LIBRARY
//   PART     heads, gated, backward, output, residual, weights or all
//   LIBRARY  the path of libcublasLt.so
// The last line says how many checks failed; the exit status is 1 if any did.
#include "flash.cu"
#include "narrow.cu"
#include "products_hopper.cu"

#include <cuda.h>
#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#define CHECK(call)                                                                        \
  do {                                                                                     \
    cudaError_t status = (call);                                                           \
    if (status != cudaSuccess) {                                                           \
      std::printf("%s:%d %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorString(status)); \
      std::fflush(stdout);                                                                 \
      std::exit(3);                                                                        \
    }                                                                                      \
  } while (0)

static int failures = 0;
static int multiprocessors = 0;
static const int GUARD_ROWS = 131; // behind each result, which must stay as they are
static const unsigned char POISON = 0xfd; // 0xfdfd: a large negative number

// ---- memory

__global__ void fillRandom(Bf16* to, i64 count, u64 seed, float spread) {
  for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += (i64)gridDim.x * blockDim.x) {
    u64 z = (u64)i * 0x9e3779b97f4a7c15ULL + seed;
    float sum = 0.0f;
    for (int turn = 0; turn < 3; turn++) { // nearly normal
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
      z ^= z >> 31;
      sum += (float)(z >> 40) * (1.0f / 16777216.0f) + (float)(z & 0xffffff) * (1.0f / 16777216.0f) - 1.0f;
    }
    to[i] = (Bf16)packBf16(sum * 1.41421356f * spread, 0.0f);
  }
}

struct Matrix {
  int rows, columns;
  Bf16* device = nullptr;

  Matrix(int rows, int columns) : rows(rows), columns(columns) {
    CHECK(cudaMalloc(&device, bytes()));
    poison();
  }
  ~Matrix() { cudaFree(device); }
  Matrix(const Matrix&) = delete;
  size_t bytes() const { return ((size_t)rows + GUARD_ROWS) * columns * 2; }
  void poison() { CHECK(cudaMemset(device, POISON, bytes())); }
  void fill(u64 seed, float spread) { fillRandom<<<1024, 256>>>(device, (i64)rows * columns, seed * 0x1234567ULL + 1, spread); }
  std::vector<Bf16> host() const {
    std::vector<Bf16> values(bytes() / 2);
    CHECK(cudaMemcpy(values.data(), device, bytes(), cudaMemcpyDeviceToHost));
    return values;
  }
};

static float toFloat(Bf16 bits) {
  u32 word = (u32)bits << 16;
  float value;
  std::memcpy(&value, &word, 4);
  return value;
}

// ---- maps

static decltype(&cuTensorMapEncodeTiled) encode = nullptr;

static TensorMap mapOf(const void* address, std::vector<cuuint64_t> sizes, std::vector<cuuint64_t> strides, std::vector<u32> box) {
  if (encode == nullptr) {
    cudaDriverEntryPointQueryResult found;
    CHECK(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", (void**)&encode, 12000, cudaEnableDefault, &found));
  }
  alignas(64) CUtensorMap map;
  std::vector<u32> steps(sizes.size(), 1);
  CUresult status = encode(
      &map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, (u32)sizes.size(), (void*)address, sizes.data(), strides.data(), box.data(), steps.data(),
      CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS) {
    std::printf("cuTensorMapEncodeTiled: %d\n", (int)status);
    std::exit(3);
  }
  TensorMap result;
  std::memcpy(&result, &map, sizeof(result));
  return result;
}

static TensorMap boxes(const Bf16* address, int rows, int columns, int boxRows) {
  return mapOf(address, {(u64)columns, (u64)rows}, {2 * (u64)columns}, {64, (u32)boxRows});
}

static TensorMap arranged(const Bf16* address, int rows, int columns, int boxRows) {
  cuuint64_t row = 2 * (u64)columns;
  return mapOf(address, {(u64)columns, 2, 4, 4, (u64)rows / 32}, {row, 8 * row, 2 * row, 32 * row}, {64, 2, 4, 4, (u32)boxRows / 32});
}

// ---- launches

static const int LINEARS_BYTES = 4 * (LEFT_BYTES + 4 * PART_BYTES) + TILE_ROWS * 32 * 8 + 64 + 16;
static const int GATED_BYTES = 4 * (LEFT_BYTES + 4 * PART_BYTES) + 8 * 2 * 2048 + 64;
static const int BACKWARD_BYTES = 4 * (LEFT_BYTES + 3 * PART_BYTES) + 6 * PART_BYTES + 64 + 32;
static const int RESIDUAL_BYTES = 4 * (LEFT_BYTES + 3 * PART_BYTES) + 6 * PART_BYTES + 64 + 20 * 8;

template <class K, class A>
static void launch(K kernel, const A& arguments, int columnTiles, int bytes, int threads = PRODUCT_THREADS) {
  CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
  int tiles = ((int)arguments.rows + TILE_ROWS - 1) / TILE_ROWS * columnTiles;
  kernel<<<std::min(tiles, multiprocessors), threads, bytes>>>(arguments);
}

// ---- cuBLASLt, of which only what is needed is declared

struct Library {
  void* handle = nullptr;
  void* workspace = nullptr;
  int (*create)(void**);
  int (*describe)(void**, int, int);
  int (*set)(void*, int, const void*, size_t);
  int (*layout)(void**, int, u64, u64, i64);
  int (*prefer)(void**);
  int (*setPreference)(void*, int, const void*, size_t);
  int (*choose)(void*, void*, void*, void*, void*, void*, void*, int, void*, int*);
  int (*multiply)(void*, void*, const void*, const void*, void*, const void*, void*, const void*, const void*, void*, void*, void*,
                  const void*, void*, size_t, void*);

  template <class F>
  static void find(void* library, F& function, const char* name) {
    function = (F)dlsym(library, name);
    if (function == nullptr) {
      std::printf("no %s\n", name);
      std::exit(3);
    }
  }

  explicit Library(const char* path) {
    void* library = dlopen(path, RTLD_NOW);
    if (library == nullptr) {
      std::printf("%s\n", dlerror());
      std::exit(3);
    }
    find(library, create, "cublasLtCreate");
    find(library, describe, "cublasLtMatmulDescCreate");
    find(library, set, "cublasLtMatmulDescSetAttribute");
    find(library, layout, "cublasLtMatrixLayoutCreate");
    find(library, prefer, "cublasLtMatmulPreferenceCreate");
    find(library, setPreference, "cublasLtMatmulPreferenceSetAttribute");
    find(library, choose, "cublasLtMatmulAlgoGetHeuristic");
    find(library, multiply, "cublasLtMatmul");
    create(&handle);
    CHECK(cudaMalloc(&workspace, 64 << 20));
  }
};

static double milliseconds(const std::function<void()>& work, int times);

// out [m, n] = a [m, k] @ b, with b [n, k] transposed or [k, n], and what was there; the fastest of the first eight algorithms, and the first
struct LibraryProduct {
  Library& library;
  void *product, *left, *right, *out;
  std::vector<std::vector<unsigned char>> algorithms;
  size_t best = 0;

  LibraryProduct(Library& l, int m, int n, int k, bool transposed) : library(l) {
    library.describe(&product, 68, 0);
    int transpose = transposed, plain = 0;
    library.set(product, 3, &transpose, 4);
    library.set(product, 4, &plain, 4);
    if (transposed) {
      library.layout(&left, 14, k, n, k);
    } else {
      library.layout(&left, 14, n, k, n);
    }
    library.layout(&right, 14, k, m, k);
    library.layout(&out, 14, n, m, n);
    choose();
  }
  // out float [m, n] = transpose(a) @ b, of a [rows, m] and b [rows, n]
  LibraryProduct(Library& l, int m, int n, int rows) : library(l) {
    library.describe(&product, 68, 0);
    int transpose = 1, plain = 0;
    library.set(product, 3, &plain, 4);
    library.set(product, 4, &transpose, 4);
    library.layout(&left, 14, n, rows, n);
    library.layout(&right, 14, m, rows, m);
    library.layout(&out, 0, n, m, n);
    choose();
  }
  void choose() {
    void* preference;
    library.prefer(&preference);
    size_t workspace = 64 << 20;
    library.setPreference(preference, 1, &workspace, 8);
    int ordered = 6;
    library.setPreference(preference, 3, &ordered, 4);
    std::vector<unsigned char> results(96 * 8);
    int found = 0;
    int status = library.choose(library.handle, product, left, right, out, out, preference, 8, results.data(), &found);
    if (status != 0 || found == 0) {
      std::printf("cuBLASLt finds no algorithm: %d\n", status);
      std::exit(3);
    }
    for (int i = 0; i < found; i++) {
      algorithms.emplace_back(results.begin() + 96 * i, results.begin() + 96 * i + 64);
    }
  }
  void run(size_t algorithm, Bf16* to, const Bf16* a, const Bf16* b, const Bf16* base) {
    float one = 1, before = base == nullptr ? 0 : 1;
    int status = library.multiply(
        library.handle, product, &one, b, left, a, right, &before, base == nullptr ? to : base, out, to, out, algorithms[algorithm].data(),
        library.workspace, 64 << 20, nullptr);
    if (status != 0) {
      std::printf("cuBLASLt: %d\n", status);
      std::exit(3);
    }
  }
  void tune(Bf16* to, const Bf16* a, const Bf16* b, const Bf16* base = nullptr) {
    double least = 1e9;
    for (size_t i = 0; i < algorithms.size(); i++) {
      double time = milliseconds([&] { run(i, to, a, b, base); }, 5);
      if (time < least) {
        least = time;
        best = i;
      }
    }
  }
  void run(Bf16* to, const Bf16* a, const Bf16* b, const Bf16* base = nullptr) { run(best, to, a, b, base); }
};

// ---- reference in double, of some rows

__global__ void referenceProduct(double* out, const int* rows, int rowCount, const Bf16* x, const Bf16* w, int n, int k, bool across) {
  for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < (i64)rowCount * n; i += (i64)gridDim.x * blockDim.x) {
    int column = (int)(i % n);
    const Bf16* own = x + (i64)rows[i / n] * k;
    double sum = 0;
    for (int j = 0; j < k; j++) {
      Bf16 weight = across ? w[(i64)j * n + column] : w[(i64)column * k + j];
      sum += (double)__uint_as_float((u32)own[j] << 16) * (double)__uint_as_float((u32)weight << 16);
    }
    out[i] = sum;
  }
}

static std::vector<int> someRows(int rows) {
  std::vector<int> chosen;
  for (int r = 0; r < rows; r++) {
    if (rows <= 700 || r < 130 || r >= rows - 260 || r % 257 == 0) {
      chosen.push_back(r);
    }
  }
  return chosen;
}

static std::vector<double> product(const std::vector<int>& rows, const Matrix& x, const Matrix& w, int n, bool across) {
  int* chosen;
  double* out;
  CHECK(cudaMalloc(&chosen, 4 * rows.size()));
  CHECK(cudaMalloc(&out, 8 * rows.size() * n));
  CHECK(cudaMemcpy(chosen, rows.data(), 4 * rows.size(), cudaMemcpyHostToDevice));
  referenceProduct<<<4096, 256>>>(out, chosen, (int)rows.size(), x.device, w.device, n, x.columns, across);
  std::vector<double> values(rows.size() * n);
  CHECK(cudaMemcpy(values.data(), out, 8 * values.size(), cudaMemcpyDeviceToHost));
  cudaFree(chosen);
  cudaFree(out);
  return values;
}

// How far a result is from what it should be; rows behind it must be as they were.
struct Comparison {
  double difference = 0, size = 0, most = 0;
  bool finite = true;

  void add(double wanted, double got) {
    if (!(std::fabs(got) < 1e30)) {
      finite = false;
    }
    difference += (got - wanted) * (got - wanted);
    size += wanted * wanted;
    most = std::max(most, std::fabs(got - wanted));
  }
  double relative() const { return std::sqrt(difference / std::max(size, 1e-30)); }
};

static bool isPoison(const std::vector<Bf16>& values, size_t from) {
  return std::all_of(values.begin() + from, values.end(), [](Bf16 bits) { return bits == 0xfdfd; });
}

static void report(const std::string& name, const Comparison& c, bool untouched, bool same, double most = 4e-3) {
  bool good = c.finite && c.relative() < most && untouched && same;
  failures += !good;
  std::printf("%s %-58s %.2e of the norm, at most %.2e%s%s%s\n", good ? "ok  " : "FAIL", name.c_str(), c.relative(), c.most,
              c.finite ? "" : ", not finite", untouched ? "" : ", WROTE BEHIND THE END", same ? "" : ", OTHER BITS");
}

// ---- heads

struct HeadsCase {
  int rows, inner;
  int heads[3];
  bool rotated[3];
  Matrix x, weights, a, b, c;
  int* positions;
  double* frequencies;
  std::vector<int> hostPositions;

  HeadsCase(int rows, int inner, int ha, int hb, int hc, bool ra = true, bool rb = true, bool rc = false)
      : rows(rows),
        inner(inner),
        heads{ha, hb, hc},
        rotated{ra, rb, rc},
        x(rows, inner),
        weights(64 * (ha + hb + hc), inner),
        a(rows, std::max(1, 64 * ha)),
        b(rows, std::max(1, 64 * hb)),
        c(rows, std::max(1, 64 * hc)) {
    x.fill(1, 1.0f);
    weights.fill(2, 1 / std::sqrt((float)inner));
    std::vector<double> f(32);
    for (int i = 0; i < 32; i++) {
      f[i] = std::pow(10000.0, -2.0 * i / 64);
    }
    for (int r = 0; r < rows; r++) {
      hostPositions.push_back((int)((u32)r * 2654435761u % 2048));
    }
    CHECK(cudaMalloc(&positions, 4 * (size_t)rows));
    CHECK(cudaMalloc(&frequencies, 8 * 32));
    CHECK(cudaMemcpy(positions, hostPositions.data(), 4 * (size_t)rows, cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(frequencies, f.data(), 8 * 32, cudaMemcpyHostToDevice));
  }
  ~HeadsCase() {
    cudaFree(positions);
    cudaFree(frequencies);
  }
  Matrix& out(int i) { return i == 0 ? a : i == 1 ? b : c; }
  int allHeads() const { return heads[0] + heads[1] + heads[2]; }
  double flops() const { return 2.0 * rows * inner * 64 * allHeads(); }
  LinearsArguments arguments() {
    LinearsArguments g;
    g.x = boxes(x.device, rows, inner, 128);
    g.weights = arranged(weights.device, weights.rows, inner, 64);
    int end = 0;
    g.rotated = 0;
    for (int i = 0; i < 3; i++) {
      end += heads[i];
      g.outs[i] = out(i).device;
      g.ends[i] = end;
      g.rotated |= rotated[i] ? 1 << i : 0;
    }
    g.positions = positions;
    g.frequencies = frequencies;
    g.factors = nullptr;
    g.rows = rows;
    g.inner = inner;
    return g;
  }
  template <class K>
  void run(K kernel) {
    launch(kernel, arguments(), (allHeads() + 3) / 4, LINEARS_BYTES);
  }
  template <class K>
  void check(const std::string& name, K kernel) {
    std::vector<std::vector<Bf16>> results[2];
    for (int turn = 0; turn < 2; turn++) {
      for (int i = 0; i < 3; i++) {
        out(i).poison();
      }
      run(kernel);
      CHECK(cudaDeviceSynchronize());
      for (int i = 0; i < 3; i++) {
        results[turn].push_back(out(i).host());
      }
    }
    std::vector<int> chosen = someRows(rows);
    int n = 64 * allHeads();
    std::vector<double> wanted = product(chosen, x, weights, n, false);
    bool same = results[0] == results[1];
    for (int i = 0, before = 0; i < 3; before += heads[i], i++) {
      if (heads[i] == 0) {
        continue;
      }
      Comparison comparison;
      for (size_t r = 0; r < chosen.size(); r++) {
        for (int h = 0; h < heads[i]; h++) {
          const double* own = &wanted[r * n + 64 * (before + h)];
          const Bf16* got = &results[0][i][(size_t)chosen[r] * 64 * heads[i] + 64 * h];
          for (int p = 0; p < 32; p++) {
            double angle = rotated[i] ? hostPositions[chosen[r]] * std::pow(10000.0, -2.0 * p / 64) : 0;
            comparison.add(own[p] * std::cos(angle) - own[p + 32] * std::sin(angle), toFloat(got[p]));
            comparison.add(own[p + 32] * std::cos(angle) + own[p] * std::sin(angle), toFloat(got[p + 32]));
          }
        }
      }
      report(name + ", tensor " + std::to_string(i), comparison, isPoison(results[0][i], (size_t)rows * 64 * heads[i]), same);
    }
  }
};

// ---- gated unit

struct GatedCase {
  int rows, inner, forward;
  Matrix x, weights, gate, up, activated;
  Matrix dy, down, packed, again; // of the gradient; gate and up are read

  GatedCase(int rows, int inner, int forward)
      : rows(rows),
        inner(inner),
        forward(forward),
        x(rows, inner),
        weights(2 * forward, inner),
        gate(rows, forward),
        up(rows, forward),
        activated(rows, forward),
        dy(rows, inner),
        down(inner, forward),
        packed(rows, 2 * forward),
        again(rows, forward) {
    x.fill(3, 1.0f);
    weights.fill(4, 1.5f / std::sqrt((float)inner));
    dy.fill(5, 1.0f);
    down.fill(6, 1 / std::sqrt((float)inner));
  }
  double flops() const { return 4.0 * rows * inner * forward; }
  GatedLinearsArguments arguments() {
    return {boxes(x.device, rows, inner, 128),
            boxes(weights.device, weights.rows, inner, 128),
            boxes(gate.device, rows, forward, 16),
            boxes(up.device, rows, forward, 16),
            boxes(activated.device, rows, forward, 16),
            nullptr,
            rows,
            inner,
            forward};
  }
  GatedBackwardArguments backwardArguments() {
    return {boxes(dy.device, rows, inner, 128),
            boxes(down.device, inner, forward, 64),
            packed.device,
            again.device,
            gate.device,
            up.device,
            nullptr,
            rows,
            inner,
            forward};
  }
  template <class K>
  void run(K kernel) {
    launch(kernel, arguments(), (forward + 127) / 128, GATED_BYTES);
  }
  template <class K>
  void runBackward(K kernel) {
    launch(kernel, backwardArguments(), (forward + 191) / 192, BACKWARD_BYTES, APART_THREADS);
  }
  template <class K>
  void check(const std::string& name, K kernel) {
    std::vector<std::vector<Bf16>> results[2];
    Matrix* outs[] = {&gate, &up, &activated};
    for (int turn = 0; turn < 2; turn++) {
      for (Matrix* out : outs) {
        out->poison();
      }
      run(kernel);
      CHECK(cudaDeviceSynchronize());
      for (Matrix* out : outs) {
        results[turn].push_back(out->host());
      }
    }
    std::vector<int> chosen = someRows(rows);
    std::vector<double> wanted = product(chosen, x, weights, 2 * forward, false);
    bool same = results[0] == results[1];
    Comparison comparison[3];
    for (size_t r = 0; r < chosen.size(); r++) {
      for (int f = 0; f < forward; f++) {
        size_t at = (size_t)chosen[r] * forward + f;
        float g = toFloat(results[0][0][at]), u = toFloat(results[0][1][at]);
        comparison[0].add(wanted[r * 2 * forward + f], g);
        comparison[1].add(wanted[r * 2 * forward + forward + f], u);
        comparison[2].add(g / (1 + std::exp(-(double)g)) * u, toFloat(results[0][2][at])); // of what was kept
      }
    }
    const char* names[] = {", gate", ", up", ", activated"};
    for (int i = 0; i < 3; i++) {
      report(name + names[i], comparison[i], isPoison(results[0][i], (size_t)rows * forward), same);
    }
  }
  template <class K>
  void checkBackward(const std::string& name, K kernel) {
    gate.fill(7, 1.5f);
    up.fill(8, 1.0f);
    std::vector<std::vector<Bf16>> results[2];
    for (int turn = 0; turn < 2; turn++) {
      packed.poison();
      again.poison();
      runBackward(kernel);
      CHECK(cudaDeviceSynchronize());
      results[turn] = {packed.host(), again.host()};
    }
    std::vector<Bf16> gates = gate.host(), ups = up.host();
    std::vector<int> chosen = someRows(rows);
    std::vector<double> wanted = product(chosen, dy, down, forward, true);
    bool same = results[0] == results[1];
    Comparison comparison[3];
    for (size_t r = 0; r < chosen.size(); r++) {
      for (int f = 0; f < forward; f++) {
        size_t at = (size_t)chosen[r] * forward + f;
        size_t in = (size_t)chosen[r] * 2 * forward + f;
        double g = toFloat(gates[at]), u = toFloat(ups[at]), d = wanted[r * forward + f];
        double s = 1 / (1 + std::exp(-g));
        comparison[0].add(d * u * s * (1 + g * (1 - s)), toFloat(results[0][0][in]));
        comparison[1].add(d * g * s, toFloat(results[0][0][in + forward]));
        comparison[2].add(g * s * u, toFloat(results[0][1][at]));
      }
    }
    const char* names[] = {", dgate", ", dup", ", activated"};
    for (int i = 0; i < 3; i++) {
      report(name + names[i], comparison[i], isPoison(results[0][i / 2], (size_t)rows * forward * (i < 2 ? 2 : 1)), same);
    }
  }
};

// ---- what arrives at an attention's result

struct OutputCase {
  int rows, inner, heads, paddedRows;
  Matrix dy, weights, out, dout;
  float* logSumExp;
  float* made; // statistics, then products, then a guard
  std::vector<float> hostLogSumExp;

  OutputCase(int rows, int inner, int heads)
      : rows(rows),
        inner(inner),
        heads(heads),
        paddedRows((rows + 127) / 128 * 128),
        dy(rows, inner),
        weights(inner, 64 * heads),
        out(rows, 64 * heads),
        dout(rows, 64 * heads) {
    dy.fill(9, 1.0f);
    weights.fill(10, 1 / std::sqrt((float)inner));
    out.fill(11, 1.0f);
    for (size_t i = 0; i < (size_t)rows * heads; i++) {
      hostLogSumExp.push_back(i % 97 == 13 ? -INFINITY : (float)(i % 1009) * 0.01f - 2.0f);
    }
    CHECK(cudaMalloc(&logSumExp, 4 * hostLogSumExp.size()));
    CHECK(cudaMemcpy(logSumExp, hostLogSumExp.data(), 4 * hostLogSumExp.size(), cudaMemcpyHostToDevice));
    CHECK(cudaMalloc(&made, 4 * floats()));
  }
  ~OutputCase() {
    cudaFree(logSumExp);
    cudaFree(made);
  }
  size_t all() const { return (size_t)paddedRows * heads; }
  size_t floats() const { return 2 * all() + 256; }
  double flops() const { return 2.0 * rows * inner * 64 * heads; }
  OutputGradientArguments arguments() {
    return {boxes(dy.device, rows, inner, 128),
            boxes(weights.device, inner, 64 * heads, 64),
            boxes(dout.device, rows, 64 * heads, 64),
            out.device,
            logSumExp,
            made,
            made + all(),
            rows,
            inner,
            64 * heads,
            paddedRows};
  }
  void run() { launch(hopperOutputGradient, arguments(), (heads + 2) / 3, BACKWARD_BYTES, APART_THREADS); }
  void statisticsApart() {
    i64 threads = (i64)paddedRows * heads * 8;
    flashStatistics64<<<(int)((threads + 255) / 256), 256>>>(
        made, made + all(), out.device, 64 * heads, dout.device, 64 * heads, logSumExp, rows, nullptr, paddedRows, heads);
  }
  std::vector<u32> bits() const {
    std::vector<u32> values(floats());
    CHECK(cudaMemcpy(values.data(), made, 4 * floats(), cudaMemcpyDeviceToHost));
    return values;
  }
  void poison() { CHECK(cudaMemset(made, POISON, 4 * floats())); }
  void check(const std::string& name) {
    std::vector<Bf16> slopes[2];
    std::vector<u32> sums[2];
    for (int turn = 0; turn < 2; turn++) {
      dout.poison();
      poison();
      run();
      CHECK(cudaDeviceSynchronize());
      slopes[turn] = dout.host();
      sums[turn] = bits();
    }
    poison();
    statisticsApart();
    bool asApart = bits() == sums[0];
    std::vector<int> chosen = someRows(rows);
    std::vector<Bf16> given = out.host();
    int n = 64 * heads;
    std::vector<double> wanted = product(chosen, dy, weights, n, true);
    Comparison slope, products;
    for (size_t r = 0; r < chosen.size(); r++) {
      for (int h = 0; h < heads; h++) {
        double sum = 0;
        for (int c = 64 * h; c < 64 * h + 64; c++) {
          float got = toFloat(slopes[0][(size_t)chosen[r] * n + c]);
          slope.add(wanted[r * n + c], got);
          sum += (double)got * toFloat(given[(size_t)chosen[r] * n + c]); // of what was kept
        }
        float got;
        std::memcpy(&got, &sums[0][all() + (size_t)h * paddedRows + chosen[r]], 4);
        products.add(sum, got);
      }
    }
    report(name + ", dout", slope, isPoison(slopes[0], (size_t)rows * n), slopes[0] == slopes[1]);
    report(name + ", products", products, true, sums[0] == sums[1]);
    failures += !asApart;
    std::printf("%s %s, statistics and products with the bits of a pass of their own\n", asApart ? "ok  " : "FAIL", name.c_str());
  }
};

// ---- a product that is added to what was there

struct ResidualCase {
  int rows, inner, columns;
  Matrix a, weights, base, out;
  float* squares; // and a guard

  ResidualCase(int rows, int inner, int columns)
      : rows(rows), inner(inner), columns(columns), a(rows, inner), weights(columns, inner), base(rows, columns), out(rows, columns) {
    a.fill(12, 1.0f);
    weights.fill(13, 1 / std::sqrt((float)inner));
    base.fill(14, 1.0f);
    CHECK(cudaMalloc(&squares, 4 * floats()));
  }
  ~ResidualCase() { cudaFree(squares); }
  int tiles() const { return (columns + 191) / 192; }
  size_t floats() const { return (size_t)tiles() * rows + 256; }
  double flops() const { return 2.0 * rows * inner * columns; }
  ResidualArguments arguments(const Matrix& from, float* sums) {
    return {boxes(a.device, rows, inner, 128),
            boxes(weights.device, columns, inner, 192),
            boxes(from.device, rows, columns, 64),
            boxes(out.device, rows, columns, 64),
            sums,
            rows,
            inner,
            columns};
  }
  void run() { run(base, squares); }
  void run(const Matrix& from, float* sums) { launch(hopperResidual, arguments(from, sums), tiles(), RESIDUAL_BYTES); }
  // once more in place of what was there, and without squares
  std::vector<Bf16> inPlace() {
    CHECK(cudaMemcpy(out.device, base.device, base.bytes(), cudaMemcpyDeviceToDevice));
    run(out, nullptr);
    CHECK(cudaDeviceSynchronize());
    return out.host();
  }
  void check(const std::string& name) {
    std::vector<Bf16> results[2];
    std::vector<u32> sums[2];
    for (int turn = 0; turn < 2; turn++) {
      out.poison();
      CHECK(cudaMemset(squares, POISON, 4 * floats()));
      run();
      CHECK(cudaDeviceSynchronize());
      results[turn] = out.host();
      sums[turn].resize(floats());
      CHECK(cudaMemcpy(sums[turn].data(), squares, 4 * floats(), cudaMemcpyDeviceToHost));
    }
    bool same = results[1] == results[0] && inPlace() == results[0];
    std::vector<int> chosen = someRows(rows);
    std::vector<double> wanted = product(chosen, a, weights, columns, false);
    std::vector<Bf16> before = base.host();
    Comparison result, square;
    for (size_t r = 0; r < chosen.size(); r++) {
      for (int tile = 0; tile < tiles(); tile++) {
        double sum = 0;
        for (int c = 192 * tile; c < std::min(columns, 192 * tile + 192); c++) {
          size_t at = (size_t)chosen[r] * columns + c;
          double got = toFloat(results[0][at]);
          result.add(wanted[r * columns + c] + toFloat(before[at]), got);
          sum += got * got; // of what was kept
        }
        float got;
        std::memcpy(&got, &sums[0][(size_t)tile * rows + chosen[r]], 4);
        square.add(sum, got);
      }
    }
    bool untouched = std::all_of(sums[0].end() - 256, sums[0].end(), [](u32 bits) { return bits == 0xfdfdfdfd; });
    report(name, result, isPoison(results[0], (size_t)rows * columns), same, 1.9e-3); // rounded twice it would be 2.3e-3
    report(name + ", squares", square, untouched, sums[1] == sums[0], 1e-6);
  }
};

// ---- weights' gradients

static const int WEIGHTS_BYTES = 4 * 6 * PART_BYTES + 64;

__global__ void referenceWeights(double* out, const int* chosen, int count, const Bf16* a, int pitch, const Bf16* b, int n, int rows) {
  for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < (i64)count * n; i += (i64)gridDim.x * blockDim.x) {
    double sum = 0;
    for (int r = 0; r < rows; r++) {
      sum += (double)__uint_as_float((u32)a[(i64)r * pitch + chosen[i / n]] << 16) * (double)__uint_as_float((u32)b[(i64)r * n + i % n] << 16);
    }
    out[i] = sum;
  }
}

struct Chunks {
  int whole, rest;
};

struct WeightsCase {
  int rows, m, n, pitch, first;
  Matrix a, b;
  float *out, *before;
  float* partials;
  u32* arrivals;

  // a begins at column first of rows of pitch
  WeightsCase(int rows, int m, int n, int pitch = 0, int first = 0)
      : rows(rows), m(m), n(n), pitch(pitch == 0 ? m : pitch), first(first), a(rows, this->pitch), b(rows, n) {
    a.fill(15, 1.0f);
    b.fill(16, 1.0f);
    CHECK(cudaMalloc(&out, 4 * floats()));
    CHECK(cudaMalloc(&before, 4 * floats()));
    CHECK(cudaMalloc(&partials, 64 << 20));
    CHECK(cudaMalloc(&arrivals, 1 << 20));
    CHECK(cudaMemset(arrivals, 0, 1 << 20));
    std::vector<float> values(floats());
    u32 seed = 1;
    for (float& value : values) {
      value = ((int)((seed = seed * 1664525u + 1013904223u) >> 16) - 32768) * 0.003f;
    }
    CHECK(cudaMemcpy(before, values.data(), 4 * floats(), cudaMemcpyHostToDevice));
  }
  ~WeightsCase() {
    cudaFree(out);
    cudaFree(before);
    cudaFree(partials);
    cudaFree(arrivals);
  }
  size_t floats() const { return (size_t)m * n + 1024; }
  double flops() const { return 2.0 * rows * m * n; }
  int columnTiles() const { return (n + 191) / 192; }
  int wholeTiles() const { return m / 192 * columnTiles(); }
  int restTiles() const { return m % 192 == 0 ? 0 : columnTiles(); }
  // so that all blocks are there at the same time; 0: there are too many tiles
  Chunks chunks() const {
    int most = std::min(6, (rows + 63) / 64);
    double tiles = wholeTiles() + (double)restTiles() * (m % 192) / 192;
    int whole = std::min((int)(multiprocessors / tiles), most);
    return {whole, restTiles() == 0 ? 1 : std::min((multiprocessors - wholeTiles() * whole) / restTiles(), most)};
  }
  int blocks(Chunks c) const { return wholeTiles() * c.whole + restTiles() * c.rest; }
  bool fits(Chunks c) const { return c.whole > 0 && c.rest > 0 && blocks(c) <= multiprocessors; }
  void run(Chunks chunks, bool accumulate) {
    WeightGradientArguments g;
    g.a = mapOf(a.device + first, {(u64)m, (u64)rows}, {2 * (u64)pitch}, {64, 64});
    g.b = boxes(b.device, rows, n, 64);
    g.out = out;
    g.partials = partials;
    g.arrivals = arrivals;
    g.rows = rows;
    g.m = m;
    g.n = n;
    g.chunks = chunks.whole;
    g.restChunks = chunks.rest;
    g.accumulate = accumulate;
    CHECK(cudaFuncSetAttribute(hopperWeightGradient, cudaFuncAttributeMaxDynamicSharedMemorySize, WEIGHTS_BYTES));
    hopperWeightGradient<<<blocks(chunks), APART_THREADS, WEIGHTS_BYTES>>>(g);
  }
  std::vector<float> result(Chunks chunks, bool accumulate) {
    if (accumulate) {
      CHECK(cudaMemcpy(out, before, 4 * floats(), cudaMemcpyDeviceToDevice));
    } else {
      CHECK(cudaMemset(out, POISON, 4 * floats()));
      CHECK(cudaMemcpy(out + (size_t)m * n, before + (size_t)m * n, 4096, cudaMemcpyDeviceToDevice));
    }
    run(chunks, accumulate);
    CHECK(cudaGetLastError());
    CHECK(cudaDeviceSynchronize());
    std::vector<float> values(floats());
    CHECK(cudaMemcpy(values.data(), out, 4 * floats(), cudaMemcpyDeviceToHost));
    return values;
  }
  void check() {
    std::vector<int> chosen;
    for (int i = 0; i < m; i++) {
      if (m < 100 || i % 23 == 0 || i >= m - 4) {
        chosen.push_back(i);
      }
    }
    int* list;
    double* sums;
    CHECK(cudaMalloc(&list, 4 * chosen.size()));
    CHECK(cudaMalloc(&sums, 8 * chosen.size() * n));
    CHECK(cudaMemcpy(list, chosen.data(), 4 * chosen.size(), cudaMemcpyHostToDevice));
    referenceWeights<<<4096, 128>>>(sums, list, (int)chosen.size(), a.device + first, pitch, b.device, n, rows);
    std::vector<double> wanted(chosen.size() * n);
    CHECK(cudaMemcpy(wanted.data(), sums, 8 * wanted.size(), cudaMemcpyDeviceToHost));
    cudaFree(list);
    cudaFree(sums);
    std::vector<float> base(floats());
    CHECK(cudaMemcpy(base.data(), before, 4 * floats(), cudaMemcpyDeviceToHost));
    int most = std::min(6, (rows + 63) / 64);
    for (Chunks count : {chunks(), Chunks{1, most}, Chunks{most, 1}}) {
      if (!fits(count)) {
        continue;
      }
      for (bool accumulate : {false, true}) {
        std::vector<float> first = result(count, accumulate);
        bool same = true;
        for (int turn = 0; turn < 3; turn++) {
          std::vector<float> again = result(count, accumulate);
          same &= std::memcmp(first.data(), again.data(), 4 * again.size()) == 0;
        }
        Comparison comparison;
        for (size_t i = 0; i < wanted.size(); i++) {
          size_t at = (size_t)chosen[i / n] * n + i % n;
          comparison.add(wanted[i] + (accumulate ? base[at] : 0), first[at]);
        }
        bool all = std::all_of(first.begin(), first.end(), [](float value) { return std::fabs(value) < 1e30; });
        comparison.finite &= all;
        bool untouched = std::memcmp(first.data() + (size_t)m * n, base.data() + (size_t)m * n, 4096) == 0;
        report("weights [" + std::to_string(m) + " of " + std::to_string(pitch) + ", " + std::to_string(n) + "] over " +
                   std::to_string(rows) + ", " + std::to_string(count.whole) + ", " + std::to_string(count.rest) + " chunks" + (accumulate ? ", added" : ""),
               comparison, untouched, same, 1e-6 + 2e-9 * rows);
      }
    }
    std::vector<u32> left(1 << 18);
    CHECK(cudaMemcpy(left.data(), arrivals, 1 << 20, cudaMemcpyDeviceToHost));
    if (!std::all_of(left.begin(), left.end(), [](u32 count) { return count == 0; })) {
      failures++;
      std::printf("FAIL arrivals are left\n");
    }
  }
};

// ---- checks

static bool wants(const std::string& part, const char* name) {
  return part == "all" || part == name;
}

static void checkAll(const std::string& part) {
  struct {
    int rows, inner, a, b, c;
  } heads[] = {{300, 960, 15, 5, 5}, {1, 64, 1, 0, 0}, {127, 128, 2, 1, 1}, {129, 64, 3, 2, 0}, {513, 200, 4, 4, 3}, {1000, 576, 9, 3, 3},
               {3001, 960, 15, 5, 5}};
  for (auto& s : heads) {
    if (!wants(part, "heads")) {
      break;
    }
    std::string name = "heads " + std::to_string(s.rows) + " x " + std::to_string(s.inner) + ", " + std::to_string(s.a) + "+" +
                       std::to_string(s.b) + "+" + std::to_string(s.c);
    HeadsCase c(s.rows, s.inner, s.a, s.b, s.c, true, s.b > 0, s.rows == 127);
    c.check(name, hopperLinears);
  }
  struct {
    int rows, inner, forward;
  } gated[] = {{300, 960, 2560}, {1, 64, 128}, {127, 128, 256}, {129, 200, 320}, {513, 64, 192}, {700, 72, 72}, {1000, 576, 1536}, {3001, 960, 2560}};
  for (auto& s : gated) {
    std::string name = std::to_string(s.rows) + " x " + std::to_string(s.inner) + " x " + std::to_string(s.forward);
    GatedCase c(s.rows, s.inner, s.forward);
    if (wants(part, "gated")) {
      c.check("gated " + name, hopperGatedLinears);
    }
    if (wants(part, "backward") && s.forward % 64 == 0) {
      c.checkBackward("gated backward " + name, hopperGatedBackward);
    }
  }
  struct {
    int rows, inner, heads;
  } outputs[] = {{300, 960, 15}, {1, 64, 1}, {127, 128, 2}, {129, 200, 3}, {513, 64, 4}, {700, 72, 5}, {1000, 576, 9}, {4099, 960, 15}, {33000, 960, 15}};
  for (auto& s : outputs) {
    if (wants(part, "output")) {
      OutputCase(s.rows, s.inner, s.heads)
          .check("output " + std::to_string(s.rows) + " x " + std::to_string(s.inner) + ", " + std::to_string(s.heads) + " heads");
    }
  }
  struct {
    int rows, inner, columns;
  } residuals[] = {{300, 960, 960}, {1, 8, 64},     {127, 64, 128},   {129, 200, 192},  {257, 72, 320},     {513, 64, 576},     {700, 72, 1024},
                   {1000, 576, 576}, {61, 136, 200}, {4099, 960, 960}, {5003, 2560, 960}, {17011, 64, 1600}, {32749, 960, 960}, {33000, 2560, 960}};
  for (auto& s : residuals) {
    if (wants(part, "residual")) {
      ResidualCase(s.rows, s.inner, s.columns)
          .check("residual " + std::to_string(s.rows) + " x " + std::to_string(s.inner) + " x " + std::to_string(s.columns));
    }
  }
  struct {
    int rows, m, n, pitch, first;
  } weights[] = {{64, 64, 64, 0, 0}, {1, 8, 8, 0, 0}, {129, 72, 200, 96, 16}, {1000, 960, 960, 1600, 640}, {517, 1600, 320, 0, 0}, {4099, 576, 576, 0, 0},
                 {10922, 1600, 960, 0, 0}, {32767, 960, 960, 0, 0}, {3001, 960, 2560, 0, 0}, {32767, 1600, 960, 1664, 8}, {40, 192, 192, 0, 0}};
  for (auto& s : weights) {
    if (wants(part, "weights")) {
      WeightsCase(s.rows, s.m, s.n, s.pitch, s.first).check();
    }
  }
  std::fflush(stdout);
}

// ---- timings

static double milliseconds(const std::function<void()>& work, int times) {
  cudaEvent_t begin, end;
  CHECK(cudaEventCreate(&begin));
  CHECK(cudaEventCreate(&end));
  std::vector<float> measured;
  const int TOGETHER = 4;
  for (int i = 0; i < times + 1; i++) {
    CHECK(cudaEventRecord(begin));
    for (int j = 0; j < TOGETHER; j++) {
      work();
    }
    CHECK(cudaEventRecord(end));
    CHECK(cudaEventSynchronize(end));
    float ms;
    CHECK(cudaEventElapsedTime(&ms, begin, end));
    if (i > 0) {
      measured.push_back(ms / TOGETHER);
    }
  }
  CHECK(cudaEventDestroy(begin));
  CHECK(cudaEventDestroy(end));
  std::sort(measured.begin(), measured.end());
  return measured[measured.size() / 2];
}

// Ways to do the same work, timed in turns so that the card's clock is the same for all.
struct Ways {
  struct Way {
    std::string name;
    double flops;
    std::function<void()> work;
  };
  std::vector<Way> ways;

  void add(const std::string& name, double flops, const std::function<void()>& work) { ways.push_back({name, flops, work}); }

  // each as a ratio to the first
  void time() {
    const int ROUNDS = 15, TOGETHER = 4;
    const int SUSTAINED_TURNS = 3;
    const float SUSTAINED = 150; // ms
    cudaEvent_t begin, end;
    CHECK(cudaEventCreate(&begin));
    CHECK(cudaEventCreate(&end));
    std::vector<std::vector<float>> measured(ways.size());
    for (int round = 0; round < ROUNDS + 2; round++) {
      for (size_t i = 0; i < ways.size(); i++) {
        CHECK(cudaEventRecord(begin));
        for (int j = 0; j < TOGETHER; j++) {
          ways[i].work();
        }
        CHECK(cudaEventRecord(end));
        CHECK(cudaEventSynchronize(end));
        float ms;
        CHECK(cudaEventElapsedTime(&ms, begin, end));
        if (round >= 2) {
          measured[i].push_back(ms / TOGETHER);
        }
      }
    }
    std::vector<std::vector<double>> sustained(ways.size()); // without a pause, as in training: the card's power is the limit then
    for (int turn = 0; turn < SUSTAINED_TURNS; turn++) {
      for (size_t i = 0; i < ways.size(); i++) {
        float ms = 0;
        for (int times = 50; ms < SUSTAINED; times = (int)(times * 1.3 * SUSTAINED / ms) + 1) {
          CHECK(cudaEventRecord(begin));
          for (int j = 0; j < times; j++) {
            ways[i].work();
          }
          CHECK(cudaEventRecord(end));
          CHECK(cudaEventSynchronize(end));
          CHECK(cudaEventElapsedTime(&ms, begin, end));
          if (ms >= SUSTAINED) {
            sustained[i].push_back(ms / times);
          }
        }
      }
    }
    CHECK(cudaEventDestroy(begin));
    CHECK(cudaEventDestroy(end));
    double first = 0, firstSustained = 0;
    for (size_t i = 0; i < ways.size(); i++) {
      std::sort(measured[i].begin(), measured[i].end());
      double ms = measured[i][ROUNDS / 2];
      first = i == 0 ? ms : first;
      std::sort(sustained[i].begin(), sustained[i].end());
      double msSustained = sustained[i][SUSTAINED_TURNS / 2];
      firstSustained = i == 0 ? msSustained : firstSustained;
      std::printf("  %-40s %7.4f ms (%.4f to %.4f) %5.0f TFLOP/s, %.2f of the first; sustained %.4f (%.4f to %.4f), %.2f\n", ways[i].name.c_str(), ms,
                  measured[i].front(), measured[i].back(), ways[i].flops / ms * 1e-9, ms / first, msSustained,
                  sustained[i].front(), sustained[i].back(), msSustained / firstSustained);
    }
    std::fflush(stdout);
  }
};

static void timeHeads(Library& library, int rows, int inner, int ha, int hb, int hc) {
  HeadsCase c(rows, inner, ha, hb, hc);
  int n = 64 * c.allHeads();
  Matrix packed(rows, n);
  std::printf("heads: %d rows, %d to %d\n", rows, inner, n);
  LibraryProduct product(library, rows, n, inner, true);
  product.tune(packed.device, c.x.device, c.weights.device);
  auto split = [&] {
    int chunks = (c.allHeads() + 4) / 5;
    i64 threads = (i64)rows * chunks * 4;
    int blocks = (int)std::min<i64>((threads + 255) / 256, 16 * multiprocessors);
    narrowSplit<<<blocks, 256>>>(
        (uint4*)packed.device, (uint4*)c.a.device, (uint4*)c.b.device, (uint4*)c.c.device, c.positions, c.frequencies, rows, 64, ha, ha + hb,
        ha + hb + hc, 3);
  };
  auto multiply = [&] { product.run(packed.device, c.x.device, c.weights.device); };
  Ways ways;
  ways.add("cuBLASLt and narrowSplit", c.flops(), [&] {
    multiply();
    split();
  });
  ways.add("cuBLASLt, its product alone", c.flops(), multiply);
  ways.add("narrowSplit alone", 0, split);
  ways.add("hopperLinears", c.flops(), [&] { c.run(hopperLinears); });
  ways.time();
}

static void timeGated(Library& library, int rows, int inner, int forward) {
  GatedCase c(rows, inner, forward);
  std::printf("gated: %d rows, %d to 2 x %d\n", rows, inner, forward);
  int vectors = forward / 8;
  int blocks = (int)std::min<i64>(((i64)rows * vectors + 255) / 256, 16 * multiprocessors);
  LibraryProduct half(library, rows, forward, inner, true);
  half.tune(c.gate.device, c.x.device, c.weights.device);
  LibraryProduct whole(library, rows, 2 * forward, inner, true);
  whole.tune(c.packed.device, c.x.device, c.weights.device);
  Ways ways;
  ways.add("cuBLASLt twice and narrowSwiGlu", c.flops(), [&] {
    half.run(c.gate.device, c.x.device, c.weights.device);
    half.run(c.up.device, c.x.device, c.weights.device + (i64)forward * inner);
    narrowSwiGlu<<<blocks, 256>>>((uint4*)c.activated.device, (uint4*)c.gate.device, (uint4*)c.up.device, rows, nullptr, vectors);
  });
  ways.add("cuBLASLt, both products as one", c.flops(), [&] { whole.run(c.packed.device, c.x.device, c.weights.device); });
  ways.add("hopperGatedLinears", c.flops(), [&] { c.run(hopperGatedLinears); });
  ways.time();
}

static void timeBackward(Library& library, int rows, int inner, int forward) {
  GatedCase c(rows, inner, forward);
  int vectors = forward / 8;
  int blocks = (int)std::min<i64>(((i64)rows * vectors + 255) / 256, 16 * multiprocessors);
  std::printf("gated backward: %d rows, %d to %d\n", rows, inner, forward);
  c.gate.fill(7, 1.5f);
  c.up.fill(8, 1.0f);
  Matrix dinner(rows, forward), dgate(rows, forward), dup(rows, forward);
  LibraryProduct back(library, rows, forward, inner, false);
  back.tune(dinner.device, c.dy.device, c.down.device);
  double flops = c.flops() / 2;
  auto multiply = [&] { back.run(dinner.device, c.dy.device, c.down.device); };
  Ways ways;
  ways.add("cuBLASLt and narrowSwiGluBackward", flops, [&] {
    multiply();
    narrowSwiGluBackward<<<blocks, 256>>>(
        (uint4*)dgate.device, (uint4*)dup.device, (uint4*)c.again.device, (uint4*)c.gate.device, (uint4*)c.up.device, (uint4*)dinner.device,
        rows, nullptr, vectors, vectors);
  });
  ways.add("cuBLASLt, its product alone", flops, multiply);
  ways.add("hopperGatedBackward", flops, [&] { c.runBackward(hopperGatedBackward); });
  ways.time();
}

static void timeOutput(Library& library, int rows, int inner, int heads) {
  OutputCase c(rows, inner, heads);
  std::printf("output: %d rows, %d to %d\n", rows, inner, 64 * heads);
  LibraryProduct back(library, rows, 64 * heads, inner, false);
  back.tune(c.dout.device, c.dy.device, c.weights.device);
  auto multiply = [&] { back.run(c.dout.device, c.dy.device, c.weights.device); };
  Ways ways;
  ways.add("cuBLASLt and flashStatistics64", c.flops(), [&] {
    multiply();
    c.statisticsApart();
  });
  ways.add("cuBLASLt, its product alone", c.flops(), multiply);
  ways.add("flashStatistics64 alone", 0, [&] { c.statisticsApart(); });
  ways.add("hopperOutputGradient", c.flops(), [&] { c.run(); });
  ways.time();
}

static void timeResidual(Library& library, int rows, int inner, int columns) {
  ResidualCase c(rows, inner, columns);
  std::printf("residual: %d rows, %d to %d\n", rows, inner, columns);
  LibraryProduct whole(library, rows, columns, inner, true);
  whole.tune(c.out.device, c.a.device, c.weights.device, c.base.device);
  Ways ways;
  ways.add("cuBLASLt", c.flops(), [&] { whole.run(c.out.device, c.a.device, c.weights.device, c.base.device); });
  ways.add("hopperResidual", c.flops(), [&] { c.run(); });
  ways.add("cuBLASLt, in place", c.flops(), [&] { whole.run(c.out.device, c.a.device, c.weights.device, c.out.device); });
  ways.add("hopperResidual, in place", c.flops(), [&] { c.run(c.out, c.squares); });
  ways.time();
}

static void timeWeights(Library& library, int rows, int m, int n) {
  WeightsCase c(rows, m, n);
  std::printf("weights: [%d, %d] over %d rows\n", m, n, rows);
  LibraryProduct whole(library, m, n, rows);
  whole.tune((Bf16*)c.out, c.a.device, c.b.device);
  Ways ways;
  ways.add("cuBLASLt", c.flops(), [&] { whole.run((Bf16*)c.out, c.a.device, c.b.device); });
  ways.add("cuBLASLt, added", c.flops(), [&] { whole.run((Bf16*)c.out, c.a.device, c.b.device, (Bf16*)c.out); });
  Chunks chunks = c.chunks();
  if (c.fits(chunks)) {
    ways.add("hopperWeightGradient", c.flops(), [&] { c.run(chunks, false); });
    ways.add("hopperWeightGradient, added", c.flops(), [&] { c.run(chunks, true); });
  }
  ways.time();
}

int main(int count, char** words) {
  std::string what = count > 1 ? words[1] : "";
  if (!(what == "check" && count > 2) && !(what == "time" && count > 3)) {
    std::printf("usage: products_bench check PART | products_bench time PART LIBRARY\n");
    return 2;
  }
  std::string part = words[2];
  cudaDeviceProp device;
  CHECK(cudaGetDeviceProperties(&device, 0));
  multiprocessors = device.multiProcessorCount;
  std::printf("%s, %d multiprocessors\n", device.name, multiprocessors);
  if (what == "check") {
    checkAll(part);
  } else {
    Library library(words[3]);
    struct {
      int rows, inner, heads, keyHeads, forward;
    } sizes[] = {{32768, 960, 15, 5, 2560}, {21845, 960, 15, 5, 2560}, {10922, 960, 15, 5, 2560}, {32768, 576, 9, 3, 1536}};
    for (auto& s : sizes) {
      if (wants(part, "heads")) {
        timeHeads(library, s.rows, s.inner, s.heads, s.keyHeads, s.keyHeads);
      }
      if (wants(part, "gated")) {
        timeGated(library, s.rows, s.inner, s.forward);
      }
      if (wants(part, "backward")) {
        timeBackward(library, s.rows, s.inner, s.forward);
      }
      if (wants(part, "output")) {
        timeOutput(library, s.rows, s.inner, s.heads);
      }
      if (wants(part, "weights")) {
        int width = 64 * s.heads;
        timeWeights(library, s.rows, 64 * (s.heads + 2 * s.keyHeads), width);
        timeWeights(library, s.rows, width, width);
      }
      if (wants(part, "residual")) {
        int width = 64 * s.heads;
        timeResidual(library, s.rows, s.forward, width);
        timeResidual(library, s.rows, width, width);
      }
    }
  }
  CHECK(cudaDeviceSynchronize());
  std::printf("%d checks failed\n", failures);
  return failures > 0;
}
