// F3, device. How the scales of a tile's codes are kept, loaded and applied. Each form is a struct:
//
//   kRowBytes       of a row of the tile (256 inputs)
//   kMinimum        whether w = scale · q + minimum, else w = scale · q
//   Loaded, load    what a lane keeps of a tile: the scales of rows `row` and row + 8 for the
//   inputs
//                   that it decodes (t = lane % 4)
//   at              scale and minimum of one of the two rows for the lane's inputs in 32-input
//                   block 0 … 7 of the tile, in both halves of a register each
//   write           the packing of a row
//
// Scales are f16 and have been multiplied by the row's power of two, so that the largest weight of
// the row is near 2^14: what a scale of few bits and a scale in f16 multiply to neither overflows
// nor loses bits by being small.
#pragma once

#include "cuda/device/layout.h"
#include "cuda/device/ptx.h"

namespace cria::cuda {

/// What scales a row's 256 inputs of a tile have, as its type gives them: by 32 (d, m of each) or,
/// for super-blocks, by d[0] and m[0] and integers of 8 or 16 sub-blocks. The minimum is added.
struct RowScales {
  float d[8], m[8];
  uint8_t scale[16], minimum[16];
};

/// Scale and minimum of a pair of codes, each in both halves.
struct Affine {
  uint32_t scale, minimum;
};

__device__ __forceinline__ uint32_t both_low(uint32_t pair) {
  return __byte_perm(pair, pair, 0x1010);
}
__device__ __forceinline__ uint32_t both_high(uint32_t pair) {
  return __byte_perm(pair, pair, 0x3232);
}
/// A half in both halves of a register.
__host__ __device__ constexpr uint32_t both(uint32_t half) {
  return half * 0x10001u;
}
/// f16 of 1024 + n for 0 ≤ n < 1024: n is its fraction.
inline constexpr uint32_t kMagic = 0x6400;

/// Scales of one load a row: a lane has those of its two rows.
struct OneLoad {
  static constexpr int kRowBytes = 16;
  struct Loaded {
    Words4 row[2];
  };
  static __device__ __forceinline__ Loaded load(const uint8_t* scales, int row, int) {
    const auto* from = reinterpret_cast<const Words4*>(scales) + row;
    return {{load_once(from), load_once(from + 8)}};
  }
};

/// d for each 32 inputs: w = d · q.
///
///   f16 [row][8]
struct PlainScales : OneLoad {
  static constexpr bool kMinimum = false;
  static __device__ __forceinline__ Affine at(const Loaded& loaded, int upper, int block) {
    const uint32_t two = loaded.row[upper].at[block / 2];
    return {block % 2 ? both_high(two) : both_low(two), 0};
  }
  static __device__ void write(uint8_t* scales, int row, const RowScales& from, float power) {
    auto* to = reinterpret_cast<uint16_t*>(scales) + 8 * row;
    for (int j = 0; j < 8; ++j) to[j] = float_to_f16(from.d[j] * power);
  }
};

/// d and m for each 32 inputs: w = d · q + m.
///
///   (f16 d, f16 m) [row][8]
struct MinimumScales {
  static constexpr int kRowBytes = 32;
  static constexpr bool kMinimum = true;
  struct Loaded {
    Words4 row[2][2];
  };
  static __device__ __forceinline__ Loaded load(const uint8_t* scales, int row, int) {
    const auto* from = reinterpret_cast<const Words4*>(scales) + 2 * row;
    return {{{load_once(from), load_once(from + 1)}, {load_once(from + 16), load_once(from + 17)}}};
  }
  static __device__ __forceinline__ Affine at(const Loaded& loaded, int upper, int block) {
    const uint32_t two = loaded.row[upper][block / 4].at[block % 4];
    return {both_low(two), both_high(two)};
  }
  static __device__ void write(uint8_t* scales, int row, const RowScales& from, float power) {
    auto* to = reinterpret_cast<uint32_t*>(scales) + 8 * row;
    for (int j = 0; j < 8; ++j) to[j] = pack_f16(from.d[j] * power, from.m[j] * power);
  }
};

/// d and m of a super-block, and 6-bit s_j and m_j of its 8 sub-blocks: w = d·s_j · q + m·m_j. As
/// many bytes as the 12 of Q4_K and Q5_K with their d and dmin.
///
///   word 0          d │ m, f16
///   word 1 + j / 2  for j < 6: s_j in bits 0 … 5 (j even) or 6 … 11 (j odd) of the lower half, m_j
///                   in the same of the upper half
///   of j = 6, 7     bits 3 … 0 in bits 15 … 12 of both halves of word 1 (j = 6), word 2 (j = 7);
///                   bits 5, 4 in word 3: bits 13, 12 (j = 6), 15, 14 (j = 7)
struct SuperScales : OneLoad {
  static constexpr bool kMinimum = true;
  static __device__ __forceinline__ Affine at(const Loaded& loaded, int upper, int block) {
    const Words4& words = loaded.row[upper];
    uint32_t two;  // s_j │ m_j
    if (block < 6) {
      two = words.at[1 + block / 2] >> (block % 2 ? 6 : 0) & both(0x3f);
    } else {
      const uint32_t high = words.at[3] >> (block == 6 ? 8 : 10) & both(0x30);
      two = (words.at[block - 5] >> 12 & both(0x0f)) | high;
    }
    two = mul_f16x2(sub_f16x2(two | both(kMagic), both(kMagic)), words.at[0]);
    return {both_low(two), both_high(two)};
  }
  static __device__ void write(uint8_t* scales, int row, const RowScales& from, float power) {
    auto* to = reinterpret_cast<uint32_t*>(scales) + 4 * row;
    uint32_t words[4] = {pack_f16(from.d[0] * power, from.m[0] * power), 0, 0, 0};
    for (int j = 0; j < 8; ++j) {
      const uint32_t two = from.scale[j] | static_cast<uint32_t>(from.minimum[j]) << 16;
      if (j < 6) {
        words[1 + j / 2] |= two << (j % 2 ? 6 : 0);
      } else {
        words[j - 5] |= (two & both(0x0f)) << 12;
        words[3] |= (two & both(0x30)) << (j == 6 ? 8 : 10);
      }
    }
    for (int i = 0; i < 4; ++i) to[i] = words[i];
  }
};

/// d of a super-block, and 8-bit s_j of its 16 sub-blocks of 16 inputs: w = d·s_j · q. The bytes of
/// Q6_K. A lane decodes inputs of odd or of even sub-blocks alone.
///
///   s_j + 128  u8 [row][8 even j, 8 odd j]
///   d          f16 [slab][8] of rows g, g + 8: one word
struct SignedScales {
  static constexpr int kRowBytes = 18;
  static constexpr bool kMinimum = false;
  struct Loaded {
    Words2 row[2];
    uint32_t d;
  };
  static __device__ __forceinline__ Loaded load(const uint8_t* scales, int row, int t) {
    const auto* from = reinterpret_cast<const Words2*>(scales) + 2 * row + t / 2;
    const auto* d = reinterpret_cast<const uint32_t*>(scales + 16 * kTileOutputs);
    return {{load_once(from), load_once(from + 16)}, load_once(d + row / 16 * 8 + row % 16)};
  }
  static __device__ __forceinline__ Affine at(const Loaded& loaded, int upper, int block) {
    const uint32_t four = loaded.row[upper].at[block / 4];
    // Byte block % 4 as 1024 + n in both halves.
    const uint32_t n = __byte_perm(four, both(kMagic), 0x5050 | 0x0101u * (block % 4));
    const uint32_t d = upper ? both_high(loaded.d) : both_low(loaded.d);
    return {mul_f16x2(sub_f16x2(n, both(kMagic + 128)), d), 0};
  }
  static __device__ void write(uint8_t* scales, int row, const RowScales& from, float power) {
    for (int j = 0; j < 16; ++j) scales[16 * row + 8 * (j % 2) + j / 2] = from.scale[j];
    auto* d = reinterpret_cast<uint16_t*>(scales + 16 * kTileOutputs) + row / 16 * 16;
    d[2 * (row % 8) + row % 16 / 8] = float_to_f16(from.d[0] * power);
  }
};

/// d and m of a super-block, and 4-bit s_j and m_j of its 16 sub-blocks of 16 inputs:
/// w = d·s_j · q + m·m_j. The scales of Q2_K.
///
///   m_j │ s_j  u8 [row][8 even j, 8 odd j]
///   d, m       (f16, f16) [row]
struct NibbleScales {
  static constexpr int kRowBytes = 20;
  static constexpr bool kMinimum = true;
  struct Loaded {
    Words2 row[2];
    uint32_t d[2];
  };
  static __device__ __forceinline__ Loaded load(const uint8_t* scales, int row, int t) {
    const auto* from = reinterpret_cast<const Words2*>(scales) + 2 * row + t / 2;
    const auto* d = reinterpret_cast<const uint32_t*>(scales + 16 * kTileOutputs) + row;
    return {{load_once(from), load_once(from + 16)}, {load_once(d), load_once(d + 8)}};
  }
  static __device__ __forceinline__ Affine at(const Loaded& loaded, int upper, int block) {
    const uint32_t byte = loaded.row[upper].at[block / 4] >> 8 * (block % 4);
    uint32_t two = (byte & 0x0f) | (byte & 0xf0) << 12;
    two = mul_f16x2(sub_f16x2(two | both(kMagic), both(kMagic)), loaded.d[upper]);
    return {both_low(two), both_high(two)};
  }
  static __device__ void write(uint8_t* scales, int row, const RowScales& from, float power) {
    for (int j = 0; j < 16; ++j)
      scales[16 * row + 8 * (j % 2) + j / 2] =
          static_cast<uint8_t>(from.scale[j] | from.minimum[j] << 4);
    auto* d = reinterpret_cast<uint32_t*>(scales + 16 * kTileOutputs);
    d[row] = pack_f16(from.d[0] * power, from.m[0] * power);
  }
};

}  // namespace cria::cuda
