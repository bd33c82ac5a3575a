// F3, emulation. A fiber: a stack, and where on it to go on. What runs a CUDA thread until it has
// to wait for another one. Known to AddressSanitizer.
#pragma once

#include <cstddef>

namespace cria::cuda::emulation {

class Fiber {
 public:
  Fiber() = default;
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Begins anew: the next `enter` calls entry(argument), which never returns. What ran on the
  /// stack before is forgotten. Throws std::bad_alloc where there is no memory for a stack.
  void begin(void (*entry)(void*), void* argument);
  /// From the scheduler's stack to this one, until it leaves.
  void enter();
  /// From this stack back to whoever entered.
  void leave();
  /// The same for the last time.
  [[noreturn]] void finish();

 private:
  struct Context;
  static void start(Fiber* self);

  Context* context_ = nullptr;
  void (*entry_)(void*) = nullptr;
  void* argument_ = nullptr;
};

}  // namespace cria::cuda::emulation
