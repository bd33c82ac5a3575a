// F3, avx_vnni. Products of 8-bit keys and queries with vpdpbusd, which sums quads without any
// intermediate that could saturate. The counterpart of avx2/kv_dot.h.
#pragma once

#include <cstddef>

#include "cpu/avx2/simd.h"

namespace cria::cpu {
namespace {

/// Codes + 128 of 8-bit keys (cpu/kv_layout.h): quads of neighbouring k at 8 positions.
struct KeyQuads {
  __m256i codes;

  explicit KeyQuads(const std::byte* p) : codes(load256(p)) {}
};

/// A query's codes as `add_quads` takes them.
using QueryCode = int8_t;

inline void store_quad(const int8_t* codes, QueryCode* out) {
  __builtin_memcpy(out, codes, 4);
}

/// sum + the products of each quad of keys with the query's quad.
inline __m256i add_quads(__m256i sum, const KeyQuads& keys, const QueryCode* query) {
  int32_t quad;
  __builtin_memcpy(&quad, query, sizeof quad);
  return _mm256_dpbusd_avx_epi32(sum, keys.codes, _mm256_set1_epi32(quad));
}

}  // namespace
}  // namespace cria::cpu
