// A backend over the plain plugin (plain/plugin.cpp) or another, and one on the CPU beside it.
#pragma once

#include <cmath>
#include <cstdlib>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "cpu/cpu_backend.h"
#include "cuda/cuda_backend.h"
#include "quant/codec.h"
#include "support/check.h"

namespace cria::test {

/// The plugin under test: CRIA_CUDA_PLUGIN, else the plain one.
inline std::string plugin_path() {
  const char* path = std::getenv("CRIA_CUDA_PLUGIN");
  return path && *path ? path : CRIA_PLAIN_PLUGIN;
}

/// Makes the plain plugin fail while it lives.
class Fault {
 public:
  explicit Fault(const char* what) { setenv("CRIA_CUDA_FAULT", what, 1); }
  ~Fault() { unsetenv("CRIA_CUDA_FAULT"); }
  Fault(const Fault&) = delete;
  Fault& operator=(const Fault&) = delete;
};

inline bool is_plain() {
  return plugin_path() == CRIA_PLAIN_PLUGIN;
}
/// The most noise of a result: the plain plugin computes in f64, kernels in f32 or 16-bit floats.
inline double most_noise(double of_kernels) {
  return is_plain() ? 1e-9 : of_kernels;
}

inline std::unique_ptr<cuda::CudaBackend> tested_backend() {
  return cuda::make_backend({0, plugin_path()});
}
inline std::unique_ptr<cuda::CudaBackend> plain_backend() {
  return cuda::make_backend({0, CRIA_PLAIN_PLUGIN});
}

using Floats = std::vector<float>;

inline Floats normal(std::mt19937& random, int64_t count) {
  std::normal_distribution<float> distribution;
  Floats values(static_cast<size_t>(count));
  for (float& value : values) value = distribution(random);
  return values;
}

/// A matrix in a backend's memory, with room for more rows.
class OnDevice {
 public:
  OnDevice(Backend& backend, int64_t rows, int64_t cols, int64_t spare = 0)
      : backend_(backend),
        memory_(backend.allocate(static_cast<size_t>((rows + spare) * cols) * sizeof(float))) {
    matrix = {static_cast<float*>(memory_->data()), rows, cols, spare};
  }
  void put(const Floats& values) {
    backend_.upload(matrix.data, values.data(), values.size() * sizeof(float));
  }
  Floats get() const {
    Floats values(static_cast<size_t>(matrix.rows * matrix.cols));
    backend_.download(values.data(), matrix.data, values.size() * sizeof(float));
    return values;
  }
  Matrix matrix;

 private:
  Backend& backend_;
  std::unique_ptr<DeviceMemory> memory_;
};

/// A random weight in a backend's own form; `exact`: as the f32 that its blocks stand for.
class OnDeviceWeight {
 public:
  OnDeviceWeight(Backend& backend, DType type, int64_t rows, int64_t cols, uint32_t seed,
                 bool exact = false)
      : blocks_(static_cast<size_t>(rows * row_bytes(type, cols))) {
    std::mt19937 random(seed);
    Floats values = normal(random, rows * cols);
    quantize_row(type, values.data(), blocks_.data(), rows * cols);
    if (exact) {
      dequantize_row(type, blocks_.data(), values.data(), rows * cols);
      type = DType::kF32;
      const auto bytes = std::as_bytes(std::span(values));
      blocks_.assign(bytes.begin(), bytes.end());
    }
    memory_ = backend.allocate(backend.weight_bytes(type, rows, cols));
    weight = backend.import_weight(type, rows, cols, Blocks(blocks_.data()), memory_->data());
  }
  Weight weight;

 private:
  std::vector<std::byte> blocks_;
  std::unique_ptr<DeviceMemory> memory_;
};

/// |a − b|² / |b|²: the noise of a against b.
inline double noise(const Floats& a, const Floats& b) {
  double error = 0, power = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    error += (double{a[i]} - double{b[i]}) * (double{a[i]} - double{b[i]});
    power += double{b[i]} * double{b[i]};
  }
  return error / std::max(power, 1e-30);
}

}  // namespace cria::test
