// F3, avx2. exp(x) of 8 lanes, to within 2 units in the last place.
#pragma once

#include "simd.h"

namespace cria::cpu {
namespace {

/// exp(x) = 2^n · exp(r) with n = round(x / ln 2) and r = x − n·ln 2, so |r| ≤ ln 2 / 2 ≈ 0.3466.
///
/// exp(r) is its Taylor polynomial of degree 7, with coefficients 1/i!. What it leaves out is about
/// r^8/8! ≤ 0.3466^8 / 40320 = 5.2e-9 of a value ≥ 0.7071: 0.06 of a unit in the last place
/// (2^-23).
///
/// n·ln 2 is taken off in two parts: kHigh is ln 2 with 9 significant bits (0x1.63p-1), so that
/// n·kHigh is exact for |n| ≤ 2^15 with or without fma, and kLow is the rest of ln 2.
///
/// Ends: exp(−104) < 2^-150 rounds to 0 and exp(89) > 2^128 to infinity; beyond them x is clamped.
/// 2^n is applied as 2^a · 2^b with a + b = n, since for n in [−150, 128] one factor might not be
/// a normal number. min and max return their second operand if one is NaN: NaN stays.
inline __m256 exp_lanes(__m256 x) {
  const __m256 kHigh = _mm256_set1_ps(0x1.63p-1f);         // 355/512
  const __m256 kLow = _mm256_set1_ps(-0x1.bd0106p-13f);    // ln 2 − 355/512 = −2.12194440e-4
  const __m256 kInverse = _mm256_set1_ps(0x1.715476p+0f);  // 1 / ln 2
  x = _mm256_max_ps(_mm256_set1_ps(-104.0f), x);
  x = _mm256_min_ps(_mm256_set1_ps(89.0f), x);
  const __m256 n =
      _mm256_round_ps(_mm256_mul_ps(x, kInverse), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m256 r = _mm256_fnmadd_ps(n, kHigh, x);
  r = _mm256_fnmadd_ps(n, kLow, r);
  __m256 p = _mm256_set1_ps(1.0f / 5040);
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 720));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 120));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 24));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 6));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
  const __m256i whole = _mm256_cvtps_epi32(n);
  const __m256i a = _mm256_srai_epi32(whole, 1), b = _mm256_sub_epi32(whole, a);
  const auto power = [](__m256i e) {  // 2^e through the exponent field
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(e, _mm256_set1_epi32(127)), 23));
  };
  return _mm256_mul_ps(_mm256_mul_ps(p, power(a)), power(b));
}

/// 2^x for x ≤ 1, as attention's weights want it: 2^n · 2^r with n = round(x) and |r| ≤ 1/2. 2^r is
/// its Taylor polynomial of degree 6 with coefficients (ln 2)^i / i!; what that leaves out is about
/// (ln 2 / 2)^7 / 7! = 1.2e-7, less than two units in the last place of a value ≥ 0.7071. Below
/// −126.5 the result is 0: n is clamped to −127, whose exponent field is 0.
/// max returns its second operand if one is NaN: NaN stays.
inline __m256 exp2_lanes(__m256 x) {
  x = _mm256_max_ps(_mm256_set1_ps(-127.0f), x);
  const __m256 n = _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m256 r = _mm256_sub_ps(x, n);
  __m256 p = _mm256_set1_ps(0x1.430912p-13f);
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.5d87fep-10f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.3b2ab6p-7f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.c6b08ep-5f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.ebfbep-3f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.62e43p-1f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
  const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
}

}  // namespace
}  // namespace cria::cpu
