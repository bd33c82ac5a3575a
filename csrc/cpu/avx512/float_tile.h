// F3, avx512. Products with unquantized weights: f32 sums over rows of any length.
#pragma once

#include "cpu/tiles.h"
#include "simd.h"

namespace cria::cpu {
namespace {

// load(p, n): the first n weights at p and nothing beyond; the other lanes are 0.

struct F32 {
  static constexpr int kBytes = 4;
  static __m512 load(const std::byte* p, int64_t n) {
    return load_first(reinterpret_cast<const float*>(p), n);
  }
};

struct F16 {
  static constexpr int kBytes = 2;
  static __m512 load(const std::byte* p, int64_t n) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(n), p));
  }
};

struct BF16 {
  static constexpr int kBytes = 2;
  static __m512 load(const std::byte* p, int64_t n) {  // the upper half of an f32
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first_lanes(n), p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
  }
};

/// Lane i of the even (odd) vectors along K goes to lane i of the first (second) accumulator: two
/// chains, so that one token's products do not wait for each other.
template <class Format>
struct FloatTile {
  template <int kColumns>
  static void run(const MatmulArgs& a, const std::byte* row, const std::byte* first, float* out) {
    const float* x[kColumns];
    __m512 even[kColumns], odd[kColumns];
    for (int c = 0; c < kColumns; ++c) {
      x[c] = reinterpret_cast<const float*>(first + c * a.x_stride);
      even[c] = odd[c] = _mm512_setzero_ps();
    }
    int64_t k = 0;
    for (; k + 2 * kLanes <= a.cols; k += 2 * kLanes) {
      const __m512 w0 = Format::load(row + k * Format::kBytes, kLanes);
      const __m512 w1 = Format::load(row + (k + kLanes) * Format::kBytes, kLanes);
      for (int c = 0; c < kColumns; ++c) {
        even[c] = _mm512_fmadd_ps(w0, _mm512_loadu_ps(x[c] + k), even[c]);
        odd[c] = _mm512_fmadd_ps(w1, _mm512_loadu_ps(x[c] + k + kLanes), odd[c]);
      }
    }
    for (; k < a.cols; k += kLanes) {  // at most twice
      const __m512 w = Format::load(row + k * Format::kBytes, a.cols - k);
      for (int c = 0; c < kColumns; ++c)
        even[c] = _mm512_fmadd_ps(w, load_first(x[c] + k, a.cols - k), even[c]);
    }
    for (int c = 0; c < kColumns; ++c)
      out[c * a.out_stride] = _mm512_reduce_add_ps(_mm512_add_ps(even[c], odd[c]));
  }
};

}  // namespace
}  // namespace cria::cpu
