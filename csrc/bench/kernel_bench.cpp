#include "bench/kernel_bench.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/memory.h"
#include "bench/work.h"

namespace cria::bench {
namespace {

constexpr int kMostThreads = 256, kMostSamples = 10'000;
constexpr int64_t kMostTokens = 65'536, kMostSide = 1 << 20;
/// Data "from memory": several times what a core's share of the last cache may be, whatever the
/// system says of it. No more than a quarter of what is free, and no less than would mean anything.
constexpr int64_t kMostMemory = int64_t{1} << 30, kLeastMemory = int64_t{1} << 26;

void check_options(const KernelBenchOptions& options) {
  const TimingOptions& timing = options.timing;
  if (options.threads < 1 || options.threads > kMostThreads)
    fail(ErrorCode::kBadArgument, "threads must be in [1, ", kMostThreads, "], got ",
         options.threads);
  if (timing.samples < 1 || timing.samples > kMostSamples)
    fail(ErrorCode::kBadArgument, "samples must be in [1, ", kMostSamples, "], got ",
         timing.samples);
}

void check_case(const KernelCase& c) {
  const bool memory = c.place == Place::kMemory;
  const auto fits = [&](int64_t side) { return side >= 0 && side <= kMostSide; };
  if (c.tokens < 1 || c.tokens > kMostTokens || !fits(c.rows) || !fits(c.cols))
    fail(ErrorCode::kBadArgument, c.op, ": ", c.tokens, " tokens, shape ", c.rows, "×", c.cols,
         "; expected 1 to ", kMostTokens, " tokens and sides up to ", kMostSide);
  if (!memory && (c.rows != 0 || c.cols != 0))
    fail(ErrorCode::kBadArgument, c.op, ": shape ", c.rows, "×", c.cols,
         " in a cache; only data from memory has a shape of the caller's");
}

/// The tables that the cases name, each once.
std::vector<cpu::Table> named_tables(std::span<const KernelCase> cases) {
  std::vector<cpu::Table> tables;
  for (const KernelCase& c : cases) {
    const cpu::Table& table = cpu::select_table(c.table);
    const auto same = [&](const cpu::Table& known) { return known.kernels == table.kernels; };
    if (std::none_of(tables.begin(), tables.end(), same)) tables.push_back(table);
  }
  return tables;
}

/// The large buffer, with every page in place.
std::unique_ptr<Buffer> take_memory(ThreadPool& pool) {
  const auto quarter = static_cast<int64_t>(
      std::min<uint64_t>(available_memory() / 4, static_cast<uint64_t>(kMostMemory)));
  if (quarter < kLeastMemory) {
    fail(ErrorCode::kOutOfMemory, "data from memory needs 4 × ",
         format_bytes(static_cast<uint64_t>(kLeastMemory)), " of free memory, and ",
         format_bytes(available_memory()), " is free; leave the place \"memory\" out");
  }
  auto memory = std::make_unique<Buffer>(quarter);
  const int64_t share = quarter / pool.threads();
  pool.run([&](int thread, int) {
    std::byte* mine = memory->data() + thread * share;
    std::fill_n(mine, share, std::byte{1});
  });
  return memory;
}

Work make_work(const Bench& bench, const KernelCase& c, const cpu::Kernels& kernels) {
  if (c.op == "matmul" || c.op == "matmul-rows") return make_product(bench, c, kernels);
  if (c.op == "attention" || c.op == "store_kv") return make_cached_sequence(bench, c, kernels);
  if (is_row_op(c.op)) return make_row_work(bench, c, kernels);
  fail(ErrorCode::kBadArgument, "no operation \"", c.op, "\" to benchmark");
}

}  // namespace

KernelResult run_kernel_case(const Bench& bench, const KernelCase& c, const cpu::Kernels& kernels,
                             const TimingOptions& options) {
  const Work work = make_work(bench, c, kernels);
  KernelResult result;
  result.rows = work.rows;
  result.cols = work.cols;
  result.bytes = work.bytes;
  result.operations = work.operations;
  result.error = work.check();
  if (bench.stopped()) fail(ErrorCode::kAborted, "the kernel benchmark was stopped");
  result.wrong = !(result.error <= 1);
  if (!result.wrong) result.timing = time_calls(work.run, options, bench.stopped);
  return result;
}

void run_kernel_bench(std::span<const KernelCase> cases, const KernelBenchOptions& options,
                      const KernelBenchTold& told, const std::function<bool()>& stopped) {
  check_options(options);
  for (const KernelCase& c : cases) check_case(c);
  const std::vector<cpu::Table> tables = named_tables(cases);
  ThreadPool pool(options.threads);
  const auto from_memory = [](const KernelCase& c) { return c.place == Place::kMemory; };
  std::unique_ptr<Buffer> memory;
  if (std::any_of(cases.begin(), cases.end(), from_memory)) memory = take_memory(pool);
  const Caches caches = read_caches();
  told.limits(measure_limits(tables, pool, caches, memory.get(), options.timing, stopped));
  const Bench bench{*cpu::select_table("scalar").kernels, pool, caches, memory.get(), stopped};
  for (size_t i = 0; i < cases.size(); ++i) {
    const cpu::Table& table = cpu::select_table(cases[i].table);
    told.result(i, run_kernel_case(bench, cases[i], *table.kernels, options.timing));
  }
}

}  // namespace cria::bench
