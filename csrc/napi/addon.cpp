// F6. The addon's functions: what lib/native.ts calls `NativeAddon`.
#include <napi.h>

#include "base/memory.h"
#include "cpu/cpu_backend.h"
#include "engine/benchmark.h"
#include "engine/opened_load.h"
#include "model/vocab.h"
#include "napi/convert.h"
#include "napi/environment.h"
#include "napi/grammar_object.h"
#include "napi/kernel_bench.h"
#include "napi/model_object.h"
#include "napi/tokenizer_object.h"

namespace cria::js {
namespace {

/// What the plugin and the driver say: devices, or why there is none.
Napi::Value cuda_info(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    DeviceOptions options;
    options.cuda_plugin = to_text(info[0], "plugin");
    return Environment::of(info.Env())
        .run_async(
            info.Env(), [options] { return look_at_gpus(options); },
            [](Napi::Env env, const GpuReport& report) { return from_gpus(env, report); });
  });
}

Napi::Value cpu_info(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Napi::Env env = info.Env();
    const Napi::Array tables = Napi::Array::New(env);
    for (const cpu::TableInfo& table : cpu::tables()) {
      const Napi::Object row = Napi::Object::New(env);
      row.Set("name", table.name);
      row.Set("variant", table.variant);
      row.Set("supported", table.supported);
      tables.Set(tables.Length(), row);
    }
    const Napi::Object out = Napi::Object::New(env);
    out.Set("features", from_strings(env, cpu::features()));
    out.Set("tables", tables);
    out.Set("threads", cpu::default_threads());
    out.Set("availableBytes", static_cast<double>(available_memory()));
    return out;
  });
}

Napi::Value select_table(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const cpu::TableInfo table = cpu::selected_table(to_text(info[0], "kernels"));
    const Napi::Object out = Napi::Object::New(info.Env());
    out.Set("name", table.name);
    out.Set("variant", table.variant);
    return out;
  });
}

Napi::Value inspect(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto path = to_path(info[0]);
    return Environment::of(info.Env())
        .run_async(
            info.Env(), [path] { return std::make_shared<gguf::File>(gguf::File::open(path)); },
            [path](Napi::Env env, const std::shared_ptr<gguf::File>& file) {
              return from_file(env, *file, path.string());
            });
  });
}

Napi::Value estimate(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto path = to_path(info[0]);
    const LoadOptions options = to_load_options(info[1]);
    const uint64_t available = available_memory();
    return Environment::of(info.Env())
        .run_async(
            info.Env(),
            [path, options, available] {
              const Placement placed = open_load(path, options, available).model.placed;
              return Planned{placed.plan, placed.device.name, placed.available};
            },
            [](Napi::Env env, const Planned& planned) { return from_plan(env, planned); });
  });
}

Napi::Value load_tokenizer(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto path = to_path(info[0]);
    return Environment::of(info.Env())
        .run_async(
            info.Env(),
            [path]() -> std::shared_ptr<const text::Tokenizer> {
              return std::make_shared<text::Tokenizer>(read_vocab(gguf::File::open(path)));
            },
            [](Napi::Env env, const std::shared_ptr<const text::Tokenizer>& tokenizer) {
              return TokenizerObject::wrap(env, tokenizer);
            });
  });
}

/// References that a load holds; made and deleted on the JS thread.
struct LoadCallbacks {
  Napi::FunctionReference on_updates, on_progress;
};

/// Tells JavaScript how far a load is; false once it was cancelled.
LoadProgress progress_teller(std::shared_ptr<Environment> environment,
                             std::shared_ptr<LoadCallbacks> callbacks,
                             std::function<bool()> stopped) {
  return [=](uint64_t loaded, uint64_t total) {
    environment->post([callbacks, loaded, total](Napi::Env env) {
      callbacks->on_progress.Call({Napi::String::New(env, "weights"),
                                   Napi::Number::New(env, static_cast<double>(loaded)),
                                   Napi::Number::New(env, static_cast<double>(total))});
    });
    return !stopped();
  };
}

