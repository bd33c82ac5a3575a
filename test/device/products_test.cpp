// Products of every type and many shapes on the device, against f32 weights on the CPU, whose
// inputs are not rounded.
#include "device/device.h"

namespace cria::test {
namespace {

constexpr int64_t kTokens = 160, kCols = 512;

/// A product of each kind by one weight.
class Products {
 public:
  Products(Backend& on, DType type, int64_t rows, int64_t cols, bool exact)
      : on_(on), weight_(on, type, rows, cols, 5, exact), gate_(on, type, rows, cols, 6, exact) {}

  Floats compute(const Floats& x, const Floats& norm, const Floats& bias, const Floats& before,
                 int64_t spare) {
    const int64_t rows = weight_.weight.rows, cols = weight_.weight.cols;
    const int64_t tokens = static_cast<int64_t>(x.size()) / cols;
    OnDevice input(on_, tokens, cols, spare), normed_by(on_, 1, cols), biased(on_, 1, rows);
    OnDevice plain(on_, tokens, rows, spare), sum(on_, tokens, rows, spare),
        both(on_, tokens, rows, spare), second(on_, tokens, rows, spare);
    input.put(x);
    normed_by.put(norm);
    biased.put(bias);
    sum.put(before);
    const Weight &w = weight_.weight, &g = gate_.weight;
    const Input in = normed(input.matrix, normed_by.matrix.data, 1e-5f);
    on_.project(in, {{w, biased.matrix.data, plain.matrix}, {g, nullptr, second.matrix}});
    on_.project(input.matrix, {{w, nullptr, sum.matrix, true}});
    on_.project(in, {gated(g, biased.matrix.data, w, nullptr, both.matrix)});
    Floats all = plain.get();
    for (const Floats& more : {second.get(), sum.get(), both.get()})
      all.insert(all.end(), more.begin(), more.end());
    return all;
  }

 private:
  Backend& on_;
  OnDeviceWeight weight_, gate_;
};

void check(Backend& device, Backend& cpu, DType type, int64_t rows, int64_t cols,
           std::initializer_list<int64_t> tokens) {
  std::mt19937 random(static_cast<uint32_t>(rows + cols));
  Products there(device, type, rows, cols, false), here(cpu, type, rows, cols, true);
  const double most = most_noise(type == DType::kF32 ? 1e-6 : 1e-4);
  for (const int64_t count : tokens) {
    const Floats x = normal(random, count * cols), norm = normal(random, cols),
                 bias = normal(random, rows), before = normal(random, count * rows);
    const Floats expected = here.compute(x, norm, bias, before, 0);
    for (const int64_t spare : {int64_t{0}, int64_t{1}, count}) {
      const double got = noise(there.compute(x, norm, bias, before, spare), expected);
      if (!(got < most))
        report(__FILE__, __LINE__,
               cat(dtype_info(type).name, " [", rows, "×", cols, "] × ", count, " + ", spare,
                   ": noise ", got));
    }
  }
}

}  // namespace

TEST(device_products_of_every_type_match_exact_ones) {
  auto device = tested_backend();
  device->reserve(kTokens, kCols);
  auto cpu = cpu::make_backend({1, ""});
  cpu->reserve(kTokens, kCols);
  for (const DType type :
       {DType::kF32, DType::kF16, DType::kBF16, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0,
        DType::kQ5_1, DType::kQ8_0, DType::kQ2_K, DType::kQ3_K, DType::kQ4_K, DType::kQ5_K,
        DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS})
    check(*device, *cpu, type, 72, 256, {1, 3, 17});
}

TEST(device_products_of_many_shapes_match_exact_ones) {
  auto device = tested_backend();
  device->reserve(kTokens, kCols);
  auto cpu = cpu::make_backend({1, ""});
  cpu->reserve(kTokens, kCols);
  for (const DType type : {DType::kF32, DType::kQ4_0, DType::kQ6_K})
    for (const int64_t rows : {1, 63, 64, 65, 130})
      check(*device, *cpu, type, rows, 512, {1, 2, 5});
  check(*device, *cpu, DType::kQ8_0, 64, 32, {1, 9});
  check(*device, *cpu, DType::kQ4_0, 64, 288, {1, 9});
  check(*device, *cpu, DType::kQ4_K, 130, 512, {8, 16, 33, 64, 65, 80});
}

}  // namespace cria::test
