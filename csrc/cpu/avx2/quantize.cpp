// F3, avx2. Activations to 8 bits (layouts: cpu/activations.h), with the bits of the scalar table:
// the same multiplications and roundings, and maxima and integer sums, whose order is free.
#include "cpu/activations.h"
#include "cpu/table.h"
#include "simd.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

/// Lane by lane the larger of `most` and the bits of |x|, over 32 values.
__m256i largest_bits(const float* x, __m256i most) {
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  for (int i = 0; i < 32; i += 8)
    most = _mm256_max_epi32(most, _mm256_and_si256(load256(x + i), magnitude));
  return most;
}

uint32_t largest_lane_bits(__m256i v) {
  __m128i m = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));  // the other half
  m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1));  // the neighbour
  return static_cast<uint32_t>(_mm_cvtsi128_si32(m));
}

/// 32 values times `inverse` as bytes, to nearest, ties to even. The packs work in 128-bit halves:
/// of the words abcd efgh ijkl mnop they leave abij | efmn …, which one permutation puts in order.
__m256i codes(const float* x, float inverse) {
  // An inverse of 0 stands for codes of 0 even of what is not finite (0 · x would be NaN).
  if (inverse == 0) return _mm256_setzero_si256();
  const __m256 scale = _mm256_set1_ps(inverse);
  const auto words = [&](int i) {
    return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + i), scale));
  };
  const __m256i low = _mm256_packs_epi32(words(0), words(8));
  const __m256i high = _mm256_packs_epi32(words(16), words(24));
  return _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high),
                                     _mm256_set_epi32(7, 3, 6, 2, 5, 1, 4, 0));
}

/// Sums of bytes 0 … 15 in the low half of the result's lane 0, of 16 … 31 in lane 4.
__m256i half_sums(__m256i bytes) {
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);
  const __m256i quads = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
  const __m256i eights = _mm256_add_epi32(quads, _mm256_shuffle_epi32(quads, 0x4e));
  return _mm256_add_epi32(eights, _mm256_shuffle_epi32(eights, 0xb1));
}

void store_codes(int8_t* out, __m256i bytes) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), bytes);
}

}  // namespace

void quantize_q8_32(const float* x, int64_t cols, std::byte* out) {
  const Q8Write32 row(out, cols);
  for (int64_t g = 0; g < cols / 32; ++g) {
    const __m256i most = largest_bits(x + 32 * g, _mm256_setzero_si256());
    const GroupScale group = group_scale(largest_lane_bits(most));
    const __m256i bytes = codes(x + 32 * g, group.inverse);
    const __m256i sums = half_sums(bytes);
    const int sum = _mm256_extract_epi32(sums, 0) + _mm256_extract_epi32(sums, 4);
    store_codes(row.codes + 32 * g, bytes);
    row.set(g, group.scale, sum);
  }
}

void quantize_q8_256(const float* x, int64_t cols, std::byte* out) {
  const Q8Write256 row(out, cols);
  for (int64_t g = 0; g < cols / 256; ++g) {
    __m256i most = _mm256_setzero_si256();
    for (int64_t i = 256 * g; i < 256 * g + 256; i += 32) most = largest_bits(x + i, most);
    const GroupScale group = group_scale(largest_lane_bits(most));
    row.scales[g] = group.scale;
    for (int64_t i = 256 * g; i < 256 * g + 256; i += 32) {
      const __m256i bytes = codes(x + i, group.inverse);
      const __m256i sums = half_sums(bytes);
      store_codes(row.codes + i, bytes);
      row.set(i / 32, _mm256_extract_epi32(sums, 0), _mm256_extract_epi32(sums, 4));
    }
  }
}

}  // namespace cria::cpu::CRIA_TABLE
