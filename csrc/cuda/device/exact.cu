// F3, device. Products of f32 weights, in f32: for models that are small or held to a reference.
//
//   out[t][n] = Σ_k weight[n][k] · x[t][k], and what the epilogue makes of it
//
// Shapes: x f32 [T × K], weights [⌈N/64⌉][⌈K/256⌉][256 inputs][64 outputs], out [T × N]. Grid
// (tiles of 64 outputs of each product, ⌈T/8⌉), 256 threads: one for each output and quarter of a
// tile's inputs, with 8 rows. The quarters' sums are added in their order. Bytes moved: the weight
// ⌈T/8⌉ times, once of them from memory.
#include "cuda/device/products.h"

namespace cria::cuda {
namespace {

constexpr int kThreads = kTileOutputs * kChunks, kRows = 8;

/// This thread's output over its chunk of every tile, for 8 rows.
__device__ __forceinline__ void add_chunks(const uint8_t* weight, const Input& x, int64_t first_row,
                                           float (&sums)[kRows]) {
  const int output = static_cast<int>(threadIdx.x) % kTileOutputs;
  const int chunk = static_cast<int>(threadIdx.x) / kTileOutputs;
  const int64_t stride = int64_t{x.tiles} * kTileInputs;
  const float* rows[kRows];
#pragma unroll
  for (int i = 0; i < kRows; ++i)  // a row beyond the last is computed and not stored
    rows[i] = x.exact + min(first_row + i, int64_t{x.rows} - 1) * stride;
  const auto* w = reinterpret_cast<const float*>(weight) + output;
  for (int tile = 0; tile < x.tiles; ++tile) {
    const int64_t first = int64_t{tile} * kTileInputs + kChunkInputs * chunk;
    for (int64_t k = first; k < first + kChunkInputs; k += 4) {
      float weights[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) weights[i] = w[(k + i) * kTileOutputs];
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        const float4 four = *reinterpret_cast<const float4*>(rows[i] + k);
        sums[i] = fmaf(weights[0], four.x, sums[i]);
        sums[i] = fmaf(weights[1], four.y, sums[i]);
        sums[i] = fmaf(weights[2], four.z, sums[i]);
        sums[i] = fmaf(weights[3], four.w, sums[i]);
      }
    }
  }
}

struct ExactShared {
  float sums[2][kChunks][kRows][kTileOutputs];  // of the weight, and of the gate
};

__global__ void __launch_bounds__(kThreads) exact_kernel(Input x, Products products) {
  ExactShared& memory = shared<ExactShared>();
  const int block = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  const Product& product = product_of_block(products, block);
  const int tile = block - product.first_block;
  const int64_t first_row = int64_t{blockIdx.y} * kRows;
  const int64_t row_bytes = int64_t{x.tiles} * ExactForm::kTileBytes;
  const bool gated = product.gate.tiles != nullptr;
  for (int which = 0; which <= (gated ? 1 : 0); ++which) {
    float sums[kRows] = {};
    const uint8_t* tiles = which ? product.gate.tiles : product.weight.tiles;
    add_chunks(tiles + tile * row_bytes, x, first_row, sums);
#pragma unroll
    for (int i = 0; i < kRows; ++i)
      memory.sums[which][thread / kTileOutputs][i][thread % kTileOutputs] = sums[i];
  }
  __syncthreads();
  const auto total = [&](int which, int row, int output) {
    float sum = memory.sums[which][0][row][output];
    for (int i = 1; i < kChunks; ++i) sum += memory.sums[which][i][row][output];
    return sum;
  };
  for (int i = thread; i < kRows * kTileOutputs; i += kThreads) {
    const int row = i / kTileOutputs, in_tile = i % kTileOutputs;
    const int output = tile * kTileOutputs + in_tile;
    if (first_row + row >= x.rows || output >= product.outputs) continue;
    finish(product, first_row + row, output, 1, total(0, row, in_tile),
           gated ? total(1, row, in_tile) : 0);
  }
}

}  // namespace

int exact(CriaCuda* cuda, const Input& x, Products& products) {
  const unsigned tiles = number_blocks(
      products, [](const Product& product) { return ceil_div(product.outputs, kTileOutputs); });
  const dim3 grid(tiles, static_cast<unsigned>(ceil_div(x.rows, kRows)));
  return launch(exact_kernel, grid, kThreads, 0, cuda->stream, x, products);
}

}  // namespace cria::cuda
