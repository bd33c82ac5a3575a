#include "model/config.h"

#include <cmath>
#include <string_view>

namespace cria {
namespace {

// Bounds on what a header may claim: far above any published Llama, low enough that the weights of
// a layer count in 64 bits. What a whole model takes is bounded in engine/loaded_model.cpp.
constexpr uint64_t kMaxLayers = 1024;
constexpr uint64_t kMaxWidth = 1 << 20;
constexpr uint64_t kMaxHeads = 4096;
constexpr uint64_t kMaxHeadWidth = 1024;
constexpr uint64_t kMaxVocab = 1 << 24;
constexpr uint64_t kMaxContext = 1 << 30;

/// Reads keys below the architecture's prefix.
class Keys {
 public:
  Keys(const gguf::File& file, std::string_view architecture) : file_(file), prefix_(architecture) {
    prefix_ += '.';
  }

  int required(std::string_view key, uint64_t max) const {
    const auto value = file_.get_uint(prefix_ + std::string(key), 1, max);
    if (!value)
      fail(ErrorCode::kBadGguf, "the file has no ", prefix_, key,
           ", which a Llama model needs; it may hold only a vocabulary, or be damaged");
    return static_cast<int>(*value);
  }
  int optional(std::string_view key, uint64_t max, int otherwise) const {
    const auto value = file_.get_uint(prefix_ + std::string(key), 1, max);
    return value ? static_cast<int>(*value) : otherwise;
  }
  /// A positive, finite number.
  double positive(std::string_view key, double otherwise) const {
    const std::string full = prefix_ + std::string(key);
    const auto value = file_.get_float(full);
    if (!value) return otherwise;
    if (!(*value > 0))
      fail(ErrorCode::kBadGguf, full, ": expected a positive number, got ", *value);
    return *value;
  }
  std::string_view text(std::string_view key, std::string_view otherwise) const {
    return file_.get_string(prefix_ + std::string(key)).value_or(otherwise);
  }
  bool has(std::string_view key) const { return file_.find(prefix_ + std::string(key)) != nullptr; }

 private:
  const gguf::File& file_;
  std::string prefix_;
};

/// head_count_kv may differ by layer in relatives of Llama; Cria computes the uniform case.
int read_kv_heads(const gguf::File& file, const Keys& keys, int heads) {
  const gguf::Entry* entry = file.find("llama.attention.head_count_kv");
  if (entry && entry->type == gguf::ValueType::kArray)
    fail(ErrorCode::kUnsupported,
         "llama.attention.head_count_kv differs by layer in this file; Cria computes models with "
         "the same number of key/value heads in every layer");
  return keys.optional("attention.head_count_kv", kMaxHeads, heads);
}

RopeConfig read_rope(const Keys& keys, int head_width, int trained_context) {
  RopeConfig rope;
  const int dimensions = keys.optional("rope.dimension_count", kMaxHeadWidth, head_width);
  if (dimensions > head_width || dimensions % 2 != 0)
    fail(ErrorCode::kBadGguf, "llama.rope.dimension_count: expected an even number up to the head ",
         "width ", head_width, ", got ", dimensions);
  rope.pairs = dimensions / 2;
  rope.base = keys.positive("rope.freq_base", 10000);

  const std::string_view type = keys.text("rope.scaling.type", "");
  // rope.scale_linear is the key's old name; its files have no scaling type.
  // Without scaling a factor means nothing, and some files write 0.
  const double factor =
      type == "none" ? 1
                     : keys.positive("rope.scaling.factor", keys.positive("rope.scale_linear", 1));
  if (type == "yarn") {
    rope.scaling = RopeScaling::kYarn;
    rope.original_context =
        keys.positive("rope.scaling.original_context_length", trained_context / factor);
    rope.attention_factor = keys.positive("rope.scaling.attn_factor", 1);
  } else if (type == "linear" || (type.empty() && factor != 1)) {
    rope.scaling = RopeScaling::kLinear;
  } else if (!type.empty() && type != "none") {
    fail(ErrorCode::kUnsupported, "llama.rope.scaling.type: expected none, linear or yarn, got ",
         gguf::quoted(type));
  }
  if (rope.scaling != RopeScaling::kNone) rope.factor = factor;
  return rope;
}

}  // namespace

Config read_config(const gguf::File& file) {
  const auto architecture = file.get_string("general.architecture");
  if (!architecture)
    fail(ErrorCode::kBadGguf, "the file has no general.architecture: it is not a model");
  if (*architecture != "llama")
    fail(ErrorCode::kUnsupported, "architecture ", gguf::quoted(*architecture),
         ": Cria computes models whose general.architecture is \"llama\"");

  const Keys keys(file, *architecture);
  if (file.get_uint("llama.expert_count", 0, kMaxHeads).value_or(0) > 1)
    fail(ErrorCode::kUnsupported, "this file is a mixture of experts (llama.expert_count); Cria ",
         "computes dense Llama models");

  Config config;
  config.architecture = *architecture;
  config.name = file.get_string("general.name").value_or("");
  config.layers = keys.required("block_count", kMaxLayers);
  config.width = keys.required("embedding_length", kMaxWidth);
  config.heads = keys.required("attention.head_count", kMaxHeads);
  config.kv_heads = read_kv_heads(file, keys, config.heads);
  config.feed_forward = keys.required("feed_forward_length", kMaxWidth * 4);
  config.trained_context = keys.required("context_length", kMaxContext);
  if (config.heads % config.kv_heads != 0)
    fail(ErrorCode::kBadGguf, "llama.attention.head_count_kv: expected a divisor of the ",
         config.heads, " query heads, got ", config.kv_heads);

  if (!keys.has("attention.key_length") && config.width % config.heads != 0)
    fail(ErrorCode::kBadGguf, "llama.embedding_length: expected a multiple of the ", config.heads,
         " heads, got ", config.width);
  config.head_width =
      keys.optional("attention.key_length", kMaxHeadWidth, config.width / config.heads);
  if (config.head_width < 2 || config.head_width % 2 != 0 ||
      config.head_width > static_cast<int>(kMaxHeadWidth))
    fail(ErrorCode::kUnsupported, "a head width of ", config.head_width,
         ": Cria computes even head widths from 2 to ", kMaxHeadWidth);
  const int value_width = keys.optional("attention.value_length", kMaxHeadWidth, config.head_width);
  if (value_width != config.head_width)
    fail(ErrorCode::kUnsupported, "keys of width ", config.head_width, " with values of width ",
         value_width, ": Cria computes models where they are equal");

  config.rms_epsilon = static_cast<float>(keys.positive("attention.layer_norm_rms_epsilon", 1e-5));
  config.rope = read_rope(keys, config.head_width, config.trained_context);

  // The embedding table is the truth about the vocabulary's size; the key is often missing.
  const gguf::Tensor* embedding = file.find_tensor("token_embd.weight");
  if (!embedding)
    fail(ErrorCode::kBadGguf,
         "the file has no tensor token_embd.weight: it holds no Llama weights");
  if (embedding->shape[1] < 1 || embedding->shape[1] > kMaxVocab)
    fail(ErrorCode::kBadGguf, "token_embd.weight: expected 1 to ", kMaxVocab, " rows, got ",
         embedding->shape[1]);
  config.vocab = static_cast<int>(embedding->shape[1]);
  return config;
}

}  // namespace cria
