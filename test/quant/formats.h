// A second description of the block formats, to hold the first against: where every single bit of
// every weight lies, as an absolute bit index into its block. It shares no code with csrc/quant.
// Bit k of a block is bit k%8 (0 the lowest) of byte k/8.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "quant/dtype.h"

namespace cria::test {

/// The positions of the bits of a number, lowest first.
struct Bits {
  std::array<int, 16> at = {};
  int count = 0;
};

/// `count` neighbouring bits from `first` on.
inline Bits run(int first, int count) {
  Bits bits;
  for (int i = 0; i < count; ++i) bits.at[bits.count++] = first + i;
  return bits;
}

/// The bits of `low`, and above them those of `high`.
inline Bits join(Bits low, const Bits& high) {
  for (int i = 0; i < high.count; ++i) low.at[low.count++] = high.at[i];
  return low;
}

/// The number that the bits of `block` at these positions make.
inline int gather(const uint8_t* block, const Bits& bits) {
  int value = 0;
  for (int b = 0; b < bits.count; ++b) value |= (block[bits.at[b] / 8] >> bits.at[b] % 8 & 1) << b;
  return value;
}

/// The binary16 at byte `at`, by the definition of its three fields.
inline double half_at(const uint8_t* block, int at) {
  const int fraction = gather(block, run(8 * at, 10));
  const int exponent = gather(block, run(8 * at + 10, 5));
  const double sign = gather(block, run(8 * at + 15, 1)) ? -1.0 : 1.0;
  if (exponent == 31) return fraction ? std::nan("") : sign * HUGE_VAL;
  if (exponent == 0) return sign * fraction * std::pow(2.0, -24);
  return sign * (1024 + fraction) * std::pow(2.0, exponent - 25);
}

inline int two_complement(int value, int bits) {
  return value >= 1 << (bits - 1) ? value - (1 << bits) : value;
}

/// One block format: w = d·scale·value(code) + offset, all of them exact in f64.
struct Format {
  DType type;
  int weights, bytes;
  std::vector<int> half_scales;  // byte positions of its binary16 numbers
  double (*weight)(const uint8_t* block, int i);
};

namespace format {

inline double codebook(int code) {
  // The unevenly spaced values of the IQ4 formats.
  const int values[] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
  return values[code];
}

/// Nibble `i` of 32 that begin at byte `at`: the first 16 in low, the others in high halves.
inline Bits nibble(int at, int i) {
  return run(8 * (at + i % 16) + 4 * (i / 16), 4);
}

/// The two bits of weight `i` of 256, in the arrangement of Q2_K, Q3_K and (high bits) Q6_K.
inline Bits pair(int at, int i) {
  const int half = i / 128, quarter = i / 32 % 4, lane = i % 32;
  return run(8 * (at + 32 * half + lane) + 2 * quarter, 2);
}

/// The single bit of weight `i` of 256, in the arrangement of Q3_K and Q5_K.
inline Bits single(int at, int i) {
  return run(8 * (at + i % 32) + i / 32, 1);
}

/// The four bits of weight `i` of 256 of Q4_K and Q5_K.
inline Bits k_nibble(int at, int i) {
  return run(8 * (at + 32 * (i / 64) + i % 32) + 4 * (i / 32 % 2), 4);
}

/// Scale (`which` 0) or minimum (1) `j` of the 12 bytes at byte `at` of Q4_K and Q5_K: the first
/// four have six bits in one byte, the others four in the last bytes and two above the first.
inline int k_scale(const uint8_t* block, int at, int which, int j) {
  const int first = 8 * (at + 4 * which);
  if (j < 4) return gather(block, run(first + 8 * j, 6));
  const int last = 8 * (at + 8 + j - 4) + 4 * which;
  return gather(block, join(run(last, 4), run(first + 8 * (j - 4) + 6, 2)));
}

inline double q4_0(const uint8_t* b, int i) {
  return half_at(b, 0) * (gather(b, nibble(2, i)) - 8);
}
inline double q4_1(const uint8_t* b, int i) {
  return half_at(b, 0) * gather(b, nibble(4, i)) + half_at(b, 2);
}
inline double q5_0(const uint8_t* b, int i) {
  return half_at(b, 0) * (gather(b, join(nibble(6, i), run(8 * 2 + i, 1))) - 16);
}
inline double q5_1(const uint8_t* b, int i) {
  return half_at(b, 0) * gather(b, join(nibble(8, i), run(8 * 4 + i, 1))) + half_at(b, 2);
}
inline double q8_0(const uint8_t* b, int i) {
  return half_at(b, 0) * two_complement(gather(b, run(8 * (2 + i), 8)), 8);
}
inline double iq4_nl(const uint8_t* b, int i) {
  return half_at(b, 0) * codebook(gather(b, nibble(2, i)));
}
inline double q2_k(const uint8_t* b, int i) {
  const int scale = gather(b, run(8 * (i / 16), 4)), minimum = gather(b, run(8 * (i / 16) + 4, 4));
  return half_at(b, 80) * scale * gather(b, pair(16, i)) - half_at(b, 82) * minimum;
}
inline double q3_k(const uint8_t* b, int i) {
  const int j = i / 16;
  const auto low = run(8 * (96 + j % 8) + 4 * (j / 8), 4);
  const auto high = run(8 * (104 + j % 4) + 2 * (j / 4), 2);
  const int scale = gather(b, join(low, high)) - 32;
  return half_at(b, 108) * scale * (gather(b, join(pair(32, i), single(0, i))) - 4);
}
inline double q4_k(const uint8_t* b, int i) {
  return half_at(b, 0) * k_scale(b, 4, 0, i / 32) * gather(b, k_nibble(16, i)) -
         half_at(b, 2) * k_scale(b, 4, 1, i / 32);
}
inline double q5_k(const uint8_t* b, int i) {
  return half_at(b, 0) * k_scale(b, 4, 0, i / 32) *
             gather(b, join(k_nibble(48, i), single(16, i))) -
         half_at(b, 2) * k_scale(b, 4, 1, i / 32);
}
inline double q6_k(const uint8_t* b, int i) {
  const int scale = two_complement(gather(b, run(8 * (192 + i / 16), 8)), 8);
  const auto low = run(8 * (64 * (i / 128) + i % 64) + 4 * (i / 64 % 2), 4);
  return half_at(b, 208) * scale * (gather(b, join(low, pair(128, i))) - 32);
}
inline double iq4_xs(const uint8_t* b, int i) {
  const int j = i / 32;
  const int scale = gather(b, join(run(8 * 4 + 4 * j, 4), run(8 * 2 + 2 * j, 2))) - 32;
  return half_at(b, 0) * scale * codebook(gather(b, nibble(8 + 16 * j, i % 32)));
}

}  // namespace format

inline const std::vector<Format>& formats() {
  static const std::vector<Format> all = {
      {DType::kQ4_0, 32, 18, {0}, format::q4_0},
      {DType::kQ4_1, 32, 20, {0, 2}, format::q4_1},
      {DType::kQ5_0, 32, 22, {0}, format::q5_0},
      {DType::kQ5_1, 32, 24, {0, 2}, format::q5_1},
      {DType::kQ8_0, 32, 34, {0}, format::q8_0},
      {DType::kQ2_K, 256, 84, {80, 82}, format::q2_k},
      {DType::kQ3_K, 256, 110, {108}, format::q3_k},
      {DType::kQ4_K, 256, 144, {0, 2}, format::q4_k},
      {DType::kQ5_K, 256, 176, {0, 2}, format::q5_k},
      {DType::kQ6_K, 256, 210, {208}, format::q6_k},
      {DType::kIQ4_NL, 32, 18, {0}, format::iq4_nl},
      {DType::kIQ4_XS, 256, 136, {0}, format::iq4_xs},
  };
  return all;
}

/// Every type that Cria computes: the block formats and the plain floats.
inline std::vector<DType> computed_types() {
  std::vector<DType> types = {DType::kF32, DType::kF16, DType::kBF16};
  for (const Format& format : formats()) types.push_back(format.type);
  return types;
}

}  // namespace cria::test
