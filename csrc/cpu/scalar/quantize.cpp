// F3, scalar. Activations to 8 bits (layouts: cpu/activations.h): the bits every table must give.
#include <algorithm>
#include <bit>
#include <cmath>

#include "cpu/activations.h"
#include "cpu/table.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

/// Codes one group of n values; returns its scale.
float quantize_group(const float* x, int n, int8_t* codes) {
  uint32_t largest = 0;
  for (int i = 0; i < n; ++i)
    largest = std::max(largest, std::bit_cast<uint32_t>(x[i]) & 0x7fffffffu);
  const GroupScale group = group_scale(largest);
  for (int i = 0; i < n; ++i) {
    // Not 0 · x where the inverse is 0: x may be infinite or NaN, which no integer can hold.
    codes[i] =
        group.inverse == 0 ? int8_t{0} : static_cast<int8_t>(std::nearbyint(x[i] * group.inverse));
  }
  return group.scale;
}

int sum_of(const int8_t* codes, int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) sum += codes[i];
  return sum;
}

}  // namespace

void quantize_q8_32(const float* x, int64_t cols, std::byte* out) {
  const Q8Write32 row(out, cols);
  for (int64_t g = 0; g < cols / 32; ++g) {
    const float scale = quantize_group(x + 32 * g, 32, row.codes + 32 * g);
    row.set(g, scale, sum_of(row.codes + 32 * g, 32));
  }
}

void quantize_q8_256(const float* x, int64_t cols, std::byte* out) {
  const Q8Write256 row(out, cols);
  for (int64_t g = 0; g < cols / 256; ++g)
    row.scales[g] = quantize_group(x + 256 * g, 256, row.codes + 256 * g);
  for (int64_t s = 0; s < cols / 32; ++s)
    row.set(s, sum_of(row.codes + 32 * s, 16), sum_of(row.codes + 32 * s + 16, 16));
}

}  // namespace cria::cpu::CRIA_TABLE
