// F3, avx512. Activations to 8 bits (layouts: cpu/activations.h), with the bits of the scalar
// table: the same multiplications and roundings, and maxima and integer sums, whose order is free.
#include "cpu/activations.h"
#include "cpu/table.h"
#include "simd.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

/// The bits of the largest |x| among n values, n a multiple of 16.
uint32_t largest_bits(const float* x, int n) {
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  __m512i most = _mm512_setzero_si512();
  for (int i = 0; i < n; i += kLanes)
    most = _mm512_max_epu32(most, _mm512_and_si512(load512(x + i), magnitude));
  return _mm512_reduce_max_epu32(most);
}

/// Stores the codes of 16 values, to nearest, ties to even; returns their sum.
int store_codes(const float* x, float inverse, int8_t* out) {
  __m512i words = _mm512_setzero_si512();
  // An inverse of 0 stands for codes of 0 even of what is not finite (0 · x would be NaN).
  if (inverse != 0)
    words = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x), _mm512_set1_ps(inverse)));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm512_cvtepi32_epi8(words));
  return _mm512_reduce_add_epi32(words);
}

}  // namespace

void quantize_q8_32(const float* x, int64_t cols, std::byte* out) {
  const Q8Write32 row(out, cols);
  for (int64_t g = 0; g < cols / 32; ++g) {
    const GroupScale group = group_scale(largest_bits(x + 32 * g, 32));
    int sum = 0;
    for (int64_t i = 32 * g; i < 32 * g + 32; i += kLanes)
      sum += store_codes(x + i, group.inverse, row.codes + i);
    row.set(g, group.scale, sum);
  }
}

void quantize_q8_256(const float* x, int64_t cols, std::byte* out) {
  const Q8Write256 row(out, cols);
  for (int64_t g = 0; g < cols / 256; ++g) {
    const GroupScale group = group_scale(largest_bits(x + 256 * g, 256));
    row.scales[g] = group.scale;
    for (int64_t i = 256 * g; i < 256 * g + 256; i += 32) {
      const int low = store_codes(x + i, group.inverse, row.codes + i);
      row.set(i / 32, low, store_codes(x + i + 16, group.inverse, row.codes + i + 16));
    }
  }
}

}  // namespace cria::cpu::CRIA_TABLE
