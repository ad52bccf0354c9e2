// What the kernels for Hopper (compute capability 9.0) share: barriers in shared memory, rings of places that one warpgroup fills and others
// read, the copy engine, wgmma. For other cards it is empty.
#pragma once
#include "flash.cuh"

#define WARPGROUP 128

// What cuTensorMapEncodeTiled makes.
struct __align__(64) TensorMap {
  u64 words[16];
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// ---- barriers in shared memory

__device__ __forceinline__ void initialize(u32 barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

__device__ __forceinline__ void arrive(u32 barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

__device__ __forceinline__ bool isDone(u32 barrier, u32 parity) {
  u32 done;
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
      "selp.u32 %0, 1, 0, p;\n"
      "}\n"
      : "=r"(done)
      : "r"(barrier), "r"(parity)
      : "memory");
  return done;
}

__device__ __forceinline__ void await(u32 barrier, u32 parity) {
  while (!isDone(barrier, parity)) {
  }
}

// A ring of STAGES places in shared memory with a barrier for full and one for empty each; the n-th use of the ring is counted from 0.
template <int STAGES>
struct Ring {
  u32 barriers; // full 0, empty 0, full 1, ...

  static constexpr int BYTES = 16 * STAGES;

  __device__ __forceinline__ void start(int fillers, int readers) const {
#pragma unroll
    for (int i = 0; i < STAGES; i++) {
      initialize(barriers + 16 * i, fillers);
      initialize(barriers + 16 * i + 8, readers);
    }
  }
  static __device__ __forceinline__ int place(u32 n) { return n % STAGES; }
  static __device__ __forceinline__ u32 parity(u32 n) { return n / STAGES % 2; }
  __device__ __forceinline__ u32 full(u32 n) const { return barriers + 16 * place(n); }
  __device__ __forceinline__ u32 empty(u32 n) const { return barriers + 16 * place(n) + 8; }
  __device__ __forceinline__ void awaitFull(u32 n) const { await(full(n), parity(n)); }
  __device__ __forceinline__ void awaitEmpty(u32 n) const { await(empty(n), parity(n) ^ 1); }
  // by one lane of each warp when the warp has read all it needs
  __device__ __forceinline__ void release(u32 n) const {
    if (threadIdx.x % WARP == 0) {
      arrive(empty(n));
    }
  }
};

template <int REGISTERS>
__device__ __forceinline__ void takeRegisters() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(REGISTERS));
}

template <int REGISTERS>
__device__ __forceinline__ void giveRegisters() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(REGISTERS));
}

// ---- the second-level cache

// Policies, as createpolicy.fractional makes them for all bytes; by the instruction they cost more than they gain.
#define EVICT_FIRST 0x12f0000000000000ULL // for what is read once
#define EVICT_LAST 0x14f0000000000000ULL  // for what all blocks read again and again

// 16 bytes that nobody writes meanwhile, past the first-level cache; if not valid the value stays as it is. Without a branch, at whose end the compiler
// could wait for them.
__device__ __forceinline__ void loadOnce(uint4& value, const void* from, u64 policy, bool valid) {
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "setp.ne.b32 p, %6, 0;\n"
      "@p ld.global.nc.L1::no_allocate.L2::cache_hint.v4.u32 {%0, %1, %2, %3}, [%4], %5;\n"
      "}\n"
      : "+r"(value.x), "+r"(value.y), "+r"(value.z), "+r"(value.w)
      : "l"(from), "l"(policy), "r"((int)valid));
}

// Without a branch, where the compiler could wait for what is on its way.
__device__ __forceinline__ void storeIf(float* to, float value, bool valid) {
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "setp.ne.b32 p, %2, 0;\n"
      "@p st.global.f32 [%0], %1;\n"
      "}\n" ::"l"(to),
      "f"(value), "r"((int)valid)
      : "memory");
}

// Counts among blocks: what was written before an addition is seen by whoever reads its result. The value before is returned.
__device__ __forceinline__ u32 addReleased(u32* to, u32 value) {
  u32 before;
  asm volatile("atom.release.gpu.global.add.u32 %0, [%1], %2;" : "=r"(before) : "l"(to), "r"(value) : "memory");
  return before;
}

__device__ __forceinline__ u32 loadAcquired(const u32* from) {
  u32 value;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(from) : "memory");
  return value;
}

__device__ __forceinline__ uint4 loadShared(u32 address) {
  uint4 value;
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
               : "r"(address)
               : "memory");
  return value;
}

// ---- the copy engine

// Barriers that were started can be seen by the copy engine.
__device__ __forceinline__ void publishBarriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

