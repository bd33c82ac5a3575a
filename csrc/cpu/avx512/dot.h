// F3, avx512. Products of bytes by maddubs (pairs, in int16) and madd (quads, in int32). maddubs
// saturates beyond 32767, which it cannot reach: unsigned w ≤ 63 gives 2·63·127 = 16002, signed w
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

/// Codes of zero point 128 fill the byte, and two products with 255 would not fit an int16. They
/// are made signed again, and their sums start at 0.
constexpr bool full_bytes(int zero) {
  return zero == 7;
}

/// Where a sum of products with codes of zero point 2^kZero begins, given −Σ a: at −2^kZero · Σ a.
template <int kZero>
__m512i start_sum(__m512i negative_sum) {
  if constexpr (kZero < 0 || full_bytes(kZero)) {
    return _mm512_setzero_si512();
  } else {
    return _mm512_slli_epi32(negative_sum, kZero);
  }
}

/// sum + four neighbouring products of unsigned codes and signed activations, in each of 16 lanes.
template <int kZero>
__m512i add_quad_products(__m512i sum, __m512i w, __m512i a) {
  if constexpr (full_bytes(kZero)) {
    w = _mm512_xor_si512(w, _mm512_set1_epi8(static_cast<char>(0x80)));
    move_signs(w, a);
  }
  const __m512i pairs = _mm512_maddubs_epi16(w, a);
  return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}

/// sum + two neighbouring products of int16.
inline __m512i add_pair_products(__m512i sum, __m512i w, __m512i a) {
  return _mm512_add_epi32(sum, _mm512_madd_epi16(w, a));
}

}  // namespace
}  // namespace cria::cpu
