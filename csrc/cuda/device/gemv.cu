// F3, device. Products of up to 8 rows, which are as fast as the weights are read.
//
//   out[t][n] = Σ_k weight[n][k] · x[t][k], and what the epilogue makes of it
//
// Shapes: x f16 [T ≤ 8 × K], weights packed [N × K] of one form, out [T × N]. Grid: a block for
// each slab of 16 outputs of each product; a warp of it for each segment of K, so that the device
// is full at small N; the segments' sums are added in their order. Each weight is decoded once, to
// A of m16n8k16, whose 8 columns are the rows. Bytes moved: the packed weight once; of x what the
// L1 cache does not hold.
//
// A lane keeps a tile's four chunks in registers and replaces each, when it has been used, by that
// of the next tile: so there are always three or four loads of 16 bytes or more under way.
#include "cuda/device/products.h"

namespace cria::cuda {
namespace {

constexpr int kThreads = kSegments * kWarp, kRows = 8;

/// The sums of a slab over this warp's segment, as the instruction leaves them.
template <class Format>
__device__ __forceinline__ void add_segment(const uint8_t* weight, int slab, const Input& x,
                                            float (&sums)[4]) {
  const int segment = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp, row = lane / 4;
  const int first = segment_begin(segment, x.tiles), last = segment_begin(segment + 1, x.tiles);
  if (first == last) return;
  const bool alive = row < x.rows;
  const uint16_t* input = x.half + (int64_t{alive ? row : 0} * x.tiles + first) * kTileInputs;
  const uint8_t* tile =
      weight + (int64_t{slab / kSlabs} * x.tiles + first) * int64_t{Format::kTileBytes};
  slab %= kSlabs;

  typename Format::Codes codes[kChunks];
  auto scales = Format::load_scales(tile, slab, lane);
#pragma unroll
  for (int chunk = 0; chunk < kChunks; ++chunk)
    codes[chunk] = Format::load_codes(tile, slab, chunk, lane);
  for (int i = first; i < last; ++i) {
    const bool more = i + 1 < last;
    tile += Format::kTileBytes;
    auto next_scales = scales;
    if (more) next_scales = Format::load_scales(tile, slab, lane);
#pragma unroll
    for (int chunk = 0; chunk < kChunks; ++chunk) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        uint32_t a[2][4];
        Format::decode(codes[chunk], scales, chunk, half, a);
        Words4 b{};
        if (alive)
          b = *reinterpret_cast<const Words4*>(input + kChunkInputs * chunk +
                                               lane_input(lane, half));
        const uint32_t b0[2] = {b.at[0], b.at[1]}, b1[2] = {b.at[2], b.at[3]};
        mma_f16(sums, a[0], b0);
        mma_f16(sums, a[1], b1);
      }
      if (more) codes[chunk] = Format::load_codes(tile, slab, chunk, lane);
    }
    scales = next_scales;
    input += kTileInputs;
  }
}

struct GemvShared {
  float sums[2][kSegments][kRows][kSlabOutputs];  // of the weight, and of the gate
};

template <class Format>
__global__ void __launch_bounds__(kThreads, 4) gemv_kernel(Input x, Products products) {
  GemvShared& memory = shared<GemvShared>();
  const int block = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  const Product& product = product_of_block(products, block);
  const int slab = block - product.first_block;
  const int segment = thread / kWarp, g = thread % kWarp / 4, t = thread % 4;
  const bool gated = product.gate.tiles != nullptr;
  for (int which = 0; which <= (gated ? 1 : 0); ++which) {
    float sums[4] = {};
    add_segment<Format>(which ? product.gate.tiles : product.weight.tiles, slab, x, sums);
#pragma unroll
    for (int i = 0; i < 4; ++i)
      memory.sums[which][segment][2 * t + i % 2][g + 8 * (i / 2)] = sums[i];
  }
  __syncthreads();
  const int row = thread / kSlabOutputs, in_slab = thread % kSlabOutputs;
  const int output = kSlabOutputs * slab + in_slab;
  if (row >= x.rows || output >= product.outputs) return;
  const auto total = [&](int which) {
    float sum = memory.sums[which][0][row][in_slab];
    for (int i = 1; i < kSegments; ++i) sum += memory.sums[which][i][row][in_slab];
    return sum;
  };
  finish(product, row, output, x.factor[row], total(0), gated ? total(1) : 0);
}
static_assert(kThreads == kRows * kSlabOutputs);

}  // namespace

int gemv(CriaCuda* cuda, Form form, const Input& x, Products& products) {
  const unsigned blocks = number_blocks(
      products, [](const Product& product) { return ceil_div(product.outputs, kSlabOutputs); });
  return with_form(form, [&](auto chosen) -> int {
    using Format = decltype(chosen);
    if constexpr (std::is_same_v<Format, ExactForm>)
      return cudaErrorInvalidValue;
    else
      return launch(gemv_kernel<Format>, blocks, kThreads, 0, cuda->stream, x, products);
  });
}

}  // namespace cria::cuda
