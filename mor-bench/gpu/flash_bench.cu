// Checks and times the bfloat16 attention kernels of the backend cuda by themselves: against a reference in double on ragged shapes, odd sizes,
// grouped heads, counted extents, empty ranges and column slices; then at the sizes of training. Gradients that are written packed and rotated back
// are checked and timed beside separate passes.
//
// build: nvcc -std=c++17 -O2 --fmad=false -gencode=arch=compute_90a,code=sm_90a \
//          -I plugins/backend-cuda/src/main/resources/io/mor/backend/cuda -o flash_bench mor-bench/gpu/flash_bench.cu
// usage: flash_bench check|time every|hopper
//   every    the kernels for every card (mma.sync); hopper: those of compute capability 9.0 (wgmma)
// The last line says how many checks failed; the exit status is 1 if any did.
#ifdef BOUND_SPINS // a spin that lasts ends the kernel; slower
#define SPIN_BOUND_START long long spinStart = clock64();
#define SPIN_BOUND_CHECK(what, value)        \
  if (clock64() - spinStart > 200000000ll) { \
    asm volatile("trap;");                   \
  }
#endif
#include "flash.cu"
#include "flash_decode.cu"
#include "flash_hopper.cu"
#include "flash_gradient_hopper.cu"
#include "narrow.cu"

// other cuts than the backend's, to compare
HOPPER_FORWARD(flashHopperForward2, 384, 2, 2, 128)
HOPPER_FORWARD(flashHopperForward3Narrow, 512, 3, 4, 64)
HOPPER_QUERY_GRADIENT(flashHopperQueryGradient2, 384, 2, 4)
HOPPER_KEY_GRADIENT(flashHopperKeyGradient2, 384, 2, 4)

