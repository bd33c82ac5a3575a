// F3. Host bytes on their way to the device. What is copied lies in pinned memory, which must stay
// as it is until the stream has passed the copy; two halves take turns, so that the host fills one
// while the device reads the other.
#pragma once

#include <cstddef>
#include <memory>

#include "cuda/device.h"

namespace cria::cuda {

class Ring {
 public:
  /// Halves of `bytes` each; the marks `first_mark` and the next one are its own.
  Ring(std::shared_ptr<Device> device, size_t bytes, int first_mark);

  size_t half_bytes() const { return bytes_; }
  /// Room of up to half_bytes() that the stream is through with, aligned to 256 bytes. What is
  /// written there is copied by calls before the next `take`.
  std::byte* take(size_t bytes);
  /// Larger halves; waits for the stream.
  void grow(size_t bytes);
  /// Nothing is on the stream any more.
  void passed();

 private:
  std::shared_ptr<Device> device_;
  size_t bytes_;
  int first_mark_;
  std::unique_ptr<PinnedMemory> memory_;
  int half_ = 0;         // that is being filled
  size_t used_ = 0;      // bytes of it
  bool marked_[2] = {};  // the stream may still read it
};

}  // namespace cria::cuda
