// `quantize_row`: that it is a fair inverse of `dequantize_row`, and never writes nonsense.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "base/half.h"
#include "quant/codec.h"
#include "quant/formats.h"
#include "support/check.h"

using namespace cria;

namespace {

const char* name(DType type) {
  return dtype_info(type).name;
}

std::vector<uint8_t> encoded(DType type, const std::vector<float>& weights) {
  std::vector<uint8_t> bytes(static_cast<size_t>(row_bytes(type, std::ssize(weights))));
  quantize_row(type, weights.data(), bytes.data(), std::ssize(weights));
  return bytes;
}

std::vector<float> decoded(DType type, const std::vector<uint8_t>& bytes, size_t n) {
  std::vector<float> weights(n);
  dequantize_row(type, bytes.data(), weights.data(), static_cast<int64_t>(n));
  return weights;
}

std::vector<float> round_trip(DType type, const std::vector<float>& weights) {
  return decoded(type, encoded(type, weights), weights.size());
}

/// Σ(a−b)² / Σa²
double normalised_error(const std::vector<float>& a, const std::vector<float>& b) {
  double error = 0, total = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    error += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    total += double{a[i]} * a[i];
  }
  return error / total;
}

std::vector<float> gaussian(size_t n, float scale, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> weights(n);
  for (float& weight : weights) weight = normal(random);
  return weights;
}

/// The error of each type on Gaussian weights, with about a fifth of slack over what a plain
/// round-to-nearest encoder reaches. The ratios follow the bits: one bit more is a quarter.
struct Bound {
  DType type;
  double error;
};
constexpr Bound kBounds[] = {
    {DType::kF32, 0},       {DType::kF16, 1e-7},      {DType::kBF16, 4e-6},
    {DType::kQ4_0, 0.009},  {DType::kQ4_1, 0.0075},   {DType::kQ5_0, 0.0022},
    {DType::kQ5_1, 0.0018}, {DType::kQ8_0, 3.5e-5},   {DType::kQ2_K, 0.13},
    {DType::kQ3_K, 0.03},   {DType::kQ4_K, 0.0075},   {DType::kQ5_K, 0.0018},
    {DType::kQ6_K, 4.5e-4}, {DType::kIQ4_NL, 0.0076}, {DType::kIQ4_XS, 0.0076},
};

}  // namespace

TEST(gaussian_weights_come_back_within_the_error_of_the_type) {
  CHECK_EQ(std::size(kBounds), test::computed_types().size());
  for (const float scale : {1.0f, 0.02f, 1e-3f})
    for (const Bound& bound : kBounds) {
      const auto weights = gaussian(16384, scale, 7);
      const double error = normalised_error(weights, round_trip(bound.type, weights));
      if (error > bound.error)
        test::report(
            __FILE__, __LINE__,
            cat(name(bound.type), " at scale ", scale, ": error ", error, " above ", bound.error));
    }
}

TEST(no_weight_is_off_by_more_than_a_step_of_its_group) {
  // A step of the coarsest type is a third of a group's range; of Q8_0 a 127th.
  for (const test::Format& format : test::formats()) {
    const auto weights = gaussian(8192, 1.0f, 8);
    const auto back = round_trip(format.type, weights);
    const int codes = format.type == DType::kQ8_0   ? 254
                      : format.type == DType::kQ6_K ? 63
                      : format.type == DType::kQ2_K ? 3
                      : format.type == DType::kQ3_K ? 7
                                                    : 15;
    for (size_t group = 0; group < weights.size(); group += 16) {
      const auto magnitude = [](float a, float b) { return std::fabs(a) < std::fabs(b); };
      const size_t whole = group / format.weights * format.weights;
      const float largest = std::fabs(
          *std::max_element(&weights[whole], &weights[whole] + format.weights, magnitude));
      for (size_t i = group; i < group + 16; ++i)
        CHECK(std::fabs(weights[i] - back[i]) <=
              2.0f * largest / static_cast<float>(codes) * 1.05f);
    }
  }
}

