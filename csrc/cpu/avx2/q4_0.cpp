// F3, avx2. Products with Q4_0 and Q4_1 weights (layouts: quant/blocks.h).
#include "block_tile.h"
#include "cpu/table.h"
#include "quant/blocks.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

struct Q4_0 {
  using Block = BlockQ4_0;
  static constexpr bool kSigned = true, kMinimum = false;
  static __m256i weights(const Block& block) {
    return _mm256_sub_epi8(nibbles(block.qs), _mm256_set1_epi8(8));
  }
};

struct Q4_1 {
  using Block = BlockQ4_1;
  static constexpr bool kSigned = false, kMinimum = true;
  static __m256i weights(const Block& block) { return nibbles(block.qs); }
};

}  // namespace

void matmul_q4_0(const MatmulArgs& args) {
  for_tiles<BlockTile<Q4_0>>(args);
}
void matmul_q4_1(const MatmulArgs& args) {
  for_tiles<BlockTile<Q4_1>>(args);
}

}  // namespace cria::cpu::CRIA_TABLE
