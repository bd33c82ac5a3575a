// F1. Plain encoders: scales are chosen so that the largest value of a group just fits, are rounded
// to what the format stores, and every weight then goes to the nearest code. No search, no
// importance weights. The drawings and formulas are in blocks.h.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "quant/blocks.h"
#include "quant/codec.h"

namespace cria {
namespace {

constexpr float kLargestHalf = 65504.0f;

/// `value` as binary16, saturating: an infinite scale would turn zeros into NaN.
uint16_t half_scale(float value) {
  return f32_to_f16(std::clamp(value, -kLargestHalf, kLargestHalf));
}

/// 1/x, and 0 for 0: with it a group whose scale vanished gets the code of zero everywhere.
float inverse_or_zero(float x) {
  const float inverse = x == 0.0f ? 0.0f : 1.0f / x;
  return std::isfinite(inverse) ? inverse : 0.0f;
}

/// `value` rounded to the nearest whole number within [low, high].
int nearest(float value, int low, int high) {
  const float limited = std::clamp(value, static_cast<float>(low), static_cast<float>(high));
  return static_cast<int>(std::lrint(limited));
}

/// The value of largest magnitude, with its sign. Codes reach one step further below zero than
/// above, so the encoders give this value the lowest code.
float extreme(const float* x, int n) {
  float found = 0.0f;
  for (int i = 0; i < n; ++i)
    if (std::fabs(x[i]) > std::fabs(found)) found = x[i];
  return found;
}

struct Range {
  float low, high;
};
Range range(const float* x, int n) {
  const auto [low, high] = std::minmax_element(x, x + n);
  return {*low, *high};
}

/// The index in `kIq4Values` of the value nearest to `x`.
int nearest_iq4(float x) {
  int best = 0;
  for (int i = 1; i < 16; ++i)
    if (std::fabs(x - static_cast<float>(kIq4Values[i])) <
        std::fabs(x - static_cast<float>(kIq4Values[best])))
      best = i;
  return best;
}

uint8_t nibbles(int low, int high) {
  return static_cast<uint8_t>(low | high << 4);
}

// ---- plain blocks
// --------------------------------------------------------------------------------

void encode(const float* x, BlockQ4_0& block) {
  block.d = half_scale(extreme(x, kBlock) / -8.0f);
  const float inverse = inverse_or_zero(f16_to_f32(block.d));
  const auto code = [&](int i) { return nearest(x[i] * inverse, -8, 7) + 8; };
  for (int i = 0; i < 16; ++i) block.qs[i] = nibbles(code(i), code(i + 16));
}

void encode(const float* x, BlockQ4_1& block) {
  const Range r = range(x, kBlock);
  block.m = half_scale(r.low);
  const float m = f16_to_f32(block.m);
  block.d = half_scale((r.high - m) / 15.0f);
  const float inverse = inverse_or_zero(f16_to_f32(block.d));
  const auto code = [&](int i) { return nearest((x[i] - m) * inverse, 0, 15); };
  for (int i = 0; i < 16; ++i) block.qs[i] = nibbles(code(i), code(i + 16));
}

/// Stores 32 5-bit codes as Q5_0 and Q5_1 do.
template <class Block>
void store_q5(const int codes[kBlock], Block& block) {
  std::memset(block.qh, 0, sizeof(block.qh));
  for (int i = 0; i < kBlock; ++i)
    block.qh[i / 8] = static_cast<uint8_t>(block.qh[i / 8] | codes[i] >> 4 << i % 8);
  for (int i = 0; i < 16; ++i) block.qs[i] = nibbles(codes[i] & 15, codes[i + 16] & 15);
}

void encode(const float* x, BlockQ5_0& block) {
  block.d = half_scale(extreme(x, kBlock) / -16.0f);
  const float inverse = inverse_or_zero(f16_to_f32(block.d));
  int codes[kBlock];
  for (int i = 0; i < kBlock; ++i) codes[i] = nearest(x[i] * inverse, -16, 15) + 16;
  store_q5(codes, block);
}

void encode(const float* x, BlockQ5_1& block) {
  const Range r = range(x, kBlock);
  block.m = half_scale(r.low);
  const float m = f16_to_f32(block.m);
  block.d = half_scale((r.high - m) / 31.0f);
  const float inverse = inverse_or_zero(f16_to_f32(block.d));
  int codes[kBlock];
  for (int i = 0; i < kBlock; ++i) codes[i] = nearest((x[i] - m) * inverse, 0, 31);
  store_q5(codes, block);
}

void encode(const float* x, BlockQ8_0& block) {
  block.d = half_scale(std::fabs(extreme(x, kBlock)) / 127.0f);
  const float inverse = inverse_or_zero(f16_to_f32(block.d));
  for (int i = 0; i < kBlock; ++i)
    block.qs[i] = static_cast<int8_t>(nearest(x[i] * inverse, -127, 127));
}

void encode(const float* x, BlockIQ4_NL& block) {
  block.d = half_scale(extreme(x, kBlock) / static_cast<float>(kIq4Values[0]));
  const float inverse = inverse_or_zero(f16_to_f32(block.d));
  const auto code = [&](int i) { return nearest_iq4(x[i] * inverse); };
  for (int i = 0; i < 16; ++i) block.qs[i] = nibbles(code(i), code(i + 16));
}

// ---- super-blocks with minima: Q2_K, Q4_K, Q5_K
// ---------------------------------------------------

/// The two levels of w = d·s·q − dmin·m: the halves, the whole numbers under them, and the codes.
template <int kSubBlocks>
struct WithMinima {
  uint16_t d, dmin;
  int scales[kSubBlocks];
  int minima[kSubBlocks];
  int codes[kSuperBlock];
};

/// Encodes 256 weights in `kSubBlocks` groups, with codes 0 … `top_code` and scales and minima
/// 0 … `top_scale`. A minimum cannot be above zero, so a group of positive values starts at zero.
template <int kSubBlocks>
WithMinima<kSubBlocks> encode_with_minima(const float* x, int top_code, int top_scale) {
  constexpr int kSize = kSuperBlock / kSubBlocks;
  float step[kSubBlocks], depth[kSubBlocks];
  for (int j = 0; j < kSubBlocks; ++j) {
    const Range r = range(x + kSize * j, kSize);
    depth[j] = std::max(0.0f, -r.low);
    step[j] = std::max(0.0f, r.high + depth[j]) / static_cast<float>(top_code);
  }
  WithMinima<kSubBlocks> out;
  out.d = half_scale(range(step, kSubBlocks).high / static_cast<float>(top_scale));
  out.dmin = half_scale(range(depth, kSubBlocks).high / static_cast<float>(top_scale));
  const float d = f16_to_f32(out.d), dmin = f16_to_f32(out.dmin);
  for (int j = 0; j < kSubBlocks; ++j) {
    out.scales[j] = nearest(step[j] * inverse_or_zero(d), 0, top_scale);
    out.minima[j] = nearest(depth[j] * inverse_or_zero(dmin), 0, top_scale);
    const float inverse = inverse_or_zero(d * static_cast<float>(out.scales[j]));
    const float minimum = dmin * static_cast<float>(out.minima[j]);
    for (int i = kSize * j; i < kSize * (j + 1); ++i)
      out.codes[i] = nearest((x[i] + minimum) * inverse, 0, top_code);
  }
  return out;
}

/// Stores two bits of each of 256 codes (bits `shift` and up) as Q2_K does.
void store_pairs(const int codes[kSuperBlock], int shift, uint8_t qs[64]) {
  for (int byte = 0; byte < 64; ++byte) {
    const int* first = codes + 128 * (byte / 32) + byte % 32;
    const auto pair = [&](int quarter) {
      return (first[32 * quarter] >> shift & 3) << 2 * quarter;
    };
    qs[byte] = static_cast<uint8_t>(pair(0) | pair(1) | pair(2) | pair(3));
  }
}

/// Stores bit `shift` of each of 256 codes in bit i/32 of byte i%32, as Q3_K and Q5_K do.
void store_bits(const int codes[kSuperBlock], int shift, uint8_t bits[32]) {
  std::memset(bits, 0, 32);
  for (int i = 0; i < kSuperBlock; ++i)
    bits[i % 32] = static_cast<uint8_t>(bits[i % 32] | (codes[i] >> shift & 1) << i / 32);
}

/// Stores the low four bits of 256 codes as Q4_K and Q5_K do.
void store_nibbles(const int codes[kSuperBlock], uint8_t qs[128]) {
  for (int byte = 0; byte < 128; ++byte) {
    const int* first = codes + 64 * (byte / 32) + byte % 32;
    qs[byte] = nibbles(first[0] & 15, first[32] & 15);
  }
}

/// The inverse of `unpack_scales_k4`.
void pack_scales_k4(const int scales[8], const int minima[8], uint8_t packed[12]) {
  for (int j = 0; j < 4; ++j) {
    packed[j] = static_cast<uint8_t>(scales[j] | scales[j + 4] >> 4 << 6);
    packed[j + 4] = static_cast<uint8_t>(minima[j] | minima[j + 4] >> 4 << 6);
    packed[j + 8] = nibbles(scales[j + 4] & 15, minima[j + 4] & 15);
  }
}

void encode(const float* x, BlockQ2_K& block) {
  const auto out = encode_with_minima<16>(x, 3, 15);
  block.d = out.d;
  block.dmin = out.dmin;
  for (int j = 0; j < 16; ++j) block.scales[j] = nibbles(out.scales[j], out.minima[j]);
  store_pairs(out.codes, 0, block.qs);
}

void encode(const float* x, BlockQ4_K& block) {
  const auto out = encode_with_minima<8>(x, 15, 63);
  block.d = out.d;
  block.dmin = out.dmin;
  pack_scales_k4(out.scales, out.minima, block.scales);
  store_nibbles(out.codes, block.qs);
}

void encode(const float* x, BlockQ5_K& block) {
  const auto out = encode_with_minima<8>(x, 31, 63);
  block.d = out.d;
  block.dmin = out.dmin;
  pack_scales_k4(out.scales, out.minima, block.scales);
  store_bits(out.codes, 4, block.qh);
  store_nibbles(out.codes, block.qs);
}

// ---- super-blocks without minima: Q3_K, Q6_K, IQ4_XS
// ----------------------------------------------

/// The signed scales of w = d·s·q, and the factor 1/(d·s) of each group.
template <int kSubBlocks>
struct Symmetric {
  uint16_t d;
  int scales[kSubBlocks];
  float inverse[kSubBlocks];
};

/// Chooses scales so that the extreme value of each group gets the code value `lowest` (negative),
/// and the largest scale the number `-top_scale` of the range −top_scale … top_scale − 1.
template <int kSubBlocks>
Symmetric<kSubBlocks> symmetric_scales(const float* x, float lowest, int top_scale) {
  constexpr int kSize = kSuperBlock / kSubBlocks;
  float step[kSubBlocks];
  for (int j = 0; j < kSubBlocks; ++j) step[j] = extreme(x + kSize * j, kSize) / lowest;
  Symmetric<kSubBlocks> out;
  out.d = half_scale(extreme(step, kSubBlocks) / static_cast<float>(-top_scale));
  const float d = f16_to_f32(out.d);
  for (int j = 0; j < kSubBlocks; ++j) {
    out.scales[j] = nearest(step[j] * inverse_or_zero(d), -top_scale, top_scale - 1);
    out.inverse[j] = inverse_or_zero(d * static_cast<float>(out.scales[j]));
  }
  return out;
}

void encode(const float* x, BlockQ3_K& block) {
  const auto out = symmetric_scales<16>(x, -4.0f, 32);
  int codes[kSuperBlock];
  for (int i = 0; i < kSuperBlock; ++i) codes[i] = nearest(x[i] * out.inverse[i / 16], -4, 3) + 4;
  block.d = out.d;
  std::memset(block.scales, 0, sizeof(block.scales));
  const auto put = [&](int byte, int bits) {
    block.scales[byte] = static_cast<uint8_t>(block.scales[byte] | bits);
  };
  for (int j = 0; j < 16; ++j) {
    const int scale = out.scales[j] + 32;
    put(j % 8, (scale & 15) << 4 * (j / 8));
    put(8 + j % 4, scale >> 4 << 2 * (j / 4));
  }
  store_pairs(codes, 0, block.qs);
  store_bits(codes, 2, block.hmask);
}

void encode(const float* x, BlockQ6_K& block) {
  const auto out = symmetric_scales<16>(x, -32.0f, 128);
  int codes[kSuperBlock];
  for (int i = 0; i < kSuperBlock; ++i)
    codes[i] = nearest(x[i] * out.inverse[i / 16], -32, 31) + 32;
  block.d = out.d;
  for (int j = 0; j < 16; ++j) block.scales[j] = static_cast<int8_t>(out.scales[j]);
  for (int byte = 0; byte < 128; ++byte) {
    const int* first = codes + 128 * (byte / 64) + byte % 64;
    block.ql[byte] = nibbles(first[0] & 15, first[64] & 15);
  }
  store_pairs(codes, 4, block.qh);
}

void encode(const float* x, BlockIQ4_XS& block) {
  const auto out = symmetric_scales<8>(x, static_cast<float>(kIq4Values[0]), 32);
  block.d = out.d;
  int high = 0;
  for (int j = 0; j < 8; ++j) high |= (out.scales[j] + 32) >> 4 << 2 * j;
  block.scales_h = static_cast<uint16_t>(high);
  for (int j = 0; j < 4; ++j)
    block.scales_l[j] = nibbles((out.scales[2 * j] + 32) & 15, (out.scales[2 * j + 1] + 32) & 15);
  for (int j = 0; j < 8; ++j) {
    const auto code = [&](int l) { return nearest_iq4(x[32 * j + l] * out.inverse[j]); };
    for (int l = 0; l < 16; ++l) block.qs[16 * j + l] = nibbles(code(l), code(l + 16));
  }
}

// ---- rows
// ------------------------------------------------------------------------------------------

template <class Block, int kWeights>
void encode_row(const float* src, std::byte* dst, int64_t n) {
  for (int64_t i = 0; i < n / kWeights; ++i) {
    Block block;
    encode(src + i * kWeights, block);
    std::memcpy(dst + i * static_cast<int64_t>(sizeof(Block)), &block, sizeof(Block));
  }
}

/// Narrows a row of `n` floats to 16 bits with `narrow`.
void narrow_row(const float* src, std::byte* dst, int64_t n, uint16_t (*narrow)(float)) {
  for (int64_t i = 0; i < n; ++i) {
    const uint16_t value = narrow(src[i]);
    std::memcpy(dst + 2 * i, &value, sizeof(value));
  }
}

}  // namespace

void quantize_row(DType type, const float* src, void* dst, int64_t n) {
  auto* bytes = static_cast<std::byte*>(dst);
  switch (type) {
    case DType::kF32:
      if (n > 0) std::memcpy(dst, src, static_cast<size_t>(n) * sizeof(float));
      return;
    case DType::kF16:
      return narrow_row(src, bytes, n, f32_to_f16);
    case DType::kBF16:
      return narrow_row(src, bytes, n, f32_to_bf16);
    case DType::kQ4_0:
      return encode_row<BlockQ4_0, kBlock>(src, bytes, n);
    case DType::kQ4_1:
      return encode_row<BlockQ4_1, kBlock>(src, bytes, n);
    case DType::kQ5_0:
      return encode_row<BlockQ5_0, kBlock>(src, bytes, n);
    case DType::kQ5_1:
      return encode_row<BlockQ5_1, kBlock>(src, bytes, n);
    case DType::kQ8_0:
      return encode_row<BlockQ8_0, kBlock>(src, bytes, n);
    case DType::kIQ4_NL:
      return encode_row<BlockIQ4_NL, kBlock>(src, bytes, n);
    case DType::kQ2_K:
      return encode_row<BlockQ2_K, kSuperBlock>(src, bytes, n);
    case DType::kQ3_K:
      return encode_row<BlockQ3_K, kSuperBlock>(src, bytes, n);
    case DType::kQ4_K:
      return encode_row<BlockQ4_K, kSuperBlock>(src, bytes, n);
    case DType::kQ5_K:
      return encode_row<BlockQ5_K, kSuperBlock>(src, bytes, n);
    case DType::kQ6_K:
      return encode_row<BlockQ6_K, kSuperBlock>(src, bytes, n);
    case DType::kIQ4_XS:
      return encode_row<BlockIQ4_XS, kSuperBlock>(src, bytes, n);
  }
  fail(ErrorCode::kUnsupported, "cannot quantize to tensor type id ", static_cast<uint32_t>(type),
       "; expected one of the types of DType");
}

}  // namespace cria
