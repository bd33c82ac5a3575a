// F3, avx512. exp(x) of 16 lanes, to within 2 units in the last place.
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
/// n·ln 2 is taken off in two parts: kHigh is ln 2 to 9 significant bits, so that n·kHigh is exact,
/// and kLow the rest of ln 2.
///
/// Ends: exp(−104) < 2^-150 rounds to 0 and exp(89) > 2^128 to infinity; beyond them x is clamped,
/// and scalef rounds p · 2^n once. min and max return their second operand if one is NaN: NaN
/// stays.
inline __m512 exp_lanes(__m512 x) {
  const __m512 kHigh = _mm512_set1_ps(0x1.63p-1f);         // 355/512
  const __m512 kLow = _mm512_set1_ps(-0x1.bd0106p-13f);    // ln 2 − 355/512 = −2.12194440e-4
  const __m512 kInverse = _mm512_set1_ps(0x1.715476p+0f);  // 1 / ln 2
  x = _mm512_max_ps(_mm512_set1_ps(-104.0f), x);
  x = _mm512_min_ps(_mm512_set1_ps(89.0f), x);
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, kInverse),
                                        _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m512 r = _mm512_fnmadd_ps(n, kHigh, x);
  r = _mm512_fnmadd_ps(n, kLow, r);
  __m512 p = _mm512_set1_ps(1.0f / 5040);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 720));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 120));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 24));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 6));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, n);
}

/// 2^x for x ≤ 1, as attention's weights want it: 2^n · 2^r with n = round(x) and |r| ≤ 1/2. 2^r is
/// its Taylor polynomial of degree 6 with coefficients (ln 2)^i / i!; what that leaves out is about
/// (ln 2 / 2)^7 / 7! = 1.2e-7, less than two units in the last place of a value ≥ 0.7071. Below
/// −151 the result rounds to 0.
/// max returns its second operand if one is NaN: NaN stays.
inline __m512 exp2_lanes(__m512 x) {
  x = _mm512_max_ps(_mm512_set1_ps(-151.0f), x);
  const __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 r = _mm512_sub_ps(x, n);
  __m512 p = _mm512_set1_ps(0x1.430912p-13f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.5d87fep-10f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.3b2ab6p-7f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.c6b08ep-5f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.ebfbep-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.62e43p-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, n);
}

}  // namespace
}  // namespace cria::cpu
