// Matrix products in bfloat16 on Hopper (compute capability 9.0) that do in their last step what else would be a pass over their results: heads
// rotated and dealt to their tensors, a gated unit, a gated unit's gradient, what arrives at an attention's result, the sum with what was there. Elsewhere the kernels are empty.
// And weights' gradients, a product of factors that are both read across.
//
// A block stays on its multiprocessor, by itself or with another that makes the tiles below, and makes tiles of 128 rows by 256 or 192 columns, columns first, so that rows are read from far memory once.
// One thread lets the copy engine bring 64 columns of both factors at a time; two warpgroups of 64 rows each multiply. What is to be done with the
// results of a tile is done while the next tile is multiplied, so that the tensor cores do not wait for it and what it reads and writes is spread over
// the whole time: piece by piece between the products, with the results held in registers, or, for gradients, by warps of their own.
//
// Every sum is owned by one thread and made in the order of the columns, so the same call gives the same bits; what is outside a matrix counts as zeros.
#include "hopper.cuh"

#define HEAD 64
#define TILE_ROWS 128
#define DEPTH 64 // columns of the factors at a time
#define LEFT_BYTES (TILE_ROWS * DEPTH * 2)
#define PART_BYTES (64 * DEPTH * 2) // of 64 columns of the result
#define PRODUCT_THREADS 384
#define APART_THREADS 512 // with warps of their own for the last step

// ---- arguments, each a word of eight bytes or a map

struct LinearsArguments {
  TensorMap x;          // [rows, inner], boxes [128, 64]
  TensorMap weights;    // [64 heads, inner], boxes [64, 64] of arranged rows, see below
  Bf16* outs[3];        // [rows, 64 heads] each
  i64 ends[3];          // the head after the last of each
  const int* positions; // [rows]
  const double* frequencies; // [32]
  const float* factors; // [rows]: of all results of a row; or null
  i64 rows;
  i64 inner;
  i64 rotated; // a bit for each
};

struct GatedLinearsArguments {
  TensorMap x;       // [rows, inner], boxes [128, 64]
  TensorMap weights; // [2 feedForward, inner]: gate's, then up's; boxes [128, 64]
  TensorMap gate;    // [rows, feedForward] each, boxes [16, 64]
  TensorMap up;
  TensorMap activated;
  const float* factors; // [rows]: of gate and up; or null
  i64 rows;
  i64 inner;
  i64 feedForward;
};

struct GatedBackwardArguments {
  TensorMap dy;      // [rows, inner], boxes [128, 64]
  TensorMap weights; // [inner, feedForward], boxes [64, 64]
  Bf16* packed;      // [rows, 2 feedForward]
  Bf16* activated;   // [rows, feedForward]
  const Bf16* gate;  // [rows, feedForward] each
  const Bf16* up;
  float* products;   // [tiles of columns, rows]: of each row the sum over a tile of its gradients times gate and up; or null
  i64 rows;
  i64 inner;
  i64 columns; // feedForward
};

struct OutputGradientArguments {
  TensorMap dy;           // [rows, inner], boxes [128, 64]
  TensorMap weights;      // [inner, columns], boxes [64, 64]
  TensorMap dout;         // [rows, columns], boxes [64, 64]
  const Bf16* out;        // the same
  const float* logSumExp; // [rows, columns / 64]
  float* statistics;      // [columns / 64, paddedRows], as flashStatistics makes them
  float* products;        // the same
  i64 rows;
  i64 inner;
  i64 columns;    // 64 of each head
  i64 paddedRows; // rows up to whole tiles
};

struct ResidualArguments {
  TensorMap a;       // [rows, inner], boxes [128, 64]
  TensorMap weights; // [columns, inner], boxes [192, 64]
  TensorMap base;    // [rows, columns], boxes [64, 64]
  TensorMap out;     // the same; it may be base
  float* squares;    // [tiles of columns, rows]: of each row the sum over a tile of its results' squares; or null
  i64 rows;
  i64 inner;
  i64 columns;
};

struct WeightGradientArguments {
  TensorMap a;     // [rows, m], boxes [64, 64]
  TensorMap b;     // [rows, n], boxes [64, 64]
  float* out;      // [m, n]
  float* partials; // [blocks, 192, 192]: no order that matters outside
  u32* arrivals;   // [tiles, 12]: zeros, as which they are left
  i64 rows;
  i64 m;
  i64 n;
  i64 chunks;     // of the rows, for whole tiles; at most 6
  i64 restChunks; // for tiles of fewer than all rows of m
  i64 accumulate; // 0 or 1
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// ---- tiles

struct Tile {
  int row;    // its first
  int column; // number of the tile
};

// A team's blocks make tiles one below the other.
template <class Product>
__device__ __forceinline__ Tile tileOf(int number, int columnTiles) {
  typedef typename Product::Blocks Blocks;
  int rows = number / columnTiles;
  return {
      (rows * Blocks::SIZE + Blocks::rank()) * TILE_ROWS, Product::TURNS ? (number + rows) % columnTiles : number - rows * columnTiles};
}

// What a thread's two rows of a tile are multiplied by, which is asked for when the tile begins.
struct Factors {
  float of[2];

  static __device__ __forceinline__ Factors load(const float* factors, i64 rows, const Tile& tile, int group) {
    int row = tile.row + group * 64 + threadIdx.x % WARPGROUP / WARP * 16 + threadIdx.x % WARP / 4;
    Factors loaded = {1.0f, 1.0f};
    if (factors != nullptr) {
      loaded.of[0] = factors[min((i64)row, rows - 1)];
      loaded.of[1] = factors[min((i64)row + 8, rows - 1)];
    }
    return loaded;
  }
};

// Of a team.
template <class Blocks>
__device__ __forceinline__ int tileCount(i64 rows, int columnTiles) {
  constexpr int TEAM_ROWS = TILE_ROWS * Blocks::SIZE;
  return ((int)rows + TEAM_ROWS - 1) / TEAM_ROWS * columnTiles;
}

// The copy engine arranges weights' rows so that a thread's eight results of a row in four groups of the fragment are neighbours: row 8 j + 2 q + e
// of 32 in shared memory is row 8 q + 2 j + e of the matrix. word j of four is then columns 2 j and 2 j + 1 from 8 (lane % 4) on.

__device__ __forceinline__ float sigmoid(float x) {
  float result;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(1.0f + exp2Fast(x * -LOG2_E)));
  return result;
}

// ---- heads, rotated and dealt to their tensors

template <int BLOCKS>
struct Linears {
  typedef LinearsArguments Arguments;
  typedef Team<BLOCKS> Blocks;
  static constexpr int COLUMNS = 256;
  static constexpr int STAGES = 4;
  static constexpr bool TURNS = false;
  static constexpr int ACROSS = 0;
  static constexpr int STEP = 2; // 16 elements are 32 bytes
  // beside the stages: sines and cosines of a tile's rows, as its threads read them: [group, warp, half, j, lane] of two pairs
  static constexpr int BESIDE_BYTES = TILE_ROWS * (HEAD / 2) * 8;
  static constexpr int BARRIER_BYTES = Ring<1>::BYTES;
  static constexpr int COPIER_REGISTERS = 40;
  static constexpr int REGISTERS = 232;
  static constexpr int TABLE_WARPS = 3;
  static constexpr int PIECES = 8; // one head and one of a thread's two rows each

  static __device__ __forceinline__ u64 describeRight(u32 tile) { return describe(tile); }
  static __device__ __forceinline__ int columnTiles(const Arguments& a) { return ((int)a.ends[2] + 3) / 4; }
  static __device__ __forceinline__ int parts(const Arguments& a, int column) { return min(4, (int)a.ends[2] - 4 * column); }
  static __device__ __forceinline__ const TensorMap& left(const Arguments& a) { return a.x; }

