// F3, device. The forms that weights are packed in, as the products read them. Each is a struct:
//
//   kTileBytes     of a tile of 64 outputs × 256 inputs
//   Codes, Scales  what a lane loads of a slab's chunk, and of a slab
//   load_codes, load_scales
//   decode         A of instructions 2·half and 2·half + 1 of a chunk, as pairs of f16
//   write_codes    the packing of what a lane loads of a slab's chunk
//
//   form    bits a weight                   packed from
//   kF32    32    exact: not for the matrix instruction; layout in exact.cu
//   kHalf   16    f16                       F16, BF16 (by a power of two for the row)
//   kQ8      8.5  d · (q − 128)             Q8_0, Q5_0, IQ4_NL, IQ4_XS
//   kQ4      4.5  d · (q − 8)               Q4_0
//   kQ5m     6    d · q + m                 Q5_1, Q4_1
//   kQ4k     4.5  d·s · q + m·m_j, of 32    Q4_K
//   kQ5k     5.5  the same                  Q5_K
//   kQ6k     6.56 d·s · (q − 32), of 16     Q6_K, Q3_K
//   kQ2k     5.25 d·s · q + m·m_j, of 16    Q2_K
//
// A weight is decoded to f16 with one rounding of the product or sum; codes and, but for Q4_K's
// kind of scale of a scale, scales are exact.
#pragma once

#include "cuda/device/scales.h"
#include "quant/dtype.h"

namespace cria::cuda {

/// f16, 16 inputs of two outputs in a load: the fragment itself.
struct HalfForm {
  static constexpr int kTileBytes = kTileOutputs * kTileInputs * 2;
  struct Codes {
    Words4 m[4];
  };
  struct Scales {};
  static __device__ __forceinline__ Codes load_codes(const uint8_t* tile, int slab, int chunk,
                                                     int lane) {
    const auto* from =
        reinterpret_cast<const Words4*>(tile) + (slab * kChunks + chunk) * 128 + lane;
    return {{load_once(from), load_once(from + 32), load_once(from + 64), load_once(from + 96)}};
  }
  static __device__ __forceinline__ Scales load_scales(const uint8_t*, int, int) { return {}; }
  static __device__ __forceinline__ void decode(const Codes& codes, const Scales&, int, int half,
                                                uint32_t (&a)[2][4]) {
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int p = 0; p < 4; ++p) a[m][p] = codes.m[2 * half + m].at[p];
  }
  /// `code(m, i)`: the f16 at `code_place`.
  template <class Code>
  static __device__ void write_codes(uint8_t* tile, int slab, int chunk, int lane,
                                     const Code& code) {
    auto* to = reinterpret_cast<uint16_t*>(tile) + ((slab * kChunks + chunk) * 128 + lane) * 8;
    for (int m = 0; m < 4; ++m)
      for (int i = 0; i < 8; ++i) to[256 * m + i] = static_cast<uint16_t>(code(m, i));
  }
};

/// Codes q of kBits: w = scale · (q − kOffset) (+ minimum).
///
/// 8 bits: a vector holds instructions 2v and 2v + 1, a word of it two pairs:
///
///   word 2·(m % 2) + p / 2   q1 q0 of pair p odd │ q1 q0 of pair p even      (a byte each)
///
/// 4 bits and more: the low four in one vector, a word for each instruction, the others in `high`,
/// bits b of a pair's first code in the lower half, of its second in the upper:
///
///   word m of low              bits 4p … 4p + 3
///   5 bits: the word of high   bit 4m + p
///   6 bits: word m / 2 of high bits 2·(4·(m % 2) + p) and the next
template <int kBits, int kOffset, class ScaleForm>
struct CodeForm {
  static constexpr int kLow = kBits == 8 ? 8 : 4, kHigh = kBits - kLow;
  static constexpr int kLowBytes = kTileOutputs * kTileInputs * kLow / 8;
  static constexpr int kHighBytes = kTileOutputs * kTileInputs * kHigh / 8;
  static constexpr int kTileBytes = kLowBytes + kHighBytes + kTileOutputs * ScaleForm::kRowBytes;
  static_assert(kHigh >= 0 && kHigh <= 2 && kTileBytes % 16 == 0);

