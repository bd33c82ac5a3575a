#include "cuda/device.h"

#include <algorithm>

#include "base/memory.h"

namespace cria::cuda {

Device::Device(std::shared_ptr<const Plugin> plugin, int index)
    : plugin_(std::move(plugin)),
      index_(index),
      facts_(plugin_->usable_device(index)),
      name_(cat("cuda:", index, " (", facts_.name, ")")) {
  if (const int status = table().open(index, &handle_)) {
    if (table().is_out_of_memory(status))
      fail(ErrorCode::kOutOfMemory, name_,
           " has no memory left for a program to begin with: ", format_bytes(facts_.free_bytes),
           " are free; end what else uses it");
    fail(ErrorCode::kBackend, name_, " cannot be opened: ", table().error_text(status),
         "; look at `nvidia-smi`");
  }
}

Device::~Device() {
  if (handle_) table().close(handle_);
}

uint64_t Device::free_bytes() const {
  CriaCudaDevice now{};
  return table().device_info(index_, &now) == 0 ? now.free_bytes : 0;
}

void Device::expect_alive() const {
  if (!fault_.empty()) throw Error(ErrorCode::kBackend, fault_);
}

void Device::check(int status, const char* what) {
  if (status == 0) return;
  if (table().is_out_of_memory(status)) refuse_memory(0, "device");
  fault_ = cat(name_, " failed while ", what, ": ", table().error_text(status),
               "; dispose of the model, and load it again once the device is well");
  expect_alive();
}

void Device::refuse_memory(size_t bytes, const char* whose) const {
  fail(ErrorCode::kOutOfMemory, name_, ": could not take ",
       bytes ? format_bytes(bytes) : std::string("more"), " of ", whose, " memory; ",
       format_bytes(free_bytes()), " of the device's ", format_bytes(facts_.memory_bytes),
       " are free; ask for a smaller context or batch, or take a smaller model");
}

void* Device::allocate(size_t bytes) {
  expect_alive();
  void* memory = nullptr;
  const int status = table().allocate(handle_, std::max<size_t>(bytes, 1), &memory);
  if (status != 0 && table().is_out_of_memory(status)) refuse_memory(bytes, "device");
  check(status, "taking memory");
  return memory;
}

void* Device::allocate_pinned(size_t bytes) {
  expect_alive();
  void* memory = nullptr;
  const int status = table().allocate_pinned(handle_, std::max<size_t>(bytes, 1), &memory);
  if (status != 0 && table().is_out_of_memory(status)) refuse_memory(bytes, "pinned host");
  check(status, "taking pinned memory");
  return memory;
}

}  // namespace cria::cuda
