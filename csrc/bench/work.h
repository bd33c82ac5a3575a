// F4. What is to be timed, with its data laid out: made once a case.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>

#include "base/thread_pool.h"
#include "bench/kernel_bench.h"
#include "bench/machine.h"
#include "cpu/kernels.h"

namespace cria::bench {

/// What the works share.
struct Bench {
  const cpu::Kernels& reference;  // what results are held against
  ThreadPool& pool;
  Caches caches;
  const Buffer* memory;  // null where no case comes from memory
  const std::function<bool()>& stopped;
};

struct Work {
  int64_t rows = 0, cols = 0;
  double bytes = 0, operations = 0;  // of a call
  std::function<double()> check;     // computes; the worst error as a share of what it may be
  std::function<void(int64_t)> run;  // so many calls
};

/// Checks a case's result with these kernels, and times it if it is right.
KernelResult run_kernel_case(const Bench& bench, const KernelCase& c, const cpu::Kernels& kernels,
                             const TimingOptions& options);

/// "matmul" and "matmul-rows".
Work make_product(const Bench& bench, const KernelCase& c, const cpu::Kernels& kernels);
/// Operations on rows of floats: "quantize", "rmsnorm", "rope", "silu_mul", "add", "exp".
Work make_row_work(const Bench& bench, const KernelCase& c, const cpu::Kernels& kernels);
bool is_row_op(const std::string& op);
/// "attention", and "store_kv".
Work make_cached_sequence(const Bench& bench, const KernelCase& c, const cpu::Kernels& kernels);

/// How far `got` is from `want`, as a share of `bound`: 0 where they are equal, infinite for a NaN
/// and for any distance where none is allowed.
inline double error_share(double got, double want, double bound) {
  if (got == want) return 0;
  const double share = std::fabs(got - want) / bound;
  return std::isnan(share) ? std::numeric_limits<double>::infinity() : share;
}

/// Pseudo-random normal-like values (the sum of four uniform ones), the same on every machine.
class Values {
 public:
  explicit Values(uint64_t seed) : state_(seed) {}
  float next() {
    const uint64_t bits = step();
    int32_t sum = 0;
    for (int i = 0; i < 4; ++i) sum += static_cast<int32_t>(bits >> 16 * i & 0xffff);
    return static_cast<float>(sum - 2 * 65535) * (1.0f / 37837.0f);  // standard deviation 1
  }

 private:
  /// SplitMix64 (Steele, Lea & Flood 2014).
  uint64_t step() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  uint64_t state_;
};

}  // namespace cria::bench
