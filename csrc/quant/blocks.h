// F1. The block formats bit by bit. A row of weights is a sequence of blocks; each struct below is
// one block exactly as it lies in a file. The structs are packed (alignment 1), because a row may
// begin at any address; fields named d, m, dmin are binary16 scales and read with `f16_to_f32`.
//
// How to read the drawings: one line per field, the byte offset on the left, and inside a byte the
// highest bit on the left. `w7` is the code of weight 7 of the block, `w7.4` its bit 4, `w7.10` its
// bits 1 and 0. The formula below a drawing turns a code q into a weight.
//
// All products in the formulas are exact in f32 (a binary16 has 11 significant bits, and scale and
// code together never need more than 13), so the order of multiplication does not matter; only the
// subtraction or addition of a minimum rounds.
// Formats: the public ggml block layouts.
#pragma once

#include <cstdint>

namespace cria {

inline constexpr int kBlock = 32;        // weights of a plain block
inline constexpr int kSuperBlock = 256;  // weights of a K-quant or IQ4_XS block

#pragma pack(push, 1)

// ---- plain blocks: 32 weights ------------------------------------------------------------------

/// 4 bits a weight, symmetric; 4.5 bits with the scale.
///
///   0  d                        binary16
///   2  qs[0]   w16 w16 w16 w16 │ w0  w0  w0  w0      weight i   in the low nibble of byte i,
///   3  qs[1]   w17 …           │ w1  …               weight i+16 in its high nibble
///   …
///  17  qs[15]  w31 …           │ w15 …
///
///   w = d·(q − 8)
struct BlockQ4_0 {
  uint16_t d;
  uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_0) == 18);

/// 4 bits a weight with a minimum.
///
///   0  d                        binary16
///   2  m                        binary16
///   4  qs[16]  w(i+16) │ w(i)   as in Q4_0
///
///   w = d·q + m
struct BlockQ4_1 {
  uint16_t d;
  uint16_t m;
  uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_1) == 20);

/// 5 bits a weight, symmetric: the low four as in Q4_0, the fifth in a bit set.
///
///   0  d                        binary16
///   2  qh[0]   w7.4  w6.4  w5.4  w4.4  w3.4  w2.4  w1.4  w0.4      bit i of the 32-bit little-
///   3  qh[1]   w15.4 …                                   w8.4      endian word is bit 4 of
///   4  qh[2]   w23.4 …                                   w16.4     weight i
///   5  qh[3]   w31.4 …                                   w24.4
///   6  qs[16]  w(i+16).3210 │ w(i).3210
///
///   w = d·(q − 16)
struct BlockQ5_0 {
  uint16_t d;
  uint8_t qh[4];
  uint8_t qs[16];
};
static_assert(sizeof(BlockQ5_0) == 22);

/// 5 bits a weight with a minimum.
///
///   0  d                        binary16
///   2  m                        binary16
///   4  qh[4]   bit i of the word is w(i).4, as in Q5_0
///   8  qs[16]  w(i+16).3210 │ w(i).3210
///
///   w = d·q + m
struct BlockQ5_1 {
  uint16_t d;
  uint16_t m;
  uint8_t qh[4];
  uint8_t qs[16];
};
static_assert(sizeof(BlockQ5_1) == 24);

