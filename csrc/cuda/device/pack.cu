// F3, device. The packing of weights (layout.h) from their GGUF blocks, for rows from a multiple of
// 64 on. Two kernels: the rows' factors, then the tiles.
//
//   factor[n] = 2^-e, with e such that 2^e · (a bound of row n's weights) lies in [2^13, 2^14)
//   tiles     = the codes in another order, and scales · 2^e
//
// Shapes: blocks [count × cols]. Grids: a warp for each row; a block of 128 threads for each tile.
// Bytes moved: the blocks twice, the packed form once. Codes are gathered byte by byte, which the
// L1 cache serves: it has to keep up with the file, not with memory.
#include "cuda/device/power.h"
#include "cuda/device/sources.h"
#include "cuda/device/weights.h"

namespace cria::cuda {
namespace {

constexpr int kThreads = 128, kWarps = kThreads / kWarp;

/// Rows of a weight that are packed at once.
struct Range {
  const void* blocks;
  int64_t rows, cols;
  uint8_t* tiles;  // of the first row
  float* factors;  // likewise
};

/// The largest of `bound(i)`, i < count, over a warp; NaN where there is one.
template <class Bound>
__device__ float warp_bound(int64_t count, const Bound& bound) {
  float most = 0;
  for (int64_t i = threadIdx.x % kWarp; i < count; i += kWarp) {
    const float value = bound(i);
    most = value > most || value != value ? value : most;
  }
  for (int other = kWarp / 2; other > 0; other /= 2) {
    const float value = __shfl_xor_sync(kAllLanes, most, other);
    most = value > most || value != value ? value : most;
  }
  return most;
}

__device__ int64_t row_of_warp() {
  return int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp;
}
__device__ void store_factor(const Range& range, int64_t row, float bound) {
  if (threadIdx.x % kWarp == 0) range.factors[row] = reciprocal(fitting_power(bound));
}

template <class Source>
__global__ void __launch_bounds__(kThreads) block_factors_kernel(Range range) {
  const int64_t row = row_of_warp(), blocks = range.cols / Source::kWeights;
  const auto* from = static_cast<const typename Source::Block*>(range.blocks) + row * blocks;
  const bool alive = row < range.rows;
  const float bound =
      warp_bound(alive ? blocks : 0, [&](int64_t i) { return Source::bound(from[i]); });
  store_factor(range, row, bound);
}

template <class Source>
__global__ void __launch_bounds__(kThreads) half_factors_kernel(Range range) {
  const int64_t row = row_of_warp();
  const auto* from = static_cast<const uint16_t*>(range.blocks) + row * range.cols;
  const bool alive = !Source::kIsF16 && row < range.rows;
  const float bound =
      warp_bound(alive ? range.cols : 0, [&](int64_t i) { return fabsf(bf16_to_float(from[i])); });
  store_factor(range, row, bound);
}

__global__ void __launch_bounds__(kThreads) unit_factors_kernel(Range range) {
  store_factor(range, row_of_warp(), 0);
}

/// Writes the codes of a tile: every thread those of some slab, chunk and lane. `code(row, input)`
/// of the tile.
template <class Target, class Code>
__device__ void write_tile_codes(uint8_t* tile, const Code& code) {
  for (int i = static_cast<int>(threadIdx.x); i < kSlabs * kChunks * kWarp; i += kThreads) {
    const int lane = i % kWarp, chunk = i / kWarp % kChunks, slab = i / (kWarp * kChunks);
    Target::write_codes(tile, slab, chunk, lane, [&](int m, int number) {
      const CodePlace place = code_place(lane, m, number);
      return code(kSlabOutputs * slab + place.output, kChunkInputs * chunk + place.input);
    });
  }
}

__device__ uint8_t* tile_of_block(const Range& range, int tile_bytes) {
  return range.tiles + (int64_t{blockIdx.y} * gridDim.x + blockIdx.x) * tile_bytes;
}

template <class Source>
__global__ void __launch_bounds__(kThreads) pack_blocks_kernel(Range range) {
  using Block = typename Source::Block;
  using Target = typename Source::Target;
  constexpr int kInTile = kTileInputs / Source::kWeights;
  const int64_t in_row = range.cols / Source::kWeights;
  const auto* blocks = static_cast<const Block*>(range.blocks);
  const auto find = [&](int row, int block) -> const Block* {  // null beyond the matrix
    const int64_t r = int64_t{blockIdx.y} * kTileOutputs + row;
    const int64_t b = int64_t{blockIdx.x} * kInTile + block;
    return r < range.rows && b < in_row ? blocks + r * in_row + b : nullptr;
  };
  uint8_t* tile = tile_of_block(range, Target::kTileBytes);
  write_tile_codes<Target>(tile, [&](int row, int input) {
    const Block* block = find(row, input / Source::kWeights);
    return block ? Source::code(*block, input % Source::kWeights) : 0;
  });
  for (int row = static_cast<int>(threadIdx.x); row < kTileOutputs; row += kThreads) {
    RowScales scales{};
    for (int i = 0; i < kInTile; ++i)
      if (const Block* block = find(row, i)) Source::scales(*block, i, scales);
    const float factor = range.factors[blockIdx.y * kTileOutputs + row];
    Target::write_scales(tile, row, scales, reciprocal(factor));
  }
}

template <class Source>
__global__ void __launch_bounds__(kThreads) pack_halves_kernel(Range range) {
  const auto* values = static_cast<const uint16_t*>(range.blocks);
  uint8_t* tile = tile_of_block(range, HalfForm::kTileBytes);
  write_tile_codes<HalfForm>(tile, [&](int row, int input) -> uint16_t {
    const int64_t r = int64_t{blockIdx.y} * kTileOutputs + row;
    const int64_t k = int64_t{blockIdx.x} * kTileInputs + input;
    if (r >= range.rows || k >= range.cols) return 0;
    const uint16_t value = values[r * range.cols + k];
    return Source::kIsF16 ? value
                          : float_to_f16(bf16_to_float(value) * reciprocal(range.factors[r]));
  });
}

/// f32 [256 inputs][64 outputs]: the transposed tile.
__global__ void __launch_bounds__(kThreads) pack_exact_kernel(Range range) {
  const auto* values = static_cast<const float*>(range.blocks);
  auto* tile = reinterpret_cast<float*>(tile_of_block(range, ExactForm::kTileBytes));
  for (int i = static_cast<int>(threadIdx.x); i < kTileOutputs * kTileInputs; i += kThreads) {
    const int64_t r = int64_t{blockIdx.y} * kTileOutputs + i % kTileOutputs;
    const int64_t k = int64_t{blockIdx.x} * kTileInputs + i / kTileOutputs;
    tile[i] = r < range.rows && k < range.cols ? values[r * range.cols + k] : 0;
  }
}

/// The two kernels of a type, one after the other.
int launch_both(cudaStream_t stream, const Range& range, void (*factors)(Range),
                void (*tiles)(Range)) {
  const auto row_tiles = static_cast<unsigned>(output_tiles(range.rows));
  const unsigned warps = row_tiles * kTileOutputs;  // beyond the rows factors are 1
  const int status = launch(factors, warps / kWarps, kThreads, 0, stream, range);
  if (status != 0) return status;
  const dim3 grid(static_cast<unsigned>(input_tiles(range.cols)), row_tiles);
  return launch(tiles, grid, kThreads, 0, stream, range);
}

int launch_pack(cudaStream_t stream, uint32_t type, const Range& range) {
  int status = cudaSuccess;
  const bool done = with_block_source(type, [&](auto source) {
    using Source = decltype(source);
    status = launch_both(stream, range, block_factors_kernel<Source>, pack_blocks_kernel<Source>);
  });
  if (done) return status;
  switch (static_cast<DType>(type)) {
    case DType::kF16:
      return launch_both(stream, range, half_factors_kernel<F16Source>,
                         pack_halves_kernel<F16Source>);
    case DType::kBF16:
      return launch_both(stream, range, half_factors_kernel<Bf16Source>,
                         pack_halves_kernel<Bf16Source>);
    case DType::kF32:
      return launch_both(stream, range, unit_factors_kernel, pack_exact_kernel);
    default:
      return cudaErrorNotSupported;
  }
}

int64_t tile_bytes_of(uint32_t type) {
  return with_form(form_of(type), [](auto form) { return int64_t{decltype(form)::kTileBytes}; });
}

}  // namespace

uint64_t weight_bytes(uint32_t type, int64_t rows, int64_t cols) {
  if (form_of(type) == Form::kNone) return 0;
  return static_cast<uint64_t>(packed_bytes(tile_bytes_of(type), rows, cols));
}

int pack_weight(CriaCuda* cuda, uint32_t type, int64_t rows, int64_t cols, int64_t first,
                int64_t count, const void* blocks, void* packed) {
  if (form_of(type) == Form::kNone) return cudaErrorNotSupported;
  if (first % kTileOutputs != 0 || first + count > rows ||
      (count % kTileOutputs != 0 && first + count != rows))
    return cudaErrorInvalidValue;
  if (count == 0) return cudaSuccess;
  const int64_t tile_bytes = tile_bytes_of(type);
  auto* tiles = static_cast<uint8_t*>(packed);
  auto* factors = reinterpret_cast<float*>(tiles + tiles_bytes(tile_bytes, rows, cols));
  const Range range{blocks, count, cols,
                    tiles + first / kTileOutputs * input_tiles(cols) * tile_bytes, factors + first};
  return launch_pack(cuda->stream, type, range);
}

}  // namespace cria::cuda
