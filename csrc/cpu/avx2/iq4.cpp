// F3, avx2. Products with IQ4_NL and IQ4_XS weights: 4-bit codes into a table of 16 values, which
// fits a byte shuffle (layouts: quant/blocks.h).
#include "block_tile.h"
#include "cpu/table.h"
#include "quant/blocks.h"
#include "super_tile.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

__m256i look_up(const uint8_t qs[16]) {
  const __m256i values = _mm256_broadcastsi128_si256(load128(kIq4Values));
  return _mm256_shuffle_epi8(values, nibbles(qs));
}

struct IQ4_NL {
  using Block = BlockIQ4_NL;
  static constexpr bool kSigned = true, kMinimum = false;
  static __m256i weights(const Block& block) { return look_up(block.qs); }
};

struct IQ4_XS {
  using Block = BlockIQ4_XS;
  static constexpr bool kSigned = true, kMinimums = false;
  static __m256i weights(const Block& block, int j) { return look_up(block.qs + 16 * j); }
};

}  // namespace

void matmul_iq4_nl(const MatmulArgs& args) {
  for_tiles<BlockTile<IQ4_NL>>(args);
}
void matmul_iq4_xs(const MatmulArgs& args) {
  for_tiles<SuperTile<IQ4_XS>>(args);
}

}  // namespace cria::cpu::CRIA_TABLE
