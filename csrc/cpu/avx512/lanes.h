// F3, avx512. A vector of 16 rows, half a panel, as cpu/panel_product.h wants it.
#pragma once

#include <dot.h>

#include "quant/dtype.h"

namespace cria::cpu {
namespace {

struct Lanes {
  static constexpr int kCount = 16;
  static constexpr int kTileColumns = 6;  // the register tile, drawn in cpu/panel_product.h
  static constexpr int kPassColumns = 4;  // 2 vectors: 8 integer and 8 float sums, 16 of quads
  static constexpr int kDirectColumns = 12;
  static constexpr int kFloatColumns = 8;  // 16 sums, 2 of weights, 1 of activations
  using Ints = __m512i;
  using Floats = __m512;

  static Ints load(const std::byte* p) { return _mm512_loadu_si512(p); }
  static Ints bytes(uint8_t b) { return _mm512_set1_epi8(static_cast<char>(b)); }
  static Ints words(int32_t w) { return _mm512_set1_epi32(w); }
  static Ints no_ints() { return _mm512_setzero_si512(); }
  static Ints both(Ints a, Ints b) { return _mm512_and_si512(a, b); }
  static Ints either(Ints a, Ints b) { return _mm512_or_si512(a, b); }
  /// a | (b & mask)
  static Ints merge(Ints a, Ints b, Ints mask) {
    return _mm512_ternarylogic_epi32(a, b, mask, 0xf8);
  }
  template <int kBits>
  static Ints shift_right(Ints v) {
    return _mm512_srli_epi16(v, kBits);
  }
  template <int kBits>
  static Ints shift_left(Ints v) {
    return _mm512_slli_epi16(v, kBits);
  }
  static Ints shift_right_words(Ints v, int bits) {
    return _mm512_srli_epi32(v, static_cast<unsigned>(bits));
  }
  static Ints shift_left_words(Ints v, int bits) {
    return _mm512_slli_epi32(v, static_cast<unsigned>(bits));
  }
  static Ints table(const uint8_t* values) { return _mm512_broadcast_i32x4(load128(values)); }
  static Ints lookup(Ints values, Ints codes) { return _mm512_shuffle_epi8(values, codes); }
  static Ints widen_unsigned(const std::byte* p) { return _mm512_cvtepu8_epi32(load128(p)); }
  static Ints widen_signed(const std::byte* p) { return _mm512_cvtepi8_epi32(load128(p)); }

  /// Four bytes at p in every lane.
  static Ints quad(const std::byte* p) {
    int32_t word;
    std::memcpy(&word, p, sizeof word);
    return _mm512_set1_epi32(word);
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

  static Floats zeros() { return _mm512_setzero_ps(); }
  static Floats broadcast(const std::byte* p) { return _mm512_castsi512_ps(quad(p)); }
  static Floats load_floats(const float* p) { return _mm512_loadu_ps(p); }
  static void store_floats(float* p, Floats v) { _mm512_storeu_ps(p, v); }
  static Floats halves(const std::byte* p) { return _mm512_cvtph_ps(load256(p)); }
  /// 16 weights of a float type.
  template <DType kType>
  static Floats weights(const std::byte* p) {
    if constexpr (kType == DType::kF32) {
      return _mm512_loadu_ps(p);
    } else if constexpr (kType == DType::kF16) {
      return halves(p);
    } else {  // BF16: the upper half of an f32
      return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load256(p)), 16));
    }
  }
  static Floats to_floats(Ints v) { return _mm512_cvtepi32_ps(v); }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats fnma(Floats a, Floats b, Floats c) { return _mm512_fnmadd_ps(a, b, c); }
};

}  // namespace
}  // namespace cria::cpu
