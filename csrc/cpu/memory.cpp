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

/// What a large page covers: one entry of the processor's page tables in place of 512.
constexpr size_t kLargePage = size_t{2} << 20;

class MappedMemory final : public DeviceMemory {
 public:
  explicit MappedMemory(size_t bytes) : mapped_(std::max<size_t>(bytes, 1)) {
    const bool large = bytes >= kLargePage;
    if (large) mapped_ += kLargePage;  // room to begin at a multiple of it
    address_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address_ == MAP_FAILED) {
      fail(ErrorCode::kOutOfMemory, "could not take ", format_bytes(bytes), " of memory (",
           std::strerror(errno), "); ask for a smaller context or batch");
    }
    data_ = address_;
    if (large) ask_for_large_pages(bytes);
    bytes_ = bytes;
  }
  ~MappedMemory() override { munmap(address_, mapped_); }
  MappedMemory(const MappedMemory&) = delete;
  MappedMemory& operator=(const MappedMemory&) = delete;

 private:
  /// Of the whole large pages alone: the last one would take memory that nobody asked for.
  void ask_for_large_pages([[maybe_unused]] size_t bytes) {
    const auto from = reinterpret_cast<uintptr_t>(address_);
    data_ = reinterpret_cast<void*>((from + kLargePage - 1) / kLargePage * kLargePage);
#if defined(MADV_HUGEPAGE)
    madvise(data_, bytes / kLargePage * kLargePage, MADV_HUGEPAGE);  // a wish: no error if refused
#endif
  }

  void* address_;
  size_t mapped_;
};

}  // namespace

std::unique_ptr<DeviceMemory> map_memory(size_t bytes) {
  return std::make_unique<MappedMemory>(bytes);
}

}  // namespace cria::cpu
