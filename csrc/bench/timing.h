// F4. Timing of something that may take nanoseconds or seconds.
#pragma once

#include <cstdint>
#include <functional>

namespace cria::bench {

/// Seconds of one call.
struct Timing {
  double median = 0;
  double best = 0;
};

struct TimingOptions {
  int samples = 7;
  double sample_seconds = 0.002;  // as many calls are one sample as take at least this long
};

/// Times run(calls), which makes so many calls, after one call untimed. Throws kAborted once
/// `stopped`.
Timing time_calls(const std::function<void(int64_t calls)>& run, const TimingOptions& options,
                  const std::function<bool()>& stopped);

}  // namespace cria::bench
