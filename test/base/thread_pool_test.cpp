// The thread pool: every thread takes part in every run, and its writes are seen after it. Meant to
// be run under ThreadSanitizer too.
#include "base/thread_pool.h"

#include <atomic>
#include <chrono>
#include <numeric>
#include <vector>

#include "base/cpu_features.h"
#include "support/check.h"

namespace cria::test {

TEST(thread_pool_runs_each_index_once) {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    CHECK_EQ(pool.threads(), threads);
    std::vector<int> calls(static_cast<size_t>(threads));  // not atomic: each thread has its own
    for (int round = 0; round < 200; ++round)
      pool.run([&](int index, int count) { calls[static_cast<size_t>(index)] += count; });
    for (int c : calls) CHECK_EQ(c, 200 * threads);
  }
}

TEST(thread_pool_caller_is_index_zero) {
  ThreadPool pool(3);
  std::vector<std::thread::id> ids(3);
  pool.run([&](int index, int) { ids[static_cast<size_t>(index)] = std::this_thread::get_id(); });
  CHECK(ids[0] == std::this_thread::get_id());
  CHECK(ids[1] != ids[0] && ids[2] != ids[0] && ids[1] != ids[2]);
}

TEST(thread_pool_publishes_between_runs) {
  ThreadPool pool(4);
  std::vector<int64_t> data(4, 1);
  // Each run reads what other threads wrote in the one before.
  for (int round = 0; round < 100; ++round) {
    std::vector<int64_t> next(4);
    pool.run([&](int index, int count) {
      const auto i = static_cast<size_t>(index);
      next[i] = (data[i] + data[(i + 1) % static_cast<size_t>(count)]) % 1000003;
    });
    data = next;
  }
  int64_t expected = 1;
  for (int round = 0; round < 100; ++round) expected = expected * 2 % 1000003;
  for (int64_t x : data) CHECK_EQ(x, expected);
}

TEST(thread_pool_wakes_sleeping_workers) {
  ThreadPool pool(3);
  std::atomic<int> calls{0};
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // longer than they spin
    pool.run([&](int, int) { calls.fetch_add(1); });
  }
  CHECK_EQ(calls.load(), 15);
}

TEST(thread_pool_waits_for_slow_workers) {
  ThreadPool pool(3);
  std::vector<int> done(3);
  pool.run([&](int index, int) {
    if (index > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    done[static_cast<size_t>(index)] = 1;
  });
  CHECK_EQ(std::accumulate(done.begin(), done.end(), 0), 3);
}

TEST(thread_pool_may_change_callers) {
  ThreadPool pool(2);
  int total = 0;
  for (int i = 0; i < 4; ++i) {
    std::thread caller([&] {
      std::vector<int> parts(2);
      pool.run([&](int index, int) { parts[static_cast<size_t>(index)] = index + 1; });
      total += parts[0] + parts[1];
    });
    caller.join();
  }
  CHECK_EQ(total, 12);
}

TEST(thread_pool_ends_unused_and_refuses_none) {
  { ThreadPool pool(4); }
  CHECK_THROWS(ErrorCode::kBadArgument, ThreadPool(0), "got 0");
  CHECK_THROWS(ErrorCode::kBadArgument, ThreadPool(-3), "got -3");
}

TEST(usable_cores_are_at_least_one_and_within_the_machine) {
  CHECK(usable_cores() >= 1);
  CHECK(usable_cores() <= static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
}

}  // namespace cria::test
