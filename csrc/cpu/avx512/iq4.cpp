// F3, avx512. Products with IQ4_NL and IQ4_XS weights: 4-bit codes into a table of 16 values, which
// fits a byte shuffle (layouts: quant/blocks.h).
#include "block_tile.h"
#include "cpu/table.h"
#include "quant/blocks.h"
#include "super_tile.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

__m512i look_up(const uint8_t* q0, const uint8_t* q1) {
  const __m512i values = _mm512_broadcast_i32x4(load128(kIq4Values));
  return _mm512_shuffle_epi8(values, nibbles(q0, q1));
}

struct IQ4_NL {
  using Block = BlockIQ4_NL;
  static constexpr bool kSigned = true, kMinimum = false;
  static __m512i weights(const Block& b0, const Block& b1) { return look_up(b0.qs, b1.qs); }
};

struct IQ4_XS {
  using Block = BlockIQ4_XS;
  static constexpr bool kSigned = true, kMinimums = false;
  static __m512i weights(const Block& block, int j) {
    return look_up(block.qs + 32 * j, block.qs + 32 * j + 16);
  }
};

}  // namespace

void matmul_iq4_nl(const MatmulArgs& args) {
  for_tiles<BlockTile<IQ4_NL>>(args);
}
void matmul_iq4_xs(const MatmulArgs& args) {
  for_tiles<SuperTile<IQ4_XS>>(args);
}

}  // namespace cria::cpu::CRIA_TABLE
