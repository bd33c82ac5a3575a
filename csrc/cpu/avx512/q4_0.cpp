// F3, avx512. Products with Q4_0 and Q4_1 weights (layouts: quant/blocks.h).
#include "block_tile.h"
#include "cpu/table.h"
#include "quant/blocks.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

struct Q4_0 {
  using Block = BlockQ4_0;
  static constexpr bool kSigned = true, kMinimum = false;
  static __m512i weights(const Block& b0, const Block& b1) {
    return _mm512_sub_epi8(nibbles(b0.qs, b1.qs), _mm512_set1_epi8(8));
  }
};

struct Q4_1 {
  using Block = BlockQ4_1;
  static constexpr bool kSigned = false, kMinimum = true;
  static __m512i weights(const Block& b0, const Block& b1) { return nibbles(b0.qs, b1.qs); }
};

}  // namespace

void matmul_q4_0(const MatmulArgs& args) {
  for_tiles<BlockTile<Q4_0>>(args);
}
void matmul_q4_1(const MatmulArgs& args) {
  for_tiles<BlockTile<Q4_1>>(args);
}

}  // namespace cria::cpu::CRIA_TABLE
