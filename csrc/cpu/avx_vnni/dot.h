// F3, avx_vnni. Products of bytes with the dot-product instructions in their 256-bit encoding of
// CPUs without AVX-512: vpdpbusd sums quads without any intermediate that could saturate; vpdpwssd
// multiplies pairs (from maddubs, whose bound is in avx2/dot.h) by their scales and adds. The
// counterpart of avx2/dot.h.
#pragma once

#include "cpu/avx2/simd.h"

namespace cria::cpu {
namespace {

/// 8 sums of four neighbouring products w·a of 32 bytes each.
template <bool kSigned>
__m256i quad_products(__m256i w, __m256i a) {
  if constexpr (kSigned) move_signs(w, a);
  return _mm256_dpbusd_avx_epi32(_mm256_setzero_si256(), w, a);
}

/// sum + the same, each pair of products times its int16 in `scale`.
template <bool kSigned>
__m256i add_scaled_products(__m256i sum, __m256i w, __m256i a, __m256i scale) {
  if constexpr (kSigned) move_signs(w, a);
  return _mm256_dpwssd_avx_epi32(sum, _mm256_maddubs_epi16(w, a), scale);
}

/// Where a sum of products with codes of zero point 2^kZero begins, given −Σ a: at −2^kZero · Σ a.
template <int kZero>
__m256i start_sum(__m256i negative_sum) {
  if constexpr (kZero < 0) {
    return _mm256_setzero_si256();
  } else {
    return _mm256_slli_epi32(negative_sum, kZero);
  }
}

/// sum + four neighbouring products of unsigned codes and signed activations, in each of 8 lanes.
template <int kZero>
__m256i add_quad_products(__m256i sum, __m256i w, __m256i a) {
  return _mm256_dpbusd_avx_epi32(sum, w, a);
}

/// sum + two neighbouring products of int16.
inline __m256i add_pair_products(__m256i sum, __m256i w, __m256i a) {
  return _mm256_dpwssd_avx_epi32(sum, w, a);
}

/// Columns of the tile that finds what dot products can reach: with two vectors 12 chains, one
/// instruction each.
inline constexpr int kCeilingColumns = 6;

}  // namespace
}  // namespace cria::cpu