  static __device__ __forceinline__ int tensorOf(const Arguments& a, int head) { return head < a.ends[0] ? 0 : head < a.ends[1] ? 1 : 2; }
  static __device__ __forceinline__ bool isRotated(const Arguments& a, int head) { return (a.rotated >> tensorOf(a, head) & 1) != 0; }
  static __device__ __forceinline__ bool anyRotated(const Arguments& a, int column) {
    bool any = false;
#pragma unroll
    for (int h = 0; h < 4; h++) {
      any |= 4 * column + h < a.ends[2] && isRotated(a, 4 * column + h);
    }
    return any;
  }

  static __device__ __forceinline__ void copyRight(const Arguments& a, u32 to, int depth, int column, u32 barrier) {
    int heads = parts(a, column);
    for (int h = Blocks::rank(); h < heads; h += Blocks::SIZE) {
      Blocks::copyGroupsToAll(to + h * PART_BYTES, a.weights, depth, 2 * (4 * column + h), barrier);
    }
  }

  static __device__ __forceinline__ void start(u32 barriers) { Ring<1>{barriers}.start(TABLE_WARPS, 8); }

  // by the warps beside the one that copies
  static __device__ __forceinline__ void assist(const Arguments& a, unsigned char* beside, u32 barriers) {
    Ring<1> ring = {barriers};
    int lane = threadIdx.x % WARP;
    int warp = threadIdx.x / WARP - 1;
    int columns = columnTiles(a);
    // turns of a position step in units of 2^-64, so that whole turns vanish by themselves
    double turns = a.frequencies[lane] * 0.15915494309189533577; // 1 / (2 pi)
    u64 step = (u64)__double2ll_rn((turns - rint(turns)) * 18446744073709551616.0);
    float2* table = (float2*)beside;
    int place = lane % 8 / 2 * (2 * WARP) + lane / 8 * 2 + lane % 2; // of the lane's pair
    u32 n = 0;
    for (int number = Blocks::number(); number < tileCount<Blocks>(a.rows, columns); number += Blocks::count()) {
      Tile tile = tileOf<Linears>(number, columns);
      if (!anyRotated(a, tile.column)) {
        continue;
      }
      await(ring.empty(n), ring.parity(n) ^ 1);
      for (int first = 0; first < TILE_ROWS; first += WARP) {
        int own = tile.row + first + lane;
        int position = own < a.rows ? a.positions[own] : 0;
#pragma unroll 4
        for (int r = warp; r < WARP; r += TABLE_WARPS) {
          int row = first + r;
          i64 angle = (i64)((u64)(i64)__shfl_sync(FULL_MASK, position, r) * step);
          float2 turn;
          sincospif(__ll2float_rn(angle) * 1.0842021724855044e-19f, &turn.y, &turn.x); // 2^-63: in units of pi
          table[row / 8 * (4 * 2 * WARP) + row % 8 * 8 + place] = turn;
        }
      }
      __syncwarp();
      if (lane == 0) {
        arrive(ring.full(n));
      }
      n++;
    }
  }

  struct Held {
    u32 word[4][2][8]; // of a head, of two rows: columns from 8 (lane % 4) on, and from 32 further
    int row;
    int column;
    u32 n; // tables so far
  };

  static __device__ __forceinline__ void clear(Held& held) {
    held.n = 0;
    held.column = -1;
  }

  static __device__ __forceinline__ void take(
      const Arguments& a, const float (&sum)[COLUMNS / 8][4], const Factors& factors, Held& held, unsigned char* beside, u32 barriers,
      const Tile& tile, int group) {
    int lane = threadIdx.x % WARP;
    int inTile = group * 64 + threadIdx.x % WARPGROUP / WARP * 16;
    held.row = tile.row + inTile + lane / 4;
    held.column = tile.column;
    Ring<1> ring = {barriers};
    bool any = anyRotated(a, tile.column);
    if (any) {
      ring.awaitFull(held.n);
    }
    const float4* table = (const float4*)beside + inTile / 8 * (4 * WARP) + lane; // cosine, sine of two pairs
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float4 turn[4];
      if (any) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
          float4 t = table[(half * 4 + j) * WARP];
          float factor = factors.of[half];
          turn[j] = make_float4(t.x * factor, t.y * factor, t.z * factor, t.w * factor);
        }
      }
#pragma unroll
      for (int h = 0; h < 4; h++) {
        bool rotates = isRotated(a, 4 * tile.column + h); // beyond the last head it does not matter
#pragma unroll
        for (int j = 0; j < 4; j++) {
          const float* x = sum[8 * h + j] + 2 * half;
          const float* y = sum[8 * h + 4 + j] + 2 * half;
          if (rotates) {
            float4 t = turn[j];
            held.word[h][half][j] = packBf16(x[0] * t.x - y[0] * t.y, x[1] * t.z - y[1] * t.w);
            held.word[h][half][4 + j] = packBf16(y[0] * t.x + x[0] * t.y, y[1] * t.z + x[1] * t.w);
          } else {
            float factor = factors.of[half];
            held.word[h][half][j] = packBf16(x[0] * factor, x[1] * factor);
            held.word[h][half][4 + j] = packBf16(y[0] * factor, y[1] * factor);
          }
        }
      }
    }
    if (any) {
      __syncwarp();
      ring.release(held.n);
      held.n++;
    }
  }

  template <int PIECE>
  static __device__ __forceinline__ void put(const Arguments& a, Held& held, unsigned char* beside, u32 barriers, int group) {
    constexpr int h = PIECE / 2;
    constexpr int half = PIECE % 2;
    int head = 4 * held.column + h;
    if (held.column >= 0 && head < a.ends[2]) {
      int which = tensorOf(a, head);
      int begin = which == 0 ? 0 : (int)a.ends[which - 1];
      int width = ((int)a.ends[which] - begin) * HEAD;
      int row = held.row + 8 * half;
      if (row < a.rows) {
        Bf16* out = a.outs[which] + (i64)row * width + (head - begin) * HEAD + threadIdx.x % 4 * 8;
        const u32* word = held.word[h][half];
        *(uint4*)out = make_uint4(word[0], word[1], word[2], word[3]);
        *(uint4*)(out + HEAD / 2) = make_uint4(word[4], word[5], word[6], word[7]);
      }
    }
  }

  static __device__ __forceinline__ void finish(Held& held, u32 barriers, int group) {}
};

// ---- a gated unit

template <int BLOCKS>
struct GatedLinears {
  typedef GatedLinearsArguments Arguments;
  typedef Team<BLOCKS> Blocks;
  static constexpr int COLUMNS = 256;
  static constexpr int STAGES = 4;
  static constexpr bool TURNS = false;
  static constexpr int ACROSS = 0;
  static constexpr int STEP = 2;
  static constexpr int WARP_BYTES = 16 * 64 * 2;
  static constexpr int BESIDE_BYTES = 8 * 2 * WARP_BYTES; // two boxes for each warp
  static constexpr int BARRIER_BYTES = 0;
  static constexpr int COPIER_REGISTERS = 24;
  static constexpr int REGISTERS = 240;
  static constexpr int UNITS = COLUMNS / 2; // of a tile: columns of gate and of up
  static constexpr int PIECES = 8; // for 64 columns: gate, up, and each half of their product

  static __device__ __forceinline__ u64 describeRight(u32 tile) { return describe(tile); }
  static __device__ __forceinline__ int columnTiles(const Arguments& a) { return ((int)a.feedForward + UNITS - 1) / UNITS; }
  static __device__ __forceinline__ int parts(const Arguments& a, int column) { return 4; }
  static __device__ __forceinline__ const TensorMap& left(const Arguments& a) { return a.x; }

  static __device__ __forceinline__ void copyRight(const Arguments& a, u32 to, int depth, int column, u32 barrier) {
    for (int side = Blocks::rank(); side < 2; side += Blocks::SIZE) { // gate, up
      Blocks::copyBoxToAll(to + side * 2 * PART_BYTES, a.weights, depth, side * (int)a.feedForward + UNITS * column, barrier);
    }
  }

