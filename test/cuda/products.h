// For the tests of weights on the emulated device: random weights of every type, packed, and what
// products of them should be, in f64.
#pragma once

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "base/half.h"
#include "cuda/device/weights.h"
#include "cuda/device_memory.h"
#include "quant/codec.h"
#include "support/check.h"

#define CHECK_SAY(condition, ...) \
  ((condition) ? (void)0          \
               : cria::test::report(__FILE__, __LINE__, cria::cat(#condition, ": ", __VA_ARGS__)))

namespace cria::test_cuda {

inline constexpr DType kAllTypes[] = {DType::kF32,  DType::kF16,    DType::kBF16,  DType::kQ4_0,
                                      DType::kQ4_1, DType::kQ5_0,   DType::kQ5_1,  DType::kQ8_0,
                                      DType::kQ2_K, DType::kQ3_K,   DType::kQ4_K,  DType::kQ5_K,
                                      DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS};

/// The device with a stream. With few multiprocessors products are not split along K.
class OpenDevice {
 public:
  explicit OpenDevice(int multiprocessors = 4) {
    cuda_.multiprocessors = multiprocessors;
    cuda_.stream = device_.stream();
  }
  operator CriaCuda*() { return &cuda_; }
  operator const Device&() const { return device_; }
  void wait() { CHECK_EQ(cudaStreamSynchronize(device_.stream()), cudaSuccess); }

 private:
  Device device_;
  CriaCuda cuda_;
};

inline std::vector<float> normal_floats(size_t count, unsigned seed, float scale = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random) * scale;
  return values;
}

/// A weight as it lies in a file.
struct FileWeight {
  DType type;
  int64_t rows, cols;
  std::vector<uint8_t> blocks;

  FileWeight(DType type_, int64_t rows_, int64_t cols_, const std::vector<float>& values)
      : type(type_), rows(rows_), cols(cols_), blocks(static_cast<size_t>(rows * row_size())) {
    for (int64_t r = 0; r < rows; ++r)
      quantize_row(type, values.data() + r * cols, blocks.data() + r * row_size(), cols);
  }
  FileWeight(DType type_, int64_t rows_, int64_t cols_, unsigned seed, float scale = 0.05f)
      : FileWeight(type_, rows_, cols_,
                   normal_floats(static_cast<size_t>(rows_ * cols_), seed, scale)) {}

  int64_t row_size() const { return row_bytes(type, cols); }
  std::vector<float> row(int64_t r) const {
    std::vector<float> values(static_cast<size_t>(cols));
    dequantize_row(type, blocks.data() + r * row_size(), values.data(), cols);
    return values;
  }
};

/// The same on the device, packed `step` rows at a time (0: at once).
class PackedWeight {
 public:
  PackedWeight(OpenDevice& device, const FileWeight& file, int64_t step = 0)
      : file_(file),
        memory_(device,
                cuda::weight_bytes(static_cast<uint32_t>(file.type), file.rows, file.cols)) {
    std::memset(memory_.data(), 0, memory_.size());
    if (step == 0) step = file.rows;
    for (int64_t first = 0; first < file.rows; first += step) {
      const int64_t count = std::min(step, file.rows - first);
      const auto* from = file.blocks.data() + first * file.row_size();
      const DeviceArray<uint8_t> blocks(device,
                                        std::vector<uint8_t>(from, from + count * file.row_size()));
      CHECK_EQ(cuda::pack_weight(device, static_cast<uint32_t>(file.type), file.rows, file.cols,
                                 first, count, blocks.data(), memory_.data()),
               0);
      device.wait();
    }
  }
  CriaCudaWeight weight() const {
    return {static_cast<uint32_t>(file_.type), file_.rows, file_.cols, memory_.data()};
  }
  const FileWeight& file() const { return file_; }
  std::vector<uint8_t> bytes() const { return memory_.values(); }

 private:
  FileWeight file_;
  DeviceArray<uint8_t> memory_;
};

/// The input of `project`, and what it is rounded to.
struct Inputs {
  int64_t rows, cols;
  std::vector<float> x, norm;  // norm may be empty
  float epsilon = 1e-5f;

  Inputs(int64_t rows_, int64_t cols_, unsigned seed)
      : rows(rows_), cols(cols_), x(normal_floats(static_cast<size_t>(rows_ * cols_), seed)) {}

  /// Row r as the products of a type read it: f32, or f16 after a power of two that brings the
  /// largest near 2^14.
  std::vector<double> prepared(int64_t r, DType type) const {
    std::vector<double> y(x.begin() + r * cols, x.begin() + (r + 1) * cols);
    if (!norm.empty()) {
      double squares = 0;
      for (double v : y) squares += v * v;
      const double scale = 1 / std::sqrt(squares / static_cast<double>(cols) + epsilon);
      for (size_t k = 0; k < y.size(); ++k) y[k] *= scale * norm[k];
    }
    if (type == DType::kF32) return y;
    double most = 0;
    for (double v : y) most = std::max(most, std::abs(v));
    int exponent = 0;
    std::frexp(most, &exponent);
    for (double& v : y)
      v = std::ldexp(
          double{f16_to_f32(f32_to_f16(static_cast<float>(std::ldexp(v, 14 - exponent))))},
          exponent - 14);
    return y;
  }
};

/// x · weightᵀ + bias in f64.
inline std::vector<double> reference(const Inputs& inputs, const FileWeight& weight,
                                     const std::vector<float>& bias = {}) {
  std::vector<double> out(static_cast<size_t>(inputs.rows * weight.rows));
  std::vector<std::vector<double>> x;
  for (int64_t t = 0; t < inputs.rows; ++t) x.push_back(inputs.prepared(t, weight.type));
  for (int64_t n = 0; n < weight.rows; ++n) {
    const std::vector<float> w = weight.row(n);
    for (int64_t t = 0; t < inputs.rows; ++t) {
      double sum = bias.empty() ? 0 : bias[static_cast<size_t>(n)];
      for (size_t k = 0; k < w.size(); ++k) sum += x[static_cast<size_t>(t)][k] * w[k];
      out[static_cast<size_t>(t * weight.rows + n)] = sum;
    }
  }
  return out;
}

/// Σ (a − b)² / Σ b²
inline double nmse(const std::vector<float>& a, const std::vector<double>& b) {
  double error = 0, power = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    error += (a[i] - b[i]) * (a[i] - b[i]);
    power += b[i] * b[i];
  }
  return error / power;
}
/// What a product of a type may differ by: f32 sums, or weights rounded to f16.
inline double allowed_nmse(DType type) {
  return type == DType::kF32 ? 1e-12 : 1e-6;
}

/// A product to be computed; `out` begins as 1000 + its index, so that what is not written shows.
struct Asked {
  const PackedWeight& weight;
  const PackedWeight* gate = nullptr;
  std::vector<float> bias{}, gate_bias{};
  bool accumulate = false;
};

/// project() of all of them at once: an output each.
inline std::vector<std::vector<float>> project(OpenDevice& device, const Inputs& inputs,
                                               const std::vector<Asked>& asked) {
  const DeviceArray<float> x(device, inputs.x), norm(device, inputs.norm);
  std::vector<std::unique_ptr<DeviceArray<float>>> memory;
  std::vector<CriaCudaProduct> products;
  const auto put = [&](const std::vector<float>& values) -> float* {
    if (values.empty()) return nullptr;
    memory.push_back(std::make_unique<DeviceArray<float>>(device, values));
    return memory.back()->data();
  };
  for (const Asked& one : asked) {
    std::vector<float> begin(static_cast<size_t>(inputs.rows * one.weight.file().rows));
    for (size_t i = 0; i < begin.size(); ++i) begin[i] = 1000 + static_cast<float>(i);
    products.push_back({one.weight.weight(), one.gate ? one.gate->weight() : CriaCudaWeight{},
                        put(one.bias), put(one.gate_bias), put(begin), one.accumulate});
  }
  const DeviceArray<uint8_t> scratch(device,
                                     cuda::project_scratch(device, inputs.rows, inputs.cols));
  const CriaCudaProject call{
      x.data(),    inputs.norm.empty() ? nullptr : norm.data(), inputs.epsilon,  inputs.rows,
      inputs.cols, static_cast<int32_t>(products.size()),       products.data(), scratch.data()};
  CHECK_EQ(cuda::project(device, &call), 0);
  device.wait();
  std::vector<std::vector<float>> outs;
  for (size_t i = 0; i < asked.size(); ++i) {
    const auto size = static_cast<size_t>(inputs.rows * asked[i].weight.file().rows);
    outs.emplace_back(products[i].out, products[i].out + size);
  }
  return outs;
}
inline std::vector<float> project_one(OpenDevice& device, const Inputs& inputs,
                                      const Asked& asked) {
  return project(device, inputs, {asked}).front();
}

}  // namespace cria::test_cuda
