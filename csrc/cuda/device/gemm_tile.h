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
// Weights go from memory to registers, two or four chunks ahead, and are decoded there, to A; the
// input goes through shared memory, in steps of 64 inputs: a ring of 2, and of 4 where a step takes
// too little time for the next to come (32 rows or fewer) or the memory is there (below).
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

constexpr int kStepRow = 32;  // halves of a row that lie together

/// Shared memory: the ring, and behind its first 16 KB the sums of the segments before; these only
/// where a block computes all segments.
struct GemmShared {
  static constexpr int kTotals = 16 << 10;
  alignas(16) uint8_t bytes[kTotals + kGemmSums * kThreads * 4];

  __device__ float* totals() { return reinterpret_cast<float*>(bytes + kTotals); }
};
static_assert(sizeof(GemmShared) <= 48 << 10);

/// Steps of the input, each [half of the chunk][row][32 inputs], as B is read.
struct Ring {
  uint16_t* memory;
  int rows;    // of a step: 32 or 64
  int stages;  // 2 or 4

  __device__ __forceinline__ uint16_t* step(int number) const {
    return memory + (number & (stages - 1)) * rows * kChunkInputs;
  }
};
__device__ __forceinline__ Ring make_ring(GemmShared& memory, int rows, bool split) {
  const bool few = rows <= kRows / 2;
  return {reinterpret_cast<uint16_t*>(memory.bytes), few ? kRows / 2 : kRows, few || split ? 4 : 2};
}

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

/// Begins to copy step `number`, a chunk of the block's rows; rows that are not there become 0.
__device__ __forceinline__ void copy_step(const Ring& ring, int number, const Input& x,
                                          int64_t chunk) {
  const int64_t first_row = int64_t{blockIdx.x} * kRows;
  const int64_t stride = int64_t{x.tiles} * kTileInputs;
  uint16_t* to = ring.step(number);
  for (int i = static_cast<int>(threadIdx.x); i < ring.rows * 8; i += kThreads) {
    const int row = i / 8, part = i % 8;  // of 8 inputs
    const bool alive = first_row + row < x.rows;
    const uint16_t* from =
        x.half + (alive ? first_row + row : 0) * stride + chunk * kChunkInputs + 8 * part;
    cp_async<16>(to + (part / 4 * ring.rows + row) * kStepRow + 8 * (part % 4), from,
                 alive ? 16 : 0);
  }
}
/// Until a step's copies have come, and all have left the one before.
__device__ __forceinline__ void await_step(const Ring& ring) {
  if (ring.stages == 2)
    cp_async_wait<0>();
  else
    cp_async_wait<2>();
  __syncthreads();
}

using Sums = float[2][kColumns][4];

/// sums += the two slabs' chunk times a step, for as many columns as have rows that are alive.
template <class Format>
__device__ __forceinline__ void multiply(const uint16_t* x, int step_rows,
                                         const typename Format::Codes& codes0,
                                         const typename Format::Codes& codes1,
                                         const typename Format::Scales (&scales)[2], int chunk,
                                         int alive, Sums& sums) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    uint32_t a[2][2][4];
    Format::decode(codes0, scales[0], chunk, half, a[0]);
    Format::decode(codes1, scales[1], chunk, half, a[1]);
    const uint16_t* rows = x + (half * step_rows + lane / 4) * kStepRow + 8 * (lane % 4);
#pragma unroll
    for (int pair = 0; pair < kColumns / 2; ++pair) {
      if (16 * pair >= alive) break;
#pragma unroll
      for (int j = 2 * pair; j < 2 * pair + 2; ++j) {
        const auto& b = *reinterpret_cast<const Words4*>(rows + 8 * j * kStepRow);
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

/// Chunks of weights that a lane keeps: as many as registers allow, 2 or 4.
template <class Format>
inline constexpr int kKept = sizeof(typename Format::Codes) + sizeof(typename Format::Scales) <= 64
                                 ? 4
                                 : 2;

/// The sums of segments first … last - 1, added in their order.
template <class Format>
__device__ __forceinline__ void add_segments(GemmShared& memory, const Ring& ring,
                                             const Slabs& slabs, const Input& x, int first,
                                             int last, int alive, Sums& sums) {
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kWarp;
  const int begin = segment_begin(first, x.tiles), end = segment_begin(last, x.tiles);
  const int steps = (end - begin) * kChunks;
  const auto at = [&](int u, int i) { return slabs.tiles[u] + int64_t{i} * Format::kTileBytes; };
  const auto copy = [&](int step) {
    if (step < steps) copy_step(ring, step, x, int64_t{begin} * kChunks + step);
    cp_async_commit();
  };

  typename Format::Codes codes[2][kKept<Format>] = {};
  typename Format::Scales scales[2] = {}, next_scales[2] = {};
  for (int step = 0; step < ring.stages - 1; ++step) copy(step);
#pragma unroll
  for (int u = 0; u < 2; ++u) {
    if (begin == end) break;
    scales[u] = Format::load_scales(at(u, begin), slabs.in_tile[u], lane);
#pragma unroll
    for (int i = 0; i < kKept<Format>; ++i)
      codes[u][i] = Format::load_codes(at(u, begin), slabs.in_tile[u], i, lane);
  }
  int tile = begin, step = 0;
  for (int segment = first; segment < last; ++segment) {
    for (; tile < segment_begin(segment + 1, x.tiles); ++tile) {
#pragma unroll
      for (int chunk = 0; chunk < kChunks; ++chunk, ++step) {
        await_step(ring);
        copy(step + ring.stages - 1);
        if (chunk == kChunks - 1 && tile + 1 < end)
#pragma unroll
          for (int u = 0; u < 2; ++u)
            next_scales[u] = Format::load_scales(at(u, tile + 1), slabs.in_tile[u], lane);
        const int kept = chunk % kKept<Format>;
        multiply<Format>(ring.step(step), ring.rows, codes[0][kept], codes[1][kept], scales, chunk,
                         alive, sums);
        const int later = chunk + kKept<Format>, later_tile = tile + later / kChunks;
        if (later_tile < end)
#pragma unroll
          for (int u = 0; u < 2; ++u)
            codes[u][kept] =
                Format::load_codes(at(u, later_tile), slabs.in_tile[u], later % kChunks, lane);
      }
#pragma unroll
      for (int u = 0; u < 2; ++u) scales[u] = next_scales[u];
    }
    if (last - first == 1) return;
    for_sums(sums, alive, [&](int i, float& sum) {
      float& total = memory.totals()[i * kThreads + thread];  // the thread's own
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
  auto& last = *reinterpret_cast<unsigned*>(memory.bytes);  // the ring is done with
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
  const Ring ring = make_ring(memory, x.rows, split);
  const int first = split ? static_cast<int>(blockIdx.z) : 0;
  Sums sums = {};
  add_segments<Format>(memory, ring, slabs, x, first, split ? first + 1 : kSegments, alive, sums);
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
  // One tile of rows is bound by memory and wants what it can get under way; more of them, not to
  // leave a multiprocessor idle.
  const int64_t most = rows == 1 ? most_split_tiles(cuda) : cuda->multiprocessors;
  const bool split = int64_t{rows} * outputs <= most;
  const dim3 grid(rows, outputs, split ? kSegments : 1);
  return launch(gemm_kernel<Format>, grid, kThreads, 0, cuda->stream, x, products, partials);
}

}  // namespace gemm_tile
}  // namespace cria::cuda
