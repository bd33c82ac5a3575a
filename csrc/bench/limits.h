// F4. The limits of this machine, measured: what a kernel's speed is a share of.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "bench/machine.h"
#include "bench/timing.h"
#include "cpu/select.h"

namespace cria::bench {

/// Of one table on a number of threads together; the best of the samples.
struct Ceiling {
  std::string table;
  int threads = 1;
  double dots = 0;  // operations a second of 8-bit products, two a product
  double fmas = 0;  // of fused multiply-adds, likewise
  // Bytes a second, read from buffers as large as the places that kernels are timed in.
  double first_cache = 0, second_cache = 0;
  double memory = 0;  // 0: not measured
};

struct Limits {
  std::vector<Ceiling> ceilings;
  double barrier_seconds = 0;  // a piece of work of no length, given to all threads
  Caches caches;
  int64_t memory_bytes = 0;  // of the buffer that data from memory lies in
};

/// The ceilings of each table on one thread and on all of the pool's; `memory` is null where data
/// from memory is not asked for.
Limits measure_limits(std::span<const cpu::Table> tables, ThreadPool& pool, const Caches& caches,
                      const Buffer* memory, const TimingOptions& options,
                      const std::function<bool()>& stopped);

}  // namespace cria::bench