  static __device__ __forceinline__ void start(u32 barriers) {}

  static __device__ __forceinline__ void assist(const Arguments& a, unsigned char* beside, u32 barriers) {}

  struct Held {
    u32 gate[8][4]; // of 16 columns, as storeMatrices takes them
    u32 up[8][4];
    int row; // the warp's first
    int column;
  };

  static __device__ __forceinline__ void clear(Held& held) { held.column = 0x3fffffff; }

  static __device__ __forceinline__ void take(
      const Arguments& a, const float (&sum)[COLUMNS / 8][4], const Factors& factors, Held& held, unsigned char* beside, u32 barriers,
      const Tile& tile, int group) {
    held.row = tile.row + group * 64 + threadIdx.x % WARPGROUP / WARP * 16;
    held.column = tile.column * UNITS;
#pragma unroll
    for (int i = 0; i < 8; i++) {
#pragma unroll
      for (int word = 0; word < 4; word++) {
        const float* gate = sum[2 * i + word / 2] + word % 2 * 2;
        const float* up = sum[16 + 2 * i + word / 2] + word % 2 * 2;
        float factor = factors.of[word % 2];
        held.gate[i][word] = packBf16(gate[0] * factor, gate[1] * factor);
        held.up[i][word] = packBf16(up[0] * factor, up[1] * factor);
      }
    }
  }

  static __device__ __forceinline__ u32 activate(u32 gate, u32 up) {
    float x = lowBf16(gate);
    float y = highBf16(gate);
    return packBf16(x * sigmoid(x) * lowBf16(up), y * sigmoid(y) * highBf16(up));
  }

  template <int PIECE>
  static __device__ __forceinline__ void put(const Arguments& a, Held& held, unsigned char* beside, u32 barriers, int group) {
    constexpr int kind = PIECE % 4; // gate, up, first and second half of their product
    constexpr int box = PIECE / 4 * 3 + (kind < 2 ? kind : 2);
    constexpr int first = PIECE / 4 * 4 + (kind == 3 ? 2 : 0); // 16 columns each
    int lane = threadIdx.x % WARP;
    int column = held.column + PIECE / 4 * 64;
    if (column >= (int)a.feedForward) {
      return;
    }
    u32 to = sharedAddress(beside) + ((threadIdx.x / WARP - 4) * 2 + box % 2) * WARP_BYTES;
    if (kind < 3) {
      if (lane == 0) {
        awaitStores<1>(); // what was there before has been read
      }
      __syncwarp();
    }
#pragma unroll
    for (int i = first; i < first + (kind < 2 ? 4 : 2); i++) {
      u32 words[4];
#pragma unroll
      for (int word = 0; word < 4; word++) {
        words[word] = kind == 0 ? held.gate[i][word] : kind == 1 ? held.up[i][word] : activate(held.gate[i][word], held.up[i][word]);
      }
      storeMatrices(to + chunkAt<64>(0, lane % 16, 2 * (i % 4) + lane / 16), words);
    }
    if (kind != 2) {
      publishWrites();
      __syncwarp();
      if (lane == 0) {
        storeBox(kind == 0 ? a.gate : kind == 1 ? a.up : a.activated, column, held.row, to);
        commitStores();
      }
    }
  }

  static __device__ __forceinline__ void finish(Held& held, u32 barriers, int group) { awaitStores<0>(); }
};

// ---- gradients, by warps of their own

// Two warpgroups multiply and put a tile's sums, rounded, into shared memory; four warps take them from there together with what else they need, which
// they load straight into registers some steps ahead.
template <class A>
struct TakenApart {
  typedef A Arguments;
  typedef Team<1> Blocks;
  static constexpr int COLUMNS = 192;
  static constexpr int PARTS = COLUMNS / 64;
  static constexpr int STAGES = 4;
  static constexpr bool TURNS = true; // each row of tiles begins a tile further on, so that the narrow last one is not always the same blocks'
  static constexpr int ACROSS = 1;
  static constexpr int STEP = 128; // 16 rows are 2048 bytes
  static constexpr int COPIER_REGISTERS = 24;
  static constexpr int REGISTERS = 168;
  static constexpr int LAST_STEP_REGISTERS = 152;
  static constexpr int HALF_BYTES = PARTS * PART_BYTES; // sums of a warpgroup
  static constexpr int BESIDE_BYTES = 2 * HALF_BYTES;
  static constexpr int WARPS = 4; // of the last step
  static constexpr int STEPS = TILE_ROWS / 4 / WARPS; // of a warp in a tile, four rows each
  static constexpr int AHEAD = 4; // steps whose operands are on their way
  static_assert(STEPS % AHEAD == 0 && STEPS % 2 == 0);

  static __device__ __forceinline__ u64 describeRight(u32 tile) { return describeAcross(tile, PART_BYTES); }
  static __device__ __forceinline__ int columnTiles(const A& a) { return ((int)a.columns + COLUMNS - 1) / COLUMNS; }
  static __device__ __forceinline__ int parts(const A& a, int column) { return min(PARTS, (int)a.columns / 64 - column * PARTS); }
  static __device__ __forceinline__ const TensorMap& left(const A& a) { return a.dy; }

  static __device__ __forceinline__ void copyRight(const A& a, u32 to, int depth, int column, u32 barrier) {
    int number = parts(a, column);
    for (int part = 0; part < number; part++) {
      copyBox(to + part * PART_BYTES, a.weights, column * COLUMNS + 64 * part, depth, barrier, EVICT_LAST);
    }
  }

  // a warpgroup's sums of a tile: [part, row, column] of bfloat16
  static __device__ __forceinline__ void put(const float (&sum)[COLUMNS / 8][4], u32 half) {
    int row = threadIdx.x % WARPGROUP / WARP * 16 + threadIdx.x % 16;
    int chunk = threadIdx.x % WARP / 16;
#pragma unroll
    for (int i = 0; i < COLUMNS / 16; i++) {
      u32 words[4];
#pragma unroll
      for (int word = 0; word < 4; word++) {
        const float* pair = sum[2 * i + word / 2] + word % 2 * 2;
        words[word] = packBf16(pair[0], pair[1]);
      }
      storeMatrices(chunkAt<64>(half + i / 4 * PART_BYTES, row, 2 * (i % 4) + chunk), words);
    }
  }

  // What a lane needs of a tile to find its own eight columns of a part in a row.
  struct Place {
    i64 at; // in a matrix of all columns, of the tile's first row
    int row;
    int parts;
    int column; // of tiles
  };

  static __device__ __forceinline__ Place placeOf(const A& a, int number, int tiles, int columns) {
    if (number >= tiles) {
      return {0, 0, 0, 0};
    }
    Tile tile = tileOf<TakenApart>(number, columns);
    return {tile.row * a.columns + tile.column * COLUMNS + threadIdx.x % 8 * 8, tile.row, parts(a, tile.column), tile.column};
  }

  // The row of a lane in a step of its warp.
  static __device__ __forceinline__ int rowOf(int step) {
    return 4 * (threadIdx.x % WARPGROUP / WARP + WARPS * step) + threadIdx.x % WARP / 8;
  }

  // Over the eight lanes that have a row.
  static __device__ __forceinline__ float rowSum(float value) {
#pragma unroll
    for (int distance = 4; distance > 0; distance /= 2) {
      value += __shfl_xor_sync(FULL_MASK, value, distance);
    }
    return value;
  }
};

// ---- a gated unit's gradient