// This thread's ordinary writes to shared memory can be seen by the copy engine and by wgmma.
__device__ __forceinline__ void publishWrites() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// Arrives, and makes the barrier await bytes that are copied.
__device__ __forceinline__ void expect(u32 barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

// Arrives when the chunks that this thread has begun to copy are there.
__device__ __forceinline__ void arriveAfterCopies(u32 barrier) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(barrier) : "memory");
}

// A box of a matrix from column and row on; what lies outside the matrix becomes zeros.
__device__ __forceinline__ void copyBox(u32 to, const TensorMap& map, int column, int row, u32 barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(to), "l"(&map),
      "r"(column), "r"(row), "r"(barrier)
      : "memory");
}

// As copyBox, with a policy for the second-level cache.
__device__ __forceinline__ void copyBox(u32 to, const TensorMap& map, int column, int row, u32 barrier, u64 policy) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(to),
      "l"(&map), "r"(column), "r"(row), "r"(barrier), "l"(policy)
      : "memory");
}

// As copyBox, from a map of five dimensions of which the first and the last are chosen.
__device__ __forceinline__ void copyGroups(u32 to, const TensorMap& map, int column, int group, u32 barrier) {
  asm volatile(
      "cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %3, %3, %4}], [%5];" ::"r"(to),
      "l"(&map), "r"(column), "r"(0), "r"(group), "r"(barrier)
      : "memory");
}

// ---- pairs of blocks

// A block by itself, or two of a cluster that make tiles of the same weights at the same time: each brings half of them to both, so that they leave the
// second-level cache once for two.
template <int BLOCKS>
struct Team {
  static constexpr int SIZE = BLOCKS;
  static_assert(SIZE == 1 || SIZE == 2);

  static __device__ __forceinline__ int rank() {
    u32 rank = 0;
    if constexpr (SIZE == 2) {
      asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    }
    return (int)rank;
  }
  static __device__ __forceinline__ int number() { return blockIdx.x / SIZE; }
  static __device__ __forceinline__ int count() { return gridDim.x / SIZE; }

  // by all threads: barriers that were started can be used; or nobody uses the other block's shared memory any more
  static __device__ __forceinline__ void sync() {
    if constexpr (SIZE == 2) {
      asm volatile("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");
    } else {
      __syncthreads();
    }
  }

  // A box to the same place in each block, where the barrier at the same place hears of it.
  static __device__ __forceinline__ void copyBoxToAll(u32 to, const TensorMap& map, int column, int row, u32 barrier) {
    if constexpr (SIZE == 2) {
      asm volatile(
          "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(to),
          "l"(&map), "r"(column), "r"(row), "r"(barrier), "h"((unsigned short)3)
          : "memory");
    } else {
      copyBox(to, map, column, row, barrier);
    }
  }

  // The same of a map of five dimensions of which the first and the last are chosen.
  static __device__ __forceinline__ void copyGroupsToAll(u32 to, const TensorMap& map, int column, int group, u32 barrier) {
    if constexpr (SIZE == 2) {
      asm volatile(
          "cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%2, %3, %3, %3, %4}], [%5], %6;" ::"r"(to),
          "l"(&map), "r"(column), "r"(0), "r"(group), "r"(barrier), "h"((unsigned short)3)
          : "memory");
    } else {
      copyGroups(to, map, column, group, barrier);
    }
  }

  // By each warp when its products have read a stage. Nothing was written that the other block must see, so it does without a fence of the cluster,
  // which would cost more than the pair gains.
  template <int STAGES>
  static __device__ __forceinline__ void release(const Ring<STAGES>& ring, u32 n) {
    if constexpr (SIZE == 2) {
      int to = threadIdx.x % WARP;
      if (to < SIZE) {
        u32 remote;
        asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(remote) : "r"(ring.empty(n)), "r"(to));
        asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(remote) : "memory");
      }
    } else {
      ring.release(n);
    }
  }
};

// ---- stores by the copy engine

// Shared memory to a box of a matrix; what lies outside the matrix is not written.
__device__ __forceinline__ void storeBox(const TensorMap& map, int column, int row, u32 from) {
  asm volatile(
      "cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%1, %2}], [%3];" ::"l"(&map), "r"(column), "r"(row), "r"(from)
      : "memory");
}

// Ends a group of this thread's stores of boxes.
__device__ __forceinline__ void commitStores() {
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}

// Waits until all but the last PENDING of this thread's groups have been read from shared memory.
template <int PENDING>
__device__ __forceinline__ void awaitStores() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(PENDING) : "memory");
}

// Four matrices [8, 8] of a fragment to shared memory, the counterpart of loadMatrices.
__device__ __forceinline__ void storeMatrices(u32 address, const u32 (&from)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(from[0]), "r"(from[1]), "r"(from[2]),
               "r"(from[3])
               : "memory");
}

// ---- wgmma

