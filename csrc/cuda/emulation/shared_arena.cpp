#include "cuda/emulation/shared_arena.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/error.h"

namespace cria::cuda::emulation {
namespace {

constexpr size_t kBytes = 256 << 10;  // more than any device has, for the redzones
constexpr size_t kRedzone = 64, kAlignment = 1024;
constexpr unsigned char kFence = 0xcd;
constexpr int kPoison = 0xff;  // NaN as f16, bf16, f32 and f64

}  // namespace

SharedArena::SharedArena()
    : owned_(static_cast<std::byte*>(std::aligned_alloc(kAlignment, kBytes))),
      memory_(owned_.get()) {
  if (!memory_) throw std::bad_alloc();
  std::memset(memory_, kFence, kBytes);
}

void SharedArena::reset(size_t dynamic_bytes) {
  std::memset(memory_, kFence, used_);
  used_ = 0;
  arrays_.clear();
  add(nullptr, dynamic_bytes, kAlignment);
}

void SharedArena::add(const void* key, size_t bytes, size_t alignment) {
  const size_t begin = (used_ + kRedzone + alignment - 1) / alignment * alignment;
  arrays_.push_back({key, begin, bytes});
  std::memset(memory_ + begin, kPoison, bytes);
  used_ = begin + bytes + kRedzone;
}

void* SharedArena::at(const void* key, size_t bytes, size_t alignment) {
  for (const Array& array : arrays_)
    if (array.key == key) return memory_ + array.begin;
  if (used_ + 2 * kRedzone + alignment + bytes > kBytes) return nullptr;
  add(key, bytes, alignment);
  return memory_ + arrays_.back().begin;
}

bool SharedArena::has(const void* place, size_t bytes) const {
  const auto* at = static_cast<const std::byte*>(place);
  for (const Array& array : arrays_)
    if (at >= memory_ + array.begin && at + bytes <= memory_ + array.begin + array.bytes)
      return true;
  return false;
}

std::string SharedArena::check() const {
  size_t from = 0;  // the end of the array before
  for (size_t i = 0; i <= arrays_.size(); ++i) {
    const size_t end = i < arrays_.size() ? arrays_[i].begin : used_;
    for (size_t at = from; at < end; ++at) {
      if (memory_[at] == std::byte{kFence}) continue;
      const bool above = i > 0 && (i == arrays_.size() || at - from < end - at);
      const Array& array = arrays_[above ? i - 1 : i];
      const auto offset = static_cast<int64_t>(at) - static_cast<int64_t>(array.begin);
      return cat("a write to byte ", offset, " of ", array.bytes, " of a shared array");
    }
    if (i < arrays_.size()) from = arrays_[i].begin + arrays_[i].bytes;
  }
  return {};
}

}  // namespace cria::cuda::emulation
