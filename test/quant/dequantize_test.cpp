// `dequantize_row` against the bit-by-bit description of each format in formats.h, exactly.
#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "base/half.h"
#include "quant/blocks.h"
#include "quant/codec.h"
#include "quant/formats.h"
#include "support/check.h"

using namespace cria;
using cria::test::Format;

namespace {

const char* name(DType type) {
  return dtype_info(type).name;
}

void fill_random(std::vector<uint8_t>& bytes, std::mt19937& random) {
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
}

void put_half(uint8_t* block, int at, uint16_t half) {
  std::memcpy(block + at, &half, sizeof(half));
}

/// Same bits, or both NaN (whose payload no format promises).
bool same(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

/// Decodes the blocks and compares each weight with the description.
void check_blocks(const Format& format, const std::vector<uint8_t>& bytes) {
  const int blocks = static_cast<int>(bytes.size()) / format.bytes;
  std::vector<float> weights(static_cast<size_t>(blocks * format.weights));
  dequantize_row(format.type, bytes.data(), weights.data(), std::ssize(weights));
  for (int b = 0; b < blocks; ++b)
    for (int i = 0; i < format.weights; ++i) {
      const auto expected = static_cast<float>(format.weight(&bytes[b * format.bytes], i));
      const float found = weights[b * format.weights + i];
      if (same(expected, found)) continue;
      return test::report(__FILE__, __LINE__,
                          cat(name(format.type), " weight ", i, " of block ", b, ": expected ",
                              expected, ", found ", found));
    }
}

}  // namespace

TEST(random_blocks_say_what_the_format_says) {
  std::mt19937 random(1);
  for (const Format& format : test::formats()) {
    std::vector<uint8_t> bytes(static_cast<size_t>(format.bytes) * 200);
    fill_random(bytes, random);
    check_blocks(format, bytes);
  }
}

TEST(half_scales_of_every_kind_are_read_right) {
  // Zeros, subnormals, infinities and NaN among them; each of a format's scales in turn.
  std::mt19937 random(2);
  for (const Format& format : test::formats())
    for (const int at : format.half_scales) {
      std::vector<uint8_t> bytes;
      std::vector<uint8_t> block(static_cast<size_t>(format.bytes));
      const int step = format.weights == 32 ? 7 : 61;  // odd, so that all kinds of fields occur
      for (int half = 0; half < 0x10000; half += step) {
        fill_random(block, random);
        put_half(block.data(), at, static_cast<uint16_t>(half));
        bytes.insert(bytes.end(), block.begin(), block.end());
      }
      check_blocks(format, bytes);
    }
}

TEST(every_single_bit_of_a_block_has_a_meaning) {
  // Toggled in random blocks, several of them: a sub-scale of zero hides the bits it multiplies.
  std::mt19937 random(3);
  for (const Format& format : test::formats()) {
    std::vector<bool> matters(8 * static_cast<size_t>(format.bytes));
    std::vector<uint8_t> block(static_cast<size_t>(format.bytes));
    for (int round = 0; round < 8; ++round) {
      fill_random(block, random);
      for (const int at : format.half_scales) put_half(block.data(), at, f32_to_f16(0.37f));
      std::vector<float> before(format.weights), after(format.weights);
      dequantize_row(format.type, block.data(), before.data(), format.weights);
      for (size_t bit = 0; bit < matters.size(); ++bit) {
        std::vector<uint8_t> toggled = block;
        toggled[bit / 8] = static_cast<uint8_t>(toggled[bit / 8] ^ 1 << bit % 8);
        dequantize_row(format.type, toggled.data(), after.data(), format.weights);
        if (before != after) matters[bit] = true;
      }
    }
    for (size_t bit = 0; bit < matters.size(); ++bit)
      if (!matters[bit])
        test::report(__FILE__, __LINE__, cat(name(format.type), ": bit ", bit, " changes nothing"));
  }
}

TEST(rows_need_no_alignment) {
  std::mt19937 random(4);
  for (const DType type : test::computed_types()) {
    const auto size = static_cast<size_t>(row_bytes(type, 512));
    std::vector<uint8_t> bytes(size + 8);
    fill_random(bytes, random);
    std::vector<float> at_zero(512), shifted(512);
    dequantize_row(type, bytes.data(), at_zero.data(), 512);
    for (size_t shift = 1; shift < 8; ++shift) {
      std::vector<uint8_t> moved(size + shift);
      std::memcpy(moved.data() + shift, bytes.data(), size);
      dequantize_row(type, moved.data() + shift, shifted.data(), 512);
      for (int i = 0; i < 512; ++i) CHECK(same(at_zero[i], shifted[i]));
    }
  }
}

TEST(plain_floats_are_widened) {
  const uint16_t halves[] = {0x3c00, 0xc000, 0x0001, 0x7bff};
  float weights[4];
  dequantize_row(DType::kF16, halves, weights, 4);
  CHECK(weights[0] == 1.0f && weights[1] == -2.0f && weights[2] == 0x1p-24f &&
        weights[3] == 65504.0f);
  const uint16_t brains[] = {0x3f80, 0xc000, 0x0080, 0x7f7f};
  dequantize_row(DType::kBF16, brains, weights, 4);
  CHECK(weights[0] == 1.0f && weights[1] == -2.0f && weights[2] == 0x1p-126f);
  const float plain[] = {1.5f, -0.0f, 0x1p-149f, 3e38f};
  dequantize_row(DType::kF32, plain, weights, 4);
  CHECK(std::memcmp(plain, weights, sizeof(plain)) == 0);
}

TEST(no_weights_are_no_work_and_unknown_types_are_refused) {
  for (const DType type : test::computed_types()) dequantize_row(type, nullptr, nullptr, 0);
  float weight = 0;
  CHECK_THROWS(ErrorCode::kUnsupported, dequantize_row(static_cast<DType>(9), &weight, &weight, 1),
               "type id 9");
}

TEST(unpacked_scales_are_those_of_the_format) {
  std::mt19937 random(5);
  for (int round = 0; round < 500; ++round) {
    std::vector<uint8_t> bytes(sizeof(BlockIQ4_XS));
    fill_random(bytes, random);
    uint8_t sc[8], m[8];
    unpack_scales_k4(bytes.data(), sc, m);
    for (int j = 0; j < 8; ++j) {
      CHECK_EQ(int{sc[j]}, test::format::k_scale(bytes.data(), 0, 0, j));
      CHECK_EQ(int{m[j]}, test::format::k_scale(bytes.data(), 0, 1, j));
    }
    // With d = 1 and the code of value 1, a weight is its scale.
    BlockIQ4_XS block;
    std::memcpy(&block, bytes.data(), sizeof(block));
    int8_t scales[8];
    unpack_scales_iq4xs(block, scales);
    put_half(bytes.data(), 0, 0x3c00);
    std::memset(bytes.data() + 8, 0x88, 128);
    for (int j = 0; j < 8; ++j)
      CHECK_EQ(static_cast<double>(scales[j]), test::format::iq4_xs(bytes.data(), 32 * j));
  }
}
