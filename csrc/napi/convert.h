// F6. JavaScript values to native ones and back. Nothing a caller passes is trusted, though the
// TypeScript above has checked it already.
#pragma once

#include <napi.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "engine/loaded_model.h"
#include "engine/placement.h"
#include "engine/request.h"
#include "engine/stats.h"
#include "gguf/gguf.h"

namespace cria::js {

// Native values of JavaScript ones; kBadArgument names what was expected of `what`.
double to_number(const Napi::Value& value, const char* what);
int64_t to_whole(const Napi::Value& value, const char* what, int64_t min, int64_t max);
bool to_bool(const Napi::Value& value, const char* what);
std::string to_text(const Napi::Value& value, const char* what);
Napi::Object to_object(const Napi::Value& value, const char* what);
Napi::Function to_function(const Napi::Value& value, const char* what);
std::vector<int32_t> to_ids(const Napi::Value& value, const char* what);  // from an Int32Array
std::vector<PromptSegment> to_segments(const Napi::Value& value, const char* what);
std::filesystem::path to_path(const Napi::Value& value);
LoadOptions to_load_options(const Napi::Value& value);
std::shared_ptr<Request> to_request(const Napi::Value& value);
std::shared_ptr<Request> to_measurement(const Napi::Value& value);

/// `segments` as views, for the tokenizer.
std::vector<text::Segment> views(const std::vector<PromptSegment>& segments);

// JavaScript values of native ones, shaped as lib/native.ts says.
Napi::Value from_text(Napi::Env env, std::string_view text);
Napi::Value from_ids(Napi::Env env, std::span<const int32_t> ids);      // an Int32Array
Napi::Value from_floats(Napi::Env env, std::span<const float> values);  // a Float32Array
Napi::Value from_strings(Napi::Env env, std::span<const std::string> strings);
Napi::Value from_update(Napi::Env env, const Update& update);
Napi::Value from_stats(Napi::Env env, const Stats& stats);
Napi::Value from_info(Napi::Env env, const LoadedModel& model, const std::string& path);
/// What an estimate found.
struct Planned {
  MemoryPlan plan;
  std::string device;
  uint64_t available;
};
Napi::Value from_plan(Napi::Env env, const Planned& planned);
Napi::Value from_gpus(Napi::Env env, const GpuReport& report);
Napi::Value from_file(Napi::Env env, const gguf::File& file, const std::string& path);
Napi::Value from_vocab(Napi::Env env, const text::Tokenizer& tokenizer);

}  // namespace cria::js
