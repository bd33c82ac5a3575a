// F3, avx2. A vector of 8 rows, a quarter of a panel, as cpu/panel_product.h wants it.
#pragma once

#include <dot.h>

#include "quant/dtype.h"

namespace cria::cpu {
namespace {

struct Lanes {
  static constexpr int kCount = 8;
  // 2 vectors × 3 columns: 6 integer and 6 float sums, 2 of weights, 1 of activations, 1 for
  // products: 16 registers.
  static constexpr int kTileColumns = 3;
  static constexpr int kPassColumns = 2;  // 4 integer and 4 float sums
  static constexpr int kDirectColumns = 4;
  static constexpr int kFloatColumns = 6;  // 12 sums, 2 of weights, 1 of activations
  using Ints = __m256i;
  using Floats = __m256;

  static Ints load(const std::byte* p) { return load256(p); }
  static Ints bytes(uint8_t b) { return _mm256_set1_epi8(static_cast<char>(b)); }
  static Ints words(int32_t w) { return _mm256_set1_epi32(w); }
  static Ints no_ints() { return _mm256_setzero_si256(); }
  static Ints both(Ints a, Ints b) { return _mm256_and_si256(a, b); }
  static Ints either(Ints a, Ints b) { return _mm256_or_si256(a, b); }
  /// a | (b & mask)
  static Ints merge(Ints a, Ints b, Ints mask) { return either(a, both(b, mask)); }
  template <int kBits>
  static Ints shift_right(Ints v) {
    return _mm256_srli_epi16(v, kBits);
  }
  template <int kBits>
  static Ints shift_left(Ints v) {
    return _mm256_slli_epi16(v, kBits);
  }
  static Ints shift_right_words(Ints v, int bits) { return _mm256_srli_epi32(v, bits); }
  static Ints shift_left_words(Ints v, int bits) { return _mm256_slli_epi32(v, bits); }
  static Ints table(const uint8_t* values) { return _mm256_broadcastsi128_si256(load128(values)); }
  static Ints lookup(Ints values, Ints codes) { return _mm256_shuffle_epi8(values, codes); }
  static Ints widen_unsigned(const std::byte* p) { return _mm256_cvtepu8_epi32(load64(p)); }
  static Ints widen_signed(const std::byte* p) { return _mm256_cvtepi8_epi32(load64(p)); }

  /// Four bytes at p in every lane.
  static Ints quad(const std::byte* p) {
    int32_t word;
    std::memcpy(&word, p, sizeof word);
    return _mm256_set1_epi32(word);
  }
  template <int kZero>
  static Ints start(const std::byte* zeros) {
    return start_sum<kZero>(quad(zeros));
  }
  template <int kZero>
  static Ints dot(Ints sum, Ints w, Ints a) {
    return add_quad_products<kZero>(sum, w, a);
  }
  static Ints dot_pairs(Ints sum, Ints w, Ints a) { return add_pair_products(sum, w, a); }

  static Floats zeros() { return _mm256_setzero_ps(); }
  static Floats broadcast(const std::byte* p) { return _mm256_castsi256_ps(quad(p)); }
  static Floats load_floats(const float* p) { return _mm256_loadu_ps(p); }
  static void store_floats(float* p, Floats v) { _mm256_storeu_ps(p, v); }
  static Floats halves(const std::byte* p) { return _mm256_cvtph_ps(load128(p)); }
  /// 8 weights of a float type.
  template <DType kType>
  static Floats weights(const std::byte* p) {
    if constexpr (kType == DType::kF32) {
      return _mm256_castsi256_ps(load256(p));
    } else if constexpr (kType == DType::kF16) {
      return halves(p);
    } else {  // BF16: the upper half of an f32
      return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load128(p)), 16));
    }
  }
  static Floats to_floats(Ints v) { return _mm256_cvtepi32_ps(v); }
  static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static Floats fnma(Floats a, Floats b, Floats c) { return _mm256_fnmadd_ps(a, b, c); }
};

}  // namespace
}  // namespace cria::cpu
