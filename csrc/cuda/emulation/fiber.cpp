#include "cuda/emulation/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace cria::cuda::emulation {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kStackBytes = 256 << 10;  // frames have redzones around every variable
#else
constexpr size_t kStackBytes = 64 << 10;
#endif
constexpr size_t kGuardBytes = 4096;

}  // namespace

#if defined(__x86_64__)

// What a call preserves is put on the stack that is left, and taken from the one that is entered.
// (swapcontext does the same and asks the system about signals, which costs fifty times as much.)
extern "C" void cria_cuda_switch_stack(void** left, void* entered);
asm(R"(
.text
.local cria_cuda_switch_stack
.type cria_cuda_switch_stack, @function
cria_cuda_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size cria_cuda_switch_stack, .-cria_cuda_switch_stack
)");

namespace {
struct Place {
  void* top = nullptr;
};
void switch_place(Place& left, Place& entered) {
  cria_cuda_switch_stack(&left.top, entered.top);
}
Place place_at(std::byte* stack, size_t bytes, void (*start)()) {
  auto* top = reinterpret_cast<uintptr_t*>(stack + bytes);
  *--top = 0;                                   // what `start` would return to
  *--top = reinterpret_cast<uintptr_t>(start);  // what the switch returns to
  for (int i = 0; i < 6; ++i) *--top = 0;
  return {top};
}
}  // namespace

#else

namespace {
struct Place {
  ucontext_t context;
};
void switch_place(Place& left, Place& entered) {
  swapcontext(&left.context, &entered.context);
}
Place place_at(std::byte* stack, size_t bytes, void (*start)()) {
  Place place;
  getcontext(&place.context);
  place.context.uc_stack.ss_sp = stack;
  place.context.uc_stack.ss_size = bytes;
  place.context.uc_link = nullptr;
  makecontext(&place.context, start, 0);
  return place;
}
}  // namespace

#endif

struct Fiber::Context {
  std::byte* stack = nullptr;
  Place inside, outside;
  void* inside_fake = nullptr;  // AddressSanitizer's own stacks
  void* outside_fake = nullptr;
  const void* outside_stack = nullptr;
  size_t outside_bytes = 0;
};

namespace {
thread_local Fiber* starting = nullptr;
}

Fiber::~Fiber() {
  if (!context_) return;
  if (context_->stack) munmap(context_->stack - kGuardBytes, kStackBytes + kGuardBytes);
  delete context_;
}

void Fiber::begin(void (*entry)(void*), void* argument) {
  if (!context_) context_ = new Context;
  if (!context_->stack) {
    void* mapped = mmap(nullptr, kStackBytes + kGuardBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    mprotect(mapped, kGuardBytes, PROT_NONE);
    context_->stack = static_cast<std::byte*>(mapped) + kGuardBytes;
  }
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(context_->stack, kStackBytes);
#endif
  entry_ = entry;
  argument_ = argument;
  context_->inside_fake = nullptr;
  context_->inside = place_at(context_->stack, kStackBytes, [] { start(starting); });
}

void Fiber::start(Fiber* self) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &self->context_->outside_stack,
                                  &self->context_->outside_bytes);
#endif
  self->entry_(self->argument_);
}

void Fiber::enter() {
  starting = this;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&context_->outside_fake, context_->stack, kStackBytes);
#endif
  switch_place(context_->outside, context_->inside);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(context_->outside_fake, nullptr, nullptr);
#endif
}

void Fiber::leave() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&context_->inside_fake, context_->outside_stack,
                                 context_->outside_bytes);
#endif
  switch_place(context_->inside, context_->outside);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(context_->inside_fake, &context_->outside_stack,
                                  &context_->outside_bytes);
#endif
}

void Fiber::finish() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(nullptr, context_->outside_stack, context_->outside_bytes);
#endif
  switch_place(context_->inside, context_->outside);
  __builtin_unreachable();
}

}  // namespace cria::cuda::emulation
