// F6. Native values of JavaScript ones.
#include <cmath>

#include "engine/beam.h"
#include "napi/convert.h"

namespace cria::js {
namespace {

const char* type_name(const Napi::Value& value) {
  if (value.IsEmpty() || value.IsUndefined()) return "nothing";
  if (value.IsNull()) return "null";
  if (value.IsBoolean()) return "a boolean";
  if (value.IsNumber()) return "a number";
  if (value.IsBigInt()) return "a bigint";
  if (value.IsString()) return "a string";
  if (value.IsFunction()) return "a function";
  if (value.IsArray()) return "an array";
  return value.IsObject() ? "an object" : "another type";
}

[[noreturn]] void refuse(const char* what, const char* expected, const Napi::Value& got) {
  fail(ErrorCode::kBadArgument, what, ": expected ", expected, ", got ", type_name(got));
}

/// An element type's typed array as a vector.
template <class T>
std::vector<T> to_typed(const Napi::Value& value, napi_typedarray_type type, const char* what,
                        const char* expected) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type)
    refuse(what, expected, value);
  const auto array = value.As<Napi::TypedArrayOf<T>>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

std::vector<std::string> to_texts(const Napi::Value& value, const char* what) {
  if (!value.IsArray()) refuse(what, "an array of strings", value);
  const auto array = value.As<Napi::Array>();
  std::vector<std::string> texts;
  for (uint32_t i = 0; i < array.Length(); ++i) texts.push_back(to_text(array.Get(i), what));
  return texts;
}

Sampling to_sampling(const Napi::Object& from) {
  const auto number = [&](const char* key) {
    return static_cast<float>(to_number(from.Get(key), key));
  };
  const auto whole = [&](const char* key) {
    return static_cast<int>(to_whole(from.Get(key), key, 0, INT32_MAX));
  };
  Sampling s;
  s.temperature = number("temperature");
  s.top_k = whole("topK");
  s.top_p = number("topP");
  s.min_p = number("minP");
  s.typical_p = number("typicalP");
  s.repeat_penalty = number("repeatPenalty");
  s.repeat_window = whole("repeatWindow");
  s.presence_penalty = number("presencePenalty");
  s.frequency_penalty = number("frequencyPenalty");
  s.dry_multiplier = number("dryMultiplier");
  s.dry_base = number("dryBase");
  s.dry_allowed_length = whole("dryAllowedLength");
  s.dry_window = whole("dryWindow");
  s.dry_breakers = to_texts(from.Get("dryBreakers"), "dryBreakers");
  s.top_n_sigma = number("topNSigma");
  s.xtc_probability = number("xtcProbability");
  s.xtc_threshold = number("xtcThreshold");
  s.dynamic_range = number("dynamicTemperatureRange");
  s.dynamic_exponent = number("dynamicTemperatureExponent");
  s.mirostat = static_cast<Mirostat>(to_whole(from.Get("mirostat"), "mirostat", 0, 2));
  s.mirostat_tau = number("mirostatTau");
  s.mirostat_eta = number("mirostatEta");
  s.order.clear();
  for (const std::string& name : to_texts(from.Get("samplers"), "samplers")) {
    const std::optional<Stage> stage = stage_of(name);
    if (!stage) fail(ErrorCode::kBadArgument, "samplers: no sampler \"", name, "\"");
    s.order.push_back(*stage);
  }
  const Napi::Value seed = from.Get("seed");
  bool lossless = false;
  if (!seed.IsBigInt()) refuse("seed", "a bigint of 64 bits", seed);
  s.seed = seed.As<Napi::BigInt>().Uint64Value(&lossless);

  const std::vector<int32_t> ids = to_ids(from.Get("logitBiasIds"), "logitBiasIds");
  const std::vector<float> values = to_typed<float>(from.Get("logitBiasValues"), napi_float32_array,
                                                    "logitBiasValues", "a Float32Array");
  if (ids.size() != values.size())
    fail(ErrorCode::kBadArgument, "logitBiasValues: expected ", ids.size(), " values, got ",
         values.size());
  for (size_t i = 0; i < ids.size(); ++i) s.logit_bias.emplace_back(ids[i], values[i]);
  return s;
}

}  // namespace

