// F3, avx512. Products with weights in blocks of 32 and activations in the form kQ8_32.
//
//   out = Σ_blocks d·dx · Σ_i w_i·a_i  (+ Σ_blocks m · sum_x)
//
// The inner sum is exact in integers. A register holds two blocks, the first in its low half: 8
// lanes of 4 products each. If the number of blocks is odd, the last is paired with itself, with
// activations and scales of 0. A format gives
//   Block, with its scale d (and minimum m)
//   kSigned            whether weights() are signed (else at most 31)
//   kMinimum           whether there is an m
//   weights(b0, b1)    the 64 weights of two blocks as bytes, in order
#pragma once

#include <dot.h>

#include "cpu/activations.h"
#include "cpu/tiles.h"

namespace cria::cpu {
namespace {

/// Two f16 as floats in lanes 0 and 1; the other lanes are 0.
inline __m128 two_scales(uint16_t first, uint16_t second) {
  return _mm_cvtph_ps(_mm_cvtsi32_si128(static_cast<int>(first | uint32_t{second} << 16)));
}

/// The first two floats, or the first alone, at p; the other lanes are 0.
template <bool kPair>
__m128 load_two(const float* p) {
  if constexpr (kPair)
    return _mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  return _mm_load_ss(p);
}

/// Lane 0 of v in the lower 8 lanes, lane 1 in the upper 8.
inline __m512 spread_two(__m128 v) {
  const __m512i lane = _mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  return _mm512_permutexvar_ps(lane, _mm512_castps128_ps512(v));
}

template <class Format>
struct BlockTile {
  using Block = typename Format::Block;

  template <int kColumns>
  struct State {
    Q8Read32 x[kColumns];
    __m512 sums[kColumns];
    __m128 minimums[kColumns];  // lanes 0 and 1
  };

  /// Blocks b and b + 1, or b alone.
  template <bool kPair, int kColumns>
  static void step(State<kColumns>& s, const Block* blocks, int64_t b) {
    const Block& b0 = blocks[b];
    const Block& b1 = blocks[kPair ? b + 1 : b];
    const __m512i w = Format::weights(b0, b1);
    const __m128 d = two_scales(b0.d, kPair ? b1.d : uint16_t{0});
    for (int c = 0; c < kColumns; ++c) {
      const int8_t* codes = s.x[c].codes + 32 * b;
      const __m512i a = kPair ? load512(codes) : _mm512_zextsi256_si512(load256(codes));
      const __m512 dots = _mm512_cvtepi32_ps(quad_products<Format::kSigned>(w, a));
      const __m128 scale = _mm_mul_ps(d, load_two<kPair>(s.x[c].scales + b));
      s.sums[c] = _mm512_fmadd_ps(dots, spread_two(scale), s.sums[c]);
      if constexpr (Format::kMinimum) {
        const __m128 m = two_scales(b0.m, kPair ? b1.m : uint16_t{0});
        s.minimums[c] = _mm_fmadd_ps(m, load_two<kPair>(s.x[c].sums + b), s.minimums[c]);
      }
    }
  }

  template <int kColumns>
  static void run(const MatmulArgs& a, const std::byte* row, const std::byte* first, float* out) {
    const auto* blocks = reinterpret_cast<const Block*>(row);
    State<kColumns> s;
    for (int c = 0; c < kColumns; ++c) {
      s.x[c] = Q8Read32(first + c * a.x_stride, a.cols);
      s.sums[c] = _mm512_setzero_ps();
      s.minimums[c] = _mm_setzero_ps();
    }
    const int64_t n = a.cols / 32;
    for (int64_t b = 0; b + 2 <= n; b += 2) step<true>(s, blocks, b);
    if (n % 2 != 0) step<false>(s, blocks, n - 1);
    for (int c = 0; c < kColumns; ++c) {
      const __m128 m = s.minimums[c];
      const float minimum = _mm_cvtss_f32(_mm_add_ss(m, _mm_movehdup_ps(m)));
      out[c * a.out_stride] = _mm512_reduce_add_ps(s.sums[c]) + minimum;
    }
  }
};

}  // namespace
}  // namespace cria::cpu