struct GatedBackward : TakenApart<GatedBackwardArguments> {
  // also the sum of gate times its gradient and up times its own
  static __device__ __forceinline__ float differentiate(uint4 (&results)[3], const uint4& sums, const uint4& gate, const uint4& up) {
    float product = 0.0f;
    const u32 d[4] = {sums.x, sums.y, sums.z, sums.w};
    const u32 g[4] = {gate.x, gate.y, gate.z, gate.w};
    const u32 u[4] = {up.x, up.y, up.z, up.w};
    u32 words[3][4];
#pragma unroll
    for (int word = 0; word < 4; word++) {
      float result[3][2];
#pragma unroll
      for (int e = 0; e < 2; e++) {
        float slope = e == 0 ? lowBf16(d[word]) : highBf16(d[word]);
        float x = e == 0 ? lowBf16(g[word]) : highBf16(g[word]);
        float y = e == 0 ? lowBf16(u[word]) : highBf16(u[word]);
        float s = sigmoid(x);
        float silu = x * s;
        result[0][e] = fmaf(silu, 1.0f - s, s) * y * slope;
        result[1][e] = silu * slope;
        result[2][e] = silu * y;
        product = fmaf(result[0][e], x, fmaf(result[1][e], y, product));
      }
#pragma unroll
      for (int i = 0; i < 3; i++) {
        words[i][word] = packBf16(result[i][0], result[i][1]);
      }
    }
#pragma unroll
    for (int i = 0; i < 3; i++) {
      results[i] = make_uint4(words[i][0], words[i][1], words[i][2], words[i][3]);
    }
    return product;
  }

  static __device__ __forceinline__ void load(
      uint4& gate, uint4& up, const Arguments& a, const Place& place, int part, int row) {
    bool valid = part < place.parts && place.row + row < a.rows;
    i64 at = place.at + row * a.columns + 64 * part;
    loadOnce(gate, a.gate + at, EVICT_FIRST, valid);
    loadOnce(up, a.up + at, EVICT_FIRST, valid);
  }

  // by warps of their own
  static __device__ __forceinline__ void takeLastSteps(const Arguments& a, u32 sums, const Ring<2>& halves, int tiles, int columns) {
    uint4 gate[AHEAD][PARTS] = {}, up[AHEAD][PARTS] = {};
    Place place = placeOf(a, Blocks::number(), tiles, columns);
#pragma unroll
    for (int s = 0; s < AHEAD; s++) {
#pragma unroll
      for (int part = 0; part < PARTS; part++) {
        load(gate[s][part], up[s][part], a, place, part, rowOf(s));
      }
    }
    u32 n = 0;
    for (int number = Blocks::number(); number < tiles; number += Blocks::count()) {
      Place next = placeOf(a, number + Blocks::count(), tiles, columns);
#pragma unroll 1
      for (int first = 0; first < STEPS; first += AHEAD) {
#pragma unroll
        for (int s = 0; s < AHEAD; s++) {
          int step = first + s;
          int row = rowOf(step);
          bool isLast = step >= STEPS - AHEAD; // what is loaded meanwhile is of the next tile
          Place ahead = isLast ? next : place;
          int rowAhead = rowOf(isLast ? step + AHEAD - STEPS : step + AHEAD);
          if (step % (STEPS / 2) == 0) {
            halves.awaitFull(n);
          }
          u32 half = sums + halves.place(n) * HALF_BYTES;
          float product = 0.0f;
#pragma unroll
          for (int part = 0; part < PARTS; part++) {
            if (part < place.parts) {
              uint4 results[3];
              product += differentiate(results, loadShared(chunkAt<64>(half + part * PART_BYTES, row % 64, threadIdx.x % 8)), gate[s][part], up[s][part]);
              if (place.row + row < a.rows) {
                i64 at = place.at + row * a.columns + 64 * part;
                Bf16* packed = a.packed + (at + (i64)(place.row + row) * a.columns);
                *(uint4*)packed = results[0];
                *(uint4*)(packed + a.columns) = results[1];
                *(uint4*)(a.activated + at) = results[2];
              }
            }
            load(gate[s][part], up[s][part], a, ahead, part, rowAhead);
          }
          product = rowSum(product);
          storeIf(
              a.products + (i64)place.column * a.rows + place.row + row, product,
              a.products != nullptr && threadIdx.x % 8 == 0 && place.row + row < a.rows);
          if (step % (STEPS / 2) == STEPS / 2 - 1) {
            __syncwarp();
            halves.release(n);
            n++;
          }
        }
      }
      place = next;
    }
  }
};

// ---- what arrives at an attention's result, and what its gradient needs of it

// The copy engine writes the sums from where the warpgroups have put them.
struct OutputGradient : TakenApart<OutputGradientArguments> {
  static __device__ __forceinline__ void put(const float (&sum)[COLUMNS / 8][4], u32 half) {
    TakenApart::put(sum, half);
    publishWrites();
  }

  // of a step of a lane's row: what attention gave, and for the first lanes of a row a head's log-sum-exp
  struct Operands {
    uint4 out[PARTS];
    float logSumExp;
  };

  static __device__ __forceinline__ void load(Operands& to, const Arguments& a, const Place& place, int row) {
#pragma unroll
    for (int part = 0; part < PARTS; part++) {
      loadOnce(
          to.out[part], a.out + (place.at + row * a.columns + 64 * part), EVICT_FIRST, part < place.parts && place.row + row < a.rows);
    }
    int heads = (int)a.columns / 64;
    int head = min(place.column * PARTS + (int)threadIdx.x % 8, heads - 1);
    to.logSumExp = a.logSumExp[min((i64)(place.row + row), a.rows - 1) * heads + head];
  }

  // in the order of flashStatistics
  static __device__ __forceinline__ float multiplied(const uint4& a, const uint4& b) {
    const u32 x[4] = {a.x, a.y, a.z, a.w};
    const u32 y[4] = {b.x, b.y, b.z, b.w};
    float product = 0.0f;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      product = fmaf(lowBf16(x[i]), lowBf16(y[i]), product);
      product = fmaf(highBf16(x[i]), highBf16(y[i]), product);
    }
    return rowSum(product);
  }

  static __device__ __forceinline__ void takeLastSteps(const Arguments& a, u32 sums, const Ring<2>& halves, int tiles, int columns) {
    Operands ahead[AHEAD] = {};
    Place place = placeOf(a, Blocks::number(), tiles, columns);
#pragma unroll
    for (int s = 0; s < AHEAD; s++) {
      load(ahead[s], a, place, rowOf(s));
    }
    int part = threadIdx.x % 8; // that this lane writes
    u32 n = 0;
    for (int number = Blocks::number(); number < tiles; number += Blocks::count()) {
      Place next = placeOf(a, number + Blocks::count(), tiles, columns);
#pragma unroll 1
      for (int first = 0; first < STEPS; first += AHEAD) {
#pragma unroll
        for (int s = 0; s < AHEAD; s++) {
          int step = first + s;
          int row = rowOf(step);
          bool isLast = step >= STEPS - AHEAD; // what is loaded meanwhile is of the next tile
          Place later = isLast ? next : place;
          if (step % (STEPS / 2) == 0) {
            halves.awaitFull(n);
          }
          u32 half = sums + halves.place(n) * HALF_BYTES;
          if (step % (STEPS / 2) == 0 && threadIdx.x % WARPGROUP == 0) {
            for (int p = 0; p < place.parts; p++) {
              storeBox(a.dout, place.column * COLUMNS + 64 * p, place.row + step / (STEPS / 2) * 64, half + p * PART_BYTES);
            }
            commitStores();
          }
          float product[PARTS];
#pragma unroll
          for (int p = 0; p < PARTS; p++) {
            uint4 slope = loadShared(chunkAt<64>(half + p * PART_BYTES, row % 64, part));
            product[p] = multiplied(ahead[s].out[p], slope);
          }
          bool isRow = place.row + row < a.rows;
          i64 at = (i64)(place.column * PARTS + part) * a.paddedRows + place.row + row;
          float statistic = ahead[s].logSumExp == -INFINITE || !isRow ? INFINITE : ahead[s].logSumExp * LOG2_E;
          storeIf(a.statistics + at, statistic, part < place.parts);
          storeIf(a.products + at, isRow ? part == 0 ? product[0] : part == 1 ? product[1] : product[2] : 0.0f, part < place.parts);
          load(ahead[s], a, later, rowOf(isLast ? step + AHEAD - STEPS : step + AHEAD));
          if (step % (STEPS / 2) == STEPS / 2 - 1) {
            if (threadIdx.x % WARPGROUP == 0) {
              awaitStores<0>();
            }
            __syncwarp();
            halves.release(n);
            n++;
          }
        }
      }
      place = next;
    }
  }
};

