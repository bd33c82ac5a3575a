// F3, avx512. Products with Q5_0 and Q5_1 weights (layouts: quant/blocks.h): the fifth bits of two
// blocks are 64 bits, one for each byte, which is a mask register as it lies in the file.
#include "block_tile.h"
#include "cpu/table.h"
#include "quant/blocks.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

__mmask64 fifth_bits(const uint8_t qh0[4], const uint8_t qh1[4]) {
  return load32(qh0) | uint64_t{load32(qh1)} << 32;
}

struct Q5_0 {
  using Block = BlockQ5_0;
  static constexpr bool kSigned = true, kMinimum = false;
  /// code − 16: the nibble where the fifth bit is set, else nibble − 16.
  static __m512i weights(const Block& b0, const Block& b1) {
    const __m512i low = nibbles(b0.qs, b1.qs);
    return _mm512_mask_sub_epi8(low, ~fifth_bits(b0.qh, b1.qh), low, _mm512_set1_epi8(16));
  }
};

struct Q5_1 {
  using Block = BlockQ5_1;
  static constexpr bool kSigned = false, kMinimum = true;
  static __m512i weights(const Block& b0, const Block& b1) {
    const __m512i low = nibbles(b0.qs, b1.qs);
    return _mm512_mask_add_epi8(low, fifth_bits(b0.qh, b1.qh), low, _mm512_set1_epi8(16));
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
