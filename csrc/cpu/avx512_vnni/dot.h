// F3, avx512_vnni. Products of bytes with the dot-product instructions: vpdpbusd sums quads without
// any intermediate that could saturate; vpdpwssd multiplies pairs (from maddubs, whose bound is in
// avx512/dot.h) by their scales and adds. The counterpart of avx512/dot.h.
#pragma once

#include "cpu/avx512/simd.h"

namespace cria::cpu {
namespace {

/// 16 sums of four neighbouring products w·a.
template <bool kSigned>
__m512i quad_products(__m512i w, __m512i a) {
  if constexpr (kSigned) move_signs(w, a);
  return _mm512_dpbusd_epi32(_mm512_setzero_si512(), w, a);
}

/// sum + the same, each pair of products times its int16 in `scale`.
template <bool kSigned>
__m512i add_scaled_products(__m512i sum, __m512i w, __m512i a, __m512i scale) {
  if constexpr (kSigned) move_signs(w, a);
  return _mm512_dpwssd_epi32(sum, _mm512_maddubs_epi16(w, a), scale);
}

/// Where a sum of products with codes of zero point 2^kZero begins, given −Σ a: at −2^kZero · Σ a.
template <int kZero>
__m512i start_sum(__m512i negative_sum) {
  if constexpr (kZero < 0) {
    return _mm512_setzero_si512();
  } else {
    return _mm512_slli_epi32(negative_sum, kZero);
  }
}

/// sum + four neighbouring products of unsigned codes and signed activations, in each of 16 lanes.
template <int kZero>
__m512i add_quad_products(__m512i sum, __m512i w, __m512i a) {
  return _mm512_dpbusd_epi32(sum, w, a);
}

/// sum + two neighbouring products of int16.
inline __m512i add_pair_products(__m512i sum, __m512i w, __m512i a) {
  return _mm512_dpwssd_epi32(sum, w, a);
}

}  // namespace
}  // namespace cria::cpu
