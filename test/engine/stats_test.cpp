// The figures that an engine keeps: counts, the window of recent steps, and reading while it
// writes.
#include "engine/stats.h"

#include <thread>

#include "support/check.h"

namespace cria::test {
namespace {

using Outcome = StatsRecorder::Outcome;
using std::chrono::milliseconds;

const std::chrono::steady_clock::time_point kStart{std::chrono::hours(1)};

StepRecord step_at(int ms, int length, int prompt, int generated) {
  return {kStart + milliseconds(ms), kStart + milliseconds(ms + length), prompt, generated};
}

}  // namespace

TEST(stats_of_nothing_are_zero) {
  const Stats stats = StatsRecorder().read(kStart);
  CHECK_EQ(stats.steps, uint64_t{0});
  CHECK_EQ(stats.queued, 0);
  CHECK_EQ(stats.step_ms.p99, 0.0);
  CHECK_EQ(stats.window_ms, 0.0);
  CHECK_EQ(stats.prompt_rate, 0.0);
}

TEST(stats_count_requests_and_tokens) {
  StatsRecorder recorder;
  for (int i = 0; i < 9; ++i) recorder.posted();
  recorder.ended(Outcome::kFinished);
  recorder.ended(Outcome::kFinished);
  recorder.ended(Outcome::kAborted);
  recorder.ended(Outcome::kFailed);
  recorder.begun(100, 40);
  recorder.begun(20, 0);
  recorder.set_state(3, 1, 16, 5, 4);
  const Stats stats = recorder.read(kStart);
  CHECK_EQ(stats.posted, uint64_t{9});
  CHECK_EQ(stats.finished, uint64_t{2});
  CHECK_EQ(stats.aborted, uint64_t{1});
  CHECK_EQ(stats.failed, uint64_t{1});
  CHECK_EQ(stats.running, 3);
  CHECK_EQ(stats.paused, 1);
  CHECK_EQ(stats.queued, 1);
  CHECK_EQ(stats.prompt_tokens, uint64_t{120});
  CHECK_EQ(stats.cached_tokens, uint64_t{40});
  CHECK_EQ(stats.pages, 16);
  CHECK_EQ(stats.free_pages, 5);
  CHECK_EQ(stats.cached_pages, 4);
}

TEST(stats_rates_are_of_the_time_that_passed) {
  StatsRecorder recorder;
  recorder.stepped(step_at(0, 100, 50, 0));
  recorder.stepped(step_at(300, 100, 0, 2));
  const Stats stats = recorder.read(kStart + milliseconds(500));
  CHECK_EQ(stats.window_ms, 500.0);
  CHECK_EQ(stats.prompt_rate, 100.0);
  CHECK_EQ(stats.generated_rate, 4.0);
  CHECK_EQ(stats.computed_tokens, uint64_t{50});
  CHECK_EQ(stats.generated_tokens, uint64_t{2});
}

TEST(stats_quantiles_are_of_the_nearest_rank) {
  StatsRecorder recorder;
  for (int i = 1; i <= 100; ++i) recorder.stepped(step_at(i, 101 - i, 0, 1));
  const StepTimes times = recorder.read(kStart + milliseconds(200)).step_ms;
  CHECK_EQ(times.mean, 50.5);
  CHECK_EQ(times.p50, 50.0);
  CHECK_EQ(times.p95, 95.0);
  CHECK_EQ(times.p99, 99.0);
  CHECK_EQ(times.max, 100.0);
}

TEST(stats_forget_what_is_long_ago) {
  StatsRecorder recorder;
  recorder.stepped(step_at(0, 500, 1000, 1000));
  recorder.stepped(step_at(9000, 10, 20, 1));
  const Stats now = recorder.read(kStart + milliseconds(11'000));
  CHECK_EQ(now.step_ms.max, 10.0);
  CHECK_EQ(now.prompt_rate, 10.0);  // 20 tokens in the two seconds since
  CHECK_EQ(now.steps, uint64_t{2});
  const Stats idle = recorder.read(kStart + milliseconds(30'000));
  CHECK_EQ(idle.generated_rate, 0.0);
  CHECK_EQ(idle.step_ms.max, 0.0);
}

TEST(stats_window_is_bounded) {
  StatsRecorder recorder;
  const int more = static_cast<int>(StatsRecorder::kWindow) + 10;
  for (int i = 0; i < more; ++i) recorder.stepped(step_at(i, i < 10 ? 1000 : 1, 1, 1));
  const Stats stats = recorder.read(kStart + milliseconds(more));
  CHECK_EQ(stats.step_ms.max, 1.0);  // the ten long ones have left
  CHECK_EQ(stats.steps, static_cast<uint64_t>(more));
  CHECK_EQ(stats.generated_tokens, static_cast<uint64_t>(more));
}

TEST(stats_are_read_while_they_are_written) {
  StatsRecorder recorder;
  std::thread writer([&] {
    for (int i = 0; i < 20'000; ++i) {
      recorder.stepped(step_at(i / 100, 1, 3, 1));
      recorder.ended(Outcome::kFinished);
    }
  });
  uint64_t last = 0;
  while (last < 20'000) {
    const Stats stats = recorder.read(kStart + milliseconds(201));
    CHECK(stats.steps >= last);
    CHECK(stats.queued >= 0);
    last = stats.steps;
  }
  writer.join();
}

}  // namespace cria::test
