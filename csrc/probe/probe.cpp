// F6. A test-only addon: logits of a model, and the block formats, for tests and measurements
// written in TypeScript. Never packaged.
#include <napi.h>

#include <algorithm>

#include "base/memory.h"
#include "engine/loaded_model.h"
#include "engine/page_pool.h"
#include "napi/convert.h"
#include "napi/errors.h"
#include "quant/codec.h"

namespace cria::js {
namespace {

/// The computed type of this name.
DType type_named(const std::string& name) {
  for (uint32_t id = 0; id < kDTypeTableSize; ++id)
    if (const DTypeInfo* info = find_dtype(id); info && info->computed && info->name == name)
      return DType{id};
  fail(ErrorCode::kBadArgument, "type: expected a type that Cria computes, got ", name);
}

int64_t whole_blocks(DType type, size_t count) {
  if (count % dtype_info(type).block_weights != 0)
    fail(ErrorCode::kBadArgument, "values: expected a multiple of ", dtype_info(type).block_weights,
         ", got ", count);
  return static_cast<int64_t>(count);
}

/// quantize(type, Float32Array) → Uint8Array
Napi::Value quantize(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const DType type = type_named(to_text(info[0], "type"));
    const auto values = info[1].As<Napi::Float32Array>();
    const int64_t count = whole_blocks(type, values.ElementLength());
    auto out = Napi::Uint8Array::New(info.Env(), static_cast<size_t>(row_bytes(type, count)));
    quantize_row(type, values.Data(), out.Data(), count);
    return out;
  });
}

/// dequantize(type, Uint8Array, count) → Float32Array
Napi::Value dequantize(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const DType type = type_named(to_text(info[0], "type"));
    const auto bytes = info[1].As<Napi::Uint8Array>();
    const int64_t count = to_whole(info[2], "count", 0, INT32_MAX);
    if (row_bytes(type, whole_blocks(type, static_cast<size_t>(count))) !=
        static_cast<int64_t>(bytes.ElementLength()))
      fail(ErrorCode::kBadArgument, "bytes: expected ", row_bytes(type, count), ", got ",
           bytes.ElementLength());
    auto out = Napi::Float32Array::New(info.Env(), static_cast<size_t>(count));
    dequantize_row(type, bytes.Data(), out.Data(), count);
    return out;
  });
}

/// Logits of every position of one sequence, computed in chunks of the batch size.
std::vector<float> all_logits(const std::filesystem::path& path, const LoadOptions& options,
                              const std::vector<int32_t>& ids) {
  const auto model = LoadedModel::load(
      path, options, [](uint64_t, uint64_t) { return true; }, available_memory());
  const auto vocab = static_cast<size_t>(model->config.vocab);
  const size_t chunk = static_cast<size_t>(model->plan.limits.logit_rows);
  if (ids.size() > static_cast<size_t>(model->plan.context_size))
    fail(ErrorCode::kContextOverflow, "tokens: expected up to ", model->plan.context_size, ", got ",
         ids.size());
  PagePool pool(model->plan.pages);
  Slice slice;
  std::vector<int32_t> pages;
  pool.grow(pages, KvCache::pages_for(static_cast<int64_t>(ids.size())));
  slice.pages = pages.data();
  std::vector<float> logits(ids.size() * vocab);
  std::vector<int64_t> rows;
  for (size_t first = 0; first < ids.size(); first += chunk) {
    const size_t count = std::min(chunk, ids.size() - first);
    slice.past = static_cast<int>(first);
    slice.count = static_cast<int>(count);
    rows.clear();
    for (size_t i = 0; i < count; ++i) rows.push_back(static_cast<int64_t>(i));
    model->transformer.forward({std::span(ids).subspan(first, count), {&slice, 1}, rows},
                               logits.data() + first * vocab);
  }
  return logits;
}

/// logits(path, options, Int32Array) → Float32Array [T × V]
Napi::Value logits(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const std::vector<float> values =
        all_logits(to_path(info[0]), to_load_options(info[1]), to_ids(info[2], "tokens"));
    auto out = Napi::Float32Array::New(info.Env(), values.size());
    std::copy(values.begin(), values.end(), out.Data());
    return out;
  });
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("quantize", Napi::Function::New<quantize>(env, "quantize"));
  exports.Set("dequantize", Napi::Function::New<dequantize>(env, "dequantize"));
  exports.Set("logits", Napi::Function::New<logits>(env, "logits"));
  return exports;
}

}  // namespace
}  // namespace cria::js

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  return cria::js::initialize(env, exports);
}

NODE_API_MODULE(cria_probe, Init)
