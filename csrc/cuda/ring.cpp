#include "cuda/ring.h"

#include <algorithm>

namespace cria::cuda {
namespace {

constexpr size_t kAlign = 256;

size_t round_up(size_t bytes) {
  return (bytes + kAlign - 1) / kAlign * kAlign;
}

}  // namespace

Ring::Ring(std::shared_ptr<Device> device, size_t bytes, int first_mark)
    : device_(std::move(device)),
      bytes_(round_up(bytes)),
      first_mark_(first_mark),
      memory_(std::make_unique<PinnedMemory>(device_, 2 * bytes_)) {}

std::byte* Ring::take(size_t bytes) {
  if (bytes > bytes_)
    fail(ErrorCode::kBackend, "a ring of ", bytes_, " bytes was asked for ", bytes);
  if (used_ + bytes > bytes_) {
    device_->call("copying", &CriaCudaTable::mark, first_mark_ + half_);
    marked_[half_] = true;
    half_ ^= 1;
    used_ = 0;
    if (marked_[half_]) device_->call("copying", &CriaCudaTable::wait, first_mark_ + half_);
    marked_[half_] = false;
  }
  std::byte* room = memory_->data() + static_cast<size_t>(half_) * bytes_ + used_;
  used_ += round_up(bytes);
  return room;
}

void Ring::grow(size_t bytes) {
  device_->synchronize();
  passed();
  bytes_ = round_up(bytes);
  memory_.reset();
  memory_ = std::make_unique<PinnedMemory>(device_, 2 * bytes_);
}

void Ring::passed() {
  used_ = 0;
  marked_[0] = marked_[1] = false;
}

}  // namespace cria::cuda
