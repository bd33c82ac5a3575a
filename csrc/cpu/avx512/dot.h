// F3, avx512. Products of bytes by maddubs (pairs, in int16) and madd (quads, in int32). maddubs
// saturates beyond 32767, which it cannot reach: unsigned w ≤ 31 gives 2·31·127 = 7874, signed w
// at most 2·128·127 = 32512 after move_signs.
//
// csrc/cpu/avx512_vnni has a dot.h of the same contents; the build puts one of the two folders
// first on the include path, hence <dot.h>.
#pragma once

#include "cpu/avx512/simd.h"

namespace cria::cpu {
namespace {

/// 16 sums of four neighbouring products w·a.
template <bool kSigned>
__m512i quad_products(__m512i w, __m512i a) {
  if constexpr (kSigned) move_signs(w, a);
  return _mm512_madd_epi16(_mm512_maddubs_epi16(w, a), _mm512_set1_epi16(1));
}

/// sum + the same, each pair of products times its int16 in `scale`.
template <bool kSigned>
__m512i add_scaled_products(__m512i sum, __m512i w, __m512i a, __m512i scale) {
  if constexpr (kSigned) move_signs(w, a);
  return _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(w, a), scale));
}

}  // namespace
}  // namespace cria::cpu
