// F3, avx2. Loads from any address, for avx2 and for avx512, which includes it.
#pragma once

// GCC 12's own AVX-512 header leaves operands undefined on purpose and then warns of it (GCC bug
// 105593, fixed in 13).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include <cstdint>
#include <cstring>

namespace cria::cpu {
namespace {

inline __m256i load256(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
inline __m128i load128(const void* p) {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}
/// Eight bytes in the low half; the high half is 0.
inline __m128i load64(const void* p) {
  return _mm_loadl_epi64(static_cast<const __m128i*>(p));
}

/// Four bytes, the first the lowest.
inline uint32_t load32(const uint8_t* p) {
  uint32_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

inline float f16_scale(uint16_t half) {
  return _cvtsh_ss(half);
}

}  // namespace
}  // namespace cria::cpu
