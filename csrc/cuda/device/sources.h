// F3, device. The GGUF types as the packing reads them, block by block (drawings: quant/blocks.h).
// Each is a struct:
//
//   Block, kWeights  a block and its weights
//   Target           the form it is packed in (formats.h)
//   code             of weight i of a block, as the form counts it
//   scales           of a block that begins at 32-input block `at` of a tile
//   bound            of the absolute values of its weights
//
// A block may begin at any address: its fields are bytes to the compiler (the structs are packed).
#pragma once

#include "cuda/device/formats.h"
#include "quant/blocks.h"

namespace cria::cuda {

__device__ __forceinline__ int nibble(const uint8_t* bytes, int i, int upper) {
  return bytes[i] >> 4 * upper & 15;
}
/// Weight i of 32: nibbles as in Q4_0, i and i + 16 to a byte.
__device__ __forceinline__ int nibble_of_32(const uint8_t* bytes, int i) {
  return nibble(bytes, i % 16, i / 16);
}
/// Weight i of 256: nibbles as in Q4_K, i and i + 32 to a byte.
__device__ __forceinline__ int nibble_of_64(const uint8_t* bytes, int i) {
  return nibble(bytes, i / 64 * 32 + i % 32, i / 32 % 2);
}
/// Weight i of 256: two bits as in Q2_K, i, i + 32, i + 64, i + 96 to a byte.
__device__ __forceinline__ int two_bits(const uint8_t* bytes, int i) {
  return bytes[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
}
__device__ __forceinline__ int bit_of_32(const uint8_t* bits, int i) {
  return bits[i / 8] >> i % 8 & 1;
}
/// kIq4Values, as bytes of words.
__device__ __forceinline__ int iq4_value(int q) {
  constexpr uint64_t kLow = 0xf6eaddcfbfad9881u, kHigh = 0x7159453526190d01u;
  return static_cast<int8_t>((q < 8 ? kLow : kHigh) >> 8 * (q % 8) & 0xff);
}

struct F16Source {
  using Block = uint16_t;
  using Target = HalfForm;
  static constexpr bool kIsF16 = true;
};
struct Bf16Source {
  using Block = uint16_t;
  using Target = HalfForm;
  static constexpr bool kIsF16 = false;
};

/// Of 32 weights w = d · q with |q| ≤ kLargest.
template <class OfBlock, class Form, int kLargest>
struct ScaledSource {
  using Block = OfBlock;
  using Target = Form;
  static constexpr int kWeights = kBlock;
  static __device__ void scales(const Block& block, int at, RowScales& out) {
    out.d[at] = f16_to_float(block.d);
  }
  static __device__ float bound(const Block& block) {
    return kLargest * fabsf(f16_to_float(block.d));
  }
};

/// Of 32 weights w = d · q + m with 0 ≤ q ≤ kLargest.
template <class OfBlock, int kLargest>
struct MinimumSource {
  using Block = OfBlock;
  using Target = Q5mForm;
  static constexpr int kWeights = kBlock;
  static __device__ void scales(const Block& block, int at, RowScales& out) {
    out.d[at] = f16_to_float(block.d);
    out.m[at] = f16_to_float(block.m);
  }
  static __device__ float bound(const Block& block) {
    return kLargest * fabsf(f16_to_float(block.d)) + fabsf(f16_to_float(block.m));
  }
};

struct Q4_0Source : ScaledSource<BlockQ4_0, Q4Form, 8> {
  static __device__ int code(const Block& block, int i) { return nibble_of_32(block.qs, i); }
};
struct Q4_1Source : MinimumSource<BlockQ4_1, 15> {
  static __device__ int code(const Block& block, int i) { return nibble_of_32(block.qs, i); }
};
struct Q5_0Source : ScaledSource<BlockQ5_0, Q8Form, 16> {
  static __device__ int code(const Block& block, int i) {
    return (nibble_of_32(block.qs, i) | bit_of_32(block.qh, i) << 4) - 16 + 128;
  }
};
struct Q5_1Source : MinimumSource<BlockQ5_1, 31> {
  static __device__ int code(const Block& block, int i) {
    return nibble_of_32(block.qs, i) | bit_of_32(block.qh, i) << 4;
  }
};
struct Q8_0Source : ScaledSource<BlockQ8_0, Q8Form, 128> {
  static __device__ int code(const Block& block, int i) { return block.qs[i] + 128; }
};
struct Iq4NlSource : ScaledSource<BlockIQ4_NL, Q8Form, 127> {
  static __device__ int code(const Block& block, int i) {
    return iq4_value(nibble_of_32(block.qs, i)) + 128;
  }
};

/// d·(s − 32) of a sub-block is rounded to f16.
struct Iq4XsSource {
  using Block = BlockIQ4_XS;
  using Target = Q8Form;
  static constexpr int kWeights = kSuperBlock;
  static __device__ int code(const Block& block, int i) {
    return iq4_value(nibble_of_32(block.qs + i / 32 * 16, i % 32)) + 128;
  }
  static __device__ void scales(const Block& block, int, RowScales& out) {
    for (int j = 0; j < 8; ++j) {
      const int s = nibble(block.scales_l, j / 2, j % 2) | (block.scales_h >> 2 * j & 3) << 4;
      out.d[j] = f16_to_float(block.d) * static_cast<float>(s - 32);
    }
  }
  static __device__ float bound(const Block& block) {
    return 32 * 127 * fabsf(f16_to_float(block.d));
  }
};

struct Q2kSource {
  using Block = BlockQ2_K;
  using Target = Q2kForm;
  static constexpr int kWeights = kSuperBlock;
  static __device__ int code(const Block& block, int i) { return two_bits(block.qs, i); }
  static __device__ void scales(const Block& block, int, RowScales& out) {
    out.d[0] = f16_to_float(block.d);
    out.m[0] = -f16_to_float(block.dmin);
    for (int j = 0; j < 16; ++j) {
      out.scale[j] = block.scales[j] & 15;
      out.minimum[j] = block.scales[j] >> 4;
    }
  }
  static __device__ float bound(const Block& block) {
    return 15 * 3 * fabsf(f16_to_float(block.d)) + 15 * fabsf(f16_to_float(block.dmin));
  }
};

/// (s − 32)·(q − 4) in the place of Q6_K's s·(q − 32).
struct Q3kSource {
  using Block = BlockQ3_K;
  using Target = Q6kForm;
  static constexpr int kWeights = kSuperBlock;
  static __device__ int code(const Block& block, int i) {
    const int high = block.hmask[i % 32] >> i / 32 & 1;
    return (two_bits(block.qs, i) | high << 2) - 4 + 32;
  }
  static __device__ void scales(const Block& block, int, RowScales& out) {
    out.d[0] = f16_to_float(block.d);
    for (int j = 0; j < 16; ++j) {
      const int low = nibble(block.scales, j % 8, j / 8);
      const int high = block.scales[8 + j % 4] >> 2 * (j / 4) & 3;
      out.scale[j] = static_cast<uint8_t>((low | high << 4) - 32 + 128);
    }
  }
  static __device__ float bound(const Block& block) {
    return 32 * 4 * fabsf(f16_to_float(block.d));
  }
};

/// What Q4_K and Q5_K share: w = d·s · q − dmin·m with 0 ≤ q ≤ kLargest.
template <class SuperBlock, class Form, int kLargest>
struct SuperSource {
  using Block = SuperBlock;
  using Target = Form;
  static constexpr int kWeights = kSuperBlock;
  static __device__ void scales(const Block& block, int, RowScales& out) {
    out.d[0] = f16_to_float(block.d);
    out.m[0] = -f16_to_float(block.dmin);
    const uint8_t* from = block.scales;
    for (int j = 0; j < 4; ++j) {
      out.scale[j] = from[j] & 63;
      out.minimum[j] = from[j + 4] & 63;
      out.scale[j + 4] = static_cast<uint8_t>((from[j + 8] & 15) | from[j] >> 6 << 4);
      out.minimum[j + 4] = static_cast<uint8_t>(from[j + 8] >> 4 | from[j + 4] >> 6 << 4);
    }
  }
  static __device__ float bound(const Block& block) {
    return 63 * kLargest * fabsf(f16_to_float(block.d)) + 63 * fabsf(f16_to_float(block.dmin));
  }
};

struct Q4kSource : SuperSource<BlockQ4_K, Q4kForm, 15> {
  static __device__ int code(const Block& block, int i) { return nibble_of_64(block.qs, i); }
};
struct Q5kSource : SuperSource<BlockQ5_K, Q5kForm, 31> {
  static __device__ int code(const Block& block, int i) {
    return nibble_of_64(block.qs, i) | (block.qh[i % 32] >> i / 32 & 1) << 4;
  }
};

struct Q6kSource {
  using Block = BlockQ6_K;
  using Target = Q6kForm;
  static constexpr int kWeights = kSuperBlock;
  static __device__ int code(const Block& block, int i) {
    const int low = nibble(block.ql, i / 128 * 64 + i % 64, i % 128 / 64);
    return low | two_bits(block.qh, i) << 4;
  }
  static __device__ void scales(const Block& block, int, RowScales& out) {
    out.d[0] = f16_to_float(block.d);
    for (int j = 0; j < 16; ++j) out.scale[j] = static_cast<uint8_t>(block.scales[j] + 128);
  }
  static __device__ float bound(const Block& block) {
    return 128 * 32 * fabsf(f16_to_float(block.d));
  }
};

/// visit(a block type's struct); false for the plain types F32, F16, BF16 and what Cria does not
/// compute.
template <class Visit>
bool with_block_source(uint32_t type, const Visit& visit) {
  switch (static_cast<DType>(type)) {
    case DType::kQ4_0:
      return visit(Q4_0Source{}), true;
    case DType::kQ4_1:
      return visit(Q4_1Source{}), true;
    case DType::kQ5_0:
      return visit(Q5_0Source{}), true;
    case DType::kQ5_1:
      return visit(Q5_1Source{}), true;
    case DType::kQ8_0:
      return visit(Q8_0Source{}), true;
    case DType::kQ2_K:
      return visit(Q2kSource{}), true;
    case DType::kQ3_K:
      return visit(Q3kSource{}), true;
    case DType::kQ4_K:
      return visit(Q4kSource{}), true;
    case DType::kQ5_K:
      return visit(Q5kSource{}), true;
    case DType::kQ6_K:
      return visit(Q6kSource{}), true;
    case DType::kIQ4_NL:
      return visit(Iq4NlSource{}), true;
    case DType::kIQ4_XS:
      return visit(Iq4XsSource{}), true;
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
      break;
  }
  return false;
}

}  // namespace cria::cuda
