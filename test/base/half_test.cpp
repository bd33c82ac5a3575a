// binary16 and bfloat16: every 16-bit pattern one way, rounding the other way.
#include "base/half.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "support/check.h"

using namespace cria;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// A finite binary16 by the definition: ± fraction · 2^exponent.
double half_by_definition(uint16_t half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return half >> 15 ? -magnitude : magnitude;
}

bool is_nan_half(uint16_t half) {
  return (half & 0x7fff) > 0x7c00;
}

}  // namespace

TEST(every_half_to_float_by_the_definition) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = f16_to_f32(half);
    if (is_nan_half(half)) {
      CHECK(std::isnan(value));
    } else if ((half & 0x7fff) == 0x7c00) {
      CHECK_EQ(value, half >> 15 ? -kInfinity : kInfinity);
    } else {
      CHECK_EQ(static_cast<double>(value), half_by_definition(half));
      CHECK_EQ(std::signbit(value), half >> 15 != 0);
    }
  }
}

TEST(every_half_survives_the_round_trip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    if (is_nan_half(half)) {
      CHECK(is_nan_half(f32_to_f16(f16_to_f32(half))));
    } else {
      CHECK_EQ(f32_to_f16(f16_to_f32(half)), half);
    }
  }
}

TEST(float_to_half_rounds_to_nearest_ties_to_even) {
  // Between each two neighbours: the middle goes to the even one, a hair beside it to the nearer.
  for (uint16_t half = 0; half < 0x7bff; ++half) {
    const float low = f16_to_f32(half), high = f16_to_f32(static_cast<uint16_t>(half + 1));
    const float middle = low + (high - low) / 2;  // exact: it needs 12 bits
    const auto up = static_cast<uint16_t>(half + 1);
    const uint16_t even = half % 2 == 0 ? half : up;
    CHECK_EQ(f32_to_f16(middle), even);
    CHECK_EQ(f32_to_f16(-middle), even | 0x8000);
    CHECK_EQ(f32_to_f16(std::nextafter(middle, 0.0f)), half);
    CHECK_EQ(f32_to_f16(std::nextafter(middle, kInfinity)), up);
  }
}

TEST(float_to_half_at_the_ends) {
  CHECK_EQ(f32_to_f16(65519.996f), 0x7bff);
  CHECK_EQ(f32_to_f16(65520.0f), 0x7c00);
  CHECK_EQ(f32_to_f16(std::numeric_limits<float>::max()), 0x7c00);
  CHECK_EQ(f32_to_f16(-kInfinity), 0xfc00);
  CHECK_EQ(f32_to_f16(0x1p-25f), 0);  // a tie between 0 and the smallest subnormal
  CHECK_EQ(f32_to_f16(0x1.000002p-25f), 1);
  CHECK_EQ(f32_to_f16(-0.0f), 0x8000);
  CHECK_EQ(f32_to_f16(std::numeric_limits<float>::denorm_min()), 0);
  CHECK(is_nan_half(f32_to_f16(kNan)));
  CHECK(is_nan_half(f32_to_f16(std::bit_cast<float>(0x7f800001u))));
}

TEST(bfloat16_is_the_upper_half_of_a_float) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto value = static_cast<uint16_t>(bits);
    const float wide = bf16_to_f32(value);
    CHECK_EQ(std::bit_cast<uint32_t>(wide), bits << 16);
    if (std::isnan(wide)) {
      CHECK(std::isnan(bf16_to_f32(f32_to_bf16(wide))));
    } else {
      CHECK_EQ(f32_to_bf16(wide), value);
    }
  }
}

TEST(float_to_bfloat16_rounds_to_nearest_ties_to_even) {
  const auto rounded = [](uint32_t bits) { return f32_to_bf16(std::bit_cast<float>(bits)); };
  CHECK_EQ(rounded(0x3f808000), 0x3f80);  // ties: down to even, up to even
  CHECK_EQ(rounded(0x3f818000), 0x3f82);
  CHECK_EQ(rounded(0x3f808001), 0x3f81);
  CHECK_EQ(rounded(0x3f817fff), 0x3f81);
  CHECK_EQ(rounded(0xbf818000), 0xbf82);
  CHECK_EQ(rounded(0x7f7fffff), 0x7f80);                // the largest float rounds to infinity
  CHECK(std::isnan(bf16_to_f32(rounded(0x7f800001))));  // a NaN with only low payload bits
  CHECK(std::isnan(bf16_to_f32(rounded(0xffffffff))));
}