double to_number(const Napi::Value& value, const char* what) {
  if (!value.IsNumber()) refuse(what, "a number", value);
  return value.As<Napi::Number>().DoubleValue();
}

int64_t to_whole(const Napi::Value& value, const char* what, int64_t min, int64_t max) {
  const double number = to_number(value, what);
  // NaN fails both comparisons.
  if (!(number >= static_cast<double>(min) && number <= static_cast<double>(max)) ||
      number != std::floor(number))
    fail(ErrorCode::kBadArgument, what, ": expected a whole number from ", min, " to ", max,
         ", got ", number);
  return static_cast<int64_t>(number);
}

bool to_bool(const Napi::Value& value, const char* what) {
  if (!value.IsBoolean()) refuse(what, "a boolean", value);
  return value.As<Napi::Boolean>().Value();
}

std::string to_text(const Napi::Value& value, const char* what) {
  if (!value.IsString()) refuse(what, "a string", value);
  return value.As<Napi::String>().Utf8Value();
}

Napi::Object to_object(const Napi::Value& value, const char* what) {
  if (!value.IsObject()) refuse(what, "an object", value);
  return value.As<Napi::Object>();
}

Napi::Function to_function(const Napi::Value& value, const char* what) {
  if (!value.IsFunction()) refuse(what, "a function", value);
  return value.As<Napi::Function>();
}

std::vector<int32_t> to_ids(const Napi::Value& value, const char* what) {
  return to_typed<int32_t>(value, napi_int32_array, what, "an Int32Array");
}

std::vector<PromptSegment> to_segments(const Napi::Value& value, const char* what) {
  if (!value.IsArray()) refuse(what, "an array of segments", value);
  const auto array = value.As<Napi::Array>();
  std::vector<PromptSegment> segments;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Object segment = to_object(array.Get(i), what);
    segments.push_back(
        {to_text(segment.Get("text"), "text"), to_bool(segment.Get("special"), "special")});
  }
  return segments;
}

std::filesystem::path to_path(const Napi::Value& value) {
  const std::string path = to_text(value, "path");
  // A NUL would cut the name short and open another file.
  if (path.empty() || path.find('\0') != std::string::npos)
    fail(ErrorCode::kBadArgument, "path: expected a file's name, got ",
         path.empty() ? "an empty one" : "one with a NUL character");
  return path;
}

KvType to_kv_type(const Napi::Value& value) {
  const std::string name = to_text(value, "kvType");
  if (name == "f16") return KvType::kF16;
  if (name == "q8_0") return KvType::kQ8_0;
  fail(ErrorCode::kBadArgument, "kvType: expected \"f16\" or \"q8_0\", got \"", name, "\"");
}

Guesses to_guesses(const Napi::Value& value) {
  const std::string name = to_text(value, "speculation");
  if (name == "auto") return Guesses::kAll;
  if (name == "lookup") return Guesses::kLookup;
  if (name == "off") return Guesses::kNone;
  fail(ErrorCode::kBadArgument, "speculation: expected \"auto\", \"lookup\" or \"off\", got \"",
       name, "\"");
}

LoadOptions to_load_options(const Napi::Value& value) {
  const Napi::Object from = to_object(value, "options");
  const auto whole = [&](const char* key) {
    return to_whole(from.Get(key), key, 0, INT64_C(1) << 40);
  };
  LoadOptions options;
  options.device.threads = static_cast<int>(to_whole(from.Get("threads"), "threads", 0, 256));
  options.device.kernels = to_text(from.Get("kernels"), "kernels");
  options.device.device = to_text(from.Get("device"), "device");
  options.device.cuda_plugin = to_text(from.Get("cudaPlugin"), "cudaPlugin");
  options.context_size = whole("contextSize");
  options.batch_size = whole("batchSize");
  options.sequences = whole("sequences");
  options.kv_type = to_kv_type(from.Get("kvType"));
  if (const Napi::Value draft = from.Get("draft"); !draft.IsUndefined())
    options.draft = to_path(draft);
  const Napi::Value queue = from.Get("maxQueue");
  if (!queue.IsUndefined())
    options.max_queue = static_cast<size_t>(to_whole(queue, "maxQueue", 0, INT32_MAX));
  if (to_bool(from.Get("mapped"), "mapped")) options.weights = WeightForm::kMapped;
  return options;
}

