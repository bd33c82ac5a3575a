// F3, device. Products of more than 8 rows, by the matrix instruction.
//
//   out[t][n] = Σ_k weight[n][k] · x[t][k], and what the epilogue makes of it
//
// Shapes: x f16 [T × K], weights packed [N × K] of one form, out [T × N]. Grid (⌈T/64⌉, blocks of
// outputs of each product, 1 or 4), 128 threads. A warp has two slabs and 64 rows: without a gate
// 32 outputs of the weight, so a block has 128; with one 16 of the gate and the same 16 of the
// weight, so a block has 64 and each lane both factors of its results. Blocks of the same outputs
// follow one another, so a weight is read from memory once and ⌈T/64⌉ − 1 times from the L2 cache.
//
// Weights go from memory to registers and are decoded there, to A; the input goes through shared
// memory, in steps of 64 inputs of 64 rows, one step being copied while the other is multiplied.
//
// Where there are too few blocks to fill the device, a block computes one of the 4 segments of K
// and the last to end adds their sums; else it computes all and adds them in shared memory. It is
// the same sum (layout.h).
//
// The kernel is a template of the form; gemm.cu and gemm_super.cu are compiled beside each other.
//
// Bytes moved: the packed weight once, x once for each block of outputs (L2), 4 · T · N out; with
// segments in blocks of their own 2 · 16 · T · N more (L2).
#pragma once

#include "cuda/device/products.h"

namespace cria::cuda {
namespace gemm_tile {

inline constexpr int kThreads = kGemmThreads, kWarps = kThreads / kWarp;
constexpr int kRows = kGemmRows, kColumns = kRows / 8;  // of B: 8 rows each

/// An input step: [half of the chunk][row][32 inputs], as B is read.
using Step = uint16_t[2][kRows][32];

struct GemmShared {
  Step x[2];
  float totals[kGemmSums][kThreads];  // of the segments before
};
static_assert(sizeof(GemmShared) <= 48 << 10);

/// The two slabs of a warp: where their weights' tiles begin, and which of a tile's they are.
struct Slabs {
  const uint8_t* tiles[2];
  int in_tile[2];
  int output[2];  // first of the slab
};

template <class Format>
__device__ __forceinline__ Slabs find_slabs(const Product& product, int block, int input_tiles) {
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int slabs = ceil_div(product.outputs, kTileOutputs) * kSlabs;
  const bool gated = product.gate.tiles != nullptr;
  Slabs found;
#pragma unroll
  for (int u = 0; u < 2; ++u) {
    const int slab = gated ? kWarps * block + warp : 2 * (kWarps * block + warp) + u;
    const int present = min(slab, slabs - 1);  // what is beyond is computed and not stored
    const uint8_t* tiles = gated && u == 0 ? product.gate.tiles : product.weight.tiles;
    found.tiles[u] = tiles + int64_t{present / kSlabs} * input_tiles * Format::kTileBytes;
    found.in_tile[u] = present % kSlabs;
    found.output[u] = kSlabOutputs * slab;
  }
  return found;
}

/// Begins to copy a step of 64 rows from `first_row` on; rows that are not there become 0.
__device__ __forceinline__ void copy_step(Step& to, const Input& x, int64_t first_row,
                                          int64_t chunk) {
  const int64_t stride = int64_t{x.tiles} * kTileInputs;
  for (int i = static_cast<int>(threadIdx.x); i < kRows * 8; i += kThreads) {
    const int row = i / 8, part = i % 8;  // of 8 inputs
    const bool alive = first_row + row < x.rows;
    const uint16_t* from =
        x.half + (alive ? first_row + row : 0) * stride + chunk * kChunkInputs + 8 * part;
    cp_async<16>(&to[part / 4][row][8 * (part % 4)], from, alive ? 16 : 0);
  }
  cp_async_commit();
}

using Sums = float[2][kColumns][4];

/// sums += the two slabs' chunk times a step, for as many columns as have rows that are alive.
template <class Format>
__device__ __forceinline__ void multiply(const Step& x, const typename Format::Codes (&codes)[2],
                                         const typename Format::Scales (&scales)[2], int chunk,
                                         int alive, Sums& sums) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    uint32_t a[2][2][4];
    Format::decode(codes[0], scales[0], chunk, half, a[0]);
    Format::decode(codes[1], scales[1], chunk, half, a[1]);
#pragma unroll
    for (int pair = 0; pair < kColumns / 2; ++pair) {
      if (16 * pair >= alive) break;
#pragma unroll
      for (int j = 2 * pair; j < 2 * pair + 2; ++j) {
        const auto& b =
            *reinterpret_cast<const Words4*>(&x[half][8 * j + lane / 4][8 * (lane % 4)]);
        const uint32_t b0[2] = {b.at[0], b.at[1]}, b1[2] = {b.at[2], b.at[3]};
#pragma unroll
        for (int u = 0; u < 2; ++u) {
          mma_f16(sums[u][j], a[u][0], b0);
          mma_f16(sums[u][j], a[u][1], b1);
        }
      }
    }
  }
}

