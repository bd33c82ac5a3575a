// F6. JavaScript values of native ones, shaped as lib/native.ts says.
#include <algorithm>
#include <cstring>
#include <map>

#include "napi/convert.h"

namespace cria::js {
namespace {

// Metadata arrays longer than this come as their type, length and first elements: a vocabulary of
// 128,000 pieces would hold the event loop for tens of milliseconds.
constexpr uint64_t kWholeArray = 64, kFirstElements = 8;

Napi::Value from_count(Napi::Env env, uint64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

constexpr int64_t kSafeInteger = (INT64_C(1) << 53) - 1;

Napi::Value from_int(Napi::Env env, int64_t value) {
  if (value > kSafeInteger || value < -kSafeInteger) return Napi::BigInt::New(env, value);
  return Napi::Number::New(env, static_cast<double>(value));
}
Napi::Value from_uint(Napi::Env env, uint64_t value) {
  if (value > static_cast<uint64_t>(kSafeInteger)) return Napi::BigInt::New(env, value);
  return Napi::Number::New(env, static_cast<double>(value));
}

Napi::Value from_value(Napi::Env env, const gguf::Value& value);

Napi::Value from_array(Napi::Env env, const gguf::Array& array) {
  const uint64_t count = array.count <= kWholeArray ? array.count : kFirstElements;
  const Napi::Array elements = Napi::Array::New(env);
  for (const gguf::Value& value : gguf::first_elements(array, count))
    elements.Set(elements.Length(), from_value(env, value));
  if (array.count <= kWholeArray) return elements;
  const Napi::Object summary = Napi::Object::New(env);
  summary.Set("type", gguf::value_type_name(array.type));
  summary.Set("length", from_count(env, array.count));
  summary.Set("first", elements);
  return summary;
}

Napi::Value from_value(Napi::Env env, const gguf::Value& value) {
  return std::visit(
      [&]<class T>(const T& v) -> Napi::Value {
        if constexpr (std::is_same_v<T, gguf::Array>) return from_array(env, v);
        if constexpr (std::is_same_v<T, uint64_t>) return from_uint(env, v);
        if constexpr (std::is_same_v<T, int64_t>) return from_int(env, v);
        if constexpr (std::is_same_v<T, double>) return Napi::Number::New(env, v);
        if constexpr (std::is_same_v<T, bool>) return Napi::Boolean::New(env, v);
        if constexpr (std::is_same_v<T, std::string_view>) return from_text(env, v);
      },
      value);
}

const char* reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kAbort:
      return "abort";
    case FinishReason::kError:
      break;
  }
  return "error";
}

Napi::Value from_ids(Napi::Env env, const std::vector<int32_t>& ids) {
  const Napi::Array out = Napi::Array::New(env, ids.size());
  for (uint32_t i = 0; i < ids.size(); ++i) out.Set(i, ids[i]);
  return out;
}

Napi::Value from_beams(Napi::Env env, const std::vector<BeamText>& beams) {
  const Napi::Array out = Napi::Array::New(env, beams.size());
  for (uint32_t i = 0; i < beams.size(); ++i) {
    const BeamText& beam = beams[i];
    const Napi::Object one = Napi::Object::New(env);
    one.Set("text", from_text(env, beam.text));
    one.Set("tokens", from_ids(env, beam.tokens));
    one.Set("score", beam.score);
    one.Set("stopped", beam.stopped);
    if (beam.grammar_complete) one.Set("grammarComplete", *beam.grammar_complete);
    out.Set(i, one);
  }
  return out;
}

Napi::Value from_end(Napi::Env env, const End& end) {
  const Napi::Object usage = Napi::Object::New(env);
  usage.Set("promptTokens", end.usage.prompt_tokens);
  usage.Set("cachedTokens", end.usage.cached_tokens);
  usage.Set("completionTokens", end.usage.completion_tokens);
  const Napi::Object timings = Napi::Object::New(env);
  timings.Set("queueMs", end.timings.queue_ms);
  timings.Set("prefillMs", end.timings.prefill_ms);
  timings.Set("decodeMs", end.timings.decode_ms);
  timings.Set("guessedTokens", end.timings.guessed);
  timings.Set("acceptedTokens", end.timings.accepted);
  const Napi::Object out = Napi::Object::New(env);
  out.Set("reason", reason_name(end.reason));
  out.Set("usage", usage);
  out.Set("timings", timings);
  if (!end.beams.empty()) out.Set("beams", from_beams(env, end.beams));
  if (end.grammar_complete) out.Set("grammarComplete", *end.grammar_complete);
  if (end.error) {
    out.Set("code", error_name(end.error->code()));
    out.Set("message", end.error->what());
  }
  return out;
}

/// "5.2M Q8_0": parameters, and the type that most bytes are of.
std::string describe(const gguf::File& file, uint64_t parameters) {
  std::map<std::string_view, uint64_t> bytes;
  for (const gguf::Tensor& tensor : file.tensors()) bytes[tensor.type->name] += tensor.bytes;
  const auto most = std::max_element(
      bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  char size[32];
  const double count = static_cast<double>(parameters);
  if (count >= 1e9) {
    std::snprintf(size, sizeof size, "%.1fB ", count / 1e9);
  } else if (count >= 1e6) {
    std::snprintf(size, sizeof size, "%.1fM ", count / 1e6);
  } else {
    std::snprintf(size, sizeof size, "%.0fK ", count / 1e3);
  }
  return size + std::string(most == bytes.end() ? "" : most->first);
}

uint64_t count_parameters(const gguf::File& file) {
  uint64_t count = 0;
  for (const gguf::Tensor& tensor : file.tensors()) count += tensor.elements();
  return count;
}

}  // namespace

Napi::Value from_text(Napi::Env env, std::string_view text) {
  return Napi::String::New(env, text.data(), text.size());
}

Napi::Value from_ids(Napi::Env env, std::span<const int32_t> ids) {
  auto array = Napi::Int32Array::New(env, ids.size());
  // Null where the environment is being torn down.
  if (!ids.empty() && !array.IsEmpty() && array.Data())
    std::memcpy(array.Data(), ids.data(), ids.size_bytes());
  return array;
}

Napi::Value from_floats(Napi::Env env, std::span<const float> values) {
  auto array = Napi::Float32Array::New(env, values.size());
  if (!values.empty() && !array.IsEmpty() && array.Data())
    std::memcpy(array.Data(), values.data(), values.size_bytes());
  return array;
}

Napi::Value from_strings(Napi::Env env, std::span<const std::string> strings) {
  const Napi::Array array = Napi::Array::New(env, strings.size());
  for (uint32_t i = 0; i < strings.size(); ++i) array.Set(i, from_text(env, strings[i]));
  return array;
}

namespace {

Napi::Object from_logprob(Napi::Env env, int32_t id, double logprob) {
  const Napi::Object out = Napi::Object::New(env);
  out.Set("id", id);
  out.Set("logprob", logprob);
  return out;
}

Napi::Value from_logprobs(Napi::Env env, const std::vector<TokenLogprob>& logprobs) {
  const Napi::Array out = Napi::Array::New(env, logprobs.size());
  for (uint32_t i = 0; i < logprobs.size(); ++i) {
    const Napi::Array top = Napi::Array::New(env, logprobs[i].top.size());
    for (uint32_t j = 0; j < logprobs[i].top.size(); ++j)
      top.Set(j, from_logprob(env, logprobs[i].top[j].id, logprobs[i].top[j].logprob));
    const Napi::Object one = from_logprob(env, logprobs[i].id, logprobs[i].logprob);
    one.Set("top", top);
    out.Set(i, one);
  }
  return out;
}

}  // namespace

Napi::Value from_update(Napi::Env env, const Update& update) {
  const Napi::Object out = Napi::Object::New(env);
  out.Set("request", update.request);
  out.Set("text", from_text(env, update.text));
  out.Set("tokens", from_ids(env, update.tokens));
  if (update.end) out.Set("end", from_end(env, *update.end));
  if (!update.logprobs.empty()) out.Set("logprobs", from_logprobs(env, update.logprobs));
  if (!update.values.empty()) out.Set("values", from_floats(env, update.values));
  return out;
}

Napi::Value from_stats(Napi::Env env, const Stats& stats) {
  const Napi::Object out = Napi::Object::New(env), step = Napi::Object::New(env);
  step.Set("mean", stats.step_ms.mean);
  step.Set("p50", stats.step_ms.p50);
  step.Set("p95", stats.step_ms.p95);
  step.Set("p99", stats.step_ms.p99);
  step.Set("max", stats.step_ms.max);
  out.Set("posted", from_count(env, stats.posted));
  out.Set("finished", from_count(env, stats.finished));
  out.Set("aborted", from_count(env, stats.aborted));
  out.Set("failed", from_count(env, stats.failed));
  out.Set("queued", stats.queued);
  out.Set("running", stats.running);
  out.Set("paused", stats.paused);
  out.Set("promptTokens", from_count(env, stats.prompt_tokens));
  out.Set("cachedTokens", from_count(env, stats.cached_tokens));
  out.Set("computedTokens", from_count(env, stats.computed_tokens));
  out.Set("generatedTokens", from_count(env, stats.generated_tokens));
  out.Set("guessedTokens", from_count(env, stats.guessed_tokens));
  out.Set("acceptedTokens", from_count(env, stats.accepted_tokens));
  out.Set("pages", stats.pages);
  out.Set("freePages", stats.free_pages);
  out.Set("cachedPages", stats.cached_pages);
  out.Set("pageTokens", kPageTokens);
  out.Set("steps", from_count(env, stats.steps));
  out.Set("stepMs", step);
  out.Set("windowMs", stats.window_ms);
  out.Set("promptRate", stats.prompt_rate);
  out.Set("generatedRate", stats.generated_rate);
  return out;
}

Napi::Value from_info(Napi::Env env, const LoadedModel& model, const std::string& path) {
  const Config& config = model.config;
  const uint64_t parameters = count_parameters(model.file);
  const auto chat_template = model.file.get_string("tokenizer.chat_template");
  const Napi::Object out = Napi::Object::New(env);
  out.Set("path", path);
  out.Set("name", from_text(env, config.name));
  out.Set("architecture", from_text(env, config.architecture));
  out.Set("description", describe(model.file, parameters));
  out.Set("parameters", from_count(env, parameters));
  out.Set("fileBytes", from_count(env, model.file.file_bytes()));
  out.Set("layers", config.layers);
  out.Set("width", config.width);
  out.Set("heads", config.heads);
  out.Set("kvHeads", config.kv_heads);
  out.Set("headWidth", config.head_width);
  out.Set("feedForward", config.feed_forward);
  out.Set("vocabSize", config.vocab);
  out.Set("trainedContext", config.trained_context);
  out.Set("contextSize", model.plan.context_size);
  out.Set("batchSize", model.plan.limits.tokens);
  out.Set("device", model.device);
  out.Set("threads", model.threads);
  out.Set("kernels", model.kernels);
  out.Set("chatTemplate", chat_template ? from_text(env, *chat_template) : env.Null());
  out.Set("weightBytes", from_count(env, model.plan.weight_bytes));
  out.Set("kvBytes", from_count(env, model.plan.kv_bytes));
  out.Set("scratchBytes", from_count(env, model.plan.scratch_bytes));
  out.Set("draftBytes", from_count(env, model.plan.draft_bytes));
  return out;
}

Napi::Value from_plan(Napi::Env env, const Planned& planned) {
  const MemoryPlan& plan = planned.plan;
  const Napi::Object out = Napi::Object::New(env);
  out.Set("weightBytes", from_count(env, plan.weight_bytes));
  out.Set("kvBytes", from_count(env, plan.kv_bytes));
  out.Set("scratchBytes", from_count(env, plan.scratch_bytes));
  out.Set("draftBytes", from_count(env, plan.draft_bytes));
  out.Set("totalBytes", from_count(env, plan.total()));
  out.Set("contextSize", plan.context_size);
  out.Set("availableBytes", from_count(env, planned.available));
  out.Set("device", planned.device);
  return out;
}

Napi::Value from_gpus(Napi::Env env, const GpuReport& report) {
  const auto text_or_null = [env](const std::string& text) {
    return text.empty() ? env.Null() : from_text(env, text);
  };
  const Napi::Array devices = Napi::Array::New(env);
  for (const GpuReport::Gpu& gpu : report.gpus) {
    const Napi::Object row = Napi::Object::New(env);
    row.Set("device", gpu.device);
    row.Set("name", from_text(env, gpu.name));
    row.Set("capability", gpu.capability);
    row.Set("memoryBytes", from_count(env, gpu.memory_bytes));
    row.Set("freeBytes", from_count(env, gpu.free_bytes));
    row.Set("problem", text_or_null(gpu.problem));
    devices.Set(devices.Length(), row);
  }
  const Napi::Object out = Napi::Object::New(env);
  out.Set("plugin", from_text(env, report.plugin));
  out.Set("build", text_or_null(report.build));
  out.Set("problem", text_or_null(report.problem));
  out.Set("devices", devices);
  return out;
}

Napi::Value from_file(Napi::Env env, const gguf::File& file, const std::string& path) {
  const Napi::Object metadata = Napi::Object::New(env);
  for (const gguf::Entry& entry : file.entries()) {
    // Defined, not set: a key may be called __proto__.
    metadata.DefineProperty(
        Napi::PropertyDescriptor::Value(from_text(env, entry.key).As<Napi::Name>(),
                                        from_value(env, entry.value), napi_default_jsproperty));
  }
  const Napi::Array tensors = Napi::Array::New(env, file.tensors().size());
  uint32_t index = 0, parts = 1;
  for (const gguf::Tensor& tensor : file.tensors()) {
    const Napi::Array shape = Napi::Array::New(env, tensor.dimensions);
    for (uint32_t i = 0; i < tensor.dimensions; ++i) shape.Set(i, from_count(env, tensor.shape[i]));
    const Napi::Object out = Napi::Object::New(env);
    out.Set("name", from_text(env, tensor.name));
    out.Set("type", tensor.type->name);
    out.Set("shape", shape);
    out.Set("bytes", from_count(env, tensor.bytes));
    out.Set("offset", from_count(env, tensor.offset));
    out.Set("part", tensor.part);
    tensors.Set(index++, out);
    parts = std::max(parts, tensor.part + 1);
  }
  const Napi::Object out = Napi::Object::New(env);
  out.Set("path", path);
  out.Set("version", file.version());
  out.Set("alignment", from_count(env, file.alignment()));
  out.Set("fileBytes", from_count(env, file.file_bytes()));
  out.Set("parts", parts);
  out.Set("parameters", from_count(env, count_parameters(file)));
  out.Set("metadata", metadata);
  out.Set("tensors", tensors);
  return out;
}

Napi::Value from_vocab(Napi::Env env, const text::Tokenizer& tokenizer) {
  const text::Vocab& vocab = tokenizer.vocab();
  std::vector<std::string> control;
  for (size_t id = 0; id < vocab.pieces.size(); ++id)
    if (vocab.types[id] == text::PieceType::kControl) control.push_back(vocab.pieces[id]);
  const Napi::Array ends = Napi::Array::New(env, vocab.end_of_generation.size());
  for (uint32_t i = 0; i < vocab.end_of_generation.size(); ++i)
    ends.Set(i, vocab.end_of_generation[i]);
  const Napi::Object out = Napi::Object::New(env);
  out.Set("size", tokenizer.size());
  out.Set("bos", vocab.bos);
  out.Set("eos", vocab.eos);
  out.Set("unknown", vocab.unknown);
  out.Set("addBos", vocab.add_bos);
  out.Set("maxPieceBytes", from_count(env, tokenizer.max_piece_bytes()));
  out.Set("endOfGeneration", ends);
  out.Set("controlPieces", from_strings(env, control));
  return out;
}

}  // namespace cria::js