// ---- products

template <class Product>
struct Layout {
  static constexpr int STAGE_BYTES = LEFT_BYTES + Product::COLUMNS * DEPTH * 2;
  static constexpr int BARRIERS = Product::STAGES * STAGE_BYTES + Product::BESIDE_BYTES;
};

// One more turn of a warpgroup's 64 rows of a tile.
template <class Product, int COLUMNS>
__device__ __forceinline__ void addTurn(
    float (&sum)[Product::COLUMNS / 8][4], u32 stages, const Ring<Product::STAGES>& ring, u32& n, int k, int group) {
  ring.awaitFull(n);
  u32 stage = stages + ring.place(n) * Layout<Product>::STAGE_BYTES;
  u64 left = describe(stage + group * (LEFT_BYTES / 2));
  u64 right = Product::describeRight(stage + LEFT_BYTES);
  beginProducts();
#pragma unroll
  for (int i = 0; i < DEPTH / 16; i++) {
    multiplyTileAsync<COLUMNS, Product::ACROSS>(sum, left + 2 * i, right + Product::STEP * i, k + i);
  }
  commitProducts();
  if (k > 0) {
    awaitProducts<1>();
    Product::Blocks::release(ring, n - 1);
  }
  n++;
}

// Turns from the PIECE-th on with a piece of the tile before after each, as far as there are pieces.
template <class Product, int COLUMNS, int PIECE>
__device__ __forceinline__ void addTurns(
    const typename Product::Arguments& a, float (&sum)[Product::COLUMNS / 8][4], typename Product::Held& held, unsigned char* beside,
    u32 barriers, u32 stages, const Ring<Product::STAGES>& ring, u32& n, int steps, int group) {
  if constexpr (PIECE < Product::PIECES) {
    if (PIECE < steps) {
      addTurn<Product, COLUMNS>(sum, stages, ring, n, PIECE, group);
    }
    Product::template put<PIECE>(a, held, beside, barriers, group);
    addTurns<Product, COLUMNS, PIECE + 1>(a, sum, held, beside, barriers, stages, ring, n, steps, group);
  } else {
    for (int k = PIECE; k < steps; k++) {
      addTurn<Product, COLUMNS>(sum, stages, ring, n, k, group);
    }
    awaitProducts<0>();
    hold(sum);
    Product::Blocks::release(ring, n - 1);
  }
}

template <class Product, int PIECE>
__device__ __forceinline__ void putRest(
    const typename Product::Arguments& a, typename Product::Held& held, unsigned char* beside, u32 barriers, int group) {
  if constexpr (PIECE < Product::PIECES) {
    Product::template put<PIECE>(a, held, beside, barriers, group);
    putRest<Product, PIECE + 1>(a, held, beside, barriers, group);
  }
}

// All that the products need, by one thread.
template <class Product>
__device__ __forceinline__ void copyTiles(
    const typename Product::Arguments& a, u32 stages, const Ring<Product::STAGES>& ring, int tiles, int columns, int steps) {
  u32 n = 0;
  for (int number = Product::Blocks::number(); number < tiles; number += Product::Blocks::count()) {
    Tile tile = tileOf<Product>(number, columns);
    int bytes = LEFT_BYTES + Product::parts(a, tile.column) * PART_BYTES;
    for (int k = 0; k < steps; k++, n++) {
      u32 stage = stages + ring.place(n) * Layout<Product>::STAGE_BYTES;
      u32 full = ring.full(n);
      await(ring.empty(n), ring.parity(n) ^ 1);
      expect(full, bytes);
      copyBox(stage, Product::left(a), k * DEPTH, tile.row, full);
      Product::copyRight(a, stage + LEFT_BYTES, k * DEPTH, tile.column, full);
    }
  }
}

// shared memory: stages, what the product needs beside them, barriers
template <class Product>
__device__ __forceinline__ void hopperProduct(const typename Product::Arguments& a) {
  constexpr int STAGES = Product::STAGES;
  extern __shared__ __align__(1024) unsigned char sharedTiles[];
  u32 stages = sharedAddress(sharedTiles);
  unsigned char* beside = sharedTiles + STAGES * Layout<Product>::STAGE_BYTES;
  Ring<STAGES> ring = {stages + Layout<Product>::BARRIERS};
  u32 barriers = ring.barriers + Ring<STAGES>::BYTES;
  int columns = Product::columnTiles(a);
  typedef typename Product::Blocks Blocks;
  int tiles = tileCount<Blocks>(a.rows, columns);
  int steps = ((int)a.inner + DEPTH - 1) / DEPTH;
  if (threadIdx.x == 0) {
    ring.start(1, 8 * Blocks::SIZE);
    Product::start(barriers);
    publishBarriers();
  }
  Blocks::sync();
  if (threadIdx.x < WARPGROUP) {
    giveRegisters<Product::COPIER_REGISTERS>();
    if (threadIdx.x >= WARP) {
      Product::assist(a, beside, barriers);
    } else if (threadIdx.x == 0) {
      copyTiles<Product>(a, stages, ring, tiles, columns, steps);
    }
  } else {
    takeRegisters<Product::REGISTERS>();
    int group = uniform(threadIdx.x / WARPGROUP) - 1;
    u32 n = 0;
    typename Product::Held held;
    Product::clear(held);
    for (int number = Blocks::number(); number < tiles; number += Blocks::count()) {
      Tile tile = tileOf<Product>(number, columns);
      Factors factors = Factors::load(a.factors, a.rows, tile, group);
      float sum[Product::COLUMNS / 8][4];
      int parts = Product::parts(a, tile.column);
      if (parts == 1) {
        addTurns<Product, 64, 0>(a, sum, held, beside, barriers, stages, ring, n, steps, group);
      } else if (parts < 4) { // of two, the third is nonsense that nobody looks at
        addTurns<Product, 192, 0>(a, sum, held, beside, barriers, stages, ring, n, steps, group);
      } else {
        addTurns<Product, Product::COLUMNS, 0>(a, sum, held, beside, barriers, stages, ring, n, steps, group);
      }
      Product::take(a, sum, factors, held, beside, barriers, tile, group);
    }
    putRest<Product, 0>(a, held, beside, barriers, group);
    Product::finish(held, barriers, group);
  }
  if constexpr (Blocks::SIZE > 1) {
    __syncwarp();
    Blocks::sync();
  }
}

// One tile of a warpgroup.
template <class Product, int COLUMNS>
__device__ __forceinline__ void multiply(
    float (&sum)[Product::COLUMNS / 8][4], u32 stages, const Ring<Product::STAGES>& ring, u32& n, int steps, int group) {
  for (int k = 0; k < steps; k++) {
    addTurn<Product, COLUMNS>(sum, stages, ring, n, k, group);
  }
  awaitProducts<0>();
  hold(sum);
  Product::Blocks::release(ring, n - 1);
}

