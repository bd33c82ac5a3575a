// F3. Values to 8-bit codes and to their places in a KV page, the same for every table: plain loops
// over a few hundred elements a token. What they give must not depend on the table, so rounding is
// written out. Internal linkage and no library calls, as in cpu/activations.h.
#pragma once

#include "cpu/activations.h"
#include "cpu/attention.h"
#include "cpu/kv_layout.h"

namespace cria::cpu {
namespace {

/// |x| < 2^22 to the nearest whole number, ties to even: at 1.5 · 2^23 the unit in the last place
/// is 1.
inline int round_even(float x) {
  const float shifted = x + 0x1.8p+23f;
  return static_cast<int>(shifted - 0x1.8p+23f);
}

/// A group of kKvGroup values as codes in [−127, 127]; returns the scale (cpu/activations.h).
inline float code_group(const float* x, int8_t* codes) {
  uint32_t largest = 0;
  for (int i = 0; i < kKvGroup; ++i) {
    const uint32_t bits = __builtin_bit_cast(uint32_t, x[i]) & 0x7fffffffu;
    largest = bits > largest ? bits : largest;
  }
  const GroupScale group = group_scale(largest);
  for (int i = 0; i < kKvGroup; ++i)  // not 0 · x, which may be NaN
    codes[i] = static_cast<int8_t>(group.inverse == 0 ? 0 : round_even(x[i] * group.inverse));
  return group.scale;
}

/// Stores keys and values of one token. `to_half` is the table's own f32 → f16 of one value.
template <class ToHalf>
void store_f16(const KvStoreArgs& a, const ToHalf& to_half) {
  const KvLayout layout = kv_layout(a.type, a.width);
  for (int h = 0; h < a.heads; ++h) {
    std::byte* page = a.page + h * a.head_bytes;
    auto* keys = reinterpret_cast<uint16_t*>(page) + a.position;
    auto* values = reinterpret_cast<uint16_t*>(page + layout.values) + a.position * a.width;
    const float *k = a.keys + h * a.width, *v = a.values + h * a.width;
    for (int i = 0; i < a.width; ++i) {
      keys[i * kPageTokens] = to_half(k[i]);
      values[i] = to_half(v[i]);
    }
  }
}

template <class ToHalf>
void store_q8_0(const KvStoreArgs& a, const ToHalf& to_half) {
  const KvLayout layout = kv_layout(a.type, a.width);
  for (int h = 0; h < a.heads; ++h) {
    std::byte* page = a.page + h * a.head_bytes;
    auto* keys = reinterpret_cast<uint8_t*>(page) + 4 * a.position;
    auto* key_scales = reinterpret_cast<uint16_t*>(page + layout.key_scales) + a.position;
    auto* values = reinterpret_cast<int8_t*>(page + layout.values) + a.position * a.width;
    auto* value_scales = reinterpret_cast<uint16_t*>(page + layout.value_scales) + a.position;
    for (int g = 0; g < a.width / kKvGroup; ++g) {
      const int64_t first = h * int64_t{a.width} + g * kKvGroup;
      int8_t codes[kKvGroup];
      key_scales[g * kPageTokens] = to_half(code_group(a.keys + first, codes));
      for (int i = 0; i < kKvGroup; ++i)
        keys[(g * kKvGroup + i) / 4 * 4 * kPageTokens + i % 4] =
            static_cast<uint8_t>(codes[i] + kKeyOffset);
      value_scales[g * kPageTokens] = to_half(code_group(a.values + first, codes));
      for (int i = 0; i < kKvGroup; ++i) values[g * kKvGroup + i] = codes[i];
    }
  }
}

template <class ToHalf>
void store(const KvStoreArgs& a, const ToHalf& to_half) {
  if (a.type == KvType::kF16) {
    store_f16(a, to_half);
  } else {
    store_q8_0(a, to_half);
  }
}

}  // namespace
}  // namespace cria::cpu