TEST(zeros_stay_zeros) {
  for (const DType type : test::computed_types()) {
    const std::vector<float> zeros(512, 0.0f);
    for (const float weight : round_trip(type, zeros)) CHECK_EQ(weight, 0.0f);
  }
}

TEST(constant_rows_stay_nearly_constant) {
  for (const DType type : test::computed_types())
    for (const float value : {1.0f, -1.0f, 0.0371f, -250.0f}) {
      const auto back = round_trip(type, std::vector<float>(512, value));
      for (const float weight : back) CHECK(std::fabs(weight - value) <= std::fabs(value) * 0.02f);
    }
}

TEST(numbers_a_half_can_hold_are_kept_exactly_by_f16) {
  std::vector<float> weights;
  for (int half = 0; half < 0x7c00; ++half)
    weights.push_back(f16_to_f32(static_cast<uint16_t>(half)));
  CHECK(round_trip(DType::kF16, weights) == weights);
}

TEST(whole_numbers_that_fit_the_codes_are_exact) {
  // Each type with scale 1 or a power of two: a ramp through all codes comes back unchanged.
  const auto ramp = [](int low, int high, int n) {
    std::vector<float> weights;
    for (int i = 0; i < n; ++i) weights.push_back(static_cast<float>(low + i % (high - low + 1)));
    return weights;
  };
  const std::pair<DType, std::vector<float>> exact[] = {
      {DType::kQ4_0, ramp(-8, 7, 64)},   {DType::kQ4_1, ramp(3, 18, 64)},
      {DType::kQ5_0, ramp(-16, 15, 64)}, {DType::kQ5_1, ramp(-40, -9, 64)},
      {DType::kQ3_K, ramp(-4, 3, 512)},  {DType::kQ2_K, ramp(0, 3, 512)},
      {DType::kQ4_K, ramp(0, 15, 512)},  {DType::kQ5_K, ramp(0, 31, 512)},
  };
  for (const auto& [type, weights] : exact)
    CHECK(normalised_error(weights, round_trip(type, weights)) <= 1e-6);
}

TEST(decoding_and_encoding_again_loses_little) {
  for (const test::Format& format : test::formats()) {
    const auto once = round_trip(format.type, gaussian(4096, 0.5f, 9));
    CHECK(normalised_error(once, round_trip(format.type, once)) < 0.02);
  }
}

TEST(extreme_weights_give_finite_blocks) {
  const float largest = std::numeric_limits<float>::max();
  const float smallest = std::numeric_limits<float>::denorm_min();
  for (const test::Format& format : test::formats()) {
    for (const float value : {largest, -largest, 1e9f, 1e-9f, smallest, 6e-8f, 65504.0f}) {
      std::vector<float> weights = gaussian(512, 1.0f, 10);
      weights[100] = value;
      for (const float weight : round_trip(format.type, weights)) CHECK(std::isfinite(weight));
      for (float& weight : weights) weight *= value;
      for (float& weight : weights) weight = std::clamp(weight, -largest, largest);
      for (const float weight : round_trip(format.type, weights)) CHECK(std::isfinite(weight));
    }
  }
}

TEST(an_outlier_keeps_its_value) {
  for (const test::Format& format : test::formats())
    for (const float outlier : {40.0f, -40.0f}) {
      auto weights = gaussian(256, 0.1f, 11);
      weights[77] = outlier;
      const float back = round_trip(format.type, weights)[77];
      CHECK(std::fabs(back - outlier) <= 0.13f * 40.0f);
    }
}

TEST(a_type_that_is_not_computed_is_refused) {
  float weight = 0;
  CHECK_THROWS(ErrorCode::kUnsupported, quantize_row(static_cast<DType>(16), &weight, &weight, 1),
               "type id 16");
}
