// F4. What of the machine decides where data lies: its caches, and memory of this room's own.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cria::bench {

/// Bytes of the data caches as one core sees them; common sizes where the system does not say.
struct Caches {
  int64_t first = 32 << 10;
  int64_t second = 512 << 10;
  int64_t last = 32 << 20;
};
Caches read_caches();

/// Zeroed pages, large ones where the system gives them.
class Buffer {
 public:
  /// Throws kOutOfMemory with the size.
  explicit Buffer(int64_t bytes);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  std::byte* data_ = nullptr;
  int64_t bytes_;
  size_t mapped_;
};

}  // namespace cria::bench
