// F3, device. out[t] = row ids[t] of a packed table, decoded.
//
// Shapes: table [V × cols], out [T × cols]. Grid (⌈tiles / 32⌉, T): four lanes decode a tile's part
// of one row, each what the lane of that row would for a product. Bytes moved: the codes of two
// rows (a lane's codes are those of rows g and g + 8) and 4 · cols for each token.
#include "cuda/device/formats.h"
#include "cuda/device/weights.h"

namespace cria::cuda {
namespace {

constexpr int kThreads = 128, kInBlock = kThreads / 4;

struct Table {
  const uint8_t* tiles;
  const float* factors;
  int64_t cols;
  int tiles_in_row;
};

/// Two neighbouring inputs of a row, of which there are `cols`.
__device__ __forceinline__ void store_pair(float* out, int64_t input, int64_t cols, uint32_t pair,
                                           float factor) {
  const float2 values = unpack_f16(pair);
  if (input < cols) out[input] = values.x * factor;
  if (input + 1 < cols) out[input + 1] = values.y * factor;
}

template <class Format>
__global__ void __launch_bounds__(kThreads)
    embed_kernel(const CriaCudaStep* step, Table table, float* out) {
  const int row = step->ids[blockIdx.y];
  const int tile = static_cast<int>(blockIdx.x * kInBlock + threadIdx.x / 4);
  if (tile >= table.tiles_in_row) return;
  const uint8_t* from =
      table.tiles + (int64_t{row / kTileOutputs} * table.tiles_in_row + tile) * Format::kTileBytes;
  const int slab = row % kTileOutputs / kSlabOutputs, in_slab = row % kSlabOutputs;
  const int lane = in_slab % 8 * 4 + static_cast<int>(threadIdx.x % 4);
  const bool upper = in_slab >= 8;
  const float factor = table.factors[row];
  float* to = out + int64_t{blockIdx.y} * table.cols;
  const auto scales = Format::load_scales(from, slab, lane);
#pragma unroll
  for (int chunk = 0; chunk < kChunks; ++chunk) {
    const auto codes = Format::load_codes(from, slab, chunk, lane);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      uint32_t a[2][4];
      Format::decode(codes, scales, chunk, half, a);
      const int64_t input =
          int64_t{tile} * kTileInputs + kChunkInputs * chunk + lane_input(lane, half);
#pragma unroll
      for (int i = 0; i < 4; ++i) {  // instruction i / 2, inputs 2·(i % 2)
        const uint32_t* pairs = a[i / 2] + 2 * (i % 2);
        store_pair(to, input + 2 * i, table.cols, upper ? pairs[1] : pairs[0], factor);
      }
    }
  }
}

/// A float each of f32 tables. Grid (⌈cols / 128⌉, T).
__global__ void __launch_bounds__(kThreads)
    embed_exact_kernel(const CriaCudaStep* step, Table table, float* out) {
  const int row = step->ids[blockIdx.y];
  const int64_t input = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (input >= table.cols) return;
  const int64_t first_tile = int64_t{row / kTileOutputs} * table.tiles_in_row;
  const auto* values = reinterpret_cast<const float*>(table.tiles);
  out[blockIdx.y * table.cols + input] =
      values[(first_tile * kTileInputs + input) * kTileOutputs + row % kTileOutputs];
}

}  // namespace

int embed(CriaCuda* cuda, const CriaCudaStep* step, CriaCudaWeight table, int64_t rows,
          float* out) {
  const Form form = form_of(table.type);
  if (form == Form::kNone) return cudaErrorNotSupported;
  if (rows == 0) return cudaSuccess;
  return with_form(form, [&](auto chosen) {
    using Format = decltype(chosen);
    const auto* tiles = static_cast<const uint8_t*>(table.data);
    const Table from{tiles,
                     reinterpret_cast<const float*>(
                         tiles + tiles_bytes(Format::kTileBytes, table.rows, table.cols)),
                     table.cols, static_cast<int>(input_tiles(table.cols))};
    const auto tokens = static_cast<unsigned>(rows);
    if constexpr (std::is_same_v<Format, ExactForm>) {
      const dim3 grid(static_cast<unsigned>(ceil_div(table.cols, int64_t{kThreads})), tokens);
      return launch(embed_exact_kernel, grid, kThreads, 0, cuda->stream, step, from, out);
    } else {
      const dim3 grid(static_cast<unsigned>(ceil_div(from.tiles_in_row, kInBlock)), tokens);
      return launch(embed_kernel<Format>, grid, kThreads, 0, cuda->stream, step, from, out);
    }
  });
}

}  // namespace cria::cuda
