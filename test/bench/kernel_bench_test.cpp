// The kernel benchmark: what it tells, that it checks before it times, and how it ends.
#include "bench/kernel_bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>
#include <vector>

#include "bench/work.h"
#include "cpu/select.h"
#include "support/check.h"

namespace cria::test {
namespace {

using bench::KernelCase;
using bench::KernelResult;
using bench::Limits;
using bench::Place;

const std::function<bool()> kNever = [] { return false; };
const bench::TimingOptions kQuick{1, 1e-5};

std::vector<KernelCase> small_cases(const std::string& table, Place place) {
  const bool memory = place == Place::kMemory;
  const int64_t rows = memory ? 160 : 0, cols = memory ? 768 : 0;
  std::vector<KernelCase> cases;
  for (const char* op : {"matmul", "matmul-rows"})
    for (const char* type : {"Q4_0", "Q8_0", "Q4_K", "Q6_K", "F16", "F32"})
      for (int64_t tokens : {1, 11}) cases.push_back({op, type, table, place, rows, cols, tokens});
  for (const char* op : {"rmsnorm", "rope", "silu_mul", "add", "exp"})
    cases.push_back({op, "F32", table, place, 0, cols, 1});
  for (const char* type : {"Q8_32", "Q8_256"})
    cases.push_back({"quantize", type, table, place, 0, cols, 1});
  for (const char* op : {"attention", "store_kv"})
    for (const char* type : {"F16", "Q8_0"})
      for (int64_t tokens : {1, 11})
        cases.push_back({op, type, table, place, memory ? 700 : 0, memory ? 96 : 0, tokens});
  return cases;
}

struct Told {
  std::vector<Limits> limits;
  std::vector<KernelResult> results;
};

Told run(const std::vector<KernelCase>& cases, int threads) {
  Told told;
  bench::run_kernel_bench(cases, {threads, kQuick},
                          {[&](const Limits& limits) { told.limits.push_back(limits); },
                           [&](size_t index, const KernelResult& result) {
                             CHECK_EQ(index, told.results.size());
                             told.results.push_back(result);
                           }},
                          kNever);
  return told;
}

/// One case with kernels of the caller's.
KernelResult run_with(const cpu::Kernels& kernels, const KernelCase& c) {
  ThreadPool pool(2);
  const bench::Buffer memory(int64_t{1} << 22);
  const bench::Bench shared{*cpu::select_table("scalar").kernels, pool, bench::read_caches(),
                            &memory, kNever};
  return bench::run_kernel_case(shared, c, kernels, kQuick);
}

}  // namespace

TEST(every_kernel_of_every_table_is_right_and_has_figures) {
  for (const cpu::Table& table : cpu::all_tables()) {
    if (!table.supported) continue;
    for (Place place : {Place::kFirstCache, Place::kSecondCache}) {
      if (table.name == "scalar" && place == Place::kSecondCache) continue;  // slow
      const std::vector<KernelCase> cases = small_cases(std::string(table.variant), place);
      const Told told = run(cases, 2);
      CHECK_EQ(told.results.size(), cases.size());
      for (size_t i = 0; i < told.results.size(); ++i) {
        const KernelResult& r = told.results[i];
        const bool good = !r.wrong && r.error <= 1 && r.rows >= 1 && r.cols >= 64 && r.bytes > 0 &&
                          r.operations > 0 && r.timing.best > 0 && r.timing.median >= r.timing.best;
        if (!good)
          report(__FILE__, __LINE__,
                 cat(table.variant, " ", cases[i].op, " ", cases[i].type, " T=", cases[i].tokens,
                     " error ", r.error));
      }
    }
  }
}

TEST(data_from_memory_has_the_shape_that_was_asked_for) {
  const std::vector<KernelCase> cases = small_cases("", Place::kMemory);
  const Told told = run(cases, 3);
  CHECK_EQ(told.results.size(), cases.size());
  for (size_t i = 0; i < told.results.size(); ++i) {
    CHECK(!told.results[i].wrong);
    CHECK_EQ(told.results[i].cols, cases[i].cols);
    CHECK_EQ(told.results[i].rows, std::max<int64_t>(cases[i].rows, 1));
  }
  // 4.5 bits a weight, and two operations a weight and token.
  CHECK_EQ(told.results[1].bytes, 160 * 768 * 4.5 / 8);
  CHECK_EQ(told.results[1].operations, 2.0 * 160 * 768 * 11);
}

TEST(attention_counts_what_each_query_sees) {
  // 32 heads of 64 elements, two multiply-adds each; keys and values of 4 heads, read once.
  const auto figures = [](const char* op, const char* type, int64_t positions, int64_t tokens) {
    const KernelResult r =
        run({{op, type, "", Place::kMemory, positions, 64, tokens}}, 2).results[0];
    CHECK(!r.wrong);
    return std::pair{r.operations, r.bytes};
  };
  const double f16 = 4 * 2 * 64 * 2, q8 = f16 * 8.5 / 16, f32 = 4 * 2 * 64 * 4;  // a position
  CHECK(figures("attention", "F16", 600, 1) == std::pair(4.0 * 32 * 64 * 600, 600 * f16));
  CHECK(figures("attention", "Q8_0", 5, 3) == std::pair(4.0 * 32 * 64 * (3 + 4 + 5), 5 * q8));
  CHECK(figures("store_kv", "F16", 600, 7) == std::pair(7.0 * 4 * 2 * 64, 7 * (f32 + f16)));
  CHECK(figures("store_kv", "Q8_0", 7, 7) == std::pair(7.0 * 4 * 2 * 64 * 3, 7 * (f32 + q8)));
}

TEST(limits_are_measured_on_one_thread_and_on_all) {
  const Told told = run({{"add", "F32", "scalar", Place::kFirstCache, 0, 0, 1},
                         {"add", "F32", "", Place::kFirstCache, 0, 0, 1},
                         {"exp", "F32", "", Place::kMemory, 0, 256, 1}},
                        2);
  CHECK_EQ(told.limits.size(), size_t{1});
  const Limits& limits = told.limits.front();
  const std::string best(cpu::select_table("").variant);
  std::vector<std::pair<std::string, int>> who;
  for (const bench::Ceiling& c : limits.ceilings) {
    who.emplace_back(c.table, c.threads);
    CHECK(c.dots > 0 && c.fmas > 0 && c.first_cache > 0 && c.second_cache > 0 && c.memory > 0);
  }
  CHECK(who == (std::vector<std::pair<std::string, int>>{
                   {"scalar", 1}, {"scalar", 2}, {best, 1}, {best, 2}}) ||
        best == "scalar");
  CHECK(limits.barrier_seconds > 0);
  CHECK(limits.memory_bytes > 0);
  CHECK_EQ(run({{"add", "F32", "", Place::kFirstCache, 0, 0, 1}}, 1).limits[0].memory_bytes,
           int64_t{0});
}

TEST(a_wrong_kernel_is_told_and_not_timed) {
  const cpu::Kernels& right = *cpu::select_table("").kernels;
  cpu::Kernels wrong = right;
  cpu::Matmul& q8 = wrong.matmul[static_cast<uint32_t>(DType::kQ8_0)];
  // One output of the last panel is a little off; one is not written at all.
  q8.panels = [](const cpu::PanelArgs& args) {
    cpu::select_table("").kernels->matmul[static_cast<uint32_t>(DType::kQ8_0)].panels(args);
    float& last = args.out[(args.tokens - 1) * args.out_stride + args.panels * 16 - 1];
    last += 1e-4f * (1 + std::fabs(last));
  };
  q8.rows = [](const cpu::MatmulArgs& args) {
    for (int64_t r = 1; r < args.rows; ++r) args.out[r] = 0;
  };
  wrong.add = [](float* x, const float*, int64_t n) { x[n - 1] += 1; };
  wrong.quantize_q8_32 = [](const float*, int64_t, std::byte* out) { *out = std::byte{1}; };
  // A whole tile, and a split of one, do without the last position; a bit of a key is another.
  wrong.attention = [](const cpu::AttentionArgs& args) {
    cpu::AttentionArgs less = args;
    --less.past;
    cpu::select_table("").kernels->attention(less);
  };
  wrong.store_kv = [](const cpu::KvStoreArgs& args) {
    cpu::select_table("").kernels->store_kv(args);
    args.page[2 * args.position] ^= std::byte{1};
  };
  for (Place place : {Place::kFirstCache, Place::kMemory}) {
    const int64_t rows = place == Place::kMemory ? 96 : 0, cols = place == Place::kMemory ? 256 : 0;
    const int64_t positions = place == Place::kMemory ? 700 : 0;
    for (const KernelCase& c : {KernelCase{"matmul", "Q8_0", "", place, rows, cols, 9},
                                KernelCase{"matmul-rows", "Q8_0", "", place, rows, cols, 1},
                                KernelCase{"add", "F32", "", place, 0, cols, 1},
                                KernelCase{"quantize", "Q8_32", "", place, 0, cols, 1},
                                KernelCase{"attention", "F16", "", place, positions, cols, 9},
                                KernelCase{"attention", "Q8_0", "", place, positions, cols, 1},
                                KernelCase{"store_kv", "F16", "", place, positions, cols, 9}}) {
      const KernelResult told = run_with(wrong, c);
      CHECK(told.wrong);
      CHECK(told.error > 1);
      CHECK_EQ(told.timing.median, 0.0);
      CHECK(!run_with(right, c).wrong);
    }
  }
}

TEST(errors_that_are_compared) {
  CHECK_EQ(bench::error_share(1, 1, 0), 0.0);
  CHECK(std::isinf(bench::error_share(1, 2, 0)));
  CHECK(std::isinf(bench::error_share(NAN, 2, 1)));
  CHECK_EQ(bench::error_share(3, 2, 4), 0.25);
}

TEST(cases_that_make_no_sense_are_refused) {
  const auto refused = [](const KernelCase& c, const char* part) {
    CHECK_THROWS(ErrorCode::kBadArgument, run({c}, 1), part);
  };
  refused({"matmull", "Q4_0", "", Place::kFirstCache, 0, 0, 1}, "no operation \"matmull\"");
  refused({"matmul", "Q4_9", "", Place::kFirstCache, 0, 0, 1}, "Q4_0, Q4_1");
  refused({"exp", "F16", "", Place::kFirstCache, 0, 0, 1}, "there is F32");
  refused({"add", "F32", "sse9", Place::kFirstCache, 0, 0, 1}, "sse9");
  refused({"add", "F32", "", Place::kFirstCache, 0, 256, 1}, "in a cache");
  refused({"matmul", "Q4_K", "", Place::kMemory, 64, 128, 1}, "multiple of 32 and columns of 256");
  refused({"matmul", "Q4_K", "", Place::kMemory, 33, 256, 1}, "multiple of 32");
  refused({"matmul", "Q4_K", "", Place::kMemory, 0, 0, 1}, "multiple of 32");
  refused({"add", "F32", "", Place::kMemory, 0, 100, 1}, "multiple of 256");
  refused({"matmul", "Q4_0", "", Place::kFirstCache, 0, 0, 0}, "tokens");
  refused({"attention", "F32", "", Place::kFirstCache, 0, 0, 1}, "there are F16, Q8_0");
  refused({"attention", "F16", "", Place::kMemory, 64, 100, 1}, "multiple of 32 up to 1024");
  refused({"attention", "F16", "", Place::kMemory, 64, 2048, 1}, "multiple of 32 up to 1024");
  refused({"attention", "F16", "", Place::kMemory, 64, 64, 65}, "65 tokens in a cache of 64");
  refused({"store_kv", "F16", "", Place::kFirstCache, 0, 0, 60'000}, "one for each token");
  refused({"matmul", "Q4_0", "", Place::kMemory, int64_t{1} << 40, 256, 1}, "sides up to");
  CHECK_THROWS(ErrorCode::kBadArgument, run({}, 0), "threads must be");
}

TEST(stopping_ends_it) {
  int asked = 0;
  const std::function<bool()> soon = [&] { return ++asked > 3; };
  const KernelCase c{"matmul", "Q4_0", "", Place::kFirstCache, 0, 0, 1};
  CHECK_THROWS(ErrorCode::kAborted,
               bench::run_kernel_bench({&c, 1}, {1, kQuick}, {[](const Limits&) {}, {}}, soon),
               "stopped");
}

TEST(timing_takes_the_middle_of_the_samples) {
  int64_t calls = 0;
  const bench::Timing timing =
      bench::time_calls([&](int64_t count) { calls += count; }, {4, 0}, kNever);
  CHECK_EQ(calls, int64_t{6});  // one untimed, one to see how long it takes
  CHECK(timing.best >= 0 && timing.median >= timing.best);
}

TEST(a_call_held_up_once_is_not_taken_for_a_long_one) {
  int runs = 0;
  int64_t most = 0;
  const auto run = [&](int64_t count) {
    if (++runs == 2) std::this_thread::sleep_for(std::chrono::milliseconds(3));
    most = std::max(most, count);
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(10) * count;
    while (std::chrono::steady_clock::now() < end) {
    }
  };
  bench::time_calls(run, {1, 0.001}, kNever);
  CHECK(most > 1);
}

TEST(calls_that_take_no_time_end) {
  int64_t most = 0;
  bench::time_calls([&](int64_t count) { most = std::max(most, count); }, {1, 0.001}, kNever);
  CHECK(most < int64_t{1} << 40);
}

}  // namespace cria::test
