// F3, avx2. Products of bytes by maddubs (pairs, in int16) and madd (quads, in int32). maddubs
// saturates beyond 32767, which it cannot reach: unsigned w ≤ 63 gives at most 2·63·127 = 16002;
// signed w becomes |w| · (a with w's sign), at most 2·128·127 = 32512. (a is in [−127, 127]; −a
// would not exist for −128.)
//
// csrc/cpu/avx_vnni has a dot.h of the same contents; the build puts one of the two folders first
// on the include path, hence <dot.h>.
#pragma once

#include "cpu/avx2/simd.h"

namespace cria::cpu {
namespace {

/// 8 sums of four neighbouring products w·a of 32 bytes each.
template <bool kSigned>
__m256i quad_products(__m256i w, __m256i a) {
  if constexpr (kSigned) move_signs(w, a);
  return _mm256_madd_epi16(_mm256_maddubs_epi16(w, a), _mm256_set1_epi16(1));
}

/// sum + the same, each pair of products times its int16 in `scale`.
template <bool kSigned>
__m256i add_scaled_products(__m256i sum, __m256i w, __m256i a, __m256i scale) {
  if constexpr (kSigned) move_signs(w, a);
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(w, a), scale));
}

/// Codes of zero point 128 fill the byte, and two products with 255 would not fit an int16. They
/// are made signed again, and their sums start at 0.
constexpr bool full_bytes(int zero) {
  return zero == 7;
}

/// Where a sum of products with codes of zero point 2^kZero begins, given −Σ a: at −2^kZero · Σ a.
template <int kZero>
__m256i start_sum(__m256i negative_sum) {
  if constexpr (kZero < 0 || full_bytes(kZero)) {
    return _mm256_setzero_si256();
  } else {
    return _mm256_slli_epi32(negative_sum, kZero);
  }
}

/// sum + four neighbouring products of unsigned codes and signed activations, in each of 8 lanes.
template <int kZero>
__m256i add_quad_products(__m256i sum, __m256i w, __m256i a) {
  if constexpr (full_bytes(kZero)) {
    w = _mm256_xor_si256(w, _mm256_set1_epi8(static_cast<char>(0x80)));
    return _mm256_add_epi32(sum, quad_products<true>(w, a));
  } else {
    return _mm256_add_epi32(sum, quad_products<false>(w, a));
  }
}

/// sum + two neighbouring products of int16.
inline __m256i add_pair_products(__m256i sum, __m256i w, __m256i a) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(w, a));
}

/// Columns of the tile that finds what dot products can reach. One is three instructions here, of
/// which one waits for the sum before it: with two vectors 6 chains are enough, and 12 would leave
/// no register for what lies between.
inline constexpr int kCeilingColumns = 3;

}  // namespace
}  // namespace cria::cpu
