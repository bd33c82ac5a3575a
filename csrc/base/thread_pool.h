// F0. A fixed set of threads that run one function together: the only parallelism inside a backend.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

namespace cria {

/// Threads 1 … n−1 belong to the pool; thread 0 is whoever calls `run`. Between runs the workers
/// spin for some microseconds (the next operation of a network comes at once), then sleep.
class ThreadPool {
 public:
  /// Makes `threads` − 1 threads. Throws kBadArgument for fewer than 1, kBackend if the system
  /// gives none.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls work(index, threads()) once on every thread and returns when all have finished; what
  /// they wrote is visible to the caller. `work` must not throw. Runs never overlap, but may come
  /// from different threads one after the other. Nothing is allocated.
  template <class Work>
  void run(Work&& work) noexcept {
    using Plain = std::remove_reference_t<Work>;
    run_call({[](void* context, int index, int count) noexcept {
                (*static_cast<Plain*>(context))(index, count);
              },
              const_cast<void*>(static_cast<const void*>(&work))});
  }

 private:
  struct Call {
    void (*function)(void* context, int index, int count) noexcept = nullptr;
    void* context = nullptr;
  };

  void run_call(Call call) noexcept;
  void work(int index) noexcept;
  void stop() noexcept;

  // Written by the caller before `generation_` moves, read by the workers after.
  Call call_;
  int count_ = 1;
  bool stopping_ = false;
  // A cache line each: the workers watch the first while they write the second.
  alignas(64) std::atomic<uint32_t> generation_{0};
  alignas(64) std::atomic<int32_t> running_{0};
  std::vector<std::thread> workers_;
};

}  // namespace cria