Napi::Value load_model(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto path = to_path(info[0]);
    const LoadOptions options = to_load_options(info[1]);
    const auto stopped = stop_check(info.Env(), info[2]);
    const auto callbacks = std::make_shared<LoadCallbacks>();
    callbacks->on_updates = Napi::Persistent(to_function(info[3], "onUpdates"));
    callbacks->on_progress = Napi::Persistent(to_function(info[4], "onProgress"));
    Environment& environment = Environment::of(info.Env());
    return environment.run_async(
        info.Env(),
        [path, options, box = std::make_shared<UpdateBox>(environment.shared_from_this()),
         progress = progress_teller(environment.shared_from_this(), callbacks, stopped)] {
          auto model = LoadedModel::load(path, options, progress, available_memory());
          return RunningModel{box,
                              std::make_unique<Engine>(std::move(model), *box, options.max_queue)};
        },
        [path, callbacks](Napi::Env env, RunningModel model) {
          const Napi::Value facts = from_info(env, model.engine->model(), path.string());
          return ModelObject::wrap(env, std::move(model), facts, callbacks->on_updates.Value());
        });
  });
}

std::vector<BenchmarkCase> to_cases(const Napi::Value& value) {
  std::vector<BenchmarkCase> cases;
  const Napi::Object array = to_object(value, "cases");
  const int64_t count = to_whole(array.Get("length"), "cases", 1, 1000);
  for (uint32_t i = 0; i < count; ++i) {
    const Napi::Object from = to_object(array.Get(i), "cases");
    const auto whole = [&](const char* key) {
      return static_cast<int>(to_whole(from.Get(key), key, 0, INT32_MAX));
    };
    cases.push_back({whole("prompt"), whole("generate"), whole("depth")});
  }
  return cases;
}

/// benchmark(path, options, cases, repetitions, token, onSeconds)
Napi::Value benchmark(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto path = to_path(info[0]);
    const LoadOptions options = to_load_options(info[1]);
    const std::vector<BenchmarkCase> cases = to_cases(info[2]);
    const auto repetitions = static_cast<int>(to_whole(info[3], "repetitions", 1, 10000));
    const auto stopped = stop_check(info.Env(), info[4]);
    const auto on_seconds = std::make_shared<Napi::FunctionReference>(
        Napi::Persistent(to_function(info[5], "onSeconds")));
    Environment& environment = Environment::of(info.Env());
    const auto run = [=, owner = environment.shared_from_this()] {
      auto model = LoadedModel::load(
          path, options, [&](uint64_t, uint64_t) { return !stopped(); }, available_memory());
      for (uint32_t i = 0; i < cases.size(); ++i)
        run_benchmark(
            *model, cases[i], repetitions,
            [&](double seconds) {
              owner->post([on_seconds, i, seconds](Napi::Env env) {
                on_seconds->Call({Napi::Number::New(env, i), Napi::Number::New(env, seconds)});
              });
            },
            stopped);
      return model;
    };
    return environment.run_async(info.Env(), run,
                                 [path](Napi::Env env, std::unique_ptr<LoadedModel> model) {
                                   return from_info(env, *model, path.string());
                                 });
  });
}

Napi::Value cancel_load(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    auto& loads = Environment::of(info.Env()).loads;
    const auto token = static_cast<uint32_t>(to_whole(info[0], "token", 0, UINT32_MAX));
    if (const auto load = loads.find(token); load != loads.end())
      if (const auto cancelled = load->second.lock())
        cancelled->store(true, std::memory_order_relaxed);
    return info.Env().Undefined();
  });
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  const std::shared_ptr<Environment> environment = Environment::create(env);
  environment->model_class = Napi::Persistent(ModelObject::define(env));
  environment->tokenizer_class = Napi::Persistent(TokenizerObject::define(env));
  environment->decoder_class = Napi::Persistent(DecoderObject::define(env));
  environment->grammar_class = Napi::Persistent(GrammarObject::define(env));
  exports.Set("version", CRIA_VERSION);
  exports.Set("cpu", Napi::Function::New<cpu_info>(env, "cpu"));
  exports.Set("cuda", Napi::Function::New<cuda_info>(env, "cuda"));
  exports.Set("selectTable", Napi::Function::New<select_table>(env, "selectTable"));
  exports.Set("inspect", Napi::Function::New<inspect>(env, "inspect"));
  exports.Set("estimate", Napi::Function::New<estimate>(env, "estimate"));
  exports.Set("loadTokenizer", Napi::Function::New<load_tokenizer>(env, "loadTokenizer"));
  exports.Set("loadModel", Napi::Function::New<load_model>(env, "loadModel"));
  exports.Set("benchmark", Napi::Function::New<benchmark>(env, "benchmark"));
  exports.Set("kernelBenchmark", Napi::Function::New<kernel_benchmark>(env, "kernelBenchmark"));
  exports.Set("cancelLoad", Napi::Function::New<cancel_load>(env, "cancelLoad"));
  return exports;
}

}  // namespace
}  // namespace cria::js

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  return cria::js::initialize(env, exports);
}

NODE_API_MODULE(cria, Init)
