// F5. What an engine has done and is doing, in figures. The engine's thread writes them, any thread
// reads them, and neither waits for the other: every figure is an atomic of its own, so that two of
// them may be a step apart.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace cria {

/// Duration of the steps of the window, in milliseconds; all 0 where there were none.
struct StepTimes {
  double mean = 0, p50 = 0, p95 = 0, p99 = 0, max = 0;
};

/// A copy of the figures. Counts are since the engine's start.
struct Stats {
  uint64_t posted = 0, finished = 0, aborted = 0, failed = 0;  // requests
  uint64_t prompt_tokens = 0, cached_tokens = 0;  // of prompts begun: all, and found in the cache
  uint64_t computed_tokens = 0, generated_tokens = 0;  // of prompts (again, too); drawn
  uint64_t guessed_tokens = 0, accepted_tokens = 0;    // of speculation: made, and right
  uint64_t steps = 0;
  int queued = 0, running = 0, paused = 0;
  int pages = 0, free_pages = 0, cached_pages = 0;
  // Of the window: the last kWindow steps, but none that ended more than kWindowSeconds ago.
  double window_ms = 0;  // from the beginning of its first step until now
  StepTimes step_ms;
  double prompt_rate = 0, generated_rate = 0;  // tokens computed, drawn, per second of the window
};

/// What one step did.
struct StepRecord {
  std::chrono::steady_clock::time_point begin, end = {};
  int prompt_tokens = 0;
  int generated_tokens = 0;
  int guessed = 0, accepted = 0;
};

class StatsRecorder {
 public:
  static constexpr size_t kWindow = 1024;
  static constexpr int kWindowSeconds = 10;

  enum class Outcome : uint8_t { kFinished, kAborted, kFailed };

  // Any thread.

  void posted() { posted_.fetch_add(1, std::memory_order_relaxed); }
  Stats read(std::chrono::steady_clock::time_point now) const;

  // The engine's thread.

  void begun(int prompt_tokens, int cached_tokens);
  void ended(Outcome outcome);
  void stepped(const StepRecord& step);
  /// How things stand now.
  void set_state(int running, int paused, int pages, int free_pages, int cached_pages);

 private:
  using Count = std::atomic<uint64_t>;

  /// A step in nanoseconds of the steady clock.
  struct Entry {
    std::atomic<int64_t> begin{0}, end{0};
    std::atomic<int> prompt_tokens{0}, generated_tokens{0};
  };

  Count posted_{0}, finished_{0}, aborted_{0}, failed_{0};
  Count prompt_tokens_{0}, cached_tokens_{0}, computed_tokens_{0}, generated_tokens_{0};
  Count guessed_{0}, accepted_{0};
  Count steps_{0};
  std::atomic<int> running_{0}, paused_{0}, pages_{0}, free_pages_{0}, cached_pages_{0};
  std::array<Entry, kWindow> window_;  // a ring; step n is at n mod kWindow
};

}  // namespace cria
