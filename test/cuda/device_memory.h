// The emulated device and memory on it, for tests that hand values to kernels.
#pragma once

#include <algorithm>
#include <vector>

#include "cuda/device/cuda.h"

namespace cria::test_cuda {

class Device {
 public:
  Device() {
    cudaDeviceProp facts;
    cudaGetDeviceProperties(&facts, 0);
    cuda_.major = facts.major;
    cuda_.minor = facts.minor;
    cuda_.multiprocessors = facts.multiProcessorCount;
    cuda_.most_shared_bytes = facts.sharedMemPerBlockOptin;
    cudaStreamCreateWithFlags(&cuda_.stream, cudaStreamNonBlocking);
  }
  ~Device() { cudaStreamDestroy(cuda_.stream); }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  CriaCuda* cuda() { return &cuda_; }
  cudaStream_t stream() const { return cuda_.stream; }
  /// Empty, or what the kernels that ran said.
  std::string wait() const {
    const cudaError_t status = cudaStreamSynchronize(cuda_.stream);
    return status == cudaSuccess ? "" : cudaGetErrorString(status);
  }

 private:
  CriaCuda cuda_;
};

/// Device memory. The emulated device's is the host's, so `data()` may be read after a wait.
template <class T>
class DeviceArray {
 public:
  DeviceArray(const Device&, size_t size) : size_(size) {
    void* memory = nullptr;
    if (cudaMalloc(&memory, size * sizeof(T)) == cudaSuccess) data_ = static_cast<T*>(memory);
  }
  DeviceArray(const Device& device, const std::vector<T>& values)
      : DeviceArray(device, values.size()) {
    std::copy(values.begin(), values.end(), data_);
  }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return data_; }
  size_t size() const { return size_; }
  std::vector<T> values() const { return {data_, data_ + size_}; }
  void set(const std::vector<T>& values) { std::copy(values.begin(), values.end(), data_); }

 private:
  T* data_ = nullptr;
  size_t size_;
};

}  // namespace cria::test_cuda
