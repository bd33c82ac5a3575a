// F3, avx2. Products with Q2_K and Q3_K weights (layouts: quant/blocks.h).
#include "cpu/table.h"
#include "quant/blocks.h"
#include "super_tile.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

/// Codes 32j … 32j+31 of two bits: four groups of 32 share 32 bytes.
__m256i two_bits(const uint8_t qs[64], int j) {
  const __m256i shifted = _mm256_srli_epi16(load256(qs + 32 * (j / 4)), 2 * (j % 4));
  return _mm256_and_si256(shifted, _mm256_set1_epi8(3));
}

struct Q2_K {
  using Block = BlockQ2_K;
  static constexpr bool kSigned = false, kMinimums = true;
  static __m256i weights(const Block& block, int j) { return two_bits(block.qs, j); }
};

struct Q3_K {
  using Block = BlockQ3_K;
  static constexpr bool kSigned = true, kMinimums = false;
  static __m256i weights(const Block& block, int j) {
    const __m256i bit = _mm256_srli_epi16(load256(block.hmask), j);
    const __m256i third =
        _mm256_slli_epi16(_mm256_and_si256(bit, _mm256_set1_epi8(1)), 2);  // stays in its byte
    const __m256i code = _mm256_or_si256(two_bits(block.qs, j), third);
    return _mm256_sub_epi8(code, _mm256_set1_epi8(4));
  }
};

}  // namespace

void matmul_q2_k(const MatmulArgs& args) {
  for_tiles<SuperTile<Q2_K>>(args);
}
void matmul_q3_k(const MatmulArgs& args) {
  for_tiles<SuperTile<Q3_K>>(args);
}

}  // namespace cria::cpu::CRIA_TABLE
