// F3. The 8-bit forms of an activation row. A token's row of K values becomes, in one stretch of
// activation_bytes(form, K) bytes:
//
//   kQ8_32    codes    int8 [K]        x ≈ scale · code, codes in [−127, 127]
//             scales   f32 [K / 32]
//             sums     f32 [K / 32]    scale · Σ codes, for weights with a minimum
//             zeros    int32 [K / 32]  −Σ codes, for weights with a zero point
//
//   kQ8_256   codes    int8 [K]
//             scales   f32 [K / 256]
//             zeros16  int32 [K / 16]  −Σ codes of 16, for weights with a zero point
//             zeros32  int32 [K / 32]  −Σ codes of 32
//             sums     int16 [K / 16]  Σ codes of 16, for weights with minimums (|Σ| ≤ 2032)
//             sums32   int16 [K / 32]  Σ codes of 32
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
      bytes += cols / 32 * 12;
      break;
    case Activation::kQ8_256:
      bytes += cols / 256 * 4 + (cols / 16 + cols / 32) * 6;
      break;
  }
  return (bytes + 63) / 64 * 64;
}

/// Where the parts of a kQ8_32 row begin, in bytes from its start.
struct Q8Offsets32 {
  static constexpr int64_t scales(int64_t cols) { return cols; }
  static constexpr int64_t sums(int64_t cols) { return cols + cols / 32 * 4; }
  static constexpr int64_t zeros(int64_t cols) { return cols + cols / 32 * 8; }
};

/// The same of a kQ8_256 row, for sub-blocks of 16 or 32.
struct Q8Offsets256 {
  static constexpr int64_t scales(int64_t cols) { return cols; }
  template <int kSub>
  static constexpr int64_t zeros(int64_t cols) {
    return cols + cols / 256 * 4 + (kSub == 32 ? cols / 16 * 4 : 0);
  }
  template <int kSub>
  static constexpr int64_t sums(int64_t cols) {
    return cols + cols / 256 * 4 + (cols / 16 + cols / 32) * 4 + (kSub == 32 ? cols / 16 * 2 : 0);
  }
};

/// The parts of a kQ8_32 row of `cols` values; Byte is std::byte or const std::byte.
template <class Byte, class Code, class Float, class Int>
struct Q8Row32 {
  Code* codes;
  Float* scales;
  Float* sums;
  Int* zeros;

  Q8Row32() = default;
  Q8Row32(Byte* row, int64_t cols)
      : codes(reinterpret_cast<Code*>(row)),
        scales(reinterpret_cast<Float*>(row + Q8Offsets32::scales(cols))),
        sums(reinterpret_cast<Float*>(row + Q8Offsets32::sums(cols))),
        zeros(reinterpret_cast<Int*>(row + Q8Offsets32::zeros(cols))) {}

  /// Sets what follows from a group's scale and the sum of its codes.
  void set(int64_t group, float scale, int sum) const {
    scales[group] = scale;
    sums[group] = scale * static_cast<float>(sum);
    zeros[group] = -sum;
  }
};
using Q8Read32 = Q8Row32<const std::byte, const int8_t, const float, const int32_t>;
using Q8Write32 = Q8Row32<std::byte, int8_t, float, int32_t>;

/// The parts of a kQ8_256 row of `cols` values.
template <class Byte, class Code, class Float, class Sum, class Int>
struct Q8Row256 {
  Code* codes;
  Float* scales;
  Int *zeros16, *zeros32;
  Sum *sums, *sums32;

  Q8Row256() = default;
  Q8Row256(Byte* row, int64_t cols)
      : codes(reinterpret_cast<Code*>(row)),
        scales(reinterpret_cast<Float*>(row + Q8Offsets256::scales(cols))),
        zeros16(reinterpret_cast<Int*>(row + Q8Offsets256::zeros<16>(cols))),
        zeros32(reinterpret_cast<Int*>(row + Q8Offsets256::zeros<32>(cols))),
        sums(reinterpret_cast<Sum*>(row + Q8Offsets256::sums<16>(cols))),
        sums32(reinterpret_cast<Sum*>(row + Q8Offsets256::sums<32>(cols))) {}

  /// Sets the sums of 32 codes, given those of their halves.
  void set(int64_t group, int low, int high) const {
    sums[2 * group] = static_cast<Sum>(low);
    sums[2 * group + 1] = static_cast<Sum>(high);
    sums32[group] = static_cast<Sum>(low + high);
    zeros16[2 * group] = -low;
    zeros16[2 * group + 1] = -high;
    zeros32[group] = -(low + high);
  }
};
using Q8Read256 =
    Q8Row256<const std::byte, const int8_t, const float, const int16_t, const int32_t>;
using Q8Write256 = Q8Row256<std::byte, int8_t, float, int16_t, int32_t>;

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
