// F3, avx2. The scales and minimums of super-blocks as 16 × int16, one for each 16 weights, in
// order. avx512 shares this header: it includes AVX2, and 16 numbers fill no wider register.
// Layouts: quant/blocks.h.
#pragma once

#include "cpu/avx2/loads.h"
#include "quant/blocks.h"

namespace cria::cpu {
namespace {

/// Eight int32 in [−2^15, 2^16), each twice as int16: scales of 32 weights as scales of 16.
inline __m256i twice(__m256i v) {
  return _mm256_blend_epi16(v, _mm256_slli_epi32(v, 16), 0xaa);
}

/// Eight bytes, each twice as int16.
inline __m256i bytes_twice(uint32_t low, uint32_t high) {
  const __m128i bytes = _mm_set_epi32(0, 0, static_cast<int>(high), static_cast<int>(low));
  return twice(_mm256_cvtepu8_epi32(bytes));
}

inline __m256i scales(const BlockQ2_K& block) {  // the low nibbles
  return _mm256_cvtepu8_epi16(_mm_and_si128(load128(block.scales), _mm_set1_epi8(15)));
}
inline __m256i minimums(const BlockQ2_K& block) {  // the high nibbles
  const __m128i high = _mm_srli_epi16(load128(block.scales), 4);
  return _mm256_cvtepu8_epi16(_mm_and_si128(high, _mm_set1_epi8(15)));
}

/// Four scales to a word, as they lie in the 12 bytes; then 32 off each.
inline __m256i scales(const BlockQ3_K& block) {
  const uint32_t low0 = load32(block.scales), low1 = load32(block.scales + 4);
  const uint32_t high = load32(block.scales + 8);
  const auto join = [](uint32_t low, uint32_t two) {
    return static_cast<int>((low & 0x0f0f0f0fu) | (two & 0x03030303u) << 4);
  };
  const __m128i codes = _mm_set_epi32(join(low1 >> 4, high >> 6), join(low0 >> 4, high >> 4),
                                      join(low1, high >> 2), join(low0, high));
  return _mm256_cvtepi8_epi16(_mm_sub_epi8(codes, _mm_set1_epi8(32)));
}

/// The 6-bit scales of Q4_K and Q5_K, four to a word: 0 … 3 in the low six bits of the first word,
/// 4 … 7 with four bits in the low nibbles of the third and two in the high bits of the first.
inline __m256i scales_k4(const uint8_t bytes[12]) {
  const uint32_t first = load32(bytes), third = load32(bytes + 8);
  return bytes_twice(first & 0x3f3f3f3fu, (third & 0x0f0f0f0fu) | (first >> 2 & 0x30303030u));
}
/// The 6-bit minimums: likewise, in the second word and the high nibbles of the third.
inline __m256i minimums_k4(const uint8_t bytes[12]) {
  const uint32_t second = load32(bytes + 4), third = load32(bytes + 8);
  return bytes_twice(second & 0x3f3f3f3fu,
                     (third >> 4 & 0x0f0f0f0fu) | (second >> 2 & 0x30303030u));
}
inline __m256i scales(const BlockQ4_K& block) {
  return scales_k4(block.scales);
}
inline __m256i minimums(const BlockQ4_K& block) {
  return minimums_k4(block.scales);
}
inline __m256i scales(const BlockQ5_K& block) {
  return scales_k4(block.scales);
}
inline __m256i minimums(const BlockQ5_K& block) {
  return minimums_k4(block.scales);
}

inline __m256i scales(const BlockQ6_K& block) {
  return _mm256_cvtepi8_epi16(load128(block.scales));
}

/// Scale j is nibble j of scales_l and pair of bits j of scales_h, less 32.
inline __m256i scales(const BlockIQ4_XS& block) {
  const __m256i nibbles = _mm256_set1_epi32(static_cast<int>(load32(block.scales_l)));
  const __m256i pairs = _mm256_set1_epi32(block.scales_h);
  const __m256i low =
      _mm256_and_si256(_mm256_srlv_epi32(nibbles, _mm256_set_epi32(28, 24, 20, 16, 12, 8, 4, 0)),
                       _mm256_set1_epi32(15));
  const __m256i high = _mm256_and_si256(
      _mm256_srlv_epi32(pairs, _mm256_set_epi32(14, 12, 10, 8, 6, 4, 2, 0)), _mm256_set1_epi32(3));
  const __m256i code = _mm256_or_si256(low, _mm256_slli_epi32(high, 4));
  return twice(_mm256_sub_epi32(code, _mm256_set1_epi32(32)));
}

}  // namespace
}  // namespace cria::cpu
