// F3, avx512. Products with weights in super-blocks of 256 and activations in the form kQ8_256.
//
//   out = Σ_blocks dx · (d · Σ_j s_j · Σ_i w_i·a_i  −  dmin · Σ_j m_j · Σ_i a_i)
//
// over sub-blocks j of 16 weights i. All sums of a super-block are exact in int32: at most
// 256·32·127·128 = 1.3e8 (Q6_K). The minimums need only Σ_i a_i, which the activations bring along.
// avx2/scales.h gives s_j and m_j; a format gives
//   Block, with its scale d (and dmin)
//   kSigned            whether weights() are signed (else at most 31)
//   kMinimums          whether there are minimums
//   weights(block, j)  weights 64j … 64j+63 as bytes, in order
#pragma once

#include <dot.h>

#include "cpu/activations.h"
#include "cpu/avx2/scales.h"
#include "cpu/tiles.h"

namespace cria::cpu {
namespace {

/// Scales 4j … 4j+3 of 16, each 8 times: one for each pair of products of 64 weights.
inline __m512i spread_scales(__m256i scales, int j) {
  const __m512i which = _mm512_set_epi64(0x0003000300030003, 0x0003000300030003,  //
                                         0x0002000200020002, 0x0002000200020002,  //
                                         0x0001000100010001, 0x0001000100010001, 0, 0);
  const __m512i lane = _mm512_add_epi16(which, _mm512_set1_epi16(static_cast<int16_t>(4 * j)));
  return _mm512_permutexvar_epi16(lane, _mm512_castsi256_si512(scales));
}

template <class Format>
struct SuperTile {
  template <int kColumns>
  static void run(const MatmulArgs& a, const std::byte* row, const std::byte* first, float* out) {
    const auto* blocks = reinterpret_cast<const typename Format::Block*>(row);
    Q8Read256 x[kColumns];
    __m512 sums[kColumns];
    for (int c = 0; c < kColumns; ++c) {
      x[c] = Q8Read256(first + c * a.x_stride, a.cols);
      sums[c] = _mm512_setzero_ps();
    }
    for (int64_t b = 0; b < a.cols / 256; ++b) {
      const auto& block = blocks[b];
      const __m256i block_scales = scales(block);
      __m512i dots[kColumns];
      for (int c = 0; c < kColumns; ++c) dots[c] = _mm512_setzero_si512();
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const __m512i w = Format::weights(block, j);
        const __m512i scale = spread_scales(block_scales, j);
        for (int c = 0; c < kColumns; ++c) {
          const __m512i codes = load512(x[c].codes + 256 * b + 64 * j);
          dots[c] = add_scaled_products<Format::kSigned>(dots[c], w, codes, scale);
        }
      }
      const float d = f16_scale(block.d);
      for (int c = 0; c < kColumns; ++c) {
        const __m256i code_sums = load256(x[c].sums + 16 * b);
        const float dx = x[c].scales[b];
        sums[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[c]), _mm512_set1_ps(d * dx), sums[c]);
        if constexpr (Format::kMinimums) {
          const __m256i low = _mm256_madd_epi16(minimums(block), code_sums);
          const __m512 scale = _mm512_set1_ps(f16_scale(block.dmin) * dx);
          const __m512 lanes = _mm512_cvtepi32_ps(_mm512_zextsi256_si512(low));
          sums[c] = _mm512_fnmadd_ps(lanes, scale, sums[c]);
        }
      }
    }
    for (int c = 0; c < kColumns; ++c) out[c * a.out_stride] = _mm512_reduce_add_ps(sums[c]);
  }
};

}  // namespace
}  // namespace cria::cpu