// A tile of rows of 128 bytes, swizzled by 128 bytes: 8 rows are 1024 bytes. For operands along their rows as for operands across them.
__device__ __forceinline__ u64 describe(u32 tile) {
  constexpr u64 LAYOUT = ((u64)1 << 62) | ((u64)(1024 >> 4) << 32) | ((u64)(1024 >> 4) << 16);
  return LAYOUT | (u64)((tile & 0x3ffff) >> 4);
}

// As describe, of an operand whose rows are what is summed over: its next 64 columns are so many bytes on.
__device__ __forceinline__ u64 describeAcross(u32 tile, int toNextColumns) {
  constexpr u64 LAYOUT = ((u64)1 << 62) | ((u64)(1024 >> 4) << 32);
  return LAYOUT | ((u64)(toNextColumns >> 4) << 16) | (u64)((tile & 0x3ffff) >> 4);
}

// Between ordinary uses of a fragment and its uses by wgmma: keeps the compiler from moving them.
template <int GROUPS>
__device__ __forceinline__ void hold(float (&fragment)[GROUPS][4]) {
#pragma unroll
  for (int j = 0; j < GROUPS; j++) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      asm volatile("" : "+f"(fragment[j][i])::"memory");
    }
  }
}

__device__ __forceinline__ void beginProducts() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

__device__ __forceinline__ void commitProducts() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

template <int PENDING>
__device__ __forceinline__ void awaitProducts() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}

