// Llama files of any shape with random weights and a vocabulary of bytes, for tests of the model
// and the engine.
#pragma once

#include <cmath>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "gguf/gguf_builder.h"

namespace cria::test {

struct TinyShape {
  int layers = 2, width = 64, heads = 4, kv_heads = 2, feed_forward = 96, context = 256;
  int vocab = 300;  // 259 are control tokens and bytes, the rest two-letter words
  DType type = DType::kF32;
  bool tied = false;
  bool biases = false;
  bool rope_factors = false;
  bool keyless = false;  // without the llama.* keys, for a test to write its own
  std::map<std::string, float> floats = {};  // further llama.* keys
  std::map<std::string, std::string> texts = {};
  uint32_t seed = 1;

  int head_width() const { return width / heads; }
};

/// A builder that keeps the weights it wrote, as the file's type has rounded them.
class TinyLlama {
 public:
  explicit TinyLlama(const TinyShape& shape) : shape_(shape), random_(shape.seed) {
    metadata();
    vocabulary();
    tensors();
  }

  const TinyShape& shape() const { return shape_; }
  const GgufBuilder& file() const { return file_; }
  /// Row-major [N × K] weights of a tensor; empty where the file has none.
  const std::vector<float>& weights(const std::string& name) const {
    static const std::vector<float> none;
    const auto found = weights_.find(name);
    return found == weights_.end() ? none : found->second;
  }

 private:
  void metadata() {
    file_.string("general.architecture", "llama").string("general.name", "tiny");
    if (shape_.keyless) return;
    const auto whole = [&](const char* key, int value) {
      file_.u32(std::string("llama.") + key, static_cast<uint32_t>(value));
    };
    whole("context_length", shape_.context);
    whole("embedding_length", shape_.width);
    whole("block_count", shape_.layers);
    whole("feed_forward_length", shape_.feed_forward);
    whole("attention.head_count", shape_.heads);
    whole("attention.head_count_kv", shape_.kv_heads);
    whole("rope.dimension_count", shape_.head_width());
    file_.f32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
    for (const auto& [key, value] : shape_.floats) file_.f32("llama." + key, value);
    for (const auto& [key, value] : shape_.texts) file_.string("llama." + key, value);
  }

  void vocabulary() {
    std::vector<std::string> pieces = {"<unk>", "<s>", "</s>"};
    std::vector<int32_t> types = {2, 3, 3};
    for (int byte = 0; byte < 256; ++byte) {
      char name[8];
      std::snprintf(name, sizeof name, "<0x%02X>", byte);
      pieces.push_back(name);
      types.push_back(6);
    }
    while (static_cast<int>(pieces.size()) < shape_.vocab) {
      const auto n = static_cast<int>(pieces.size()) - 259;
      pieces.push_back({static_cast<char>('a' + n / 26 % 26), static_cast<char>('a' + n % 26)});
      types.push_back(1);
    }
    pieces.resize(static_cast<size_t>(shape_.vocab));
    types.resize(pieces.size());
    file_.string("tokenizer.ggml.model", "llama");
    file_.strings("tokenizer.ggml.tokens", pieces);
    file_.floats("tokenizer.ggml.scores", std::vector<float>(pieces.size(), 0.0f));
    file_.ints("tokenizer.ggml.token_type", types);
  }

  void tensors() {
    const int kv = shape_.kv_heads * shape_.head_width(), d = shape_.width, f = shape_.feed_forward;
    matrix("token_embd.weight", shape_.vocab, d, 1);
    for (int layer = 0; layer < shape_.layers; ++layer) {
      const std::string at = cat("blk.", layer, ".");
      vector(at + "attn_norm.weight", d, 1);
      matrix(at + "attn_q.weight", d, d, 2);
      matrix(at + "attn_k.weight", kv, d, 2);
      matrix(at + "attn_v.weight", kv, d, 1);
      matrix(at + "attn_output.weight", d, d, 1);
      vector(at + "ffn_norm.weight", d, 1);
      matrix(at + "ffn_gate.weight", f, d, 1);
      matrix(at + "ffn_up.weight", f, d, 1);
      matrix(at + "ffn_down.weight", d, f, 1);
      if (!shape_.biases) continue;
      for (const char* name : {"attn_q", "attn_output", "ffn_down"})
        vector(at + name + ".bias", d, 0);
      for (const char* name : {"attn_k", "attn_v"}) vector(at + name + ".bias", kv, 0);
      for (const char* name : {"ffn_gate", "ffn_up"}) vector(at + name + ".bias", f, 0);
    }
    vector("output_norm.weight", d, 1);
    if (!shape_.tied) matrix("output.weight", shape_.vocab, d, 1);
    if (shape_.rope_factors) vector("rope_freqs.weight", shape_.head_width() / 2, 3);
  }

  void matrix(const std::string& name, int rows, int cols, float gain) {
    std::normal_distribution<float> normal(0, gain / std::sqrt(static_cast<float>(cols)));
    std::vector<float> values(static_cast<size_t>(rows) * static_cast<size_t>(cols));
    for (float& value : values) value = normal(random_);
    const auto count = static_cast<int64_t>(values.size());
    Bytes data(static_cast<size_t>(row_bytes(shape_.type, count)));
    quantize_row(shape_.type, values.data(), data.data(), count);
    dequantize_row(shape_.type, data.data(), values.data(), count);
    file_.tensor(name, shape_.type, {static_cast<uint64_t>(cols), static_cast<uint64_t>(rows)},
                 data);
    weights_[name] = std::move(values);
  }

  void vector(const std::string& name, int size, float around) {
    std::uniform_real_distribution<float> uniform(around - 0.2f, around + 0.2f);
    std::vector<float> values(static_cast<size_t>(size));
    for (float& value : values) value = uniform(random_);
    file_.weights(name, DType::kF32, {static_cast<uint64_t>(size)}, values);
    weights_[name] = std::move(values);
  }

  TinyShape shape_;
  std::mt19937 random_;
  GgufBuilder file_;
  std::map<std::string, std::vector<float>> weights_;
};

}  // namespace cria::test