/// 8 bits a weight.
///
///   0  d                        binary16
///   2  qs[0]   w0  w0  w0  w0  w0  w0  w0  w0        two's complement
///   …
///  33  qs[31]  w31 …
///
///   w = d·q
struct BlockQ8_0 {
  uint16_t d;
  int8_t qs[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

/// 4 bits a weight, through a table of 16 unevenly spaced values (`kIq4Values`).
///
///   0  d                        binary16
///   2  qs[16]  w(i+16) │ w(i)   as in Q4_0
///
///   w = d·kIq4Values[q]
struct BlockIQ4_NL {
  uint16_t d;
  uint8_t qs[16];
};
static_assert(sizeof(BlockIQ4_NL) == 18);

// ---- super-blocks: 256 weights -----------------------------------------------------------------
// A super-block is cut into sub-blocks of 16 or 32 weights with small integer scales of their own.

/// 2 bits a weight; 16 sub-blocks of 16 with a 4-bit scale s and a 4-bit minimum m each.
///
///   0  scales[0]   m0 m0 m0 m0 │ s0 s0 s0 s0         sub-block j covers weights 16j … 16j+15
///   …
///  15  scales[15]  m15 …       │ s15 …
///  16  qs[0]       w96.10  │ w64.10  │ w32.10  │ w0.10         weights 0 … 127: byte l holds
///  17  qs[1]       w97.10  │ w65.10  │ w33.10  │ w1.10         l, l+32, l+64, l+96
///   …
///  47  qs[31]      w127.10 │ w95.10  │ w63.10  │ w31.10
///  48  qs[32]      w224.10 │ w192.10 │ w160.10 │ w128.10       weights 128 … 255 likewise
///   …
///  80  d                           binary16
///  82  dmin                        binary16
///
///   w = d·s·q − dmin·m
struct BlockQ2_K {
  uint8_t scales[16];
  uint8_t qs[64];
  uint16_t d;
  uint16_t dmin;
};
static_assert(sizeof(BlockQ2_K) == 84);

/// 3 bits a weight; 16 sub-blocks of 16 with a 6-bit scale s each (`unpack_scales_q3k`).
///
///   0  hmask[0]    w224.2 w192.2 w160.2 w128.2 w96.2  w64.2  w32.2  w0.2     byte l, bit b:
///   1  hmask[1]    w225.2 …                                         w1.2     bit 2 of weight
///   …                                                                        l + 32b
///  31  hmask[31]   w255.2 …                                         w31.2
///  32  qs[0]       w96.10  │ w64.10  │ w32.10  │ w0.10                       as in Q2_K
///   …
///  63  qs[31]      w127.10 │ w95.10  │ w63.10  │ w31.10
///  64  qs[32]      w224.10 │ w192.10 │ w160.10 │ w128.10
///   …
///  96  scales[0]   s8.3210  │ s0.3210                the low four bits of s0 … s7 and s8 … s15,
///   …
/// 103  scales[7]   s15.3210 │ s7.3210
/// 104  scales[8]   s12.54 │ s8.54  │ s4.54 │ s0.54   then the high two of all sixteen
///   …
/// 107  scales[11]  s15.54 │ s11.54 │ s7.54 │ s3.54
/// 108  d                           binary16
///
///   w = d·(s − 32)·(q − 4)
struct BlockQ3_K {
  uint8_t hmask[32];
  uint8_t qs[64];
  uint8_t scales[12];
  uint16_t d;
};
static_assert(sizeof(BlockQ3_K) == 110);

/// 4 bits a weight; 8 sub-blocks of 32 with a 6-bit scale s and a 6-bit minimum m each
/// (`unpack_scales_k4`).
///
///   0  d                           binary16
///   2  dmin                        binary16
///   4  scales[0]   s4.54 │ s0.543210
///   …
///   7  scales[3]   s7.54 │ s3.543210
///   8  scales[4]   m4.54 │ m0.543210
///   …
///  11  scales[7]   m7.54 │ m3.543210
///  12  scales[8]   m4.3210 │ s4.3210
///   …
///  15  scales[11]  m7.3210 │ s7.3210
///  16  qs[0]       w32  │ w0                         64 weights in 32 bytes: byte l of chunk c
///  17  qs[1]       w33  │ w1                         holds 64c+l (sub-block 2c) in its low and
///   …                                                64c+32+l (sub-block 2c+1) in its high nibble
///  47  qs[31]      w63  │ w31
///  48  qs[32]      w96  │ w64
///   …
/// 143  qs[127]     w255 │ w223
///
///   w = d·s·q − dmin·m
struct BlockQ4_K {
  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];
  uint8_t qs[128];
};
static_assert(sizeof(BlockQ4_K) == 144);

/// 5 bits a weight: Q4_K with a fifth bit for each weight.
///
///   0  d                           binary16
///   2  dmin                        binary16
///   4  scales[12]                  as in Q4_K
///  16  qh[0]       w224.4 w192.4 w160.4 w128.4 w96.4  w64.4  w32.4  w0.4     byte l, bit b:
///   …                                                                        bit 4 of weight
///  47  qh[31]      w255.4 …                                         w31.4    l + 32b
///  48  qs[0]       w32.3210 │ w0.3210                                        as in Q4_K
///   …
/// 175  qs[127]     w255.3210 │ w223.3210
///
///   w = d·s·q − dmin·m
struct BlockQ5_K {
  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];
  uint8_t qh[32];
  uint8_t qs[128];
};
static_assert(sizeof(BlockQ5_K) == 176);

