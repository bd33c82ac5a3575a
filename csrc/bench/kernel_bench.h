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
  std::string op;     // "matmul": packed weights; "matmul-rows": as in the file; "attention" …
  std::string type;   // a weight type's name, "Q4_K"; "F16" or "Q8_0" of cached keys and values;
                      // "Q8_32" or "Q8_256" of quantize; else "F32"
  std::string table;  // a variant of cpu::all_tables()
  Place place = Place::kMemory;
  // From memory; in a cache both are 0, and chosen to fit.
  int64_t rows = 0;    // N of a product; positions in the KV cache, those of the tokens included
  int64_t cols = 0;    // K of a product, the width of a row or of a head
  int64_t tokens = 1;  // T, of products, attention and store_kv
};

/// What came of it. A call is what all threads do together: one product or attention, shared out,
/// where the data comes from memory; else one on each thread, of its own data, as rows always are.
struct KernelResult {
  int64_t rows = 0, cols = 0;  // as computed
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
