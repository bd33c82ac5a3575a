// F3. One opened device: its plugin, its stream, its faults; and memory of it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "backend/backend.h"
#include "base/error.h"
#include "cuda/loader.h"

namespace cria::cuda {

/// Shared by the backend and by all memory of the device, which may outlive it. Used by one thread
/// at a time.
class Device {
 public:
  /// Throws kNoDevice with the reason, kBackend where the device does not open.
  Device(std::shared_ptr<const Plugin> plugin, int index);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const CriaCudaTable& table() const { return plugin_->table(); }
  CriaCuda* handle() const { return handle_; }
  const CriaCudaDevice& facts() const { return facts_; }
  /// "cuda:0 (NVIDIA H100)"
  const std::string& name() const { return name_; }
  /// Bytes that are free now.
  uint64_t free_bytes() const;

  /// Calls a function of the table on this device; `what` says in a message what was being done. A
  /// status of the device is kBackend, and then every later call fails with the same words: what is
  /// in its memory can no longer be trusted. One of memory is kOutOfMemory.
  template <class... Parameters, class... Arguments>
  void call(const char* what, int (*CriaCudaTable::*function)(CriaCuda*, Parameters...),
            Arguments... arguments) {
    expect_alive();
    check((table().*function)(handle_, arguments...), what);
  }
  /// Waits for all that is on the stream.
  void synchronize() { call("computing", &CriaCudaTable::synchronize); }

  /// Zeroed; throws kOutOfMemory with needed and free bytes.
  void* allocate(size_t bytes);
  void* allocate_pinned(size_t bytes);
  void release(void* memory) noexcept { table().release(handle_, memory); }
  void release_pinned(void* memory) noexcept { table().release_pinned(handle_, memory); }

 private:
  void expect_alive() const;
  void check(int status, const char* what);
  [[noreturn]] void refuse_memory(size_t bytes, const char* whose) const;

  std::shared_ptr<const Plugin> plugin_;
  int index_;
  CriaCudaDevice facts_;
  std::string name_;
  std::string fault_;  // of a device that is lost
  CriaCuda* handle_ = nullptr;
};

class CudaMemory final : public DeviceMemory {
 public:
  CudaMemory(std::shared_ptr<Device> device, size_t bytes) : device_(std::move(device)) {
    data_ = device_->allocate(bytes);
    bytes_ = bytes;
  }
  ~CudaMemory() override { device_->release(data_); }
  CudaMemory(const CudaMemory&) = delete;
  CudaMemory& operator=(const CudaMemory&) = delete;

 private:
  std::shared_ptr<Device> device_;
};

/// Host memory that the device copies from and to.
class PinnedMemory {
 public:
  PinnedMemory(std::shared_ptr<Device> device, size_t bytes)
      : device_(std::move(device)),
        data_(static_cast<std::byte*>(device_->allocate_pinned(bytes))),
        bytes_(bytes) {}
  ~PinnedMemory() { device_->release_pinned(data_); }
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<Device> device_;
  std::byte* data_;
  size_t bytes_;
};

}  // namespace cria::cuda
