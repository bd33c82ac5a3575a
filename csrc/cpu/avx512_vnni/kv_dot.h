// F3, avx512_vnni. Products of 8-bit keys and queries with vpdpbusd, which sums quads without any
// intermediate that could saturate. The counterpart of avx512/kv_dot.h.
#pragma once

#include <cstddef>

#include "cpu/avx512/simd.h"

namespace cria::cpu {
namespace {

/// Codes + 128 of 8-bit keys (cpu/kv_layout.h): quads of neighbouring k at 16 positions.
struct KeyQuads {
  __m512i codes;

  explicit KeyQuads(const std::byte* p) : codes(load512(p)) {}
};

/// A query's codes as `add_quads` takes them.
using QueryCode = int8_t;

inline void store_quad(const int8_t* codes, QueryCode* out) {
  __builtin_memcpy(out, codes, 4);
}

/// sum + the products of each quad of keys with the query's quad.
inline __m512i add_quads(__m512i sum, const KeyQuads& keys, const QueryCode* query) {
  int32_t quad;
  __builtin_memcpy(&quad, query, sizeof quad);
  return _mm512_dpbusd_epi32(sum, keys.codes, _mm512_set1_epi32(quad));
}

}  // namespace
}  // namespace cria::cpu
