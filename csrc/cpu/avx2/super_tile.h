// F3, avx2. Products with weights in super-blocks of 256 and activations in the form kQ8_256.
//
//   out = Σ_blocks dx · (d · Σ_j s_j · Σ_i w_i·a_i  −  dmin · Σ_j m_j · Σ_i a_i)
//
// over sub-blocks j of 16 weights i. All sums of a super-block are exact in int32: at most
// 256·32·127·128 = 1.3e8 (Q6_K). The minimums need only Σ_i a_i, which the activations bring along.
// avx2/scales.h gives s_j and m_j; a format gives
//   Block, with its scale d (and dmin)
//   kSigned            whether weights() are signed (else at most 31)
//   kMinimums          whether there are minimums
//   weights(block, j)  weights 32j … 32j+31 as bytes, in order
#pragma once

#include <dot.h>

#include "cpu/activations.h"
#include "cpu/avx2/scales.h"
#include "cpu/tiles.h"

namespace cria::cpu {
namespace {

/// Two neighbouring int16 as [low × 8 │ high × 8].
inline __m256i spread_pair(int32_t pair) {
  const __m256i which = _mm256_set_epi64x(0x0302030203020302, 0x0302030203020302,
                                          0x0100010001000100, 0x0100010001000100);
  return _mm256_shuffle_epi8(_mm256_set1_epi32(pair), which);
}

template <class Format>
struct SuperTile {
  template <int kColumns>
  static void run(const MatmulArgs& a, const std::byte* row, const std::byte* first, float* out) {
    const auto* blocks = reinterpret_cast<const typename Format::Block*>(row);
    Q8Read256 x[kColumns];
    __m256 sums[kColumns];
    for (int c = 0; c < kColumns; ++c) {
      x[c] = Q8Read256(first + c * a.x_stride, a.cols);
      sums[c] = _mm256_setzero_ps();
    }
    for (int64_t b = 0; b < a.cols / 256; ++b) {
      const auto& block = blocks[b];
      const __m256i block_scales = scales(block);
      alignas(32) int32_t pairs[8];  // of scales
      _mm256_store_si256(reinterpret_cast<__m256i*>(pairs), block_scales);
      __m256i dots[kColumns];
      for (int c = 0; c < kColumns; ++c) dots[c] = _mm256_setzero_si256();
#pragma GCC unroll 8
      for (int j = 0; j < 8; ++j) {
        const __m256i w = Format::weights(block, j);
        const __m256i scale = spread_pair(pairs[j]);
        for (int c = 0; c < kColumns; ++c) {
          const __m256i codes = load256(x[c].codes + 256 * b + 32 * j);
          dots[c] = add_scaled_products<Format::kSigned>(dots[c], w, codes, scale);
        }
      }
      const float d = f16_scale(block.d);
      for (int c = 0; c < kColumns; ++c) {
        const __m256i code_sums = load256(x[c].sums + 16 * b);
        const float dx = x[c].scales[b];
        sums[c] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[c]), _mm256_set1_ps(d * dx), sums[c]);
        if constexpr (Format::kMinimums) {
          const __m256i low = _mm256_madd_epi16(minimums(block), code_sums);
          const __m256 scale = _mm256_set1_ps(f16_scale(block.dmin) * dx);
          sums[c] = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(low), scale, sums[c]);
        }
      }
    }
    for (int c = 0; c < kColumns; ++c) out[c * a.out_stride] = sum_lanes(sums[c]);
  }
};

}  // namespace
}  // namespace cria::cpu