#include <algorithm>
#include <cmath>
#include <cuda.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#define CHECK(call)                                                                            \
  do {                                                                                         \
    cudaError_t status = (call);                                                               \
    if (status != cudaSuccess) {                                                               \
      std::printf("%s:%d %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorString(status));     \
      std::fflush(stdout);                                                                     \
      std::exit(3);                                                                            \
    }                                                                                          \
  } while (0)

static int failures = 0;
static int multiprocessors = 0;

static float toFloat(Bf16 bits) {
  u32 word = (u32)bits << 16;
  float value;
  std::memcpy(&value, &word, 4);
  return value;
}

static Bf16 toBf16(float value) {
  u32 word;
  std::memcpy(&word, &value, 4);
  return (Bf16)((word + 0x7fff + ((word >> 16) & 1)) >> 16);
}

static const Bf16 POISON = 0x7fc1; // a NaN

// A matrix [rows, columns] as a column slice of a wider one, on the host and the device.
struct Slice {
  int rows, columns, pitch, offset;
  std::vector<Bf16> host;
  Bf16* device = nullptr;

  Slice(int rows, int columns, int before, int after)
      : rows(rows), columns(columns), pitch(before + columns + after), offset(before), host((size_t)rows * pitch, POISON) {
    CHECK(cudaMalloc(&device, std::max<size_t>(16, host.size() * 2)));
  }
  ~Slice() { cudaFree(device); }
  Slice(const Slice&) = delete;
  Bf16& at(int row, int column) { return host[(size_t)row * pitch + offset + column]; }
  float get(int row, int column) const { return toFloat(host[(size_t)row * pitch + offset + column]); }
  Bf16* address() const { return device + offset; }
  void fill(std::mt19937& random, float spread, int used) {
    std::normal_distribution<float> normal(0.0f, spread);
    for (int r = 0; r < used; r++) {
      for (int c = 0; c < columns; c++) {
        at(r, c) = toBf16(normal(random));
      }
    }
  }
  void poison() { std::fill(host.begin(), host.end(), POISON); }
  void up() { CHECK(cudaMemcpy(device, host.data(), host.size() * 2, cudaMemcpyHostToDevice)); }
  void down() { CHECK(cudaMemcpy(host.data(), device, host.size() * 2, cudaMemcpyDeviceToHost)); }
};

template <class T>
static T* allocate(size_t count) {
  T* pointer;
  CHECK(cudaMalloc(&pointer, std::max<size_t>(16, count * sizeof(T))));
  CHECK(cudaMemset(pointer, 0xff, std::max<size_t>(16, count * sizeof(T))));
  return pointer;
}

struct Shape {
  std::string name;
  int heads, kvHeads, width;
  std::vector<int> start, end; // of the rows in use
  int keyRows;                 // in use
  int spareRows, spareKeys;    // up to the bounds
  int before, after;           // columns around the slices
  bool accumulate;
};


// One attention's tensors and the launches of one kind.
struct Attention {
  Shape shape;
  int rows, keyRows, bound, keyBound, padded;
  Slice q, k, v, o, dout, dq, dk, dv;
  float* logSumExp;
  int *start, *end, *count, *keyCount;
  int2* ranges;
  Bounds* bounds;
  float *statistics, *products;
  int4 *queryItems, *keyItems;
  int *lowTile, *highTile, *blocksDone;
  int queryItemCount = 0, keyItemCount = 0;
  struct {
    int4* items = nullptr;
    int *count, *scratch;
    Share* shares;
    int most; // items
    float4* sums;
    u32 *added, *taken;
  } onePass;

  explicit Attention(const Shape& s)
      : shape(s),
        rows((int)s.start.size()),
        keyRows(s.keyRows),
        bound(rows + s.spareRows),
        keyBound(keyRows + s.spareKeys),
        padded((bound + 127) / 128 * 128),
        q(bound, s.heads * s.width, s.before, s.after),
        k(keyBound, s.kvHeads * s.width, s.before, s.after),
        v(keyBound, s.kvHeads * s.width, s.before, s.after),
        o(bound, s.heads * s.width, s.before, s.after),
        dout(bound, s.heads * s.width, s.before, s.after),
        dq(bound, s.heads * s.width, s.before, s.after),
        dk(keyBound, s.kvHeads * s.width, s.before, s.after),
        dv(keyBound, s.kvHeads * s.width, s.before, s.after) {
    logSumExp = allocate<float>((size_t)bound * s.heads);
    start = allocate<int>(bound);
    end = allocate<int>(bound);
    count = allocate<int>(1);
    keyCount = allocate<int>(1);
    ranges = allocate<int2>(padded);
    bounds = allocate<Bounds>(padded / 64);
    statistics = allocate<float>((size_t)padded * s.heads);
    products = allocate<float>((size_t)padded * s.heads);
    queryItems = allocate<int4>((size_t)padded / 64 * s.heads + 1);
    keyItems = allocate<int4>(keyBound / 64 + 2);
    lowTile = allocate<int>(keyBound / 64 + 2);
    highTile = allocate<int>(keyBound / 64 + 2);
    blocksDone = allocate<int>(1);
    CHECK(cudaMemset(blocksDone, 0, 4));
    CHECK(cudaMemcpy(start, s.start.data(), 4 * rows, cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(end, s.end.data(), 4 * rows, cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(count, &rows, 4, cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(keyCount, &keyRows, 4, cudaMemcpyHostToDevice));
  }
  ~Attention() {
    for (void* p : std::vector<void*>{logSumExp, start, end, count, keyCount, ranges, bounds, statistics, products, queryItems, keyItems,
                                      lowTile, highTile, blocksDone}) {
      cudaFree(p);
    }
    if (onePass.items != nullptr) {
      for (void* p :
           std::vector<void*>{onePass.items, onePass.count, onePass.scratch, onePass.shares, onePass.sums, onePass.added, onePass.taken}) {
        cudaFree(p);
      }
    }
  }
  const int* counted() const { return shape.spareRows > 0 ? count : nullptr; }
  const int* keysCounted() const { return shape.spareKeys > 0 ? keyCount : nullptr; }
  float scale() const { return 1.0f / std::sqrt((float)shape.width); }
  double pairs() const {
    double sum = 0;
    for (int i = 0; i < rows; i++) {
      sum += std::max(0, shape.end[i] - shape.start[i]);
    }
    return sum;
  }
  double flops() const { return 4.0 * shape.width * shape.heads * pairs(); }

  void statisticsPass() {
    i64 threads = (i64)padded * shape.heads * (shape.width / 8);
    int blocks = (int)((threads + 255) / 256);
    auto kernel = shape.width == 32 ? flashStatistics32 : shape.width == 64 ? flashStatistics64 : flashStatistics128;
    kernel<<<blocks, 256>>>(
        statistics, products, o.address(), o.pitch, dout.address(), dout.pitch, logSumExp, bound, counted(), padded, shape.heads);
  }
};

template <class K>
static void sharedMemory(K kernel, int bytes) {
  CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
}

// ---- the launches for every card

static void everyForward(Attention& a) {
  const Shape& s = a.shape;
  auto kernel = s.width == 32 ? flashForward32 : s.width == 64 ? flashForward64 : flashForward128;
  int bytes = (128 + 4 * 64) * s.width * 2;
  sharedMemory(kernel, bytes);
  kernel<<<dim3((a.bound + 127) / 128, s.heads), 256, bytes>>>(
      a.o.address(), a.o.pitch, a.logSumExp, a.q.address(), a.q.pitch, a.k.address(), a.k.pitch, a.v.address(), a.v.pitch, a.start, a.end,
      nullptr, a.bound, a.counted(), a.keyBound, a.keysCounted(), s.heads, s.kvHeads, a.scale());
}

static void everyRanges(Attention& a) {
  flashRanges<<<(a.padded / 64 + 7) / 8, 256>>>(a.ranges, a.bounds, a.start, a.end, a.bound, a.counted(), a.padded);
}

static void everyQueryGradient(Attention& a) {
  const Shape& s = a.shape;
  auto kernel = s.width == 32 ? flashQueryGradient32 : s.width == 64 ? flashQueryGradient64 : flashQueryGradient128;
  int bytes = (2 * 128 + 4 * (s.width == 128 ? 32 : 64)) * s.width * 2;
  sharedMemory(kernel, bytes);
  kernel<<<dim3((a.bound + 127) / 128, s.heads), 256, bytes>>>(
      a.dq.address(), a.dq.pitch, a.q.address(), a.q.pitch, a.k.address(), a.k.pitch, a.v.address(), a.v.pitch, a.dout.address(),
      a.dout.pitch, a.statistics, a.products, a.start, a.end, a.bound, a.counted(), a.keyBound, a.keysCounted(), a.padded, s.heads, s.kvHeads,
      a.scale());
}

static void everyKeyGradient(Attention& a) {
  const Shape& s = a.shape;
  auto kernel = s.width == 32 ? flashKeyGradient32 : s.width == 64 ? flashKeyGradient64 : flashKeyGradient128;
  int bytes = (2 * 128 + 4 * (s.width == 128 ? 32 : 64)) * s.width * 2;
  sharedMemory(kernel, bytes);
  kernel<<<dim3((a.keyBound + 127) / 128, s.kvHeads), 256, bytes>>>(
      a.dk.address(), a.dk.pitch, a.dv.address(), a.dv.pitch, a.q.address(), a.q.pitch, a.k.address(), a.k.pitch, a.v.address(), a.v.pitch,
      a.dout.address(), a.dout.pitch, a.statistics, a.products, a.ranges, a.bounds, a.bound, a.counted(), a.keyBound, a.keysCounted(),
      a.padded, s.heads, s.kvHeads, a.scale(), s.accumulate);
}

// ---- the launches for Hopper

static void hopperPlan(Attention& a, int queryGroups, int keyGroups) {
  const Shape& s = a.shape;
  int sharing = s.heads / s.kvHeads;
  a.queryItemCount = (a.padded / 64 * sharing + queryGroups - 1) / queryGroups;
  a.keyItemCount = (a.keyBound + 64 * keyGroups - 1) / (64 * keyGroups);
  flashPlan<<<std::min(multiprocessors, (a.padded / 64 + 31) / 32), 1024>>>(
      a.ranges, a.bounds, a.queryItems, a.queryItemCount, a.keyItems, a.keyItemCount, a.lowTile, a.highTile, a.blocksDone,
      a.start, a.end, a.bound, a.counted(), a.padded, sharing, queryGroups, 64 * keyGroups);
}

static int blocks(int items) {
  return std::max(1, std::min(multiprocessors, items));
}

template <class K>
static void hopperForwardWith(Attention& a, K kernel, int groups, int stages, int keys) {
  const Shape& s = a.shape;
  int bytes = 2 * groups * 8192 + 2 * stages * keys * 128 + 32 + 32 * stages;
  sharedMemory(kernel, bytes);
  kernel<<<blocks(a.queryItemCount * s.kvHeads), 128 * (groups + 1), bytes>>>(
      a.o.address(), a.o.pitch, a.logSumExp, a.q.address(), a.q.pitch, a.k.address(), a.k.pitch, a.v.address(), a.v.pitch, a.ranges, a.bounds,
      a.queryItems, a.queryItemCount, a.bound, a.counted(), a.keyBound, a.keysCounted(), a.padded, s.heads, s.kvHeads, a.scale());
}

// Where the gradients go if not to slices of their own.
struct Packed {
  Bf16* address = nullptr;
  int pitch = 0;
  const int* positions = nullptr;
  const double* frequencies = nullptr;
  float2* angles = nullptr;
};

template <class K>
static void hopperQueryGradientWith(Attention& a, K kernel, int groups, int stages, const Packed& packed = {}) {
  const Shape& s = a.shape;
  int bytes = 4 * groups * 8192 + 2 * stages * 8192 + 32 + 16 * stages;
  sharedMemory(kernel, bytes);
  kernel<<<blocks(a.queryItemCount * s.kvHeads), 128 * (groups + 1), bytes>>>(
      packed.address ? packed.address : a.dq.address(), packed.address ? packed.pitch : a.dq.pitch, a.q.address(), a.q.pitch,
      a.k.address(), a.k.pitch, a.v.address(), a.v.pitch, a.dout.address(), a.dout.pitch, a.statistics, a.products, a.ranges, a.bounds,
      a.queryItems, a.queryItemCount, a.bound, a.counted(), a.keyBound, a.keysCounted(), a.padded, s.heads, s.kvHeads, a.scale(),
      (const float4*)packed.angles, nullptr);
}

template <class K>
static void hopperKeyGradientWith(Attention& a, K kernel, int groups, int stages, const Packed& packed = {}) {
  const Shape& s = a.shape;
  Bf16* dk = packed.address ? packed.address + s.heads * 64 : a.dk.address();
  Bf16* dv = packed.address ? dk + s.kvHeads * 64 : a.dv.address();
  int bytes = 4 * groups * 8192 + 2 * stages * 8192 + stages * 1040 + 32 + 16 * stages;
  sharedMemory(kernel, bytes);
  kernel<<<blocks(a.keyItemCount * s.kvHeads), 128 * (groups + 1), bytes>>>(
      dk, packed.address ? packed.pitch : a.dk.pitch, dv, packed.address ? packed.pitch : a.dv.pitch, a.q.address(), a.q.pitch,
      a.k.address(), a.k.pitch, a.v.address(), a.v.pitch, a.dout.address(), a.dout.pitch, a.statistics, a.products, a.ranges, a.bounds,
      a.keyItems, a.keyItemCount, a.bound, a.counted(), a.keyBound, a.keysCounted(), a.padded, s.heads, s.kvHeads, a.scale(), s.accumulate,
      (const float4*)packed.angles, nullptr);
}

// ---- the launches for Hopper, gradients in one pass

static decltype(&cuTensorMapEncodeTiled) encode = nullptr;

static TensorMap boxes(const Slice& slice, int boxRows) {
  if (encode == nullptr) {
    cudaDriverEntryPointQueryResult found;
    CHECK(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", (void**)&encode, 12000, cudaEnableDefault, &found));
  }
  cuuint64_t sizes[2] = {(u64)slice.columns, (u64)slice.rows};
  cuuint64_t strides[1] = {2 * (u64)slice.pitch};
  u32 box[2] = {64, (u32)boxRows};
  u32 steps[2] = {1, 1};
  alignas(64) CUtensorMap map;
  CUresult status = encode(
      &map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, (void*)slice.address(), sizes, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
      CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS) {
    std::printf("cuTensorMapEncodeTiled: %d\n", (int)status);
    std::exit(3);
  }
  TensorMap result;
  std::memcpy(&result, &map, sizeof(result));
  return result;
}

// Where extents are counted it is the kernel that copies by threads.
static void exactForward(Attention& a) {
  constexpr int GROUPS = 3;
  constexpr int STAGES = 3;
  constexpr int KEYS = 128;
  if (a.counted() != nullptr || a.keysCounted() != nullptr) {
    hopperForwardWith(a, flashHopperForward, GROUPS, 2, KEYS);
    return;
  }
  const Shape& s = a.shape;
  int bytes = 2 * GROUPS * 8192 + 2 * STAGES * KEYS * 128 + 32 + 32 * STAGES;
  sharedMemory(flashHopperForwardOfExact, bytes);
  flashHopperForwardOfExact<<<blocks(a.queryItemCount * s.kvHeads), 128 * (GROUPS + 1), bytes>>>(ForwardArguments{
      boxes(a.q, 64), boxes(a.k, KEYS), boxes(a.v, KEYS), a.o.address(), a.o.pitch, a.logSumExp, a.ranges, a.bounds, a.queryItems,
      a.queryItemCount, a.bound, a.padded, s.heads, s.kvHeads, a.scale(), 0});
}

static void onePassPlan(Attention& a) {
  const Shape& s = a.shape;
  int tiles = a.padded / 64;
  auto& p = a.onePass;
  if (p.items == nullptr) {
    p.most = 3 * ((a.keyBound + KEY_ITEM - 1) / KEY_ITEM) + 3;
    p.items = allocate<int4>(2 * (size_t)p.most);
    p.count = allocate<int>(1);
    p.scratch = allocate<int>(2 * (size_t)tiles + a.keyBound + a.keyBound / 32 + 2 + 4 * (size_t)p.most);
    p.shares = allocate<Share>((size_t)tiles * p.most);
    p.sums = allocate<float4>((size_t)tiles * s.heads * 1024);
    p.added = allocate<u32>((size_t)tiles * s.kvHeads);
    p.taken = allocate<u32>(2);
    CHECK(cudaMemset(p.added, 0, 4 * (size_t)tiles * s.kvHeads));
    CHECK(cudaMemset(p.taken, 0, 8));
  }
  int* inside = p.scratch + 2 * tiles;
  int* starts = inside + a.keyBound + 1;
  flashKeyPlan<<<1, 1024>>>(
      p.items, p.count, p.shares, p.most, inside, (u32*)starts, starts + a.keyBound / 32 + 1, (int2*)p.scratch, a.start, a.end, a.bounds,
      a.rows, a.keyBound, tiles);
}

static void onePassGradient(Attention& a, const Packed& packed = {}) {
  const Shape& s = a.shape;
  auto& p = a.onePass;
  GradientArguments arguments = {};
  arguments.queries = boxes(a.q, 64);
  arguments.keys = boxes(a.k, KEY_ITEM);
  arguments.values = boxes(a.v, KEY_ITEM);
  arguments.dout = boxes(a.dout, 64);
  arguments.dqueries = packed.address ? packed.address : a.dq.address();
  arguments.dqueryPitch = packed.address ? packed.pitch : a.dq.pitch;
  arguments.dkeys = packed.address ? packed.address + s.heads * 64 : a.dk.address();
  arguments.dkeyPitch = packed.address ? packed.pitch : a.dk.pitch;
  arguments.dvalues = packed.address ? packed.address + (s.heads + s.kvHeads) * 64 : a.dv.address();
  arguments.dvaluePitch = packed.address ? packed.pitch : a.dv.pitch;
  arguments.statistics = a.statistics;
  arguments.products = a.products;
  arguments.ranges = a.ranges;
  arguments.bounds = a.bounds;
  arguments.items = p.items;
  arguments.itemCount = p.count;
  arguments.shares = p.shares;
  arguments.shareItems = p.most;
  arguments.sums = p.sums;
  arguments.added = p.added;
  arguments.taken = p.taken;
  arguments.rows = a.rows;
  arguments.keyRows = a.keyRows;
  arguments.paddedRows = a.padded;
  arguments.heads = s.heads;
  arguments.kvHeads = s.kvHeads;
  arguments.scale = a.scale();
  arguments.accumulate = s.accumulate;
  arguments.angles = (const float4*)packed.angles;
  int bytes = (6 * 3 + 2 * 4) * 8192 + 4 * 1040 + 2 * 36 + 16 * 8 + 8;
  sharedMemory(flashHopperGradient, bytes);
  flashHopperGradient<<<multiprocessors, 512, bytes>>>(arguments);
}

// A way to do it: name and what to launch before, forward, for queries, for keys.
struct Way {
  std::string name;
  bool only64;
  std::function<void(Attention&)> plan, forward, queryGradient, keyGradient;
};

static std::vector<Way> waysOf(const std::string& kind) {
  if (kind == "every") {
    return {{"every", false, everyRanges, everyForward, everyQueryGradient, everyKeyGradient}};
  }
  return {
      {"hopper3", true, [](Attention& a) { hopperPlan(a, 3, 3); },
       [](Attention& a) { hopperForwardWith(a, flashHopperForward, 3, 2, 128); },
       [](Attention& a) { hopperQueryGradientWith(a, flashHopperQueryGradient, 3, 4); },
       [](Attention& a) { hopperKeyGradientWith(a, flashHopperKeyGradient, 3, 4); }},
      {"exact3", true, [](Attention& a) { hopperPlan(a, 3, 3); }, exactForward,
       [](Attention& a) { hopperQueryGradientWith(a, flashHopperQueryGradient, 3, 4); },
       [](Attention& a) { hopperKeyGradientWith(a, flashHopperKeyGradient, 3, 4); }},
      {"onepass", true,
       [](Attention& a) {
         hopperPlan(a, 3, 3);
         onePassPlan(a);
       },
       [](Attention& a) { hopperForwardWith(a, flashHopperForward, 3, 2, 128); }, [](Attention& a) { onePassGradient(a); },
       [](Attention&) {}},
      {"hopper2", true, [](Attention& a) { hopperPlan(a, 2, 2); },
       [](Attention& a) { hopperForwardWith(a, flashHopperForward2, 2, 2, 128); },
       [](Attention& a) { hopperQueryGradientWith(a, flashHopperQueryGradient2, 2, 4); },
       [](Attention& a) { hopperKeyGradientWith(a, flashHopperKeyGradient2, 2, 4); }},
      {"hopper3n", true, [](Attention& a) { hopperPlan(a, 3, 3); },
       [](Attention& a) { hopperForwardWith(a, flashHopperForward3Narrow, 3, 4, 64); },
       [](Attention& a) { hopperQueryGradientWith(a, flashHopperQueryGradient, 3, 4); },
       [](Attention& a) { hopperKeyGradientWith(a, flashHopperKeyGradient, 3, 4); }},
  };
}

// ---- the reference, in double on the host

struct Reference {
  std::vector<double> o, logSumExp, dq, dk, dv;
};

static void parallel(int count, const std::function<void(int)>& body) {
  int workers = std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::thread> threads;
  for (int w = 0; w < workers; w++) {
    threads.emplace_back([=, &body] {
      for (int i = w; i < count; i += workers) {
        body(i);
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
}

static Reference reference(const Attention& a) {
  const Shape& s = a.shape;
  int W = s.width, H = s.heads, G = s.kvHeads, sharing = H / G;
  Reference r;
  r.o.assign((size_t)a.rows * H * W, 0);
  r.logSumExp.assign((size_t)a.rows * H, -INFINITY);
  r.dq.assign((size_t)a.rows * H * W, 0);
  r.dk.assign((size_t)a.keyRows * G * W, 0);
  r.dv.assign((size_t)a.keyRows * G * W, 0);
  double scale = 1 / std::sqrt((double)W);
  parallel(G, [&](int g) { // a thread owns a key head's gradients
    for (int h = g * sharing; h < (g + 1) * sharing; h++) {
      for (int i = 0; i < a.rows; i++) {
        int from = s.start[i], to = s.end[i];
        if (from >= to) {
          continue;
        }
        std::vector<double> p(to - from), dp(to - from);
        double most = -INFINITY, total = 0;
        for (int j = from; j < to; j++) {
          double dot = 0;
          for (int c = 0; c < W; c++) {
            dot += (double)a.q.get(i, h * W + c) * a.k.get(j, g * W + c);
          }
          p[j - from] = dot * scale;
          most = std::max(most, dot * scale);
        }
        for (double& x : p) {
          x = std::exp(x - most);
          total += x;
        }
        r.logSumExp[(size_t)i * H + h] = most + std::log(total);
        double* o = &r.o[((size_t)i * H + h) * W];
        for (int j = from; j < to; j++) {
          p[j - from] /= total;
          for (int c = 0; c < W; c++) {
            o[c] += p[j - from] * a.v.get(j, g * W + c);
          }
        }
        double delta = 0;
        for (int c = 0; c < W; c++) {
          delta += o[c] * a.dout.get(i, h * W + c);
        }
        for (int j = from; j < to; j++) {
          double dp = 0;
          for (int c = 0; c < W; c++) {
            dp += (double)a.dout.get(i, h * W + c) * a.v.get(j, g * W + c);
          }
          double ds = p[j - from] * (dp - delta) * scale;
          for (int c = 0; c < W; c++) {
            r.dq[((size_t)i * H + h) * W + c] += ds * a.k.get(j, g * W + c);
            r.dk[((size_t)j * G + g) * W + c] += ds * a.q.get(i, h * W + c);
            r.dv[((size_t)j * G + g) * W + c] += p[j - from] * a.dout.get(i, h * W + c);
          }
        }
      }
    }
  });
  return r;
}

// ||got - want|| / ||want||; NaN if anything outside the rows and columns was written
static double distance(const Slice& got, const std::vector<double>& want, int rows, const std::vector<Bf16>* before) {
  double error = 0, norm = 0;
  for (int r = 0; r < got.rows; r++) {
    for (int c = 0; c < got.pitch; c++) {
      bool inside = r < rows && c >= got.offset && c < got.offset + got.columns;
      size_t at = (size_t)r * got.pitch + c;
      if (!inside) {
        if (got.host[at] != POISON) {
          return NAN;
        }
        continue;
      }
      double expected = want[(size_t)r * got.columns + c - got.offset] + (before == nullptr ? 0 : toFloat((*before)[at]));
      double difference = toFloat(got.host[at]) - expected;
      error += difference * difference;
      norm += expected * expected;
    }
  }
  double floor = 1e-6 * rows * got.columns; // where everything cancels, as in the gradients of a row with one key
  return std::sqrt(error / std::max(norm, floor));
}

static void verdict(const std::string& way, const std::string& name, const char* tensor, double distance, double most) {
  bool ok = distance <= most;
  failures += !ok;
  std::printf("%s %-9s %-34s %-5s %.2e\n", ok ? "ok    " : "FAILED", way.c_str(), name.c_str(), tensor, distance);
}

static void check(const Way& way, const Shape& shape, int seed) {
  if (way.name == "onepass" && shape.spareRows > 0) { // counted extents are for the two kernels
    return;
  }
  std::mt19937 random(seed);
  Attention a(shape);
  a.q.fill(random, 1.5f, a.rows);
  a.k.fill(random, 1.0f, a.keyRows);
  a.v.fill(random, 1.0f, a.keyRows);
  a.dout.fill(random, 1.0f, a.rows);
  if (shape.accumulate) {
    a.dk.fill(random, 0.5f, a.keyRows);
    a.dv.fill(random, 0.5f, a.keyRows);
  }
  std::vector<Bf16> dkBefore = a.dk.host, dvBefore = a.dv.host;
  for (Slice* s : {&a.q, &a.k, &a.v, &a.o, &a.dout, &a.dq, &a.dk, &a.dv}) {
    s->up();
  }
  std::vector<Bf16> first[4];
  for (int round = 0; round < 2; round++) {
    a.dk.host = dkBefore;
    a.dv.host = dvBefore;
    a.dk.up();
    a.dv.up();
    way.plan(a);
    CHECK(cudaGetLastError());
    way.forward(a);
    CHECK(cudaGetLastError());
    CHECK(cudaDeviceSynchronize());
    a.statisticsPass();
    CHECK(cudaGetLastError());
    way.queryGradient(a);
    CHECK(cudaGetLastError());
    way.keyGradient(a);
    CHECK(cudaGetLastError());
    CHECK(cudaDeviceSynchronize());
    Slice* results[] = {&a.o, &a.dq, &a.dk, &a.dv};
    for (int i = 0; i < 4; i++) {
      results[i]->down();
      if (round == 0) {
        first[i] = results[i]->host;
      } else if (first[i] != results[i]->host) {
        verdict(way.name, shape.name, "bits", NAN, 0);
      }
    }
  }
  std::vector<float> logSumExp((size_t)a.bound * shape.heads);
  CHECK(cudaMemcpy(logSumExp.data(), a.logSumExp, 4 * logSumExp.size(), cudaMemcpyDeviceToHost));
  Reference want = reference(a);
  double worst = 0;
  for (size_t i = 0; i < want.logSumExp.size(); i++) {
    if (std::isinf(want.logSumExp[i])) {
      worst = logSumExp[i] == -INFINITY ? worst : NAN;
    } else {
      double difference = std::fabs(logSumExp[i] - want.logSumExp[i]);
      worst = difference <= worst ? worst : difference;
    }
  }
  verdict(way.name, shape.name, "lse", worst, 2e-4);
  verdict(way.name, shape.name, "out", distance(a.o, want.o, a.rows, nullptr), 6e-3);
  verdict(way.name, shape.name, "dq", distance(a.dq, want.dq, a.rows, nullptr), 1e-2);
  verdict(way.name, shape.name, "dk", distance(a.dk, want.dk, a.keyRows, shape.accumulate ? &dkBefore : nullptr), 1e-2);
  verdict(way.name, shape.name, "dv", distance(a.dv, want.dv, a.keyRows, shape.accumulate ? &dvBefore : nullptr), 1e-2);
  std::fflush(stdout);
}

// ---- shapes

// Sequences of keys; of each, `part` of the positions are queries (all if 1), with an optional window.
static Shape sequences(
    const std::string& name, int heads, int kvHeads, int width, const std::vector<int>& lengths, double part, int window, int seed) {
  Shape s{name, heads, kvHeads, width, {}, {}, 0, 0, 0, 0, 0, false};
  std::mt19937 random(seed);
  int offset = 0;
  for (int length : lengths) {
    std::vector<int> positions(length);
    for (int i = 0; i < length; i++) {
      positions[i] = i;
    }
    std::shuffle(positions.begin(), positions.end(), random);
    positions.resize((size_t)std::ceil(length * part));
    std::sort(positions.begin(), positions.end());
    for (int position : part == 1 ? positions : positions) {
      int end = offset + position + 1;
      s.start.push_back(window > 0 ? std::max(offset, end - window) : offset);
      s.end.push_back(end);
    }
    offset += length;
  }
  s.keyRows = offset;
  return s;
}

static std::vector<Shape> checkedShapes(int width) {
  std::string w = std::to_string(width) + " ";
  std::vector<Shape> shapes;
  shapes.push_back(sequences(w + "one key", 1, 1, width, {1}, 1, 0, 1));
  shapes.push_back(sequences(w + "causal 128", 3, 1, width, {128}, 1, 0, 2));
  shapes.push_back(sequences(w + "causal 256 x 2, plain heads", 2, 2, width, {256, 256}, 1, 0, 2));
  shapes.push_back(sequences(w + "odd lengths, 6 on 2", 6, 2, width, {37, 301, 1, 130, 64, 211}, 1, 0, 3));
  Shape slice = sequences(w + "chosen rows, slices, added", 6, 2, width, {257, 190, 333}, 0.66, 0, 4);
  slice.before = 24;
  slice.after = 8;
  slice.accumulate = true;
  shapes.push_back(slice);
  Shape counted = sequences(w + "window, counted", 4, 1, width, {401, 97, 260}, 1, 75, 5);
  counted.spareRows = 77;
  counted.spareKeys = 131;
  shapes.push_back(counted);
  Shape empty = sequences(w + "some rows see nothing", 5, 5, width, {150, 200}, 0.5, 0, 6);
  for (size_t i = 0; i < empty.start.size(); i += 3) {
    empty.end[i] = empty.start[i];
  }
  empty.keyRows += 200; // that nobody sees
  empty.accumulate = true;
  shapes.push_back(empty);
  Shape none = sequences(w + "no row sees anything", 2, 1, width, {90}, 1, 0, 7);
  none.end = none.start;
  shapes.push_back(none);
  Shape shared = sequences(w + "every row sees every key", 8, 2, width, {320}, 1, 0, 8);
  std::fill(shared.end.begin(), shared.end.end(), 320);
  shapes.push_back(shared);
  return shapes;
}

// ---- packed gradients, rotated back

// A buffer [rows, width + spare columns] of bfloat16, with the positions of its rows and the frequencies of a rotary embedding.
struct PackedBuffer {
  Slice slice;
  std::vector<int> position;
  std::vector<double> frequency;
  Packed packed;

  PackedBuffer(const Attention& a, int stride, int spare) : slice(a.bound, (a.shape.heads + 2 * a.shape.kvHeads) * 64, 0, spare) {
    for (int i = 0; i < a.rows; i++) {
      position.push_back((int)((long long)i * stride % 131071));
    }
    for (int i = 0; i < 32; i++) {
      frequency.push_back(std::pow(10000.0, -2.0 * i / 64));
    }
    int* positions = allocate<int>(a.rows);
    double* frequencies = allocate<double>(32);
    CHECK(cudaMemcpy(positions, position.data(), 4 * a.rows, cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(frequencies, frequency.data(), 8 * 32, cudaMemcpyHostToDevice));
    packed = {slice.device, slice.pitch, positions, frequencies, allocate<float2>((size_t)a.rows * 32)};
    makeAngles();
  }
  ~PackedBuffer() {
    cudaFree((void*)packed.positions);
    cudaFree((void*)packed.frequencies);
    cudaFree(packed.angles);
  }
  void makeAngles() {
    int rows = (int)position.size();
    rotationAngles<<<(rows * 32 + 255) / 256, 256>>>(packed.angles, packed.positions, packed.frequencies, rows, 32);
  }
};

static void packedBackward(Attention& a, const Packed& packed) {
  a.statisticsPass();
  hopperQueryGradientWith(a, flashHopperQueryGradient, 3, 4, packed);
  hopperKeyGradientWith(a, flashHopperKeyGradient, 3, 4, packed);
}

static void onePassBackward(Attention& a, const Packed& packed) {
  a.statisticsPass();
  onePassGradient(a, packed);
}

// The pass of its own that does the same after gradients in slices without columns around them.
static void mergePass(Attention& a, const Packed& packed) {
  const Shape& s = a.shape;
  int heads = s.heads + 2 * s.kvHeads;
  i64 threads = (i64)a.rows * ((heads + HEADS_AT_A_TIME - 1) / HEADS_AT_A_TIME) * 4;
  narrowMerge<<<(int)std::min<i64>((threads + 255) / 256, 16 * multiprocessors), 256>>>(
      (uint4*)packed.address, (uint4*)a.dq.address(), (uint4*)a.dk.address(), (uint4*)a.dv.address(), packed.positions, packed.frequencies,
      a.rows, 64, s.heads, s.heads + s.kvHeads, heads, 3);
}

static void separateBackward(Attention& a, const Packed& packed) {
  a.statisticsPass();
  hopperQueryGradientWith(a, flashHopperQueryGradient, 3, 4);
  hopperKeyGradientWith(a, flashHopperKeyGradient, 3, 4);
  mergePass(a, packed);
}

static void checkPacked(const Shape& shape, int seed) {
  std::mt19937 random(seed);
  Attention a(shape);
  a.q.fill(random, 1.5f, a.rows);
  a.k.fill(random, 1.0f, a.keyRows);
  a.v.fill(random, 1.0f, a.keyRows);
  a.dout.fill(random, 1.0f, a.rows);
  for (Slice* s : {&a.q, &a.k, &a.v, &a.o, &a.dout}) {
    s->up();
  }
  Reference want = reference(a);
  hopperPlan(a, 3, 3);
  onePassPlan(a);
  hopperForwardWith(a, flashHopperForward, 3, 2, 128);
  int heads = shape.heads + 2 * shape.kvHeads;
  std::vector<Bf16> results[2];
  for (int spare : {8, 0}) {
    PackedBuffer buffer(a, 7919, spare);
    std::vector<double> expected((size_t)a.rows * heads * 64);
    for (int i = 0; i < a.rows; i++) {
      for (int h = 0; h < heads; h++) {
        bool rotated = h < shape.heads + shape.kvHeads;
        const double* from = h < shape.heads ? &want.dq[((size_t)i * shape.heads + h) * 64]
                             : rotated       ? &want.dk[((size_t)i * shape.kvHeads + h - shape.heads) * 64]
                                             : &want.dv[((size_t)i * shape.kvHeads + h - shape.heads - shape.kvHeads) * 64];
        double* to = &expected[((size_t)i * heads + h) * 64];
        for (int c = 0; c < 32; c++) {
          double angle = rotated ? buffer.position[i] * buffer.frequency[c] : 0;
          to[c] = from[c] * std::cos(angle) + from[c + 32] * std::sin(angle);
          to[c + 32] = from[c + 32] * std::cos(angle) - from[c] * std::sin(angle);
        }
      }
    }
    for (int round = 0; round < 4; round++) { // two kernels twice, one pass twice
      buffer.slice.poison();
      buffer.slice.up();
      (round < 2 ? packedBackward : onePassBackward)(a, buffer.packed);
      CHECK(cudaGetLastError());
      CHECK(cudaDeviceSynchronize());
      buffer.slice.down();
      if (round % 2 == 1 && results[0] != buffer.slice.host) {
        verdict("packed", shape.name, "bits", NAN, 0);
      }
      results[0] = buffer.slice.host;
      if (round % 2 == 1) {
        verdict(round == 1 ? "packed" : "one pass", shape.name, "all", distance(buffer.slice, expected, a.rows, nullptr), 1e-2);
      }
    }
    if (spare == 0) {
      buffer.slice.poison();
      buffer.slice.up();
      separateBackward(a, buffer.packed);
      CHECK(cudaGetLastError());
      CHECK(cudaDeviceSynchronize());
      buffer.slice.down();
      verdict("separate", shape.name, "all", distance(buffer.slice, expected, a.rows, nullptr), 1.2e-2);
      std::vector<double> separate(expected.size());
      for (size_t i = 0; i < separate.size(); i++) {
        separate[i] = toFloat(buffer.slice.host[i]);
      }
      buffer.slice.host = results[0];
      verdict("both", shape.name, "all", distance(buffer.slice, separate, a.rows, nullptr), 5e-3); // roundings
    }
  }
  std::fflush(stdout);
}

static std::vector<Shape> packedShapes() {
  std::vector<Shape> shapes;
  shapes.push_back(sequences("one key", 1, 1, 64, {1}, 1, 0, 1));
  shapes.push_back(sequences("odd lengths, 6 on 2", 6, 2, 64, {37, 301, 1, 130, 64, 211}, 1, 0, 3));
  shapes.push_back(sequences("window, 4 on 1", 4, 1, 64, {401, 97, 260}, 1, 75, 5));
  shapes.push_back(sequences("15 on 5", 15, 5, 64, {333, 512}, 1, 0, 5));
  Shape empty = sequences("some rows see nothing", 5, 5, 64, {150, 200}, 1, 0, 6);
  for (size_t i = 0; i < empty.start.size(); i += 3) {
    empty.end[i] = empty.start[i];
  }
  shapes.push_back(empty);
  return shapes;
}

// ---- generation: key rows through a table

static int* tableOf(int entries, int seed) {
  std::vector<int> rows(entries);
  for (int i = 0; i < entries; i++) {
    rows[i] = i;
  }
  std::mt19937 random(seed);
  std::shuffle(rows.begin(), rows.end(), random);
  int* table = allocate<int>(entries);
  CHECK(cudaMemcpy(table, rows.data(), 4 * entries, cudaMemcpyHostToDevice));
  return table;
}

static void decode(Attention& a, const int* table, float* parts, int chunks, const Bf16* keys, const Bf16* values) {
  const Shape& s = a.shape;
  int groups = s.kvHeads * ((s.heads / s.kvHeads + MOST_HEADS - 1) / MOST_HEADS);
  auto kernel = s.width == 32 ? flashDecode32 : s.width == 64 ? flashDecode64 : flashDecode128;
  kernel<<<dim3(a.bound, groups, chunks), DECODE_THREADS>>>(
      parts, chunks, a.q.address(), a.q.pitch, keys, a.k.columns, values, a.v.columns, a.start, a.end, table, a.bound, a.counted(), s.heads,
      s.kvHeads, a.scale());
  auto join = s.width == 32 ? flashDecodeJoin32 : s.width == 64 ? flashDecodeJoin64 : flashDecodeJoin128;
  join<<<a.bound, 256>>>(a.o.address(), a.o.pitch, a.logSumExp, parts, chunks, a.start, a.end, a.bound, a.counted(), s.heads);
}

static void prefill(Attention& a, const int* table, const Bf16* keys, const Bf16* values) {
  const Shape& s = a.shape;
  auto kernel = s.width == 32 ? flashForward32 : s.width == 64 ? flashForward64 : flashForward128;
  int bytes = (128 + 4 * 64) * s.width * 2;
  sharedMemory(kernel, bytes);
  kernel<<<dim3((a.bound + 127) / 128, s.heads), 256, bytes>>>(
      a.o.address(), a.o.pitch, a.logSumExp, a.q.address(), a.q.pitch, keys, a.k.columns, values, a.v.columns, a.start, a.end, table, a.bound,
      a.counted(), a.keyBound, a.keysCounted(), s.heads, s.kvHeads, a.scale());
}

static void checkTable(const Shape& shape, int seed) {
  std::mt19937 random(seed);
  Attention a(shape);
  a.q.fill(random, 1.5f, a.rows);
  a.k.fill(random, 1.0f, a.keyRows);
  a.v.fill(random, 1.0f, a.keyRows);
  a.dout.fill(random, 1.0f, a.rows);
  a.q.up();
  int* table = tableOf(a.keyRows, seed);
  std::vector<int> rowOf(a.keyRows);
  CHECK(cudaMemcpy(rowOf.data(), table, 4 * a.keyRows, cudaMemcpyDeviceToHost));
  Slice keys(a.keyBound, a.k.columns, 0, 0);
  Slice values(a.keyBound, a.k.columns, 0, 0);
  for (int entry = 0; entry < a.keyRows; entry++) {
    for (int c = 0; c < a.k.columns; c++) {
      keys.at(rowOf[entry], c) = a.k.at(entry, c);
      values.at(rowOf[entry], c) = a.v.at(entry, c);
    }
  }
  keys.up();
  values.up();
  int chunks = 1;
  for (int i = 0; i < a.rows; i++) {
    chunks = std::max(chunks, (shape.end[i] - shape.start[i] + CHUNK - 1) / CHUNK);
  }
  float* parts = allocate<float>((size_t)a.bound * shape.heads * chunks * (shape.width + 2));
  Reference want = reference(a);
  for (const char* way : {"decode", "prefill"}) {
    a.o.poison();
    a.o.up();
    if (way[0] == 'd') {
      decode(a, table, parts, chunks, keys.address(), values.address());
    } else {
      prefill(a, table, keys.address(), values.address());
    }
    CHECK(cudaGetLastError());
    CHECK(cudaDeviceSynchronize());
    a.o.down();
    std::vector<float> logSumExp((size_t)a.bound * shape.heads);
    CHECK(cudaMemcpy(logSumExp.data(), a.logSumExp, 4 * logSumExp.size(), cudaMemcpyDeviceToHost));
    double worst = 0;
    for (size_t i = 0; i < want.logSumExp.size(); i++) {
      double difference = std::fabs(logSumExp[i] - want.logSumExp[i]);
      worst = logSumExp[i] == want.logSumExp[i] || difference <= worst ? worst : difference;
    }
    verdict(way, shape.name, "lse", worst, 2e-4);
    verdict(way, shape.name, "out", distance(a.o, want.o, a.rows, nullptr), 6e-3);
  }
  cudaFree(parts);
  cudaFree(table);
}

// ---- timings

static double milliseconds(const std::function<void()>& work) {
  cudaEvent_t from, to;
  CHECK(cudaEventCreate(&from));
  CHECK(cudaEventCreate(&to));
  for (int i = 0; i < 3; i++) {
    work();
  }
  std::vector<float> times;
  for (int i = 0; i < 15; i++) {
    CHECK(cudaEventRecord(from));
    work();
    CHECK(cudaEventRecord(to));
    CHECK(cudaEventSynchronize(to));
    float time;
    CHECK(cudaEventElapsedTime(&time, from, to));
    times.push_back(time);
  }
  CHECK(cudaGetLastError());
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// In a row for some time, as in training: the card's power is the limit then.
static double sustained(const std::function<void()>& work) {
  const int times = 300;
  cudaEvent_t from, to;
  CHECK(cudaEventCreate(&from));
  CHECK(cudaEventCreate(&to));
  for (int i = 0; i < times; i++) {
    work();
  }
  CHECK(cudaEventRecord(from));
  for (int i = 0; i < times; i++) {
    work();
  }
  CHECK(cudaEventRecord(to));
  CHECK(cudaEventSynchronize(to));
  float time;
  CHECK(cudaEventElapsedTime(&time, from, to));
  return time / times;
}

static __global__ void randomBits(Bf16* out, i64 count, u32 seed) {
  for (i64 i = threadIndex(); i < count; i += threadStride()) {
    float sum = 0;
    u32 x = (u32)i * 2654435761u + seed;
    for (int k = 0; k < 4; k++) {
      x ^= x >> 16;
      x *= 0x7feb352du;
      x ^= x >> 15;
      x *= 0x846ca68bu;
      x ^= x >> 16;
      sum += (x >> 8) * (1.0f / (1 << 24)) - 0.5f;
    }
    out[i] = (Bf16)(packBf16(sum * 1.7f, 0.0f) & 0xffff); // variance about 1
  }
}

// One query row for each of many sequences.
static Shape generation(const std::string& name, int heads, int kvHeads, int width, int sequences, int length, bool odd) {
  Shape s{name, heads, kvHeads, width, {}, {}, 0, 0, 0, 0, 0, false};
  for (int i = 0; i < sequences; i++) {
    int own = odd ? length * (i % 5) / 4 + i % 3 : length;
    s.start.push_back(s.keyRows);
    s.end.push_back(s.keyRows + own);
    s.keyRows += std::max(own, length / 2);
  }
  return s;
}

static void timeDecode(const Shape& shape) {
  Attention a(shape);
  u32 seed = 1;
  for (Slice* s : {&a.q, &a.k, &a.v}) {
    randomBits<<<1024, 256>>>(s->device, (i64)s->host.size(), seed++);
  }
  int* table = tableOf(a.keyRows, 3);
  int chunks = 1;
  for (int i = 0; i < a.rows; i++) {
    chunks = std::max(chunks, (shape.end[i] - shape.start[i] + CHUNK - 1) / CHUNK);
  }
  float* parts = allocate<float>((size_t)a.bound * shape.heads * chunks * (shape.width + 2));
  double both = milliseconds([&] { decode(a, table, parts, chunks, a.k.address(), a.v.address()); });
  double bytes = 4.0 * shape.kvHeads * shape.width * a.pairs();
  std::printf("%-9s %-34s %.4f ms, %.0f GB/s of keys and values\n", "decode", shape.name.c_str(), both, bytes / both * 1e-6);
  cudaFree(parts);
  cudaFree(table);
}

static void time(const Way& way, const Shape& shape) {
  Attention a(shape);
  u32 seed = 1;
  for (Slice* s : {&a.q, &a.k, &a.v, &a.dout}) {
    randomBits<<<1024, 256>>>(s->device, (i64)s->host.size(), seed++);
  }
  double plan = milliseconds([&] { way.plan(a); });
  double forward = milliseconds([&] { way.forward(a); });
  double statistics = milliseconds([&] { a.statisticsPass(); });
  double queries = milliseconds([&] { way.queryGradient(a); });
  double keys = milliseconds([&] { way.keyGradient(a); });
  double backward = milliseconds([&] {
    a.statisticsPass();
    way.queryGradient(a);
    way.keyGradient(a);
  });
  std::printf(
      "%-9s %-34s forward %.3f ms %5.0f TFLOP/s, backward %.3f ms %5.0f TFLOP/s (plan %.4f, statistics %.3f, dq %.3f %4.0f, dk dv %.3f %4.0f)\n",
      way.name.c_str(), shape.name.c_str(), forward, a.flops() / forward * 1e-9, backward, 2.5 * a.flops() / backward * 1e-9, plan,
      statistics, queries, 1.5 * a.flops() / queries * 1e-9, keys, 2 * a.flops() / keys * 1e-9);
  std::fflush(stdout);
}

static void timePacked(const Shape& shape) {
  Attention a(shape);
  u32 seed = 1;
  for (Slice* s : {&a.q, &a.k, &a.v, &a.dout}) {
    randomBits<<<1024, 256>>>(s->device, (i64)s->host.size(), seed++);
  }
  PackedBuffer buffer(a, 1, 0);
  Packed plain = buffer.packed;
  plain.angles = nullptr;
  hopperPlan(a, 3, 3);
  onePassPlan(a);
  hopperForwardWith(a, flashHopperForward, 3, 2, 128);
  auto queries = [&](const Packed& to) { return milliseconds([&] { hopperQueryGradientWith(a, flashHopperQueryGradient, 3, 4, to); }); };
  auto keys = [&](const Packed& to) { return milliseconds([&] { hopperKeyGradientWith(a, flashHopperKeyGradient, 3, 4, to); }); };
  for (int round = 0; round < 2; round++) {
    double together = milliseconds([&] { packedBackward(a, buffer.packed); });
    auto two = [&] { packedBackward(a, buffer.packed); };
    auto one = [&] { onePassBackward(a, buffer.packed); };
    double onePass = milliseconds(one);
    std::printf(
        "one pass  %-34s %.3f ms, two kernels %.3f; in a row %.3f and %.3f; its plan %.3f\n", shape.name.c_str(), onePass, together,
        sustained(one), sustained(two), milliseconds([&] { onePassPlan(a); }));
    double separate = milliseconds([&] { separateBackward(a, buffer.packed); });
    double merge = milliseconds([&] { mergePass(a, buffer.packed); });
    std::printf(
        "packed    %-34s %.3f ms, separate passes %.3f ms (merge %.3f, angles %.4f); dq slices %.3f, packed %.3f, rotated %.3f; dk dv %.3f, %.3f, %.3f\n",
        shape.name.c_str(), together, separate, merge,
        milliseconds([&] { buffer.makeAngles(); }), queries({}), queries(plain), queries(buffer.packed), keys({}), keys(plain),
        keys(buffer.packed));
  }
  std::fflush(stdout);
}

int main(int argc, char** argv) {
  if (argc != 3) {
    std::printf("usage: flash_bench check|time every|hopper\n");
    return 2;
  }
  std::string what = argv[1];
  cudaDeviceProp properties;
  CHECK(cudaGetDeviceProperties(&properties, 0));
  multiprocessors = properties.multiProcessorCount;
  std::printf("%s, %d multiprocessors\n", properties.name, multiprocessors);
  bool every = std::string(argv[2]) == "every";
  if (every && what == "check") {
    for (int width : {64, 32, 128}) {
      std::string w = std::to_string(width);
      checkTable(generation(w + " one row each of 7", 6, 2, width, 7, 700, true), 3);
      checkTable(generation(w + " 8 heads on 1", 8, 1, width, 3, 90, true), 4);
      Shape counted = generation(w + " counted", 3, 3, width, 5, 300, true);
      counted.spareRows = 9;
      checkTable(counted, 5);
      checkTable(sequences(w + " many rows", 6, 2, width, {130, 301}, 1, 0, 3), 6);
    }
  } else if (every) {
    timeDecode(generation("32 sequences of 2048, 15 on 5 of 64", 15, 5, 64, 32, 2048, false));
    timeDecode(generation("1 sequence of 2048, 15 on 5 of 64", 15, 5, 64, 1, 2048, false));
    timeDecode(generation("256 sequences of 2048, 15 on 5 of 64", 15, 5, 64, 256, 2048, false));
  }
  if (!every && what == "check") {
    for (const Shape& shape : packedShapes()) {
      checkPacked(shape, 11);
    }
  } else if (!every) {
    std::vector<int> full(16, 2048);
    timePacked(sequences("360M: 16 x 2048, 15 on 5 of 64", 15, 5, 64, full, 1, 0, 1));
    timePacked(sequences("135M: 16 x 2048, 9 on 3 of 64", 9, 3, 64, full, 1, 0, 1));
    timePacked(sequences("360M: 16 x 1365", 15, 5, 64, std::vector<int>(16, 1365), 1, 0, 1));
    timePacked(sequences("360M: 16 x 682", 15, 5, 64, std::vector<int>(16, 682), 1, 0, 1));
  }
  for (const Way& way : waysOf(argv[2])) {
    if (what == "check") {
      for (int width : {64, 32, 128}) {
        if (way.only64 && width != 64) {
          continue;
        }
        for (const Shape& shape : checkedShapes(width)) {
          check(way, shape, 11);
        }
      }
    } else {
      std::vector<int> full(16, 2048);
      time(way, sequences("360M: 16 x 2048, 15 on 5 of 64", 15, 5, 64, full, 1, 0, 1));
      time(way, sequences("135M: 16 x 2048, 9 on 3 of 64", 9, 3, 64, full, 1, 0, 1));
      time(way, sequences("360M, 2/3 of the rows, all keys", 15, 5, 64, full, 2.0 / 3, 0, 1));
      time(way, sequences("360M: 16 x 1365", 15, 5, 64, std::vector<int>(16, 1365), 1, 0, 1));
      time(way, sequences("360M: 16 x 682", 15, 5, 64, std::vector<int>(16, 682), 1, 0, 1));
      time(way, sequences("4 x 8192, 16 plain heads of 64", 16, 16, 64, std::vector<int>(4, 8192), 1, 0, 1));
      if (!way.only64) {
        time(way, sequences("16 x 2048, 8 on 4 of 128", 8, 4, 128, full, 1, 0, 1));
        time(way, sequences("16 x 2048, 30 on 10 of 32", 30, 10, 32, full, 1, 0, 1));
      }
    }
  }
  std::printf("%d checks failed\n", failures);
  return failures > 0;
}
