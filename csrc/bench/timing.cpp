#include "bench/timing.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/error.h"

namespace cria::bench {
namespace {

/// Calls of a sample at most: an empty function would be called for ever.
constexpr int64_t kMostCalls = int64_t{1} << 30;

using Clock = std::chrono::steady_clock;

double seconds_of(const std::function<void(int64_t)>& run, int64_t calls,
                  const std::function<bool()>& stopped) {
  const Clock::time_point start = Clock::now();
  run(calls);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (stopped()) fail(ErrorCode::kAborted, "the kernel benchmark was stopped");
  return seconds;
}

/// The quickest of up to three: a call that the system held up once would else pass for a long one,
/// and the samples would hold little but the waking of threads. One far longer than that is long.
double quickest_of(const std::function<void(int64_t)>& run, int64_t calls, double enough,
                   const std::function<bool()>& stopped) {
  double seconds = seconds_of(run, calls, stopped);
  for (int i = 0; i < 2 && seconds >= enough && seconds < 10 * enough; ++i)
    seconds = std::min(seconds, seconds_of(run, calls, stopped));
  return seconds;
}

}  // namespace

Timing time_calls(const std::function<void(int64_t calls)>& run, const TimingOptions& options,
                  const std::function<bool()>& stopped) {
  int64_t calls = 1;
  seconds_of(run, calls, stopped);
  double seconds = quickest_of(run, calls, options.sample_seconds, stopped);
  while (seconds < options.sample_seconds && calls < kMostCalls) {
    // A fifth more than it takes, but never a leap on the word of a clock that hardly moved.
    const double wanted = 1.2 * options.sample_seconds / std::max(seconds, 1e-9);
    calls = std::max(calls + 1,
                     static_cast<int64_t>(static_cast<double>(calls) * std::min(wanted, 10.0)));
    seconds = quickest_of(run, calls, options.sample_seconds, stopped);
  }
  std::vector<double> samples;
  for (int i = 0; i < options.samples; ++i)
    samples.push_back(seconds_of(run, calls, stopped) / static_cast<double>(calls));
  std::sort(samples.begin(), samples.end());
  const size_t half = samples.size() / 2;
  const double median =
      samples.size() % 2 == 1 ? samples[half] : (samples[half - 1] + samples[half]) / 2;
  return {median, samples.front()};
}

}  // namespace cria::bench
