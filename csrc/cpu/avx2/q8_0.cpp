// F3, avx2. Products with Q8_0 weights.
#include "block_tile.h"
#include "cpu/table.h"
#include "quant/blocks.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

struct Q8_0 {
  using Block = BlockQ8_0;
  static constexpr bool kSigned = true, kMinimum = false;
  static __m256i weights(const Block& block) { return load256(block.qs); }
};

}  // namespace

void matmul_q8_0(const MatmulArgs& args) {
  for_tiles<BlockTile<Q8_0>>(args);
}

}  // namespace cria::cpu::CRIA_TABLE
