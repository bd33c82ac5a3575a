// F3, avx2. Products of 8-bit weights and activations, and why none of them saturates.
#pragma once

#include "simd.h"

namespace cria::cpu {
namespace {

/// 16 sums of two neighbouring products w·a of 32 bytes each, in int16. maddubs saturates beyond
/// 32767, so: unsigned w ≤ 31 gives at most 2·31·127 = 7874; signed w becomes |w| · (a with w's
/// sign), at most 2·128·127 = 32512. (a is in [−127, 127]; −a would not exist for −128.)
template <bool kSigned>
__m256i pair_products(__m256i w, __m256i a) {
  if constexpr (kSigned) return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w));
  return _mm256_maddubs_epi16(w, a);
}

/// 8 sums of four neighbouring products, in int32.
template <bool kSigned>
__m256i quad_products(__m256i w, __m256i a) {
  return _mm256_madd_epi16(pair_products<kSigned>(w, a), _mm256_set1_epi16(1));
}

}  // namespace
}  // namespace cria::cpu
