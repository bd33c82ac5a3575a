// F4. Times the kernels of any table, each after its result was checked against the scalar table,
// and the limits of the machine beside them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "bench/limits.h"
#include "bench/timing.h"

namespace cria::bench {

/// Where the data of a kernel lies when it is called.
enum class Place : uint8_t { kFirstCache, kSecondCache, kMemory };

/// One kernel on one shape.
struct KernelCase {
  std::string op;     // "matmul": packed weights; "matmul-rows": as in the file; "rmsnorm" …
  std::string type;   // a weight type's name, "Q4_K"; "Q8_32" or "Q8_256" of quantize; else "F32"
  std::string table;  // a variant of cpu::all_tables()
  Place place = Place::kMemory;
  int64_t rows = 0;    // N; products from memory alone, elsewhere as many as fit
  int64_t cols = 0;    // K, or the width of a row; from memory alone, elsewhere as fits
  int64_t tokens = 1;  // T; products alone
};

/// What came of it. A call is what all threads do together: one product, its panels shared out,
/// where the weights come from memory; else one product or row on each thread, of its own data.
struct KernelResult {
  int64_t rows = 0, cols = 0;  // N, K as computed
  double error = 0;            // the worst, as a share of what it may be
  bool wrong = false;          // above 1: not timed
  double bytes = 0;            // that a call has to move: of a product its weights
  double operations = 0;       // of a call
  Timing timing;               // of a call
};

struct KernelBenchOptions {
  int threads = 1;
  TimingOptions timing;
};

/// Called on the thread that runs the benchmark.
struct KernelBenchTold {
  std::function<void(const Limits& limits)> limits;  // first
  std::function<void(size_t index, const KernelResult& result)> result;
};

/// Measures the limits of the tables that the cases name, then each case. Throws kBadArgument for a
/// case that makes no sense, kUnsupported for a table that this machine cannot run, kOutOfMemory,
/// and kAborted once `stopped` (asked from any of the threads) says so.
void run_kernel_bench(std::span<const KernelCase> cases, const KernelBenchOptions& options,
                      const KernelBenchTold& told, const std::function<bool()>& stopped);

}  // namespace cria::bench
