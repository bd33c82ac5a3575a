// F0. ThreadPool. One run is one step of `generation_` (caller to workers) and a count of workers
// still at work, `running_` (workers to caller): two atomic words, no lock.
#include "base/thread_pool.h"

#include <system_error>

#include "base/error.h"

namespace cria {
namespace {

/// Looks at an atomic before its owner sleeps: 20 to 60 µs, about the gap between two operations
/// of a network and far less than a time slice lost to a thread that spins for nothing.
constexpr int kSpins = 1000;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Waits until `value` is no longer `old`; returns what it is then.
template <class T>
T await_change(const std::atomic<T>& value, T old) noexcept {
  for (int i = 0; i < kSpins; ++i) {
    const T now = value.load(std::memory_order_acquire);
    if (now != old) return now;
    relax();
  }
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  if (threads < 1) fail(ErrorCode::kBadArgument, "a thread pool needs 1 thread, got ", threads);
  count_ = threads;
  workers_.reserve(static_cast<size_t>(threads) - 1);
  try {
    for (int index = 1; index < threads; ++index) workers_.emplace_back([=, this] { work(index); });
  } catch (const std::system_error& error) {
    const size_t started = workers_.size() + 1;
    stop();
    fail(ErrorCode::kBackend, "the system gave ", started, " of ", threads, " threads (",
         error.what(), "); ask for fewer threads");
  }
}

ThreadPool::~ThreadPool() {
  stop();
}

void ThreadPool::stop() noexcept {
  stopping_ = true;
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void ThreadPool::run_call(Call call) noexcept {
  if (workers_.empty()) return call.function(call.context, 0, 1);
  call_ = call;
  running_.store(count_ - 1, std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  call.function(call.context, 0, count_);
  int32_t left = running_.load(std::memory_order_acquire);
  while (left != 0) left = await_change(running_, left);
}

void ThreadPool::work(int index) noexcept {
  // `generation_` is 0 until the first run, which needs the constructor to have returned.
  uint32_t seen = 0;
  while (true) {
    uint32_t now = seen;
    while (now == seen) now = await_change(generation_, seen);
    seen = now;
    if (stopping_) return;
    call_.function(call_.context, index, count_);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) running_.notify_one();
  }
}

}  // namespace cria
