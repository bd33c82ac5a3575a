// F3. The inside of a KV page: the keys and values of one KV head in one layer at P = kPageTokens
// positions. Attention reads it from front to back.
//
//   kF16    keys    f16 [K][P]      transposed: a vector holds one element k of P positions, so
//   that
//           values  f16 [P][K]      scores are sums of q[k] · vector without a horizontal step
//
//   kQ8_0   keys    u8  [K/4][P][4]   code + 128; the four k of a position lie together, as the
//                   f16 [K/32][P]     instructions for sums of four byte products want them; scales
//           values  i8  [P][K]        codes
//                   f16 [K/32][P]     scales
//
//           k0 k1 k2 k3 │ k0 k1 k2 k3 │ … │ k0 k1 k2 k3      64 bytes: 16 positions of one quad
//            position 0 │  position 1 │   │ position 15
//
// x ≈ scale · code with a scale for each 32 elements of a head: 8.5 bits an element. Every array
// begins at a multiple of 64 bytes from the start of its page.
//
// Internal linkage, as in cpu/activations.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/backend.h"

namespace cria::cpu {
using cria::kKvGroup;

namespace {

constexpr int kKeyOffset = 128;

/// Where the arrays of a page begin, in bytes.
struct KvLayout {
  int64_t key_scales;
  int64_t values;
  int64_t value_scales;
  int64_t bytes;  // of the page
};

constexpr KvLayout kv_layout(KvType type, int64_t width) {
  const int64_t elements = kPageTokens * width;
  const int64_t codes = type == KvType::kF16 ? 2 * elements : elements;
  const int64_t scales = type == KvType::kF16 ? 0 : elements / kKvGroup * 2;
  return {codes, codes + scales, 2 * codes + scales, 2 * (codes + scales)};
}

}  // namespace
}  // namespace cria::cpu