  struct Codes {
    Words4 low[kLow / 4];
    uint32_t high[kHigh == 0 ? 1 : kHigh];
  };
  using Scales = typename ScaleForm::Loaded;

  static __device__ __forceinline__ Codes load_codes(const uint8_t* tile, int slab, int chunk,
                                                     int lane) {
    Codes codes{};
    const int place = slab * kChunks + chunk;
    const auto* low = reinterpret_cast<const Words4*>(tile) + place * (kLow / 4) * 32 + lane;
#pragma unroll
    for (int v = 0; v < kLow / 4; ++v) codes.low[v] = load_once(low + 32 * v);
    const uint8_t* high = tile + kLowBytes + (place * 32 + lane) * 4 * kHigh;
    if constexpr (kHigh == 1) {
      codes.high[0] = load_once(reinterpret_cast<const uint32_t*>(high));
    } else if constexpr (kHigh == 2) {
      const Words2 two = load_once(reinterpret_cast<const Words2*>(high));
      codes.high[0] = two.at[0];
      codes.high[1] = two.at[1];
    }
    return codes;
  }

  static __device__ __forceinline__ Scales load_scales(const uint8_t* tile, int slab, int lane) {
    return ScaleForm::load(tile + kLowBytes + kHighBytes, kSlabOutputs * slab + lane / 4, lane % 4);
  }

  static __device__ __forceinline__ void decode(const Codes& codes, const Scales& scales, int chunk,
                                                int half, uint32_t (&a)[2][4]) {
    const Affine of_row[2] = {ScaleForm::at(scales, 0, 2 * chunk + half),
                              ScaleForm::at(scales, 1, 2 * chunk + half)};
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int p = 0; p < 4; ++p) {
        const uint32_t q = pair(codes, 2 * half + m, p);
        const Affine& of = of_row[p % 2];
        a[m][p] = ScaleForm::kMinimum ? fma_f16x2(q, of.scale, of.minimum) : mul_f16x2(q, of.scale);
      }
  }

  /// `code(m, i)`: the code at `code_place`.
  template <class Code>
  static __device__ void write_codes(uint8_t* tile, int slab, int chunk, int lane,
                                     const Code& code) {
    uint32_t low[kLow] = {}, high[2] = {};
    for (int m = 0; m < 4; ++m)
      for (int i = 0; i < 8; ++i) {
        const auto q = static_cast<uint32_t>(code(m, i));
        const int p = i / 2, upper = i % 2;
        if constexpr (kLow == 8)
          low[2 * m + p / 2] |= q << (16 * (p % 2) + 8 * upper);
        else
          low[m] |= (q & 15) << (4 * p + 16 * upper);
        if constexpr (kHigh > 0) high[high_word(m)] |= q >> 4 << (high_bit(m, p) + 16 * upper);
      }
    const int place = slab * kChunks + chunk;
    auto* to = reinterpret_cast<uint32_t*>(tile) + (place * (kLow / 4) * 32 + lane) * 4;
    for (int i = 0; i < kLow; ++i) to[i / 4 * 128 + i % 4] = low[i];
    auto* to_high = reinterpret_cast<uint32_t*>(tile + kLowBytes) + (place * 32 + lane) * kHigh;
    for (int i = 0; i < kHigh; ++i) to_high[i] = high[i];
  }

  static __device__ void write_scales(uint8_t* tile, int row, const RowScales& scales,
                                      float power) {
    ScaleForm::write(tile + kLowBytes + kHighBytes, row, scales, power);
  }

 private:
  static constexpr __host__ __device__ int high_word(int m) {
    return kHigh == 2 ? m / 2 : 0;
  }
  static constexpr __host__ __device__ int high_bit(int m, int p) {
    return kHigh == 2 ? 2 * (4 * (m % 2) + p) : 4 * m + p;
  }

  /// q − kOffset of pair p of instruction m, exactly. Bits of q put under 0x6400 are f16 1024 + q,
  /// or 1024 + 16q where they begin at bit 4, which saves shifting them down: then
  /// q − kOffset = (1024 + 16q) / 16 − (64 + kOffset).
  static __device__ __forceinline__ uint32_t pair(const Codes& codes, int m, int p) {
    if constexpr (kLow == 8) {
      const uint32_t word = codes.low[m / 2].at[2 * (m % 2) + p / 2];
      const uint32_t n = __byte_perm(word, both(kMagic), p % 2 ? 0x5352 : 0x5150);
      return sub_f16x2(n, both(kMagic + kOffset));
    } else {
      const int begin = 4 * (p % 2);
      const uint32_t low = p < 2 ? codes.low[0].at[m] : codes.low[0].at[m] >> 8;
      uint32_t n = (low & both(0x0fu << begin)) | both(kMagic);
      if constexpr (kHigh > 0) {
        const int down = high_bit(m, p) - (begin + 4);
        const uint32_t word = codes.high[high_word(m)];
        const uint32_t high = down >= 0 ? word >> down : word << -down;
        n |= high & both(((1u << kHigh) - 1) << (begin + 4));
      }
      if (begin == 0) return sub_f16x2(n, both(kMagic + kOffset));
      constexpr uint32_t kSixteenth = 0x2c00, kMinus = 0xd400 | kOffset << 4;  // −(64 + kOffset)
      return fma_f16x2(n, both(kSixteenth), both(kMinus));
    }
  }
};

