// F3. The 8-bit forms of an activation row. A token's row of K values becomes, in one stretch of
// activation_bytes(form, K) bytes:
//
//   kQ8_32    codes   int8 [K]       x ≈ scale · code, codes in [−127, 127]
//             scales  f32 [K / 32]
//             sums    f32 [K / 32]   scale · Σ codes, for weights with a minimum
//
//   kQ8_256   codes   int8 [K]
//             scales  f32 [K / 256]
//             sums    int16 [K / 16] Σ codes of 16, for weights with minimums (|Σ| ≤ 2032)
//
// Everything here has internal linkage and calls no library function: the header is compiled under
// several instruction sets (see cpu/table.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/kernels.h"

namespace cria::cpu {
namespace {

/// Bytes of one token's row, rounded up to a cache line so that rows start on one.
inline int64_t activation_bytes(Activation form, int64_t cols) {
  int64_t bytes = cols;
  switch (form) {
    case Activation::kF32:
      return cols * 4;
    case Activation::kQ8_32:
      bytes += cols / 32 * 8;
      break;
    case Activation::kQ8_256:
      bytes += cols / 256 * 4 + cols / 16 * 2;
      break;
  }
  return (bytes + 63) / 64 * 64;
}

/// The parts of a kQ8_32 row of `cols` values; Byte is std::byte or const std::byte.
template <class Byte, class Code, class Float>
struct Q8Row32 {
  Code* codes;
  Float* scales;
  Float* sums;

  Q8Row32() = default;
  Q8Row32(Byte* row, int64_t cols)
      : codes(reinterpret_cast<Code*>(row)),
        scales(reinterpret_cast<Float*>(row + cols)),
        sums(scales + cols / 32) {}
};
using Q8Read32 = Q8Row32<const std::byte, const int8_t, const float>;
using Q8Write32 = Q8Row32<std::byte, int8_t, float>;

/// The parts of a kQ8_256 row of `cols` values.
template <class Byte, class Code, class Float, class Sum>
struct Q8Row256 {
  Code* codes;
  Float* scales;
  Sum* sums;

  Q8Row256() = default;
  Q8Row256(Byte* row, int64_t cols)
      : codes(reinterpret_cast<Code*>(row)),
        scales(reinterpret_cast<Float*>(row + cols)),
        sums(reinterpret_cast<Sum*>(scales + cols / 256)) {}
};
using Q8Read256 = Q8Row256<const std::byte, const int8_t, const float, const int16_t>;
using Q8Write256 = Q8Row256<std::byte, int8_t, float, int16_t>;

/// How a group is coded: code = x · inverse, rounded to nearest, ties to even; x ≈ code · scale.
struct GroupScale {
  float scale;
  float inverse;  // 0: all codes are 0, whatever x is
};

/// From the largest magnitude of the group, as the bits of its absolute value: as integers they
/// order like the magnitudes, with infinity and NaN on top. Below 2^-120 the inverse would
/// overflow; such a group counts as zero, which is far below what any weight could bring back.
inline GroupScale group_scale(uint32_t largest_bits) {
  const float largest = __builtin_bit_cast(float, largest_bits);
  if (largest_bits >= 0x7f800000u) return {__builtin_bit_cast(float, 0x7fc00000u), 0.0f};
  if (largest < 0x1p-120f) return {0.0f, 0.0f};
  return {largest / 127.0f, 127.0f / largest};
}

}  // namespace
}  // namespace cria::cpu