// As hopperProduct, with warps of their own for the last step. shared memory: stages, sums, barriers
template <class Product>
__device__ __forceinline__ void hopperProductApart(const typename Product::Arguments& a) {
  constexpr int STAGES = Product::STAGES;
  extern __shared__ __align__(1024) unsigned char sharedTiles[];
  u32 stages = sharedAddress(sharedTiles);
  u32 sums = stages + STAGES * Layout<Product>::STAGE_BYTES;
  Ring<STAGES> ring = {stages + Layout<Product>::BARRIERS};
  Ring<2> halves = {ring.barriers + Ring<STAGES>::BYTES}; // the n-th is of the tile n / 2 and the warpgroup n % 2
  int columns = Product::columnTiles(a);
  typedef typename Product::Blocks Blocks;
  static_assert(Blocks::SIZE == 1);
  int tiles = tileCount<Blocks>(a.rows, columns);
  int steps = ((int)a.inner + DEPTH - 1) / DEPTH;
  if (threadIdx.x == 0) {
    ring.start(1, 8);
    halves.start(4, Product::WARPS);
    publishBarriers();
  }
  __syncthreads();
  if (threadIdx.x < WARPGROUP) {
    giveRegisters<Product::COPIER_REGISTERS>();
    if (threadIdx.x == 0) {
      copyTiles<Product>(a, stages, ring, tiles, columns, steps);
    }
  } else if (threadIdx.x < 3 * WARPGROUP) {
    takeRegisters<Product::REGISTERS>();
    int group = uniform(threadIdx.x / WARPGROUP) - 1;
    u32 n = 0;
    u32 own = group;
    for (int number = Blocks::number(); number < tiles; number += Blocks::count(), own += 2) {
      float sum[Product::COLUMNS / 8][4];
      if (Product::parts(a, tileOf<Product>(number, columns).column) == 1) {
        multiply<Product, 64>(sum, stages, ring, n, steps, group);
      } else { // of two, the third is nonsense that nobody looks at
        multiply<Product, Product::COLUMNS>(sum, stages, ring, n, steps, group);
      }
      await(halves.empty(own), halves.parity(own) ^ 1);
      Product::put(sum, sums + group * Product::HALF_BYTES);
      __syncwarp();
      if (threadIdx.x % WARP == 0) {
        arrive(halves.full(own));
      }
    }
  } else {
    takeRegisters<Product::LAST_STEP_REGISTERS>();
    Product::takeLastSteps(a, sums, halves, tiles, columns);
  }
}

// ---- a product that is added to what was there, and the squares of its rows

// The two warpgroups make whole tiles by turns: while one finishes its tile, the other multiplies, so that the tensor cores wait for neither and results
// need not be held beside sums. What was there comes in pieces to places in shared memory, from which the results go back, both by the copy engine. Pieces
// are asked for between the stages of the next tile, spread over most of it: all at once, they and the results would hold up what is to be multiplied.
struct Residual {
  typedef ResidualArguments Arguments;
  typedef Team<1> Blocks; // in pairs that bring weights once for both it is slower
  static constexpr int COLUMNS = 192;
  static constexpr int PARTS = COLUMNS / 64;
  static constexpr int PIECES = 2 * PARTS; // of a tile, 64 rows by 64 columns each: parts of the upper half, then of the lower
  static constexpr int SPREAD = 8;         // of a tile's turns one piece comes after each eighth
  static constexpr int STAGES = 4;
  static constexpr bool TURNS = true; // as in TakenApart
  static constexpr int COPIER_REGISTERS = 40;
  static constexpr int REGISTERS = 232;
  static constexpr int STAGE_BYTES = LEFT_BYTES + PARTS * PART_BYTES;
  static constexpr int PLACES = STAGES * STAGE_BYTES; // one for each piece
  static constexpr int BARRIERS = PLACES + PIECES * PART_BYTES;
  static_assert(PIECES <= SPREAD);

  const Arguments& a;
  u32 shared;
  int columns; // of tiles
  int tiles;
  int steps;

  __device__ __forceinline__ Ring<STAGES> ring() const { return {shared + BARRIERS}; }
  __device__ __forceinline__ u32 place(int piece) const { return shared + PLACES + piece * PART_BYTES; }
  // A warpgroup has a barrier of its own for each piece of what was there: of one for both it would see every second phase only, and could take one for
  // the next but one.
  __device__ __forceinline__ u32 hasCome(int group, int piece) const { return shared + BARRIERS + Ring<STAGES>::BYTES + 8 * (PIECES * group + piece); }
  __device__ __forceinline__ u32 hasLeft(int piece) const { return hasCome(2, piece); }
  // All products of the other warpgroup's tile have begun. Only then does a warpgroup look for its stages: their barriers are both warpgroups', and before it
  // could take a phase of the tiles between for its own.
  __device__ __forceinline__ u32 turn(int group) const { return hasCome(3, group); }

  __device__ __forceinline__ void start() const {
    ring().start(1, 4);
    for (int piece = 0; piece < PIECES; piece++) {
      initialize(hasCome(0, piece), 1);
      initialize(hasCome(1, piece), 1);
      initialize(hasLeft(piece), 1);
    }
    initialize(turn(0), 4);
    initialize(turn(1), 4);
    publishBarriers();
  }

  __device__ __forceinline__ Tile tile(int number) const { return tileOf<Residual>(number, columns); }

  // the last tile of a row may have fewer
  __device__ __forceinline__ int parts(const Tile& tile) const { return min(PARTS, ((int)a.columns - tile.column * COLUMNS + 63) / 64); }

  // A piece of what was there, of the block's index-th tile.
  __device__ __forceinline__ void copyPiece(const Tile& tile, int index, int piece) const {
    if (index > 0) {
      await(hasLeft(piece), (index - 1) % 2);
    }
    u32 full = hasCome(index % 2, piece);
    int part = piece % PARTS;
    if (part < parts(tile)) {
      expect(full, PART_BYTES);
      copyBox(place(piece), a.base, tile.column * COLUMNS + 64 * part, tile.row + piece / PARTS * 64, full, EVICT_FIRST);
    } else {
      arrive(full);
    }
  }

  // All that comes, by one thread. Weights behind the last column come as zeros, so that a stage has always the same bytes.
  __device__ __forceinline__ void copy() const {
    Tile before = {0, 0};
    u32 n = 0;
    int index = 0;
    for (int number = Blocks::number(); number < tiles + Blocks::count(); number += Blocks::count(), index++) { // behind the last, its pieces alone
      Tile own = tile(number);
      int turns = number < tiles ? steps : 0;
      int piece = index == 0 ? PIECES : 0; // of the tile before
      for (int k = 0; k < turns || piece < PIECES; k++) {
        if (k < turns) {
          u32 stage = shared + ring().place(n) * STAGE_BYTES;
          u32 full = ring().full(n);
          ring().awaitEmpty(n);
          expect(full, STAGE_BYTES);
          copyBox(stage, a.a, k * DEPTH, own.row, full);
          copyBox(stage + LEFT_BYTES, a.weights, k * DEPTH, own.column * COLUMNS, full);
          n++;
        }
        if (piece < PIECES && SPREAD * k >= piece * turns) {
          copyPiece(before, index - 1, piece++);
        }
      }
      before = own;
    }
  }

  // The first WIDTH columns of a tile; n is of its first stage.
  template <int WIDTH>
  __device__ __forceinline__ void multiply(float (&sum)[2][COLUMNS / 8][4], u32 n, int group) const {
    for (int k = 0; k < steps; k++, n++) {
      ring().awaitFull(n);
      u32 stage = shared + ring().place(n) * STAGE_BYTES;
      u64 left = describe(stage);
      u64 right = describe(stage + LEFT_BYTES);
      beginProducts();
#pragma unroll
      for (int i = 0; i < DEPTH / 16; i++) { // 16 columns are 32 bytes
        multiplyTileAsync<WIDTH, 0>(sum[0], left + 2 * i, right + 2 * i, k + i);
        multiplyTileAsync<WIDTH, 0>(sum[1], left + (LEFT_BYTES / 2 >> 4) + 2 * i, right + 2 * i, k + i);
      }
      commitProducts();
      if (k > 0) {
        awaitProducts<1>();
        ring().release(n - 1);
      }
    }
    if (threadIdx.x % WARP == 0) {
      arrive(turn(1 - group));
    }
    awaitProducts<0>();
    hold(sum[0]);
    hold(sum[1]);
    ring().release(n - 1);
  }

