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

}  // namespace
}  // namespace cria::cpu
