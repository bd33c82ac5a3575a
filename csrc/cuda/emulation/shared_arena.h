// F3, emulation. The shared memory of a block.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace cria::cuda::emulation {

class SharedArena {
 public:
  SharedArena();

  /// For a new block: all bits set, no arrays but the dynamic one.
  void reset(size_t dynamic_bytes);
  /// The array for `key`; null where there is no room.
  void* at(const void* key, size_t bytes, size_t alignment);
  void* dynamic() { return memory_ + arrays_[0].begin; }
  /// Whether all of that lies in one array.
  bool has(const void* place, size_t bytes) const;
  /// Empty, or which array was written beyond.
  std::string check() const;

 private:
  struct Array {
    const void* key;
    size_t begin, bytes;
  };
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  void add(const void* key, size_t bytes, size_t alignment);

  std::unique_ptr<std::byte, Free> owned_;
  std::byte* memory_;
  size_t used_ = 0;
  std::vector<Array> arrays_;
};

}  // namespace cria::cuda::emulation