using Q8Form = CodeForm<8, 128, PlainScales>;
using Q4Form = CodeForm<4, 8, PlainScales>;
using Q5mForm = CodeForm<5, 0, MinimumScales>;
using Q4kForm = CodeForm<4, 0, SuperScales>;
using Q5kForm = CodeForm<5, 0, SuperScales>;
using Q6kForm = CodeForm<6, 32, SignedScales>;
using Q2kForm = CodeForm<4, 0, NibbleScales>;

/// f32 [256 inputs][64 outputs]
struct ExactForm {
  static constexpr int kTileBytes = kTileOutputs * kTileInputs * 4;
};

enum class Form { kNone, kF32, kHalf, kQ8, kQ4, kQ5m, kQ4k, kQ5k, kQ6k, kQ2k };

/// That a type is packed in; kNone for one that Cria does not compute.
inline Form form_of(uint32_t type) {
  switch (static_cast<DType>(type)) {
    case DType::kF32:
      return Form::kF32;
    case DType::kF16:
    case DType::kBF16:
      return Form::kHalf;
    case DType::kQ8_0:
    case DType::kQ5_0:
    case DType::kIQ4_NL:
    case DType::kIQ4_XS:
      return Form::kQ8;
    case DType::kQ4_0:
      return Form::kQ4;
    case DType::kQ4_1:
    case DType::kQ5_1:
      return Form::kQ5m;
    case DType::kQ4_K:
      return Form::kQ4k;
    case DType::kQ5_K:
      return Form::kQ5k;
    case DType::kQ6_K:
    case DType::kQ3_K:
      return Form::kQ6k;
    case DType::kQ2_K:
      return Form::kQ2k;
  }
  return Form::kNone;
}

/// visit(a form's struct), kF32's being ExactForm; not for kNone.
template <class Visit>
auto with_form(Form form, const Visit& visit) {
  switch (form) {
    case Form::kHalf:
      return visit(HalfForm{});
    case Form::kQ8:
      return visit(Q8Form{});
    case Form::kQ4:
      return visit(Q4Form{});
    case Form::kQ5m:
      return visit(Q5mForm{});
    case Form::kQ4k:
      return visit(Q4kForm{});
    case Form::kQ5k:
      return visit(Q5kForm{});
    case Form::kQ6k:
      return visit(Q6kForm{});
    case Form::kQ2k:
      return visit(Q2kForm{});
    case Form::kF32:
    case Form::kNone:
      break;
  }
  return visit(ExactForm{});
}

}  // namespace cria::cuda
