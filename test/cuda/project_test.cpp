// Products of packed weights on the emulated device against f64 products of the dequantized ones.
#include <limits>
#include <memory>

#include "cuda/products.h"

using namespace cria;
using namespace cria::test_cuda;

namespace {

const char* name(DType type) {
  return dtype_info(type).name;
}
unsigned seed_of(DType type, int64_t a, int64_t b) {
  return static_cast<unsigned>(static_cast<int64_t>(type) * 7919 + a * 31 + b);
}
constexpr int64_t kRows[] = {1, 3, 8, 9, 64, 65, 130};
constexpr int64_t kOutputs[] = {1, 63, 64, 65, 200};

void check_product(OpenDevice& device, DType type, int64_t outputs, int64_t cols) {
  const PackedWeight weight(device, FileWeight(type, outputs, cols, seed_of(type, outputs, cols)));
  for (const int64_t rows : kRows) {
    const Inputs inputs(rows, cols, seed_of(type, rows, cols));
    const std::vector<float> out = project_one(device, inputs, {weight});
    const double error = nmse(out, reference(inputs, weight.file()));
    CHECK_SAY(error <= allowed_nmse(type), name(type), " [", outputs, " × ", cols, "], ", rows,
              " rows: ", error);
  }
}

/// Every type with every number of rows and outputs; the columns take turns.
TEST(project_of_every_type_and_shape) {
  OpenDevice device;
  constexpr int64_t kCols[] = {32, 256, 288, 1024};
  size_t turn = 0;
  for (const DType type : kAllTypes) {
    const auto block = static_cast<int64_t>(dtype_info(type).block_weights);
    for (const int64_t outputs : kOutputs) {
      int64_t cols = kCols[turn++ % 4];
      if (cols % block != 0) cols = 512;
      check_product(device, type, outputs, cols);
    }
  }
}

TEST(project_of_columns_that_fill_no_tile) {
  OpenDevice device;
  for (const DType type : {DType::kF32, DType::kF16, DType::kBF16})
    for (const int64_t cols : {1, 31, 257}) check_product(device, type, 17, cols);
  for (const DType type : {DType::kQ4_0, DType::kQ5_1}) check_product(device, type, 20, 32);
}

TEST(project_of_normed_input) {
  OpenDevice device;
  for (const DType type : {DType::kF32, DType::kQ8_0, DType::kQ4_K})
    for (const int64_t rows : {1, 10}) {
      const PackedWeight weight(device, FileWeight(type, 70, 512, 1));
      Inputs inputs(rows, 512, 2);
      inputs.norm = normal_floats(512, 3);
      inputs.epsilon = 0.5f;
      const std::vector<float> out = project_one(device, inputs, {weight});
      const double error = nmse(out, reference(inputs, weight.file()));
      CHECK_SAY(error <= allowed_nmse(type), name(type), ", ", rows, " rows: ", error);
    }
}

double silu(double x) {
  return x / (1 + std::exp(-x));
}

/// What the epilogues make of sums, whose errors are another test's: against the sums alone.
TEST(project_with_bias_accumulate_and_gate) {
  OpenDevice device;
  const int64_t outputs = 150, cols = 512;
  const std::vector<float> bias = normal_floats(150, 77), gate_bias = normal_floats(150, 5);
  for (const DType type : {DType::kF32, DType::kF16, DType::kQ4_K, DType::kQ8_0})
    for (const int64_t rows : {2, 9, 70}) {
      const PackedWeight weight(device, FileWeight(type, outputs, cols, 1));
      const PackedWeight gate(device, FileWeight(type, outputs, cols, 2));
      const PackedWeight other(device, FileWeight(DType::kQ6_K, outputs, cols, 3));
      const Inputs inputs(rows, cols, 4);
      const auto outs = project(device, inputs,
                                {{weight},
                                 {gate},
                                 {other},
                                 {weight, nullptr, bias},
                                 {weight, nullptr, bias, {}, true},
                                 {weight, &gate, bias, gate_bias},
                                 {weight, &gate},
                                 {weight, &other, bias, gate_bias}});
      const auto check = [&](size_t which, const char* what, const auto& value) {
        std::vector<double> expected(outs[0].size());
        for (size_t i = 0; i < expected.size(); ++i) expected[i] = value(i, i % 150);
        const double error = nmse(outs[which], expected);
        CHECK_SAY(error <= 1e-12, name(type), ", ", rows, " rows, ", what, ": ", error);
      };
      const auto product = [&](size_t i) { return double{outs[0][i]}; };
      check(3, "bias", [&](size_t i, size_t n) { return product(i) + bias[n]; });
      check(4, "accumulate", [&](size_t i, size_t n) {
        return 1000 + static_cast<double>(i) + product(i) + bias[n];
      });
      check(5, "gate, biases", [&](size_t i, size_t n) {
        return silu(double{outs[1][i]} + gate_bias[n]) * (product(i) + bias[n]);
      });
      check(6, "gate", [&](size_t i, size_t) { return silu(outs[1][i]) * product(i); });
      check(7, "gate of another type", [&](size_t i, size_t n) {
        return silu(double{outs[2][i]} + gate_bias[n]) * (product(i) + bias[n]);
      });
    }
}

/// Products of one input, types mixed and more than a launch takes, are what they are alone.
TEST(project_of_several_products) {
  OpenDevice device;
  std::vector<std::unique_ptr<PackedWeight>> weights;
  std::vector<Asked> asked;
  const std::pair<DType, int64_t> shapes[] = {
      {DType::kQ4_K, 64}, {DType::kQ4_K, 16},  {DType::kQ6_K, 80}, {DType::kQ4_K, 1},
      {DType::kQ4_K, 65}, {DType::kQ4_K, 130}, {DType::kQ4_K, 17}, {DType::kQ4_K, 48},
      {DType::kF32, 65},  {DType::kF32, 64}};
  for (const auto& [type, outputs] : shapes) {
    weights.push_back(std::make_unique<PackedWeight>(
        device, FileWeight(type, outputs, 512, seed_of(type, outputs, 0))));
    asked.push_back({*weights.back()});
  }
  for (const int64_t rows : {1, 20}) {
    const Inputs inputs(rows, 512, 6);
    const auto together = project(device, inputs, asked);
    for (size_t i = 0; i < asked.size(); ++i)
      CHECK_SAY(together[i] == project_one(device, inputs, asked[i]), "product ", i, ", ", rows,
                " rows");
  }
}

/// A row's result has the same bits in a batch of any size, and whether or not K is split.
TEST(project_gives_a_row_the_same_bits_in_every_batch) {
  OpenDevice device, narrow(0);  // of no multiprocessors: never split
  const int64_t cols = 1536, outputs = 150;
  for (const DType type : kAllTypes) {
    const PackedWeight weight(device, FileWeight(type, outputs, cols, 1));
    const PackedWeight gate(device, FileWeight(type, outputs, cols, 2));
    const std::vector<Asked> asked = {{weight}, {weight, &gate}};
    const Inputs inputs(70, cols, 3);
    const auto all = project(device, inputs, asked), unsplit = project(narrow, inputs, asked);
    CHECK_SAY(all == unsplit, name(type));
    for (const auto& [first, count] : {std::pair{0, 1}, {69, 1}, {3, 5}, {60, 8}, {10, 33}}) {
      Inputs some(count, cols, 3);
      std::copy_n(inputs.x.begin() + first * cols, count * cols, some.x.begin());
      const auto outs = project(device, some, asked);
      for (size_t i = 0; i < asked.size(); ++i)
        CHECK_SAY(std::equal(outs[i].begin(), outs[i].end(), all[i].begin() + first * outputs),
                  name(type), ", rows ", first, " … ", first + count - 1, ", product ", i);
    }
  }
}

/// Rows far beyond what f16 can hold, and far below.
TEST(project_of_input_of_any_size) {
  OpenDevice device;
  for (const DType type : {DType::kQ4_0, DType::kF16, DType::kQ4_K})
    for (const int64_t rows : {6, 12}) {
      const int64_t cols = 512, outputs = 48;
      const PackedWeight weight(device, FileWeight(type, outputs, cols, 1));
      Inputs inputs(rows, cols, 2);
      for (size_t i = 0; i < inputs.x.size(); ++i)
        inputs.x[i] *= std::pow(10.0f, 6 * static_cast<float>(i / 512 % 6) - 15);
      const std::vector<float> out = project_one(device, inputs, {weight});
      const std::vector<double> expected = reference(inputs, weight.file());
      for (int64_t t = 0; t < rows; ++t) {
        const auto at = t * outputs;
        const double error = nmse({out.begin() + at, out.begin() + at + outputs},
                                  {expected.begin() + at, expected.begin() + at + outputs});
        CHECK_SAY(error <= 1e-6, name(type), ", row ", t, ": ", error);
      }
    }
}

/// Zero stays zero, and what is no number shows in its own row alone.
TEST(project_of_zeros_and_of_no_numbers) {
  OpenDevice device;
  for (const DType type : {DType::kF32, DType::kQ4_K, DType::kQ8_0})
    for (const int64_t rows : {4, 12}) {
      const PackedWeight weight(device, FileWeight(type, 40, 256, 1));
      Inputs inputs(rows, 256, 2);
      std::fill_n(inputs.x.begin(), 256, 0.0f);
      inputs.x[256 + 5] = std::numeric_limits<float>::quiet_NaN();
      inputs.x[512 + 6] = std::numeric_limits<float>::infinity();
      const std::vector<float> out = project_one(device, inputs, {weight});
      for (size_t n = 0; n < 40; ++n) {
        CHECK_EQ(out[n], 0.0f);
        CHECK(std::isnan(out[40 + n]));
        CHECK(!std::isfinite(out[80 + n]));
        CHECK(std::isfinite(out[120 + n]));
      }
    }
}

TEST(project_refuses_types_it_does_not_compute) {
  OpenDevice device;
  const CriaCudaProduct product{{15, 64, 256, &device}, {}, nullptr, nullptr, nullptr, 0};
  const CriaCudaProject call{nullptr, nullptr, 0, 1, 256, 1, &product, nullptr};
  CHECK_EQ(cuda::project(device, &call), cudaErrorNotSupported);
}

}  // namespace