/// visit(number 0 … 63, sum) of this thread's sums in columns with rows that are alive.
template <class Visit>
__device__ __forceinline__ void for_sums(Sums& sums, int alive, const Visit& visit) {
#pragma unroll
  for (int j = 0; j < kColumns; ++j) {
    if (16 * (j / 2) >= alive) break;
#pragma unroll
    for (int u = 0; u < 2; ++u)
#pragma unroll
      for (int i = 0; i < 4; ++i) visit((j * 2 + u) * 4 + i, sums[u][j][i]);
  }
}

/// The sums of segments first … last - 1, added in their order.
template <class Format>
__device__ __forceinline__ void add_segments(GemmShared& memory, const Slabs& slabs, const Input& x,
                                             int first, int last, int alive, Sums& sums) {
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kWarp;
  const int64_t first_row = int64_t{blockIdx.x} * kRows;
  const int end = segment_begin(last, x.tiles);
  int tile = segment_begin(first, x.tiles);
  const auto at = [&](int u, int i) { return slabs.tiles[u] + int64_t{i} * Format::kTileBytes; };

  typename Format::Codes codes[2] = {}, next_codes[2] = {};
  typename Format::Scales scales[2] = {}, next_scales[2] = {};
  if (tile < end) {
    copy_step(memory.x[0], x, first_row, int64_t{tile} * kChunks);
    for (int u = 0; u < 2; ++u) {
      codes[u] = Format::load_codes(at(u, tile), slabs.in_tile[u], 0, lane);
      scales[u] = Format::load_scales(at(u, tile), slabs.in_tile[u], lane);
    }
  }
  for (int segment = first; segment < last; ++segment) {
    for (; tile < segment_begin(segment + 1, x.tiles); ++tile) {
#pragma unroll
      for (int chunk = 0; chunk < kChunks; ++chunk) {
        cp_async_wait<0>();
        __syncthreads();
        const int next = (chunk + 1) % kChunks, next_tile = tile + (chunk + 1) / kChunks;
        if (next_tile < end) {
          copy_step(memory.x[next % 2], x, first_row, int64_t{next_tile} * kChunks + next);
#pragma unroll
          for (int u = 0; u < 2; ++u) {
            const uint8_t* from = at(u, next_tile);
            next_codes[u] = Format::load_codes(from, slabs.in_tile[u], next, lane);
            if (next == 0) next_scales[u] = Format::load_scales(from, slabs.in_tile[u], lane);
          }
        }
        multiply<Format>(memory.x[chunk % 2], codes, scales, chunk, alive, sums);
#pragma unroll
        for (int u = 0; u < 2; ++u) {
          codes[u] = next_codes[u];
          if (next == 0) scales[u] = next_scales[u];
        }
      }
    }
    if (last - first == 1) return;
    for_sums(sums, alive, [&](int i, float& sum) {
      float& total = memory.totals[i][thread];  // the thread's own
      if (segment > first) sum = total + sum;
      if (segment + 1 < last) {
        total = sum;
        sum = 0;
      }
    });
  }
}

