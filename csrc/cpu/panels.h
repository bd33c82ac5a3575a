// F3. The form in which weights are multiplied: panels of 16 rows, so that a vector register holds
// the same few inputs of 16 outputs, and a product needs no sum across lanes. One layout per weight
// type, the same for every instruction set, at (nearly) the file's own bits per weight.
//
// A panel of quantized weights, K inputs wide, is its codes followed by its scales:
//
//   codes    K/32 blocks. A block is 32 inputs of all 16 rows, in planes of 64 bytes. Inputs are
//   taken
//            in quads: quad q of a block is its inputs 4q … 4q+3, q = 0 … 7. Every plane has a byte
//            for each row r and place i in a quad, at 4r + i:
//
//              byte     0    1    2    3    4    5  …  63
//              row r    0    0    0    0    1    1  …  15        one quad of 16 rows: 64 bytes
//              place i  0    1    2    3    0    1  …   3
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
//   scales   of every block of 32 or super-block of 256 inputs, 16 rows side by side:
//
//            Q4_0 Q5_0 Q8_0 IQ4_NL   d binary16[16]
//            Q4_1 Q5_1               d binary16[16], m binary16[16]
//            Q4_K Q5_K               s.3210 │ m.3210 << 4       u8[8][16]   of 8 sub-blocks j
//                                    s.54 │ m.54 << 2, of j + 4 in the high nibble   u8[4][16]
//                                    d binary16[16], dmin binary16[16]
//            Q2_K                    s │ m << 4                 u8[16][16]  of 16 sub-blocks
//                                    d binary16[16], dmin binary16[16]
//            Q3_K Q6_K               s int8[16][16], d binary16[16]
//            IQ4_XS                  s int8[8][16], d binary16[16]
//
//            (Q3_K and IQ4_XS have 6-bit scales in the file: 3.4 → 3.6 and 4.25 → 4.4 bits a weight
//            here.)
//
// A panel of floats is [K][16] of the type. Weights of N rows are N/16 panels, rounded up to an
// even number; rows beyond N are zero.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/dtype.h"

namespace cria::cpu {

inline constexpr int64_t kPanelRows = 16;
/// Panels come in twos: the register tile of a product is 32 rows.
inline constexpr int64_t kPanelPair = 2 * kPanelRows;
/// Bytes of a plane: 16 rows × 4 places.
inline constexpr int64_t kPlane = 64;

/// The planes of a type's codes and the bytes of its scales; floats have neither.
struct PanelLayout {
  int nibbles = 0, pairs = 0, bits = 0, bytes = 0;  // planes of a block
  int scale_inputs = 0;                             // K that one group of scales covers: 32 or 256
  int scale_bytes = 0;                              // of one group, 16 rows
  constexpr int planes() const { return nibbles + pairs + bits + bytes; }
};

constexpr PanelLayout panel_layout(DType type) {
  switch (type) {
    case DType::kQ4_0:
    case DType::kIQ4_NL:
      return {4, 0, 0, 0, 32, 32};
    case DType::kQ4_1:
      return {4, 0, 0, 0, 32, 64};
    case DType::kQ5_0:
      return {4, 0, 1, 0, 32, 32};
    case DType::kQ5_1:
      return {4, 0, 1, 0, 32, 64};
    case DType::kQ8_0:
      return {0, 0, 0, 8, 32, 32};
    case DType::kQ2_K:
      return {0, 2, 0, 0, 256, 256 + 64};
    case DType::kQ3_K:
      return {0, 2, 1, 0, 256, 256 + 32};
    case DType::kQ4_K:
      return {4, 0, 0, 0, 256, 192 + 64};
    case DType::kQ5_K:
      return {4, 0, 1, 0, 256, 192 + 64};
    case DType::kQ6_K:
      return {4, 2, 0, 0, 256, 256 + 32};
    case DType::kIQ4_XS:
      return {4, 0, 0, 0, 256, 128 + 32};
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
      break;
  }
  return {};
}

/// Bytes of a panel's codes: where its scales begin. 0 for floats.
constexpr int64_t panel_code_bytes(DType type, int64_t cols) {
  return cols / 32 * panel_layout(type).planes() * kPlane;
}

/// Bytes from one panel to the next, a multiple of 64.
int64_t panel_bytes(DType type, int64_t cols);
/// Panels of a weight of `rows` rows.
constexpr int64_t panel_count(int64_t rows) {
  return (rows + kPanelPair - 1) / kPanelPair * 2;
}
/// Bytes of a whole weight as panels.
int64_t packed_bytes(DType type, int64_t rows, int64_t cols);

/// Writes `rows` ≤ 16 rows of the file's blocks, `row_bytes(type, cols)` apart, as one panel. The
/// panel's memory is zero beforehand.
void pack_panel(DType type, const std::byte* source, int64_t rows, int64_t cols, std::byte* panel);
/// Inputs [first, first + count) of row r of a panel as the file had them; both are multiples of
/// what a block of the type has.
void unpack_row(DType type, const std::byte* panel, int64_t cols, int64_t r, int64_t first,
                int64_t count, std::byte* row);

}  // namespace cria::cpu
