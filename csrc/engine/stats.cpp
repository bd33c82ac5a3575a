#include "engine/stats.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace cria {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

int64_t nanoseconds(std::chrono::steady_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

void add(std::atomic<uint64_t>& count, int more) {
  count.fetch_add(static_cast<uint64_t>(more), kRelaxed);
}

/// The nearest rank: the least value that so many of all are not above.
double quantile(const std::vector<double>& sorted, double share) {
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::clamp<size_t>(rank, 1, sorted.size()) - 1];
}

StepTimes step_times(std::vector<double> ms) {
  if (ms.empty()) return {};
  std::sort(ms.begin(), ms.end());
  const double sum = std::accumulate(ms.begin(), ms.end(), 0.0);
  return {sum / static_cast<double>(ms.size()), quantile(ms, 0.50), quantile(ms, 0.95),
          quantile(ms, 0.99), ms.back()};
}

}  // namespace

void StatsRecorder::begun(int prompt_tokens, int cached_tokens) {
  add(prompt_tokens_, prompt_tokens);
  add(cached_tokens_, cached_tokens);
}

void StatsRecorder::ended(Outcome outcome) {
  switch (outcome) {
    case Outcome::kFinished:
      return add(finished_, 1);
    case Outcome::kAborted:
      return add(aborted_, 1);
    case Outcome::kFailed:
      return add(failed_, 1);
  }
}

void StatsRecorder::stepped(const StepRecord& step) {
  const uint64_t index = steps_.load(kRelaxed);
  Entry& entry = window_[index % kWindow];
  entry.begin.store(nanoseconds(step.begin), kRelaxed);
  entry.end.store(nanoseconds(step.end), kRelaxed);
  entry.prompt_tokens.store(step.prompt_tokens, kRelaxed);
  entry.generated_tokens.store(step.generated_tokens, kRelaxed);
  add(computed_tokens_, step.prompt_tokens);
  add(generated_tokens_, step.generated_tokens);
  add(guessed_, step.guessed);
  add(accepted_, step.accepted);
  steps_.store(index + 1, std::memory_order_release);
}

void StatsRecorder::set_state(int running, int paused, int pages, int free_pages,
                              int cached_pages) {
  running_.store(running, kRelaxed);
  paused_.store(paused, kRelaxed);
  pages_.store(pages, kRelaxed);
  free_pages_.store(free_pages, kRelaxed);
  cached_pages_.store(cached_pages, kRelaxed);
}

Stats StatsRecorder::read(std::chrono::steady_clock::time_point now) const {
  Stats out;
  // Ends before posts: what ends meanwhile makes the queue look longer, never negative.
  out.finished = finished_.load(std::memory_order_acquire);
  out.aborted = aborted_.load(std::memory_order_acquire);
  out.failed = failed_.load(std::memory_order_acquire);
  out.running = running_.load(kRelaxed);
  out.paused = paused_.load(kRelaxed);
  out.posted = posted_.load(kRelaxed);
  const auto over = static_cast<int64_t>(out.finished + out.aborted + out.failed);
  out.queued = static_cast<int>(
      std::max<int64_t>(0, static_cast<int64_t>(out.posted) - over - out.running - out.paused));
  out.prompt_tokens = prompt_tokens_.load(kRelaxed);
  out.cached_tokens = cached_tokens_.load(kRelaxed);
  out.computed_tokens = computed_tokens_.load(kRelaxed);
  out.generated_tokens = generated_tokens_.load(kRelaxed);
  out.guessed_tokens = guessed_.load(kRelaxed);
  out.accepted_tokens = accepted_.load(kRelaxed);
  out.pages = pages_.load(kRelaxed);
  out.free_pages = free_pages_.load(kRelaxed);
  out.cached_pages = cached_pages_.load(kRelaxed);
  out.steps = steps_.load(std::memory_order_acquire);

  const int64_t until = nanoseconds(now);
  const int64_t since = until - int64_t{kWindowSeconds} * 1'000'000'000;
  int64_t first = until;
  uint64_t prompt = 0, generated = 0;
  std::vector<double> ms;
  for (uint64_t i = 1; i <= std::min<uint64_t>(out.steps, kWindow); ++i) {
    const Entry& entry = window_[(out.steps - i) % kWindow];
    const int64_t begin = entry.begin.load(kRelaxed), end = entry.end.load(kRelaxed);
    if (end < since) break;
    first = std::min(first, begin);
    ms.push_back(static_cast<double>(end - begin) * 1e-6);
    prompt += static_cast<uint64_t>(entry.prompt_tokens.load(kRelaxed));
    generated += static_cast<uint64_t>(entry.generated_tokens.load(kRelaxed));
  }
  out.window_ms = static_cast<double>(until - first) * 1e-6;
  out.step_ms = step_times(std::move(ms));
  if (out.window_ms > 0) {
    out.prompt_rate = static_cast<double>(prompt) * 1e3 / out.window_ms;
    out.generated_rate = static_cast<double>(generated) * 1e3 / out.window_ms;
  }
  return out;
}

}  // namespace cria