  // Adds a warp's 16 rows of a piece, puts them back as they are rounded, and adds up the squares of a thread's two rows.
  static __device__ __forceinline__ void addPiece(u32 from, const float (&sum)[COLUMNS / 8][4], int part, float (&squares)[2]) {
    int lane = threadIdx.x % WARP;
    int row = threadIdx.x % WARPGROUP / WARP * 16 + lane % 16;
    u32 at[4];
    u32 words[4][4];
#pragma unroll
    for (int i = 0; i < 4; i++) { // 16 columns each
      at[i] = chunkAt<64>(from, row, 2 * i + lane / 16);
      loadMatrices(words[i], at[i]);
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
      for (int word = 0; word < 4; word++) {
        const float* pair = sum[8 * part + 2 * i + word / 2] + word % 2 * 2;
        u32 result = packBf16(lowBf16(words[i][word]) + pair[0], highBf16(words[i][word]) + pair[1]);
        float& square = squares[word % 2];
        square = fmaf(lowBf16(result), lowBf16(result), square);
        square = fmaf(highBf16(result), highBf16(result), square);
        words[i][word] = result;
      }
      storeMatrices(at[i], words[i]);
    }
  }

  // row: the thread's first
  __device__ __forceinline__ void putSquares(const float (&squares)[2], i64 row, int column) const {
#pragma unroll
    for (int i = 0; i < 2; i++) {
      float all = squares[i];
      all += __shfl_xor_sync(FULL_MASK, all, 1);
      all += __shfl_xor_sync(FULL_MASK, all, 2);
      i64 own = row + 8 * i;
      storeIf(a.squares + column * a.rows + own, all, a.squares != nullptr && threadIdx.x % 4 == 0 && own < a.rows);
    }
  }

  // The block's index-th tile is added to what was there.
  __device__ __forceinline__ void finish(const float (&sum)[2][COLUMNS / 8][4], const Tile& tile, int index, int group) const {
    int count = parts(tile);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float squares[2] = {0.0f, 0.0f};
      int row = tile.row + half * 64;
#pragma unroll
      for (int part = 0; part < PARTS; part++) {
        int piece = half * PARTS + part;
        await(hasCome(group, piece), index / 2 % 2);
        if (part < count) {
          addPiece(place(piece), sum[half], part, squares);
          publishWrites();
        }
        asm volatile("bar.sync %0, %1;" ::"r"(1 + group), "n"(WARPGROUP) : "memory"); // all warps' rows of the piece are there
        if (threadIdx.x % WARPGROUP == 0) {
          if (part < count) {
            storeBox(a.out, tile.column * COLUMNS + 64 * part, row, place(piece));
          }
          commitStores();
          if (piece > 0) {
            awaitStores<1>();
            arrive(hasLeft(piece - 1));
          }
        }
      }
      putSquares(squares, row + threadIdx.x % WARPGROUP / WARP * 16 + threadIdx.x % WARP / 4, tile.column);
    }
    if (threadIdx.x % WARPGROUP == 0) {
      awaitStores<0>();
      arrive(hasLeft(PIECES - 1));
    }
  }

  __device__ __forceinline__ void makeTiles(int group) const {
    int index = group;
    for (int number = Blocks::number() + group * Blocks::count(); number < tiles; number += 2 * Blocks::count(), index += 2) {
      Tile own = tile(number);
      float sum[2][COLUMNS / 8][4];
      if (index > 0) {
        await(turn(group), (index - 1) / 2 % 2);
      }
      if (parts(own) == 1) {
        multiply<64>(sum, index * steps, group);
      } else { // of two parts, the third is zeros
        multiply<COLUMNS>(sum, index * steps, group);
      }
      finish(sum, own, index, group);
    }
  }

  // shared memory: stages, places, barriers
  static __device__ __forceinline__ void run(const Arguments& a) {
    extern __shared__ __align__(1024) unsigned char sharedTiles[];
    int columns = ((int)a.columns + COLUMNS - 1) / COLUMNS;
    Residual self = {a, sharedAddress(sharedTiles), columns, tileCount<Blocks>(a.rows, columns), ((int)a.inner + DEPTH - 1) / DEPTH};
    if (threadIdx.x == 0) {
      self.start();
    }
    __syncthreads();
    if (threadIdx.x < WARPGROUP) {
      giveRegisters<COPIER_REGISTERS>();
      if (threadIdx.x == 0) {
        self.copy();
      }
    } else {
      takeRegisters<REGISTERS>();
      self.makeTiles(uniform(threadIdx.x / WARPGROUP) - 1);
    }
  }
};

// ---- weights' gradients

// transpose(a) @ b: what is summed over are the rows of both. These are cut into chunks; each block makes the sum of one chunk for one tile, and all are made
// at the same time, so that rows come from far memory once. Blocks of the same tile then exchange their sums, warp by warp, and each adds up its share of
// the tile in the order of the chunks.
//
// Three warpgroups, 64 rows of the tile each: with tiles of 192 by 192 less comes through the second-level cache than with 128 by 192.
struct WeightGradient {
  typedef WeightGradientArguments Arguments;
  static constexpr int COLUMNS = 192;
  static constexpr int PARTS = COLUMNS / 64;
  static constexpr int GROUPS = 3;
  static constexpr int ROWS = 64 * GROUPS;
  static constexpr int WARPS = 4 * GROUPS;
  static constexpr int UNITS = COLUMNS / 8; // of a warp, 16 by 8 each
  static constexpr int MOST_CHUNKS = 6;
  static constexpr int STAGES = 4;
  static constexpr int STAGE_BYTES = (GROUPS + PARTS) * PART_BYTES;
  static constexpr int BARRIERS = STAGES * STAGE_BYTES;
  static constexpr int COPIER_REGISTERS = 24;
  static constexpr int REGISTERS = 160;

  const Arguments& a;
  u32 shared;
  int tile;
  int row;    // of the result, the first
  int column; // the first
  int begin;  // of the steps over all rows
  int end;
  int chunk;
  int chunks;
  int first;  // the block that makes the tile's first chunk
  int stride; // to that of the next

  __device__ __forceinline__ WeightGradient(const Arguments& a, u32 shared) : a(a), shared(shared) {
    int columns = ((int)a.n + COLUMNS - 1) / COLUMNS;
    int whole = (int)a.m / ROWS * columns;
    int number = blockIdx.x;
    if (number < whole * a.chunks) {
      chunks = (int)a.chunks;
      stride = whole;
      chunk = number / whole;
      tile = number - chunk * whole;
      first = tile;
    } else {
      number -= whole * (int)a.chunks;
      chunks = (int)a.restChunks;
      stride = columns;
      chunk = number / columns;
      tile = whole + number - chunk * columns;
      first = (int)blockIdx.x - chunk * columns;
    }
    row = tile / columns * ROWS;
    column = tile % columns * COLUMNS;
    i64 steps = (a.rows + DEPTH - 1) / DEPTH;
    begin = (int)(steps * chunk / chunks);
    end = (int)(steps * (chunk + 1) / chunks);
  }

  __device__ __forceinline__ Ring<STAGES> ring() const { return {shared + BARRIERS}; }

  // All that comes, by one thread; what is outside comes as zeros, and the left factor's parts that are not come not at all.
  __device__ __forceinline__ void copy() const {
    int parts = min(GROUPS, ((int)a.m - row + 63) / 64);
    for (int k = begin; k < end; k++) {
      u32 n = k - begin;
      u32 to = shared + ring().place(n) * STAGE_BYTES;
      u32 full = ring().full(n);
      ring().awaitEmpty(n);
      expect(full, (parts + PARTS) * PART_BYTES);
      for (int part = 0; part < parts; part++) {
        copyBox(to + part * PART_BYTES, a.a, row + 64 * part, k * DEPTH, full);
      }
#pragma unroll
      for (int part = 0; part < PARTS; part++) {
        copyBox(to + (GROUPS + part) * PART_BYTES, a.b, column + 64 * part, k * DEPTH, full);
      }
    }
  }

