// F3, avx2. Products with Q5_0 and Q5_1 weights (layouts: quant/blocks.h).
#include "block_tile.h"
#include "cpu/table.h"
#include "quant/blocks.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

/// Bit i of the 32-bit word at qh as byte i: 0xff where set, else 0.
///
///   word in every lane          b3 b2 b1 b0  b3 b2 b1 b0  …
///   shuffled: byte i gets b⌊i/8⌋  b3×8 b2×8 │ b1×8 b0×8
///   and with bit i mod 8, then compared with that bit
__m256i spread_bits(const uint8_t qh[4]) {
  const __m256i word = _mm256_set1_epi32(static_cast<int>(load32(qh)));
  const __m256i which = _mm256_set_epi64x(0x0303030303030303, 0x0202020202020202,
                                          0x0101010101010101, 0x0000000000000000);
  const __m256i bit = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201));
  return _mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(word, which), bit), bit);
}

struct Q5_0 {
  using Block = BlockQ5_0;
  static constexpr bool kSigned = true, kMinimum = false;
  /// code − 16: the nibble where bit 4 is set; else nibble − 16, which is nibble | 0xf0.
  static __m256i weights(const Block& block) {
    const __m256i borrow = _mm256_andnot_si256(spread_bits(block.qh), _mm256_set1_epi8(-16));
    return _mm256_or_si256(nibbles(block.qs), borrow);
  }
};

struct Q5_1 {
  using Block = BlockQ5_1;
  static constexpr bool kSigned = false, kMinimum = true;
  static __m256i weights(const Block& block) {
    const __m256i fifth = _mm256_and_si256(spread_bits(block.qh), _mm256_set1_epi8(16));
    return _mm256_or_si256(nibbles(block.qs), fifth);
  }
};

}  // namespace

void matmul_q5_0(const MatmulArgs& args) {
  for_tiles<BlockTile<Q5_0>>(args);
}
void matmul_q5_1(const MatmulArgs& args) {
  for_tiles<BlockTile<Q5_1>>(args);
}

}  // namespace cria::cpu::CRIA_TABLE