/// Leaves this block's segment in memory; true in the last block of the four, with their sum.
__device__ __forceinline__ bool add_blocks(GemmShared& memory, const Partials& partials, int alive,
                                           Sums& sums) {
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t tiles = int64_t{gridDim.x} * gridDim.y;
  const int64_t tile = int64_t{blockIdx.y} * gridDim.x + blockIdx.x;
  const auto place = [&](int64_t segment, int i) -> float& {
    return partials.sums[((segment * tiles + tile) * kGemmSums + i) * kThreads + thread];
  };
  for_sums(sums, alive, [&](int i, float& sum) { place(blockIdx.z, i) = sum; });
  __threadfence();
  __syncthreads();
  auto& last = reinterpret_cast<unsigned&>(memory.totals[0][0]);
  if (thread == 0) {
    last = atomicAdd(&partials.arrived[tile], 1u) == kSegments - 1 ? 1 : 0;
    if (last) partials.arrived[tile] = 0;
  }
  __syncthreads();
  if (!last) return false;
  __threadfence();
  for_sums(sums, alive, [&](int i, float& sum) {
    sum = place(0, i);
    for (int segment = 1; segment < kSegments; ++segment) sum += place(segment, i);
  });
  return true;
}

__device__ __forceinline__ void store(const Product& product, const Slabs& slabs, const Input& x,
                                      int alive, Sums& sums) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const bool gated = product.gate.tiles != nullptr;
#pragma unroll
  for (int j = 0; j < kColumns; ++j) {
    if (8 * j >= alive) break;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int in_block = 8 * j + 2 * (lane % 4) + i % 2;
      if (in_block >= alive) continue;
      const int64_t row = int64_t{blockIdx.x} * kRows + in_block;
      const int in_slab = lane / 4 + 8 * (i / 2);
#pragma unroll
      for (int u = 0; u < 2; ++u) {
        const int output = slabs.output[u] + in_slab;
        if (output >= product.outputs || (gated && u == 0)) continue;
        finish(product, row, output, x.factor[row], sums[u][j][i], sums[0][j][i]);
      }
    }
  }
}

template <class Format>
__global__ void __launch_bounds__(kThreads)
    gemm_kernel(Input x, Products products, Partials partials) {
  GemmShared& memory = shared<GemmShared>();
  const int block = static_cast<int>(blockIdx.y);
  const Product& product = product_of_block(products, block);
  const Slabs slabs = find_slabs<Format>(product, block - product.first_block, x.tiles);
  const int alive = min(kRows, x.rows - static_cast<int>(blockIdx.x) * kRows);
  const bool split = gridDim.z > 1;
  const int first = split ? static_cast<int>(blockIdx.z) : 0;
  Sums sums = {};
  add_segments<Format>(memory, slabs, x, first, split ? first + 1 : kSegments, alive, sums);
  if (split && !add_blocks(memory, partials, alive, sums)) return;
  store(product, slabs, x, alive, sums);
}

/// Launches the kernel for the products' blocks of outputs.
template <class Format>
int launch_tiles(CriaCuda* cuda, const Input& x, Products& products, const Partials& partials) {
  const unsigned outputs = number_blocks(products, [](const Product& product) {
    return ceil_div(product.outputs, product.gate.tiles ? kTileOutputs : 2 * kTileOutputs);
  });
  const unsigned rows = static_cast<unsigned>(ceil_div(x.rows, kRows));
  const bool split = int64_t{rows} * outputs <= most_split_tiles(cuda);
  const dim3 grid(rows, outputs, split ? kSegments : 1);
  return launch(gemm_kernel<Format>, grid, kThreads, 0, cuda->stream, x, products, partials);
}

}  // namespace gemm_tile
}  // namespace cria::cuda
