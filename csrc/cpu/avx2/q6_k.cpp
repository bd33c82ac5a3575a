// F3, avx2. Products with Q6_K weights (layout: quant/blocks.h).
#include "cpu/table.h"
#include "quant/blocks.h"
#include "super_tile.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

struct Q6_K {
  using Block = BlockQ6_K;
  static constexpr bool kSigned = true, kMinimums = false;
  /// Of each half of 128 weights, quarters 0 and 1 are the low nibbles of 32 bytes each, 2 and 3
  /// the high ones; the upper two bits of all four lie in 32 more bytes.
  static __m256i weights(const Block& block, int j) {
    const int half = j / 4, quarter = j % 4;
    const __m256i low =
        _mm256_srli_epi16(load256(block.ql + 64 * half + 32 * (quarter % 2)), 4 * (quarter / 2));
    const __m256i high = _mm256_srli_epi16(load256(block.qh + 32 * half), 2 * quarter);
    const __m256i upper = _mm256_slli_epi16(_mm256_and_si256(high, _mm256_set1_epi8(3)), 4);
    const __m256i code = _mm256_or_si256(_mm256_and_si256(low, _mm256_set1_epi8(15)), upper);
    return _mm256_sub_epi8(code, _mm256_set1_epi8(32));
  }
};

}  // namespace

void matmul_q6_k(const MatmulArgs& args) {
  for_tiles<SuperTile<Q6_K>>(args);
}

}  // namespace cria::cpu::CRIA_TABLE