// clang-format off
// The first COLUMNS of d [64, 8 GROUPS] (+)= a [64, 16] @ b, both in shared memory; with add 0 they are set. b is [COLUMNS, 16], with ACROSS
// [16, COLUMNS]; with LEFT_ACROSS a is [16, 64].
template <int COLUMNS, int ACROSS, int LEFT_ACROSS = 0, int GROUPS>
__device__ __forceinline__ void multiplyTileAsync(float (&d)[GROUPS][4], u64 a, u64 b, int add) {
  if constexpr (COLUMNS == 64) {
    asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "setp.ne.b32 p, %34, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
      "}, %32, %33, p, 1, 1, %36, %35;\n"
      "}\n"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3]),
        "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]), "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]), "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3])
      : "l"(a), "l"(b), "r"(add), "n"(ACROSS), "n"(LEFT_ACROSS));
  } else if constexpr (COLUMNS == 128) {
    asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "setp.ne.b32 p, %66, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
      "}, %64, %65, p, 1, 1, %68, %67;\n"
      "}\n"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3]),
        "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]), "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]), "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3]),
        "+f"(d[8][0]), "+f"(d[8][1]), "+f"(d[8][2]), "+f"(d[8][3]), "+f"(d[9][0]), "+f"(d[9][1]), "+f"(d[9][2]), "+f"(d[9][3]), "+f"(d[10][0]), "+f"(d[10][1]), "+f"(d[10][2]), "+f"(d[10][3]), "+f"(d[11][0]), "+f"(d[11][1]), "+f"(d[11][2]), "+f"(d[11][3]),
        "+f"(d[12][0]), "+f"(d[12][1]), "+f"(d[12][2]), "+f"(d[12][3]), "+f"(d[13][0]), "+f"(d[13][1]), "+f"(d[13][2]), "+f"(d[13][3]), "+f"(d[14][0]), "+f"(d[14][1]), "+f"(d[14][2]), "+f"(d[14][3]), "+f"(d[15][0]), "+f"(d[15][1]), "+f"(d[15][2]), "+f"(d[15][3])
      : "l"(a), "l"(b), "r"(add), "n"(ACROSS), "n"(LEFT_ACROSS));
  } else if constexpr (COLUMNS == 192) {
    asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "setp.ne.b32 p, %98, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n192k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
      "}, %96, %97, p, 1, 1, %100, %99;\n"
      "}\n"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3]),
        "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]), "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]), "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3]),
        "+f"(d[8][0]), "+f"(d[8][1]), "+f"(d[8][2]), "+f"(d[8][3]), "+f"(d[9][0]), "+f"(d[9][1]), "+f"(d[9][2]), "+f"(d[9][3]), "+f"(d[10][0]), "+f"(d[10][1]), "+f"(d[10][2]), "+f"(d[10][3]), "+f"(d[11][0]), "+f"(d[11][1]), "+f"(d[11][2]), "+f"(d[11][3]),
        "+f"(d[12][0]), "+f"(d[12][1]), "+f"(d[12][2]), "+f"(d[12][3]), "+f"(d[13][0]), "+f"(d[13][1]), "+f"(d[13][2]), "+f"(d[13][3]), "+f"(d[14][0]), "+f"(d[14][1]), "+f"(d[14][2]), "+f"(d[14][3]), "+f"(d[15][0]), "+f"(d[15][1]), "+f"(d[15][2]), "+f"(d[15][3]),
        "+f"(d[16][0]), "+f"(d[16][1]), "+f"(d[16][2]), "+f"(d[16][3]), "+f"(d[17][0]), "+f"(d[17][1]), "+f"(d[17][2]), "+f"(d[17][3]), "+f"(d[18][0]), "+f"(d[18][1]), "+f"(d[18][2]), "+f"(d[18][3]), "+f"(d[19][0]), "+f"(d[19][1]), "+f"(d[19][2]), "+f"(d[19][3]),
        "+f"(d[20][0]), "+f"(d[20][1]), "+f"(d[20][2]), "+f"(d[20][3]), "+f"(d[21][0]), "+f"(d[21][1]), "+f"(d[21][2]), "+f"(d[21][3]), "+f"(d[22][0]), "+f"(d[22][1]), "+f"(d[22][2]), "+f"(d[22][3]), "+f"(d[23][0]), "+f"(d[23][1]), "+f"(d[23][2]), "+f"(d[23][3])
      : "l"(a), "l"(b), "r"(add), "n"(ACROSS), "n"(LEFT_ACROSS));
  } else if constexpr (COLUMNS == 256) {
    asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "setp.ne.b32 p, %130, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
      "}, %128, %129, p, 1, 1, %132, %131;\n"
      "}\n"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3]),
        "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]), "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]), "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3]),
        "+f"(d[8][0]), "+f"(d[8][1]), "+f"(d[8][2]), "+f"(d[8][3]), "+f"(d[9][0]), "+f"(d[9][1]), "+f"(d[9][2]), "+f"(d[9][3]), "+f"(d[10][0]), "+f"(d[10][1]), "+f"(d[10][2]), "+f"(d[10][3]), "+f"(d[11][0]), "+f"(d[11][1]), "+f"(d[11][2]), "+f"(d[11][3]),
        "+f"(d[12][0]), "+f"(d[12][1]), "+f"(d[12][2]), "+f"(d[12][3]), "+f"(d[13][0]), "+f"(d[13][1]), "+f"(d[13][2]), "+f"(d[13][3]), "+f"(d[14][0]), "+f"(d[14][1]), "+f"(d[14][2]), "+f"(d[14][3]), "+f"(d[15][0]), "+f"(d[15][1]), "+f"(d[15][2]), "+f"(d[15][3]),
        "+f"(d[16][0]), "+f"(d[16][1]), "+f"(d[16][2]), "+f"(d[16][3]), "+f"(d[17][0]), "+f"(d[17][1]), "+f"(d[17][2]), "+f"(d[17][3]), "+f"(d[18][0]), "+f"(d[18][1]), "+f"(d[18][2]), "+f"(d[18][3]), "+f"(d[19][0]), "+f"(d[19][1]), "+f"(d[19][2]), "+f"(d[19][3]),
        "+f"(d[20][0]), "+f"(d[20][1]), "+f"(d[20][2]), "+f"(d[20][3]), "+f"(d[21][0]), "+f"(d[21][1]), "+f"(d[21][2]), "+f"(d[21][3]), "+f"(d[22][0]), "+f"(d[22][1]), "+f"(d[22][2]), "+f"(d[22][3]), "+f"(d[23][0]), "+f"(d[23][1]), "+f"(d[23][2]), "+f"(d[23][3]),
        "+f"(d[24][0]), "+f"(d[24][1]), "+f"(d[24][2]), "+f"(d[24][3]), "+f"(d[25][0]), "+f"(d[25][1]), "+f"(d[25][2]), "+f"(d[25][3]), "+f"(d[26][0]), "+f"(d[26][1]), "+f"(d[26][2]), "+f"(d[26][3]), "+f"(d[27][0]), "+f"(d[27][1]), "+f"(d[27][2]), "+f"(d[27][3]),
        "+f"(d[28][0]), "+f"(d[28][1]), "+f"(d[28][2]), "+f"(d[28][3]), "+f"(d[29][0]), "+f"(d[29][1]), "+f"(d[29][2]), "+f"(d[29][3]), "+f"(d[30][0]), "+f"(d[30][1]), "+f"(d[30][2]), "+f"(d[30][3]), "+f"(d[31][0]), "+f"(d[31][1]), "+f"(d[31][2]), "+f"(d[31][3])
      : "l"(a), "l"(b), "r"(add), "n"(ACROSS), "n"(LEFT_ACROSS));
  }
}
// clang-format on

// A value that all lanes have, said so that the compiler knows: wgmma must not be under a condition that it believes to differ between lanes.
__device__ __forceinline__ int uniform(int value) {
  return __shfl_sync(FULL_MASK, value, 0);
}

#endif
