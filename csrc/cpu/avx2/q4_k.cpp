// F3, avx2. Products with Q4_K and Q5_K weights (layouts: quant/blocks.h).
#include "cpu/table.h"
#include "quant/blocks.h"
#include "super_tile.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

/// Codes 32j … 32j+31: the low (even j) or high nibbles of 32 bytes.
__m256i four_bits(const uint8_t qs[128], int j) {
  const __m256i shifted = _mm256_srli_epi16(load256(qs + 32 * (j / 2)), 4 * (j % 2));
  return _mm256_and_si256(shifted, _mm256_set1_epi8(15));
}

struct Q4_K {
  using Block = BlockQ4_K;
  static constexpr bool kSigned = false, kMinimums = true;
  static __m256i weights(const Block& block, int j) { return four_bits(block.qs, j); }
};

struct Q5_K {
  using Block = BlockQ5_K;
  static constexpr bool kSigned = false, kMinimums = true;
  static __m256i weights(const Block& block, int j) {
    const __m256i bit = _mm256_srli_epi16(load256(block.qh), j);
    const __m256i fifth =
        _mm256_slli_epi16(_mm256_and_si256(bit, _mm256_set1_epi8(1)), 4);  // stays in its byte
    return _mm256_or_si256(four_bits(block.qs, j), fifth);
  }
};

}  // namespace

void matmul_q4_k(const MatmulArgs& args) {
  for_tiles<SuperTile<Q4_K>>(args);
}
void matmul_q5_k(const MatmulArgs& args) {
  for_tiles<SuperTile<Q5_K>>(args);
}

}  // namespace cria::cpu::CRIA_TABLE
