// F3, avx512. Products with Q6_K weights (layout: quant/blocks.h).
#include "cpu/table.h"
#include "quant/blocks.h"
#include "super_tile.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

struct Q6_K {
  using Block = BlockQ6_K;
  static constexpr bool kSigned = true, kMinimums = false;
  /// Of each half of 128 weights, the first 64 are the low nibbles of 64 bytes and the last 64 the
  /// high ones; the upper two bits of four groups of 32 lie in 32 more bytes.
  static __m512i weights(const Block& block, int j) {
    const int half = j / 2, shift = 4 * (j % 2);
    const auto count = static_cast<unsigned>(shift);
    const __m512i low = _mm512_srli_epi16(load512(block.ql + 64 * half), count);
    const __m512i high = shifted_twice(block.qh + 32 * half, shift, shift + 2);
    const __m512i upper = _mm512_slli_epi16(_mm512_and_si512(high, _mm512_set1_epi8(3)), 4);
    const __m512i code = _mm512_or_si512(_mm512_and_si512(low, _mm512_set1_epi8(15)), upper);
    return _mm512_sub_epi8(code, _mm512_set1_epi8(32));
  }
};

}  // namespace

void matmul_q6_k(const MatmulArgs& args) {
  for_tiles<SuperTile<Q6_K>>(args);
}

}  // namespace cria::cpu::CRIA_TABLE