/// 6 bits a weight; 16 sub-blocks of 16 with an 8-bit signed scale each.
///
///   0  ql[0]       w64.3210  │ w0.3210               weights 0 … 127: byte l holds l and l+64
///   …
///  63  ql[63]      w127.3210 │ w63.3210
///  64  ql[64]      w192.3210 │ w128.3210             weights 128 … 255 likewise
///   …
/// 128  qh[0]       w96.54  │ w64.54  │ w32.54  │ w0.54         bits 5 and 4, arranged as the
///   …                                                          two bits of Q2_K
/// 159  qh[31]      w127.54 │ w95.54  │ w63.54  │ w31.54
/// 160  qh[32]      w224.54 │ w192.54 │ w160.54 │ w128.54
///   …
/// 192  scales[0]   s0 s0 s0 s0 s0 s0 s0 s0           two's complement; sub-block j covers
///   …                                                weights 16j … 16j+15
/// 207  scales[15]  s15 …
/// 208  d                           binary16
///
///   w = d·s·(q − 32)
struct BlockQ6_K {
  uint8_t ql[128];
  uint8_t qh[64];
  int8_t scales[16];
  uint16_t d;
};
static_assert(sizeof(BlockQ6_K) == 210);

/// 4 bits a weight through `kIq4Values`; 8 sub-blocks of 32 with a 6-bit scale s each
/// (`unpack_scales_iq4xs`).
///
///   0  d                           binary16
///   2  scales_h    s7.54 │ s6.54 │ s5.54 │ s4.54 │ s3.54 │ s2.54 │ s1.54 │ s0.54   one 16-bit word
///   4  scales_l[0] s1.3210 │ s0.3210
///   …
///   7  scales_l[3] s7.3210 │ s6.3210
///   8  qs[0]       w16 │ w0                          each sub-block is 16 bytes, arranged as the
///   …                                                nibbles of Q4_0
///  23  qs[15]      w31 │ w15
///  24  qs[16]      w48 │ w32
///   …
/// 135  qs[127]     w255 │ w239
///
///   w = d·(s − 32)·kIq4Values[q]
struct BlockIQ4_XS {
  uint16_t d;
  uint16_t scales_h;
  uint8_t scales_l[4];
  uint8_t qs[128];
};
static_assert(sizeof(BlockIQ4_XS) == 136);

#pragma pack(pop)

// ---- small helpers shared by the scalar meaning and the kernels ---------------------------------

/// The 16 values of IQ4_NL and IQ4_XS, part of those formats: dense near zero, where most weights
/// of a trained matrix lie, and slightly asymmetric so that all 16 codes are used.
inline constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};

/// The 8 scales `sc` and 8 minima `m` (0 … 63) of Q4_K and Q5_K; drawing at BlockQ4_K.
inline void unpack_scales_k4(const uint8_t scales[12], uint8_t sc[8], uint8_t m[8]) {
  for (int j = 0; j < 4; ++j) {
    sc[j] = scales[j] & 63;
    m[j] = scales[j + 4] & 63;
    sc[j + 4] = static_cast<uint8_t>((scales[j + 8] & 15) | (scales[j] >> 6) << 4);
    m[j + 4] = static_cast<uint8_t>((scales[j + 8] >> 4) | (scales[j + 4] >> 6) << 4);
  }
}

/// The 16 scales of Q3_K with their bias of 32 taken off (−32 … 31); drawing at BlockQ3_K.
inline void unpack_scales_q3k(const uint8_t scales[12], int8_t sc[16]) {
  for (int j = 0; j < 16; ++j) {
    const int low = j < 8 ? scales[j] & 15 : scales[j - 8] >> 4;
    const int high = scales[8 + j % 4] >> 2 * (j / 4) & 3;
    sc[j] = static_cast<int8_t>((low | high << 4) - 32);
  }
}

/// The 8 scales of IQ4_XS with their bias of 32 taken off (−32 … 31); drawing at BlockIQ4_XS.
inline void unpack_scales_iq4xs(const BlockIQ4_XS& block, int8_t sc[8]) {
  for (int j = 0; j < 8; ++j) {
    const int low = block.scales_l[j / 2] >> 4 * (j % 2) & 15;
    const int high = block.scales_h >> 2 * j & 3;
    sc[j] = static_cast<int8_t>((low | high << 4) - 32);
  }
}

}  // namespace cria
