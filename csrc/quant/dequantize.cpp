// F1. What the bits of each block format say, in plain loops: one `decode` per block, in the order
// of the weights. The drawings and formulas are in blocks.h.
#include <bit>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "quant/blocks.h"
#include "quant/codec.h"

namespace cria {
namespace {

// Every `decode` writes the weights of one block to `w`: kBlock or kSuperBlock of them.

void decode(const BlockQ4_0& block, float* w) {
  const float d = f16_to_f32(block.d);
  for (int i = 0; i < 16; ++i) {
    w[i] = d * static_cast<float>((block.qs[i] & 15) - 8);
    w[i + 16] = d * static_cast<float>((block.qs[i] >> 4) - 8);
  }
}

void decode(const BlockQ4_1& block, float* w) {
  const float d = f16_to_f32(block.d), m = f16_to_f32(block.m);
  for (int i = 0; i < 16; ++i) {
    w[i] = d * static_cast<float>(block.qs[i] & 15) + m;
    w[i + 16] = d * static_cast<float>(block.qs[i] >> 4) + m;
  }
}

/// The 5-bit code of weight `i` of Q5_0 and Q5_1.
int code_q5(const uint8_t qh[4], const uint8_t qs[16], int i) {
  const int low = qs[i % 16] >> 4 * (i / 16) & 15;
  const int high = qh[i / 8] >> i % 8 & 1;
  return low | high << 4;
}

void decode(const BlockQ5_0& block, float* w) {
  const float d = f16_to_f32(block.d);
  for (int i = 0; i < kBlock; ++i)
    w[i] = d * static_cast<float>(code_q5(block.qh, block.qs, i) - 16);
}

void decode(const BlockQ5_1& block, float* w) {
  const float d = f16_to_f32(block.d), m = f16_to_f32(block.m);
  for (int i = 0; i < kBlock; ++i)
    w[i] = d * static_cast<float>(code_q5(block.qh, block.qs, i)) + m;
}

void decode(const BlockQ8_0& block, float* w) {
  const float d = f16_to_f32(block.d);
  for (int i = 0; i < kBlock; ++i) w[i] = d * static_cast<float>(block.qs[i]);
}

void decode(const BlockIQ4_NL& block, float* w) {
  const float d = f16_to_f32(block.d);
  for (int i = 0; i < 16; ++i) {
    w[i] = d * static_cast<float>(kIq4Values[block.qs[i] & 15]);
    w[i + 16] = d * static_cast<float>(kIq4Values[block.qs[i] >> 4]);
  }
}

void decode(const BlockQ2_K& block, float* w) {
  const float d = f16_to_f32(block.d), dmin = f16_to_f32(block.dmin);
  for (int half = 0; half < 2; ++half)
    for (int quarter = 0; quarter < 4; ++quarter)  // 32 weights that share a bit position
      for (int l = 0; l < 32; ++l) {
        const int i = 128 * half + 32 * quarter + l;
        const uint8_t scale = block.scales[i / 16];
        const int q = block.qs[32 * half + l] >> 2 * quarter & 3;
        const float minimum = dmin * static_cast<float>(scale >> 4);
        w[i] = d * static_cast<float>(scale & 15) * static_cast<float>(q) - minimum;
      }
}

void decode(const BlockQ3_K& block, float* w) {
  const float d = f16_to_f32(block.d);
  int8_t scales[16];
  unpack_scales_q3k(block.scales, scales);
  for (int half = 0; half < 2; ++half)
    for (int quarter = 0; quarter < 4; ++quarter)
      for (int l = 0; l < 32; ++l) {
        const int i = 128 * half + 32 * quarter + l;
        const int low = block.qs[32 * half + l] >> 2 * quarter & 3;
        const int high = block.hmask[l] >> (4 * half + quarter) & 1;
        const float scale = d * static_cast<float>(scales[i / 16]);
        w[i] = scale * static_cast<float>((low | high << 2) - 4);
      }
}

/// Writes 32 weights of Q4_K or Q5_K: w = d·s·q − dmin·m with the 4 bits at `shift` of each byte of
/// `qs` and, above them, bit `bit` of each byte of `qh` (none where `qh` is null).
void decode_sub_block(float scale, float minimum, const uint8_t* qs, int shift, const uint8_t* qh,
                      int bit, float* w) {
  for (int l = 0; l < 32; ++l) {
    const int high = qh ? qh[l] >> bit & 1 : 0;
    const int q = (qs[l] >> shift & 15) | high << 4;
    w[l] = scale * static_cast<float>(q) - minimum;
  }
}

/// Q5_K is Q4_K with `qh`, so both are decoded here; `qh` is null for Q4_K.
template <class Block>
void decode_k4(const Block& block, const uint8_t* qh, float* w) {
  const float d = f16_to_f32(block.d), dmin = f16_to_f32(block.dmin);
  uint8_t scales[8], minima[8];
  unpack_scales_k4(block.scales, scales, minima);
  for (int j = 0; j < 8; ++j)
    decode_sub_block(d * static_cast<float>(scales[j]), dmin * static_cast<float>(minima[j]),
                     block.qs + 32 * (j / 2), 4 * (j % 2), qh, j, w + 32 * j);
}

void decode(const BlockQ4_K& block, float* w) {
  decode_k4(block, nullptr, w);
}
void decode(const BlockQ5_K& block, float* w) {
  decode_k4(block, block.qh, w);
}

void decode(const BlockQ6_K& block, float* w) {
  const float d = f16_to_f32(block.d);
  for (int half = 0; half < 2; ++half)
    for (int quarter = 0; quarter < 4; ++quarter)
      for (int l = 0; l < 32; ++l) {
        const int i = 128 * half + 32 * quarter + l;
        const int low = block.ql[64 * half + 32 * (quarter % 2) + l] >> 4 * (quarter / 2) & 15;
        const int high = block.qh[32 * half + l] >> 2 * quarter & 3;
        const float scale = d * static_cast<float>(block.scales[i / 16]);
        w[i] = scale * static_cast<float>((low | high << 4) - 32);
      }
}

void decode(const BlockIQ4_XS& block, float* w) {
  const float d = f16_to_f32(block.d);
  int8_t scales[8];
  unpack_scales_iq4xs(block, scales);
  for (int j = 0; j < 8; ++j) {
    const float scale = d * static_cast<float>(scales[j]);
    for (int l = 0; l < 16; ++l) {
      const uint8_t byte = block.qs[16 * j + l];
      w[32 * j + l] = scale * static_cast<float>(kIq4Values[byte & 15]);
      w[32 * j + l + 16] = scale * static_cast<float>(kIq4Values[byte >> 4]);
    }
  }
}

/// Decodes a row of `n` weights. Each block is copied out first, so that `src` may be bytes of any
/// origin and alignment.
template <class Block, int kWeights>
void decode_row(const std::byte* src, float* dst, int64_t n) {
  for (int64_t i = 0; i < n / kWeights; ++i) {
    Block block;
    std::memcpy(&block, src + i * static_cast<int64_t>(sizeof(Block)), sizeof(Block));
    decode(block, dst + i * kWeights);
  }
}

/// Widens a row of `n` 16-bit floats with `widen`.
void widen_row(const std::byte* src, float* dst, int64_t n, float (*widen)(uint16_t)) {
  for (int64_t i = 0; i < n; ++i) {
    uint16_t value;
    std::memcpy(&value, src + 2 * i, sizeof(value));
    dst[i] = widen(value);
  }
}

}  // namespace

void dequantize_row(DType type, const void* src, float* dst, int64_t n) {
  const auto* bytes = static_cast<const std::byte*>(src);
  switch (type) {
    case DType::kF32:
      if (n > 0) std::memcpy(dst, src, static_cast<size_t>(n) * sizeof(float));
      return;
    case DType::kF16:
      return widen_row(bytes, dst, n, f16_to_f32);
    case DType::kBF16:
      return widen_row(bytes, dst, n, bf16_to_f32);
    case DType::kQ4_0:
      return decode_row<BlockQ4_0, kBlock>(bytes, dst, n);
    case DType::kQ4_1:
      return decode_row<BlockQ4_1, kBlock>(bytes, dst, n);
    case DType::kQ5_0:
      return decode_row<BlockQ5_0, kBlock>(bytes, dst, n);
    case DType::kQ5_1:
      return decode_row<BlockQ5_1, kBlock>(bytes, dst, n);
    case DType::kQ8_0:
      return decode_row<BlockQ8_0, kBlock>(bytes, dst, n);
    case DType::kIQ4_NL:
      return decode_row<BlockIQ4_NL, kBlock>(bytes, dst, n);
    case DType::kQ2_K:
      return decode_row<BlockQ2_K, kSuperBlock>(bytes, dst, n);
    case DType::kQ3_K:
      return decode_row<BlockQ3_K, kSuperBlock>(bytes, dst, n);
    case DType::kQ4_K:
      return decode_row<BlockQ4_K, kSuperBlock>(bytes, dst, n);
    case DType::kQ5_K:
      return decode_row<BlockQ5_K, kSuperBlock>(bytes, dst, n);
    case DType::kQ6_K:
      return decode_row<BlockQ6_K, kSuperBlock>(bytes, dst, n);
    case DType::kIQ4_XS:
      return decode_row<BlockIQ4_XS, kSuperBlock>(bytes, dst, n);
  }
  fail(ErrorCode::kUnsupported, "cannot dequantize tensor type id ", static_cast<uint32_t>(type),
       "; expected one of the types of DType");
}

}  // namespace cria
