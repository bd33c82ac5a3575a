// F3, avx2. Products with weights in blocks of 32 and activations in the form kQ8_32.
//
//   out = Σ_blocks d·dx · Σ_i w_i·a_i  (+ Σ_blocks m · sum_x)
//
// The inner sum is exact in integers: 8 lanes of 4 products each. A format gives
//   Block, with its scale d (and minimum m)
//   kSigned            whether weights() are signed (else at most 31)
//   kMinimum           whether there is an m
//   weights(block)     the 32 weights as bytes, in order
#pragma once

#include <dot.h>

#include "cpu/activations.h"
#include "cpu/tiles.h"

namespace cria::cpu {
namespace {

template <class Format>
struct BlockTile {
  template <int kColumns>
  static void run(const MatmulArgs& a, const std::byte* row, const std::byte* first, float* out) {
    const auto* blocks = reinterpret_cast<const typename Format::Block*>(row);
    Q8Read32 x[kColumns];
    __m256 sums[kColumns];
    __m128 minimums[kColumns];  // lane 0
    for (int c = 0; c < kColumns; ++c) {
      x[c] = Q8Read32(first + c * a.x_stride, a.cols);
      sums[c] = _mm256_setzero_ps();
      minimums[c] = _mm_setzero_ps();
    }
    for (int64_t b = 0; b < a.cols / 32; ++b) {
      const __m256i w = Format::weights(blocks[b]);
      const float d = f16_scale(blocks[b].d);
      for (int c = 0; c < kColumns; ++c) {
        const __m256i dots = quad_products<Format::kSigned>(w, load256(x[c].codes + 32 * b));
        const __m256 scale = _mm256_set1_ps(d * x[c].scales[b]);
        sums[c] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots), scale, sums[c]);
        if constexpr (Format::kMinimum) {
          const __m128 m = _mm_set_ss(f16_scale(blocks[b].m));
          minimums[c] = _mm_fmadd_ss(m, _mm_load_ss(x[c].sums + b), minimums[c]);
        }
      }
    }
    for (int c = 0; c < kColumns; ++c)
      out[c * a.out_stride] = sum_lanes(sums[c]) + _mm_cvtss_f32(minimums[c]);
  }
};

/// 16 bytes of two codes each, the low nibbles the first 16 weights, as 32 bytes 0 … 15.
inline __m256i nibbles(const uint8_t qs[16]) {
  const __m128i low = load128(qs);
  const __m256i both = _mm256_set_m128i(_mm_srli_epi16(low, 4), low);
  return _mm256_and_si256(both, _mm256_set1_epi8(15));
}

}  // namespace
}  // namespace cria::cpu
