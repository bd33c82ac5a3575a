// F3. The walk over a product in tiles of 1 row × up to 4 tokens, the same for every instruction
// set. The tokens of a tile share one unpacking of the weights. Internal linkage, as in
// cpu/activations.h.
#pragma once

#include <cstdint>

#include "cpu/kernels.h"

namespace cria::cpu {
namespace {

inline int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/// Tokens of a tile. Four int accumulators and four float ones, with weights, scales and
/// temporaries, fit the 16 registers of AVX2.
constexpr int kTileTokens = 4;

/// Rows that are multiplied by one tile of tokens before the next: 16 rows of 4096 weights in 4
/// bits are 36 KB, which stays in the first two cache levels while all tokens pass.
constexpr int64_t kTileRows = 16;

/// Calls Tile::run<C>(args, row, x, out) for every row and tile of C tokens: `row` is the weights,
/// `x` the first token's input, out[c · out_stride] takes token c's element. Per token the kernel
/// does the same operations for every C, so a tile's width leaves no trace in the result.
template <class Tile>
void for_tiles(const MatmulArgs& a) {
  for (int64_t r0 = 0; r0 < a.rows; r0 += kTileRows) {
    const int64_t r1 = smaller(r0 + kTileRows, a.rows);
    for (int64_t t = 0; t < a.tokens; t += kTileTokens) {
      const std::byte* x = a.x + t * a.x_stride;
      for (int64_t r = r0; r < r1; ++r) {
        const std::byte* row = a.weights + r * a.row_bytes;
        float* out = a.out + t * a.out_stride + r;
        switch (a.tokens - t) {
          case 1:
            Tile::template run<1>(a, row, x, out);
            break;
          case 2:
            Tile::template run<2>(a, row, x, out);
            break;
          case 3:
            Tile::template run<3>(a, row, x, out);
            break;
          default:
            Tile::template run<kTileTokens>(a, row, x, out);
        }
      }
    }
  }
}

}  // namespace
}  // namespace cria::cpu
