// F3, avx512. Products with Q8_0 weights.
#include "block_tile.h"
#include "cpu/table.h"
#include "quant/blocks.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

struct Q8_0 {
  using Block = BlockQ8_0;
  static constexpr bool kSigned = true, kMinimum = false;
  static __m512i weights(const Block& b0, const Block& b1) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(load256(b0.qs)), load256(b1.qs), 1);
  }
};

}  // namespace

void matmul_q8_0(const MatmulArgs& args) {
  for_tiles<BlockTile<Q8_0>>(args);
}

}  // namespace cria::cpu::CRIA_TABLE
