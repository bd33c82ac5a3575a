// F3. How work is shared out over the threads of a backend. Which thread takes what leaves no trace
// in a result (promise 1 of cpu/kernels.h).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "base/thread_pool.h"

namespace cria::cpu {

/// body(thread, begin, end) over ranges that together are [0, count), none longer than `most`.
/// Ranges begin large and get smaller: a thread reads long stretches of memory, and the last pieces
/// are small enough that all threads finish together (guided self-scheduling, Polychronopoulos &
/// Kuck 1987).
template <class Body>
void for_ranges(ThreadPool& pool, int64_t count, int64_t most, const Body& body) {
  if (count <= 0) return;
  if (pool.threads() == 1 || count == 1) {
    for (int64_t i = 0; i < count; i += most) body(0, i, std::min(i + most, count));
    return;
  }
  std::atomic<int64_t> next{0};
  pool.run([&](int thread, int threads) {
    int64_t begin = next.load(std::memory_order_relaxed);
    while (begin < count) {
      const int64_t share = (count - begin) / (2 * int64_t{threads});
      const int64_t end = begin + std::clamp<int64_t>(share, 1, most);
      if (!next.compare_exchange_weak(begin, end, std::memory_order_relaxed)) continue;
      body(thread, begin, std::min(end, count));
      begin = next.load(std::memory_order_relaxed);
    }
  });
}

/// body(thread, i) for each i in [0, count), one by one.
template <class Body>
void for_each(ThreadPool& pool, int64_t count, const Body& body) {
  for_ranges(pool, count, 1, [&](int thread, int64_t i, int64_t) { body(thread, i); });
}

}  // namespace cria::cpu
