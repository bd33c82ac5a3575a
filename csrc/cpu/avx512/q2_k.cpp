// F3, avx512. Products with Q2_K and Q3_K weights (layouts: quant/blocks.h).
#include "cpu/table.h"
#include "quant/blocks.h"
#include "super_tile.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

/// Codes 64j … 64j+63 of two bits: four groups of 32 share 32 bytes.
__m512i two_bits(const uint8_t qs[64], int j) {
  const int shift = 4 * (j % 2);
  return _mm512_and_si512(shifted_twice(qs + 32 * (j / 2), shift, shift + 2), _mm512_set1_epi8(3));
}

struct Q2_K {
  using Block = BlockQ2_K;
  static constexpr bool kSigned = false, kMinimums = true;
  static __m512i weights(const Block& block, int j) { return two_bits(block.qs, j); }
};

struct Q3_K {
  using Block = BlockQ3_K;
  static constexpr bool kSigned = true, kMinimums = false;
  static __m512i weights(const Block& block, int j) {
    const __m512i bit = shifted_twice(block.hmask, 2 * j, 2 * j + 1);
    const __m512i third = _mm512_slli_epi16(_mm512_and_si512(bit, _mm512_set1_epi8(1)), 2);
    const __m512i code = _mm512_or_si512(two_bits(block.qs, j), third);
    return _mm512_sub_epi8(code, _mm512_set1_epi8(4));
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