  __device__ __forceinline__ void multiply(float (&sum)[COLUMNS / 8][4], int group) const {
    int count = end - begin;
    for (int n = 0; n < count; n++) {
      ring().awaitFull(n);
      u32 stage = shared + ring().place(n) * STAGE_BYTES;
      u64 left = describeAcross(stage + group * PART_BYTES, PART_BYTES);
      u64 right = describeAcross(stage + GROUPS * PART_BYTES, PART_BYTES);
      beginProducts();
#pragma unroll
      for (int i = 0; i < DEPTH / 16; i++) { // 16 rows are 2048 bytes
        multiplyTileAsync<COLUMNS, 1, 1>(sum, left + 128 * i, right + 128 * i, n + i);
      }
      commitProducts();
      if (n > 0) {
        awaitProducts<1>();
        ring().release(n - 1);
      }
    }
    awaitProducts<0>();
    hold(sum);
  }

  // A warp's sums of a chunk: [units, lanes] of a thread's four values each
  __device__ __forceinline__ float4* partials(int block, int warp) const {
    return (float4*)a.partials + ((i64)block * WARPS + warp) * UNITS * WARP + threadIdx.x % WARP;
  }

  // Waits until the warps of all blocks of the tile that have the same place in it have come so far.
  __device__ __forceinline__ void meet(u32* arrivals) const {
    __syncwarp();
    if (threadIdx.x % WARP == 0) {
      addReleased(arrivals, 1);
      while (loadAcquired(arrivals) < chunks) {
      }
    }
    __syncwarp();
  }

  // Whoever leaves last leaves a zero.
  __device__ __forceinline__ void leave(u32* arrivals) const {
    if (threadIdx.x % WARP == 0 && addReleased(arrivals, 1) == 2 * chunks - 1) {
      *arrivals = 0;
    }
  }

  // Every CHUNKS-th unit of the warp from the chunk's own on.
  template <int CHUNKS>
  __device__ __forceinline__ void addUp(int warp) const {
    constexpr int TOGETHER = CHUNKS == 1 ? 8 : CHUNKS == 2 ? 6 : CHUNKS == 3 ? 4 : 3;
    int lane = threadIdx.x % WARP;
    int odd = lane & 1;
    const float4* from[CHUNKS];
#pragma unroll
    for (int c = 0; c < CHUNKS; c++) {
      from[c] = partials(first + c * stride, warp);
    }
    for (int next = chunk; next < UNITS; next += CHUNKS * TOGETHER) {
      float4 part[TOGETHER][CHUNKS];
      float4 before[TOGETHER];
      float4* out[TOGETHER];
      bool inside[TOGETHER];
#pragma unroll
      for (int i = 0; i < TOGETHER; i++) {
        int unit = next + i * CHUNKS;
        int ownRow = row + warp * 16 + lane / 4 + 8 * odd;
        int ownColumn = column + unit * 8 + 4 * (lane % 4 / 2);
        out[i] = (float4*)(a.out + (i64)ownRow * a.n + ownColumn);
        inside[i] = unit < UNITS && ownRow < a.m && ownColumn < a.n;
        before[i] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (inside[i] && a.accumulate != 0) {
          before[i] = *out[i];
        }
#pragma unroll
        for (int c = 0; c < CHUNKS; c++) {
          part[i][c] = before[i];
          if (unit < UNITS) {
            part[i][c] = __ldcg(from[c] + unit * WARP);
          }
        }
      }
#pragma unroll
      for (int i = 0; i < TOGETHER; i++) {
        float4 all = part[i][0];
#pragma unroll
        for (int c = 1; c < CHUNKS; c++) {
          all.x += part[i][c].x;
          all.y += part[i][c].y;
          all.z += part[i][c].z;
          all.w += part[i][c].w;
        }
        // neighbours exchange halves, so that each has four results of a row
        float x = __shfl_xor_sync(FULL_MASK, odd ? all.x : all.z, 1);
        float y = __shfl_xor_sync(FULL_MASK, odd ? all.y : all.w, 1);
        float4 four = odd ? make_float4(x, y, all.z, all.w) : make_float4(all.x, all.y, x, y);
        if (inside[i]) {
          *out[i] = make_float4(before[i].x + four.x, before[i].y + four.y, before[i].z + four.z, before[i].w + four.w);
        }
      }
    }
  }

  __device__ __forceinline__ void makeTile(int group) const {
    if (row + 64 * group >= a.m) { // all behind the last row
      for (int n = 0; n < end - begin; n++) {
        ring().awaitFull(n);
        ring().release(n);
      }
      return;
    }
    float sum[COLUMNS / 8][4];
    multiply(sum, group);
    int warp = group * 4 + threadIdx.x % WARPGROUP / WARP;
    float4* to = partials(blockIdx.x, warp);
#pragma unroll
    for (int unit = 0; unit < UNITS; unit++) {
      const float* own = sum[unit];
      to[unit * WARP] = make_float4(own[0], own[1], own[2], own[3]);
    }
    u32* arrivals = a.arrivals + tile * WARPS + warp;
    meet(arrivals);
    switch (chunks) {
      case 1: addUp<1>(warp); break;
      case 2: addUp<2>(warp); break;
      case 3: addUp<3>(warp); break;
      case 4: addUp<4>(warp); break;
      case 5: addUp<5>(warp); break;
      default: addUp<MOST_CHUNKS>(warp);
    }
    leave(arrivals);
  }

  // shared memory: stages, barriers
  static __device__ __forceinline__ void run(const Arguments& a) {
    extern __shared__ __align__(1024) unsigned char sharedTiles[];
    WeightGradient self(a, sharedAddress(sharedTiles));
    if (threadIdx.x == 0) {
      self.ring().start(1, WARPS);
      publishBarriers();
    }
    __syncthreads();
    if (threadIdx.x < WARPGROUP) {
      giveRegisters<COPIER_REGISTERS>();
      if (threadIdx.x == 0) {
        self.copy();
      }
    } else {
      takeRegisters<REGISTERS>();
      self.makeTile(uniform(threadIdx.x / WARPGROUP) - 1);
    }
  }
};

#define ON_HOPPER(call) call
#define IN_PAIRS __cluster_dims__(2, 1, 1)
#else
#define ON_HOPPER(call)
#define IN_PAIRS
#endif

// ---- kernels

#define HOPPER_PRODUCT(name, Arguments, call, threads, cluster)                                                                   \
  extern "C" __global__ void cluster __launch_bounds__(threads, 1) name(const __grid_constant__ Arguments arguments) { \
    ON_HOPPER(call(arguments));                                                                                \
  }

HOPPER_PRODUCT(hopperLinears, LinearsArguments, hopperProduct<Linears<1>>, PRODUCT_THREADS, )
HOPPER_PRODUCT(hopperLinearsInPairs, LinearsArguments, hopperProduct<Linears<2>>, PRODUCT_THREADS, IN_PAIRS)
HOPPER_PRODUCT(hopperGatedLinears, GatedLinearsArguments, hopperProduct<GatedLinears<1>>, PRODUCT_THREADS, )
HOPPER_PRODUCT(hopperGatedLinearsInPairs, GatedLinearsArguments, hopperProduct<GatedLinears<2>>, PRODUCT_THREADS, IN_PAIRS)
HOPPER_PRODUCT(hopperGatedBackward, GatedBackwardArguments, hopperProductApart<GatedBackward>, APART_THREADS, )
HOPPER_PRODUCT(hopperOutputGradient, OutputGradientArguments, hopperProductApart<OutputGradient>, APART_THREADS, )
HOPPER_PRODUCT(hopperResidual, ResidualArguments, Residual::run, PRODUCT_THREADS, )
HOPPER_PRODUCT(hopperWeightGradient, WeightGradientArguments, WeightGradient::run, APART_THREADS, )