/// What every request has: its id and its prompt.
std::shared_ptr<Request> to_prompt(const Napi::Object& from) {
  auto request = std::make_shared<Request>();
  request->id = static_cast<int32_t>(to_whole(from.Get("id"), "id", 1, INT32_MAX));
  const Napi::Value prompt = from.Get("prompt");
  if (prompt.IsTypedArray()) {
    request->tokens = to_ids(prompt, "prompt");
    if (request->tokens.empty())
      fail(ErrorCode::kBadArgument, "prompt: expected at least one token id, got none");
  } else {
    request->segments = to_segments(prompt, "prompt");
  }
  request->bos = to_bool(from.Get("bos"), "bos");
  return request;
}

std::shared_ptr<Request> to_measurement(const Napi::Value& value) {
  const Napi::Object from = to_object(value, "request");
  std::shared_ptr<Request> request = to_prompt(from);
  const std::string purpose = to_text(from.Get("purpose"), "purpose");
  const std::string pooling = to_text(from.Get("pooling"), "pooling");
  if (purpose != "embed" && purpose != "score")
    fail(ErrorCode::kBadArgument, "purpose: expected \"embed\" or \"score\", got \"", purpose,
         "\"");
  if (pooling != "mean" && pooling != "last")
    fail(ErrorCode::kBadArgument, "pooling: expected \"mean\" or \"last\", got \"", pooling, "\"");
  request->purpose = purpose == "embed" ? Purpose::kEmbed : Purpose::kScore;
  request->pooling = pooling == "mean" ? Pooling::kMean : Pooling::kLast;
  request->normalize = to_bool(from.Get("normalize"), "normalize");
  request->score_from = static_cast<int>(to_whole(from.Get("from"), "from", 1, INT32_MAX));
  return request;
}

std::shared_ptr<Request> to_request(const Napi::Value& value) {
  const Napi::Object from = to_object(value, "request");
  std::shared_ptr<Request> request = to_prompt(from);
  request->trim_start = to_bool(from.Get("trimStart"), "trimStart");
  request->sequence =
      static_cast<uint32_t>(to_whole(from.Get("sequence"), "sequence", 0, UINT32_MAX));
  request->max_tokens =
      static_cast<int>(to_whole(from.Get("maxTokens"), "maxTokens", 0, INT32_MAX));
  request->priority = static_cast<int>(to_whole(from.Get("priority"), "priority", -100, 100));
  request->timeout_ms = to_whole(from.Get("timeoutMs"), "timeoutMs", 0, INT32_MAX);
  request->cache_key = to_text(from.Get("cacheKey"), "cacheKey");
  request->sampling = to_sampling(from);
  request->beams =
      static_cast<int>(to_whole(from.Get("beams"), "beams", 0, BeamSearch::kMostBeams));
  request->length_penalty = to_number(from.Get("lengthPenalty"), "lengthPenalty");
  request->guesses = to_guesses(from.Get("speculation"));
  request->stop = to_texts(from.Get("stop"), "stop");
  request->banned = to_texts(from.Get("banned"), "banned");
  request->logprobs =
      static_cast<int>(to_whole(from.Get("logprobs"), "logprobs", -1, kMostAlternatives));
  return request;
}

std::vector<text::Segment> views(const std::vector<PromptSegment>& segments) {
  std::vector<text::Segment> out;
  for (const PromptSegment& segment : segments) out.push_back({segment.text, segment.special});
  return out;
}

}  // namespace cria::js
