// F3, avx2. Products with unquantized weights: f32 sums over rows of any length.
#pragma once

#include "cpu/tiles.h"
#include "simd.h"

namespace cria::cpu {
namespace {

struct F32 {
  static constexpr int kBytes = 4;
  static __m256 load(const std::byte* p) {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(p));
  }
};

struct F16 {
  static constexpr int kBytes = 2;
  static __m256 load(const std::byte* p) { return _mm256_cvtph_ps(load128(p)); }
};

struct BF16 {
  static constexpr int kBytes = 2;
  static __m256 load(const std::byte* p) {  // the upper half of an f32
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load128(p)), 16));
  }
};

/// The first n < 8 weights at p and nothing beyond; the other lanes are 0.
template <class Format>
__m256 load_weights_first(const std::byte* p, int64_t n) {
  alignas(32) std::byte padded[kLanes * Format::kBytes] = {};
  std::memcpy(padded, p, static_cast<size_t>(n * Format::kBytes));
  return Format::load(padded);
}

/// Lane i of the even (odd) vectors along K goes to lane i of the first (second) accumulator: two
/// chains, so that one token's products do not wait for each other.
template <class Format>
struct FloatTile {
  template <int kColumns>
  static void run(const MatmulArgs& a, const std::byte* row, const std::byte* first, float* out) {
    const float* x[kColumns];
    __m256 even[kColumns], odd[kColumns];
    for (int c = 0; c < kColumns; ++c) {
      x[c] = reinterpret_cast<const float*>(first + c * a.x_stride);
      even[c] = odd[c] = _mm256_setzero_ps();
    }
    int64_t k = 0;
    for (; k + 2 * kLanes <= a.cols; k += 2 * kLanes) {
      const __m256 w0 = Format::load(row + k * Format::kBytes);
      const __m256 w1 = Format::load(row + (k + kLanes) * Format::kBytes);
      for (int c = 0; c < kColumns; ++c) {
        even[c] = _mm256_fmadd_ps(w0, _mm256_loadu_ps(x[c] + k), even[c]);
        odd[c] = _mm256_fmadd_ps(w1, _mm256_loadu_ps(x[c] + k + kLanes), odd[c]);
      }
    }
    if (k + kLanes <= a.cols) {
      const __m256 w = Format::load(row + k * Format::kBytes);
      for (int c = 0; c < kColumns; ++c)
        even[c] = _mm256_fmadd_ps(w, _mm256_loadu_ps(x[c] + k), even[c]);
      k += kLanes;
    }
    if (const int64_t n = a.cols - k; n > 0) {
      const __m256 w = load_weights_first<Format>(row + k * Format::kBytes, n);
      for (int c = 0; c < kColumns; ++c)
        odd[c] = _mm256_fmadd_ps(w, load_first(x[c] + k, n), odd[c]);
    }
    for (int c = 0; c < kColumns; ++c)
      out[c * a.out_stride] = sum_lanes(_mm256_add_ps(even[c], odd[c]));
  }
};

}  // namespace
}  // namespace cria::cpu
