// F3. Anonymous mappings as backend memory.
#include "cpu/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/memory.h"

namespace cria::cpu {
namespace {

class MappedMemory final : public DeviceMemory {
 public:
  explicit MappedMemory(size_t bytes) : mapped_(std::max<size_t>(bytes, 1)) {
    void* address =
        mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) {
      fail(ErrorCode::kOutOfMemory, "could not take ", format_bytes(bytes), " of memory (",
           std::strerror(errno), "); ask for a smaller context or batch");
    }
    data_ = address;
    bytes_ = bytes;
  }
  ~MappedMemory() override { munmap(data_, mapped_); }
  MappedMemory(const MappedMemory&) = delete;
  MappedMemory& operator=(const MappedMemory&) = delete;

 private:
  size_t mapped_;
};

}  // namespace

std::unique_ptr<DeviceMemory> map_memory(size_t bytes) {
  return std::make_unique<MappedMemory>(bytes);
}

}  // namespace cria::cpu
