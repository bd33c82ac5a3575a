// F3, avx512. Products with Q4_K and Q5_K weights (layouts: quant/blocks.h).
#include "cpu/table.h"
#include "quant/blocks.h"
#include "super_tile.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

/// Codes 64j … 64j+63: the low nibbles of 32 bytes, then their high nibbles.
__m512i four_bits(const uint8_t qs[128], int j) {
  return _mm512_and_si512(shifted_twice(qs + 32 * j, 0, 4), _mm512_set1_epi8(15));
}

struct Q4_K {
  using Block = BlockQ4_K;
  static constexpr bool kSigned = false, kMinimums = true;
  static __m512i weights(const Block& block, int j) { return four_bits(block.qs, j); }
};

struct Q5_K {
  using Block = BlockQ5_K;
  static constexpr bool kSigned = false, kMinimums = true;
  static __m512i weights(const Block& block, int j) {
    const __m512i bit = shifted_twice(block.qh, 2 * j, 2 * j + 1);
    const __m512i fifth = _mm512_slli_epi16(_mm512_and_si512(bit, _mm512_set1_epi8(1)), 4);
    return _mm512_or_si512(four_bits(block.qs, j), fifth);
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
