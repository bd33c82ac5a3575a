// F3, avx512. Small pieces: masks for the last few elements of a row, |w| · ±a for signed bytes,
// nibbles.
#pragma once

#include "cpu/avx2/loads.h"

namespace cria::cpu {
namespace {

constexpr int kLanes = 16;  // floats in a vector

inline __m512i load512(const void* p) {
  return _mm512_loadu_si512(p);
}

/// The first n lanes; all for n ≥ 16, none for n ≤ 0.
inline __mmask16 first_lanes(int64_t n) {
  if (n >= kLanes) return 0xffff;
  return n <= 0 ? __mmask16{0} : static_cast<__mmask16>((1u << n) - 1);
}

/// Loads the first n floats at p and nothing beyond; the other lanes are 0.
inline __m512 load_first(const float* p, int64_t n) {
  return _mm512_maskz_loadu_ps(first_lanes(n), p);
}

/// Stores the first n lanes.
inline void store_first(float* p, __m512 v, int64_t n) {
  _mm512_mask_storeu_ps(p, first_lanes(n), v);
}

/// Makes signed weights unsigned and moves their signs to the activations: w·a = |w| · (±a), so
/// that instructions for unsigned × signed bytes apply. a is in [−127, 127].
inline void move_signs(__m512i& w, __m512i& a) {
  a = _mm512_mask_sub_epi8(a, _mm512_movepi8_mask(w), _mm512_setzero_si512(), a);
  w = _mm512_abs_epi8(w);
}

/// Two stretches of 16 bytes with two codes each, as 64 bytes 0 … 15 in the order of two blocks of
/// 32 weights: low nibbles of q0, its high nibbles, low nibbles of q1, its high nibbles.
inline __m512i nibbles(const uint8_t* q0, const uint8_t* q1) {
  const __m512i both =
      _mm512_mask_broadcast_i32x4(_mm512_broadcast_i32x4(load128(q0)), 0xff00, load128(q1));
  const __m512i shifted = _mm512_srlv_epi64(both, _mm512_set_epi64(4, 4, 0, 0, 4, 4, 0, 0));
  return _mm512_and_si512(shifted, _mm512_set1_epi8(15));
}

/// 32 bytes twice, the first copy shifted right by `low` bits and the second by `high`. Bits cross
/// bytes: mask them off.
inline __m512i shifted_twice(const uint8_t* bytes, int low, int high) {
  return _mm512_srlv_epi64(_mm512_broadcast_i64x4(load256(bytes)),
                           _mm512_set_epi64(high, high, high, high, low, low, low, low));
}

}  // namespace
}  // namespace cria::cpu
