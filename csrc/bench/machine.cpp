#include "bench/machine.h"

#include <sys/mman.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/sysctl.h>
#endif

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/memory.h"

namespace cria::bench {
namespace {

void set_if_known(int64_t& size, int64_t known) {
  if (known > 0) size = known;
}

}  // namespace

Caches read_caches() {
  Caches caches;
#if defined(__APPLE__)
  const auto ask = [](const char* name) {
    int64_t value = 0;
    size_t size = sizeof value;
    return sysctlbyname(name, &value, &size, nullptr, 0) == 0 ? value : 0;
  };
  set_if_known(caches.first, ask("hw.l1dcachesize"));
  set_if_known(caches.second, ask("hw.l2cachesize"));
  set_if_known(caches.last, ask("hw.l3cachesize"));
#elif defined(_SC_LEVEL1_DCACHE_SIZE)
  set_if_known(caches.first, sysconf(_SC_LEVEL1_DCACHE_SIZE));
  set_if_known(caches.second, sysconf(_SC_LEVEL2_CACHE_SIZE));
  set_if_known(caches.last, sysconf(_SC_LEVEL3_CACHE_SIZE));
#endif
  caches.last = std::max(caches.last, caches.second);
  return caches;
}

Buffer::Buffer(int64_t bytes)
    : bytes_(bytes), mapped_(std::max<size_t>(static_cast<size_t>(bytes), 1)) {
  void* address =
      mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) {
    fail(ErrorCode::kOutOfMemory, "the kernel benchmark could not take ",
         format_bytes(static_cast<uint64_t>(bytes)), " (", std::strerror(errno),
         "); ask for smaller shapes, fewer tokens or fewer threads");
  }
#ifdef MADV_HUGEPAGE
  madvise(address, mapped_, MADV_HUGEPAGE);
#endif
  data_ = static_cast<std::byte*>(address);
}

Buffer::~Buffer() {
  munmap(data_, mapped_);
}

}  // namespace cria::bench
