// F3, avx2. Small pieces: masks for the last few elements of a row, sums over lanes.
#pragma once

#include "cpu/avx2/loads.h"

namespace cria::cpu {
namespace {

constexpr int kLanes = 8;  // floats in a vector

/// All bits set in the first n of 8 lanes; 0 ≤ n ≤ 8.
inline __m256i first_lanes(int64_t n) {
  alignas(64) static constexpr int32_t kOnesThenZeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kOnesThenZeros + 8 - n));
}

/// Loads the first n ≤ 8 floats at p and nothing beyond; the other lanes are 0.
inline __m256 load_first(const float* p, int64_t n) {
  return n >= kLanes ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, first_lanes(n));
}

/// Stores the first n ≤ 8 lanes.
inline void store_first(float* p, __m256 v, int64_t n) {
  if (n >= kLanes) {
    _mm256_storeu_ps(p, v);
  } else {
    _mm256_maskstore_ps(p, first_lanes(n), v);
  }
}

/// Makes signed weights unsigned and moves their signs to the activations: w·a = |w| · (±a), so
/// that instructions for unsigned × signed bytes apply. a is in [−127, 127].
inline void move_signs(__m256i& w, __m256i& a) {
  a = _mm256_sign_epi8(a, w);
  w = _mm256_abs_epi8(w);
}

/// The sum of 8 lanes, always in the order ((0+4)+(2+6)) + ((1+5)+(3+7)).
inline float sum_lanes(__m256 v) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  s = _mm_add_ss(s, _mm_movehdup_ps(s));
  return _mm_cvtss_f32(s);
}

inline float largest_lane(__m256 v) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  s = _mm_max_ss(s, _mm_movehdup_ps(s));
  return _mm_cvtss_f32(s);
}

}  // namespace
}  // namespace cria::cpu
