// What the attention kernels for Hopper share: products of tiles of heads of 64, the rotation back of gradients, sums over rows of gradients. For
// other cards it is empty.
#pragma once
#include "hopper.cuh"

#define HEAD 64
#define TILE_BYTES (ROW_TILE * HEAD * 2) // of 64 rows

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

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

// What a turn of the key gradients needs beside its tiles, in shared memory.
struct QueryRows {
  float statistic[ROW_TILE];
  float product[ROW_TILE];
  int2 range[ROW_TILE];
  Bounds bounds;
};

#endif
