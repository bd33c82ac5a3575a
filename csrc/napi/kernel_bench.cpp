#include "napi/kernel_bench.h"

#include "bench/kernel_bench.h"
#include "cpu/cpu_backend.h"
#include "napi/convert.h"
#include "napi/environment.h"

namespace cria::js {
namespace {

bench::Place to_place(const std::string& name) {
  if (name == "l1") return bench::Place::kFirstCache;
  if (name == "l2") return bench::Place::kSecondCache;
  if (name == "memory") return bench::Place::kMemory;
  fail(ErrorCode::kBadArgument, "place: expected \"l1\", \"l2\" or \"memory\", got \"", name, "\"");
}

std::vector<bench::KernelCase> to_cases(const Napi::Value& value) {
  std::vector<bench::KernelCase> cases;
  const Napi::Object array = to_object(value, "cases");
  const int64_t count = to_whole(array.Get("length"), "cases", 1, 100'000);
  for (uint32_t i = 0; i < count; ++i) {
    const Napi::Object from = to_object(array.Get(i), "cases");
    const auto text = [&](const char* key) { return to_text(from.Get(key), key); };
    const auto whole = [&](const char* key) { return to_whole(from.Get(key), key, 0, INT32_MAX); };
    cases.push_back({text("op"), text("type"), text("table"), to_place(text("place")),
                     whole("rows"), whole("cols"), whole("tokens")});
  }
  return cases;
}

Napi::Value from_limits(Napi::Env env, const bench::Limits& limits, int threads) {
  const Napi::Array ceilings = Napi::Array::New(env);
  for (const bench::Ceiling& ceiling : limits.ceilings) {
    const Napi::Object row = Napi::Object::New(env);
    row.Set("table", ceiling.table);
    row.Set("threads", ceiling.threads);
    row.Set("dots", ceiling.dots);
    row.Set("fmas", ceiling.fmas);
    row.Set("l1", ceiling.first_cache);
    row.Set("l2", ceiling.second_cache);
    row.Set("memory", ceiling.memory);
    ceilings.Set(ceilings.Length(), row);
  }
  const Napi::Object out = Napi::Object::New(env);
  out.Set("threads", threads);
  out.Set("ceilings", ceilings);
  out.Set("barrierSeconds", limits.barrier_seconds);
  out.Set("l1Bytes", static_cast<double>(limits.caches.first));
  out.Set("l2Bytes", static_cast<double>(limits.caches.second));
  out.Set("memoryBytes", static_cast<double>(limits.memory_bytes));
  return out;
}

Napi::Value from_result(Napi::Env env, const bench::KernelResult& result) {
  const Napi::Object out = Napi::Object::New(env);
  out.Set("rows", static_cast<double>(result.rows));
  out.Set("cols", static_cast<double>(result.cols));
  out.Set("error", result.error);
  out.Set("wrong", result.wrong);
  out.Set("bytes", result.bytes);
  out.Set("operations", result.operations);
  out.Set("median", result.timing.median);
  out.Set("best", result.timing.best);
  return out;
}

}  // namespace

Napi::Value kernel_benchmark(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::vector<bench::KernelCase> cases = to_cases(info[0]);
    const auto asked = static_cast<int>(to_whole(info[1], "threads", 0, cpu::kMostThreads));
    bench::KernelBenchOptions options;
    options.threads = asked == 0 ? cpu::default_threads() : asked;
    options.timing.samples = static_cast<int>(to_whole(info[2], "samples", 1, 10'000));
    const auto stopped = stop_check(info.Env(), info[3]);
    const auto on_limits = std::make_shared<Napi::FunctionReference>(
        Napi::Persistent(to_function(info[4], "onLimits")));
    const auto on_result = std::make_shared<Napi::FunctionReference>(
        Napi::Persistent(to_function(info[5], "onResult")));
    Environment& environment = Environment::of(info.Env());
    const auto run = [=, owner = environment.shared_from_this()] {
      bench::KernelBenchTold told;
      told.limits = [&](const bench::Limits& limits) {
        owner->post([on_limits, limits, threads = options.threads](Napi::Env env) {
          on_limits->Call({from_limits(env, limits, threads)});
        });
      };
      told.result = [&](size_t index, const bench::KernelResult& result) {
        owner->post([on_result, index, result](Napi::Env env) {
          on_result->Call(
              {Napi::Number::New(env, static_cast<double>(index)), from_result(env, result)});
        });
      };
      bench::run_kernel_bench(cases, options, told, stopped);
      return true;
    };
    return environment.run_async(info.Env(), run,
                                 [](Napi::Env env, bool) { return env.Undefined(); });
  });
}

}  // namespace cria::js
