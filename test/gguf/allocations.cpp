// The replaced `operator new` of the test program: malloc and a counter.
#include "gguf/allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<size_t> total{0};
}  // namespace

namespace cria::test {
size_t allocated_bytes() {
  return total.load();
}
void reset_allocations() {
  total.store(0);
}
}  // namespace cria::test

void* operator new(size_t size) {
  total.fetch_add(size);
  if (void* memory = std::malloc(size ? size : 1)) return memory;
  throw std::bad_alloc();
}
void* operator new[](size_t size) {
  return operator new(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, size_t) noexcept {
  std::free(memory);
}
