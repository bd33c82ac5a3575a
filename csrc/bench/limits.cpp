#include "bench/limits.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>

namespace cria::bench {
namespace {

/// Bytes that a call of Ceilings::read takes at a time.
constexpr int64_t kReadGrain = 512;
/// Iterations of the arithmetic loops that count as one call: some microseconds.
constexpr int64_t kLoopIterations = 1000;

class Measurement {
 public:
  Measurement(const cpu::Ceilings& loops, ThreadPool& pool, const TimingOptions& options,
              const std::function<bool()>& stopped)
      : loops_(loops), pool_(pool), options_(options), stopped_(stopped) {}

  /// Operations a second of a loop.
  double operations(int64_t (*loop)(int64_t)) {
    const auto once = static_cast<double>(loop(kLoopIterations));
    const double seconds = time([&](int64_t, int64_t calls) {
      const int64_t most = cpu::kMostCeilingIterations / kLoopIterations;
      int64_t sum = 0;
      for (; calls > 0; calls -= most) sum += loop(std::min(calls, most) * kLoopIterations);
      keep(static_cast<uint64_t>(sum));
    });
    return once * pool_.threads() / seconds;
  }

  /// Bytes a second from `bytes` at `data` of each thread, `stride` apart; with or without
  /// prefetch, whichever is faster.
  double reading(const std::byte* data, int64_t bytes, int64_t stride) {
    double seconds = 0;
    for (const bool prefetch : {false, true}) {
      const double took = time([&](int64_t thread, int64_t calls) {
        keep(loops_.read(data + thread * stride, bytes, calls, prefetch));
      });
      seconds = seconds == 0 ? took : std::min(seconds, took);
    }
    return static_cast<double>(bytes) * pool_.threads() / seconds;
  }

 private:
  /// The best seconds of a call of body(thread, calls) on all threads.
  template <class Body>
  double time(const Body& body) {
    const auto run = [&](int64_t calls) {
      pool_.run([&](int index, int) { body(int64_t{index}, calls); });
    };
    return time_calls(run, options_, stopped_).best;
  }
  /// Makes a result one that is needed.
  static void keep(uint64_t value) { [[maybe_unused]] volatile uint64_t kept = value; }

  const cpu::Ceilings& loops_;
  ThreadPool& pool_;
  const TimingOptions& options_;
  const std::function<bool()>& stopped_;
};

Ceiling measure(const cpu::Table& table, ThreadPool& pool, const Caches& caches,
                const Buffer* memory, const TimingOptions& options,
                const std::function<bool()>& stopped) {
  const cpu::Ceilings& loops = table.kernels->ceilings;
  Measurement measurement(loops, pool, options, stopped);
  Ceiling ceiling;
  ceiling.table = table.variant;
  ceiling.threads = pool.threads();
  ceiling.dots = measurement.operations(loops.dot);
  ceiling.fmas = measurement.operations(loops.fma);
  const auto whole = [](int64_t bytes) { return bytes / kReadGrain * kReadGrain; };
  const int64_t first = whole(caches.first / 2), second = whole(caches.second / 2);
  const Buffer cached(second * pool.threads());
  std::memset(cached.data(), 1, static_cast<size_t>(cached.bytes()));
  ceiling.first_cache = measurement.reading(cached.data(), first, second);
  ceiling.second_cache = measurement.reading(cached.data(), second, second);
  if (memory) {
    const int64_t share = whole(memory->bytes() / pool.threads());
    ceiling.memory = measurement.reading(memory->data(), share, share);
  }
  return ceiling;
}

}  // namespace

Limits measure_limits(std::span<const cpu::Table> tables, ThreadPool& pool, const Caches& caches,
                      const Buffer* memory, const TimingOptions& options,
                      const std::function<bool()>& stopped) {
  Limits limits;
  limits.caches = caches;
  limits.memory_bytes = memory ? memory->bytes() : 0;
  ThreadPool single(1);
  for (const cpu::Table& table : tables) {
    limits.ceilings.push_back(measure(table, single, caches, memory, options, stopped));
    if (pool.threads() > 1)
      limits.ceilings.push_back(measure(table, pool, caches, memory, options, stopped));
  }
  const auto rest = [&](int64_t calls) {
    for (; calls > 0; --calls) pool.run([](int, int) {});
  };
  limits.barrier_seconds = time_calls(rest, options, stopped).median;
  return limits;
}

}  // namespace cria::bench
