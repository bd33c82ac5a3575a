// F3. The form in which weights are multiplied: panels of 32 rows, so that a vector register holds
// the same few inputs of 16 outputs (or of 8), and a product needs no sum across lanes. One layout
// per weight type, the same for every instruction set, at (nearly) the file's own bits per weight.
//
// A panel is one stretch of memory that a product reads from its first byte to its last: what the
// processor fetches ahead by itself is then what comes next, from panel to panel and, weights lying
// in the order of the network, from product to product.
//
//   panel    │ group 0 │ group 1 │ …      a group is a block of 32 inputs of all 32 rows, or a
//                                         super-block of 256; K inputs are K/32 or K/256 groups
//   group    │ scales │ codes │
//
//   codes    1 or 8 blocks of 32 inputs, in planes of 128 bytes. Inputs are taken in quads: quad q
//            of a block is its inputs 4q … 4q+3, q = 0 … 7. Every plane has a byte for each row r
//            and place i in a quad, at 4r + i:
//
//              byte     0    1    2    3    4    5  …  127
//              row r    0    0    0    0    1    1  …   31       one quad of 32 rows
//              place i  0    1    2    3    0    1  …    3
//
//            nibbles   4 planes; plane v:     code of quad v+4 in bits 7-4 │ of quad v in bits 3-0
//            pairs     2 planes; plane v:     two bits each of quads 4v+3 │ 4v+2 │ 4v+1 │ 4v
//            bits      1 plane:               bit q belongs to quad q
//            bytes     8 planes; plane q:     the code of quad q
//
//            Codes are unsigned; a type has 4 bits (nibbles), 5 (nibbles, bits), 6 (nibbles,
//            pairs), 2 (pairs), 3 (pairs, bits) or 8 (bytes). Where two planes share a code, the
//            plane named first has its low bits.
//
//   scales   32 rows side by side:
//
//            Q4_0 Q5_0 Q8_0 IQ4_NL   d binary16[32]
//            Q4_1 Q5_1               d binary16[32], m binary16[32]
//            Q4_K Q5_K               s.3210 │ m.3210 << 4       u8[8][32]   of 8 sub-blocks j
//                                    s.54 │ m.54 << 2, of j + 4 in the high nibble   u8[4][32]
//                                    d binary16[32], dmin binary16[32]
//            Q2_K                    s │ m << 4                 u8[16][32]  of 16 sub-blocks
//                                    d binary16[32], dmin binary16[32]
//            Q3_K Q6_K               s int8[16][32], d binary16[32]
//            IQ4_XS                  s int8[8][32], d binary16[32]
//
//            (Q3_K and IQ4_XS have 6-bit scales in the file: 3.4 → 3.6 and 4.25 → 4.4 bits a weight
//            here.)
//
// A panel of floats is [K][32] of the type. Weights of N rows are N/32 panels, rounded up; rows
// beyond N are zero.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/dtype.h"

namespace cria::cpu {

inline constexpr int64_t kPanelRows = 32;
/// Bytes of a plane: 4 places of every row.
inline constexpr int64_t kPlane = 4 * kPanelRows;
/// Bytes of a byte, and of a binary16, of every row.
inline constexpr int64_t kByteRow = kPanelRows, kHalfRow = 2 * kPanelRows;

/// A type's groups; floats have none.
struct PanelLayout {
  int nibbles = 0, pairs = 0, bits = 0, bytes = 0;  // planes of a block's codes
  int group_inputs = 0;                             // 32 or 256
  int64_t scale_bytes = 0;                          // of a group
  constexpr int planes() const { return nibbles + pairs + bits + bytes; }
  constexpr int64_t block_bytes() const { return planes() * kPlane; }
  constexpr int64_t group_bytes() const { return scale_bytes + group_inputs / 32 * block_bytes(); }
};

constexpr PanelLayout panel_layout(DType type) {
  switch (type) {
    case DType::kQ4_0:
    case DType::kIQ4_NL:
      return {4, 0, 0, 0, 32, kHalfRow};
    case DType::kQ4_1:
      return {4, 0, 0, 0, 32, 2 * kHalfRow};
    case DType::kQ5_0:
      return {4, 0, 1, 0, 32, kHalfRow};
    case DType::kQ5_1:
      return {4, 0, 1, 0, 32, 2 * kHalfRow};
    case DType::kQ8_0:
      return {0, 0, 0, 8, 32, kHalfRow};
    case DType::kQ2_K:
      return {0, 2, 0, 0, 256, 16 * kByteRow + 2 * kHalfRow};
    case DType::kQ3_K:
      return {0, 2, 1, 0, 256, 16 * kByteRow + kHalfRow};
    case DType::kQ4_K:
      return {4, 0, 0, 0, 256, 12 * kByteRow + 2 * kHalfRow};
    case DType::kQ5_K:
      return {4, 0, 1, 0, 256, 12 * kByteRow + 2 * kHalfRow};
    case DType::kQ6_K:
      return {4, 2, 0, 0, 256, 16 * kByteRow + kHalfRow};
    case DType::kIQ4_XS:
      return {4, 0, 0, 0, 256, 8 * kByteRow + kHalfRow};
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
      break;
  }
  return {};
}

/// Bytes from one panel to the next, a multiple of 64.
int64_t panel_bytes(DType type, int64_t cols);
/// Panels of a weight of `rows` rows.
constexpr int64_t panel_count(int64_t rows) {
  return (rows + kPanelRows - 1) / kPanelRows;
}
/// Bytes of a whole weight as panels.
int64_t packed_bytes(DType type, int64_t rows, int64_t cols);

/// Writes `rows` ≤ 32 rows of the file's blocks, `row_bytes(type, cols)` apart, as one panel. The
/// panel's memory is zero beforehand.
void pack_panel(DType type, const std::byte* source, int64_t rows, int64_t cols, std::byte* panel);
/// Inputs [first, first + count) of row r of a panel as the file had them; both are multiples of
/// what a block of the type has.
void unpack_row(DType type, const std::byte* panel, int64_t r, int64_t first, int64_t count,
                std::byte* row);

}  // namespace cria::cpu
