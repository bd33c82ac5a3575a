// F3, device. Where things lie in a packed weight [N × K]. The same form serves every product.
//
//   tiles    [⌈N/64⌉][⌈K/256⌉]  of 64 outputs × 256 inputs, what is beyond N or K being zero
//   factors  f32 [64·⌈N/64⌉]    of each output: weight = decoded · factor, a power of two
//
// A tile is cut into 4 slabs of 16 outputs, the rows of the matrix instruction's A, and into 4
// chunks of 64 inputs. A form (formats.h) keeps of a tile
//
//   codes    [slab][chunk][vector][lane] 16 bytes: what a lane feeds to the instruction
//   high     [slab][chunk][lane] 4 or 8 bytes: the fifth, or fifth and sixth, bits of the codes
//   scales   by row of the tile
//
// and a warp that reads a slab reads one stretch of memory after the other.
//
// The codes of a lane (g = lane / 4, t = lane % 4) in a chunk feed four instructions m = 0 … 3.
// What an instruction sums over may be in any order, as long as both factors have the same; so
// where A's fragment has inputs 2t, 2t+1, 2t+8, 2t+9 (device/ptx.h), inputs of this chunk are
// taken that lie side by side, in the input's row as well:
//
//   pair p of instruction m:  output  16·slab + g + 8·(p % 2)
//                             inputs  64·chunk + 32·(m / 2) + 8t + 4·(m % 2) + 2·(p / 2) + {0, 1}
//
// So 16 bytes of an f16 input row at 64·chunk + 32·b + 8t are B of instructions 2b and 2b + 1, and
// all that a lane decodes for them lies in one block of 16 or 32 inputs: one scale.
//
// Sums. K is cut into kSegments stretches of whole tiles. Every product kernel adds the
// instructions of a segment in the order of K, beginning at 0, and then the segments' sums in their
// order. So a row's result has the same bits whatever kernel computes it, beside whatever rows.
#pragma once

#include "cuda/device/cuda.h"

namespace cria::cuda {

inline constexpr int kTileOutputs = static_cast<int>(kCriaCudaTileRows);
inline constexpr int kTileInputs = 256;
inline constexpr int kSlabOutputs = 16, kSlabs = kTileOutputs / kSlabOutputs;
inline constexpr int kChunkInputs = 64, kChunks = kTileInputs / kChunkInputs;
inline constexpr int kSegments = 4;
inline constexpr int64_t kAlignment = 256;  // of memory, and of the sizes asked for

/// Tiles along K, and along N.
__host__ __device__ constexpr int64_t input_tiles(int64_t cols) {
  return ceil_div(cols, int64_t{kTileInputs});
}
__host__ __device__ constexpr int64_t output_tiles(int64_t rows) {
  return ceil_div(rows, int64_t{kTileOutputs});
}

/// The first of a segment's tiles along K; that of segment kSegments is their number.
__host__ __device__ constexpr int segment_begin(int segment, int tiles) {
  return segment * tiles / kSegments;
}

/// Bytes of a weight's tiles, behind which its factors begin.
__host__ __device__ constexpr int64_t tiles_bytes(int64_t tile_bytes, int64_t rows, int64_t cols) {
  return output_tiles(rows) * input_tiles(cols) * tile_bytes;
}
__host__ __device__ constexpr int64_t packed_bytes(int64_t tile_bytes, int64_t rows, int64_t cols) {
  const int64_t factors = output_tiles(rows) * kTileOutputs * int64_t{sizeof(float)};
  return round_up(tiles_bytes(tile_bytes, rows, cols) + factors, kAlignment);
}

/// Of the first input of instructions 2·half and 2·half + 1 that a lane has, in its chunk.
__host__ __device__ constexpr int lane_input(int lane, int half) {
  return 32 * half + 8 * (lane % 4);
}

/// Code i = 2·pair + {0, 1} of instruction m: its row in the slab and its input in the chunk.
struct CodePlace {
  int output, input;
};
__host__ __device__ constexpr CodePlace code_place(int lane, int m, int i) {
  const int pair = i / 2;
  return {lane / 4 + 8 * (pair % 2),
          lane_input(lane, m / 2) + 4 * (m % 2) + 2 * (pair / 2) + i % 2};
}

/// 2, 3 … words that are loaded and stored at once.
struct alignas(8) Words2 {
  uint32_t at[2];
};
struct alignas(16) Words4 {
  uint32_t at[4];
};

}  // namespace cria::cuda
