// A KV cache of one sequence as the kernel tests see it: filled through a table's store_kv, read by
// a second description of the layout (cpu/kv_layout.h has the first).
#pragma once

#include <vector>

#include "backend/backend.h"
#include "kernel_support.h"

namespace cria::test {

inline const char* name_of(KvType type) {
  return type == KvType::kF16 ? "f16" : "q8_0";
}

/// x as kQ8_0 reads it back: 8-bit codes under one scale per 32, the scale itself rounded to f16
/// where it is stored.
inline std::vector<double> coded(const float* x, int width, bool half_scale) {
  std::vector<double> out;
  for (int g = 0; g < width; g += 32) {
    float largest = 0;
    for (int i = g; i < g + 32; ++i) largest = std::max(largest, std::fabs(x[i]));
    const float scale = largest / 127, inverse = largest > 0 ? 127 / largest : 0;
    const double stored = half_scale ? double{f16_to_f32(f32_to_f16(scale))} : double{scale};
    for (int i = g; i < g + 32; ++i) out.push_back(stored * std::nearbyint(double{x[i] * inverse}));
  }
  return out;
}

class KvPages {
 public:
  KvType type;
  int length, kv_heads, width;
  std::vector<int32_t> table;  // pages in scattered order
  Guarded<std::byte> bytes;
  std::vector<float> keys, values;  // [length][kv_heads][width], before they were stored

  KvPages(KvType t, int len, int g, int w, Random& random, Edge edge)
      : type(t), length(len), kv_heads(g), width(w), bytes(pages_of(len) * page_bytes() * g, edge) {
    for (int i = 0; i < pages_of(len); ++i) table.push_back(i);
    for (size_t i = table.size(); i > 1; --i)
      std::swap(table[i - 1],
                table[static_cast<size_t>(random.integer(0, static_cast<int64_t>(i) - 1))]);
    // What was never stored must not be read into a result: NaN as f16, also as a scale.
    std::fill(bytes.begin(), bytes.end(), std::byte{0xff});
    keys.resize(static_cast<size_t>(len * g * w));
    values.resize(keys.size());
    random.fill_normal(keys);
    random.fill_normal(values);
    for (int p = 0; p < len; ++p) store(p, scalar_kernels());
  }

  static int64_t pages_of(int len) { return (len + kPageTokens - 1) / kPageTokens; }
  /// Of the keys or the values of a page.
  int64_t half_bytes() const {
    const int64_t elements = int64_t{kPageTokens} * width;
    return type == KvType::kF16 ? 2 * elements : elements + elements / 32 * 2;
  }
  int64_t page_bytes() const { return 2 * half_bytes(); }
  int64_t head_bytes() const { return pages_of(length) * page_bytes(); }

  void store(int p, const Kernels& kernels) {
    cpu::KvStoreArgs args;
    args.type = type;
    args.keys = keys.data() + p * kv_heads * width;
    args.values = values.data() + p * kv_heads * width;
    args.heads = kv_heads;
    args.width = width;
    args.page = bytes.data() + page(p, 0);
    args.head_bytes = head_bytes();
    args.position = p % kPageTokens;
    kernels.store_kv(args);
  }

  /// Element i of a key and of a value as the cache has them.
  double key(int p, int g, int i) {
    const std::byte* page_at = bytes.data() + page(p, g);
    const int at = p % kPageTokens;
    if (type == KvType::kF16) return half(page_at, int64_t{i} * kPageTokens + at);
    const int code = static_cast<int>(page_at[i / 4 * 4 * kPageTokens + 4 * at + i % 4]) - 128;
    return half(page_at + int64_t{kPageTokens} * width, i / 32 * kPageTokens + at) * code;
  }
  double value(int p, int g, int i) {
    const std::byte* page_at = bytes.data() + page(p, g) + half_bytes();
    const int64_t at = int64_t{p % kPageTokens} * width + i;
    if (type == KvType::kF16) return half(page_at, at);
    const auto code = static_cast<int8_t>(page_at[at]);
    return half(page_at + int64_t{kPageTokens} * width, i / 32 * kPageTokens + p % kPageTokens) *
           code;
  }

 private:
  int64_t page(int p, int g) const {
    return g * head_bytes() + table[static_cast<size_t>(p / kPageTokens)] * page_bytes();
  }
  static double half(const std::byte* p, int64_t i) {
    uint16_t bits;
    std::memcpy(&bits, p + 2 * i, 2);
    return f16_to_f32(bits);
  }
};

}  // namespace cria::test
