// F3, avx2. Products of 8-bit keys and queries, exactly. csrc/cpu/avx_vnni has a kv_dot.h of the
// same contents, as with dot.h.
#pragma once

#include <cstddef>

#include "simd.h"

namespace cria::cpu {
namespace {

/// Codes + 128 of 8-bit keys (cpu/kv_layout.h): quads of neighbouring k at 8 positions. They reach
/// 255, so a pair of products may be 2·255·127 = 64770, too much for maddubs: even and odd bytes
/// are widened to 16 bits and go through madd.
struct KeyQuads {
  __m256i even, odd;

  explicit KeyQuads(const std::byte* p)
      : even(_mm256_and_si256(load256(p), _mm256_set1_epi16(0x00ff))),
        odd(_mm256_srli_epi16(load256(p), 8)) {}
};

/// A query's codes as `add_quads` takes them: the even two of a quad, then the odd two.
using QueryCode = int16_t;

inline void store_quad(const int8_t* codes, QueryCode* out) {
  for (int i = 0; i < 4; ++i) out[i] = codes[i % 2 * 2 + i / 2];
}

/// sum + the products of each quad of keys with the query's quad.
inline __m256i add_quads(__m256i sum, const KeyQuads& keys, const QueryCode* query) {
  int32_t even, odd;
  __builtin_memcpy(&even, query, sizeof even);
  __builtin_memcpy(&odd, query + 2, sizeof odd);
  sum = _mm256_add_epi32(sum, _mm256_madd_epi16(keys.even, _mm256_set1_epi32(even)));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(keys.odd, _mm256_set1_epi32(odd)));
}

}  // namespace
}  // namespace cria::cpu
