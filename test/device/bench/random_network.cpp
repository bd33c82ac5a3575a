#include "device/bench/random_network.h"

#include <cmath>
#include <cstring>
#include <random>

#include "quant/codec.h"

namespace cria::test {

DType WeightMix::value_type(int layer, int layers) const {
  if (!mixed) return type;
  const int eighth = layers / 8;
  const bool more = layer < eighth || layer >= layers - eighth || (layer - eighth) % 3 == 2;
  return more ? DType::kQ6_K : type;
}

RandomNetwork::RandomNetwork(Backend& backend, const Config& config, const WeightMix& mix,
                             BatchLimits limits, int pages)
    : backend_(backend), config_(config), mix_(mix) {
  fill();
  blocks_.clear();
  cache_ = std::make_unique<KvCache>(
      backend, KvShape{KvType::kF16, config.layers, config.kv_heads, config.head_width}, pages);
  transformer_ = std::make_unique<Transformer>(config_, weights_, backend, comm_, *cache_, limits);
}

void RandomNetwork::fill() {
  const Config& c = config_;
  weights_.token_embedding = matrix(mix_.type, c.vocab, c.width);
  for (int i = 0; i < c.layers; ++i) {
    LayerWeights layer;
    layer.attn_norm = vector(c.width);
    layer.query = matrix(mix_.type, c.query_width(), c.width);
    layer.key = matrix(mix_.type, c.kv_width(), c.width);
    layer.value = matrix(mix_.value_type(i, c.layers), c.kv_width(), c.width);
    layer.attn_output = matrix(mix_.type, c.width, c.query_width());
    layer.ffn_norm = vector(c.width);
    layer.gate = matrix(mix_.type, c.feed_forward, c.width);
    layer.up = matrix(mix_.type, c.feed_forward, c.width);
    layer.down = matrix(mix_.value_type(i, c.layers), c.width, c.feed_forward);
    weights_.layers.push_back(layer);
  }
  weights_.output_norm = vector(c.width);
  weights_.output = matrix(mix_.mixed ? DType::kQ6_K : mix_.type, c.vocab, c.width);
}

/// Some random rows again and again: to encode all would take minutes.
const std::vector<std::byte>& RandomNetwork::blocks(DType type, int rows, int cols) {
  std::vector<std::byte>& all = blocks_[{type, rows, cols}];
  if (!all.empty()) return all;
  constexpr int kRandomRows = 64;
  std::mt19937 random(static_cast<unsigned>(rows + cols));
  std::normal_distribution<float> normal(0, 1 / std::sqrt(static_cast<float>(cols)));
  const auto row = static_cast<size_t>(row_bytes(type, cols));
  std::vector<std::byte> some(row * kRandomRows);
  std::vector<float> values(static_cast<size_t>(cols) * kRandomRows);
  for (float& value : values) value = normal(random);
  quantize_row(type, values.data(), some.data(), static_cast<int64_t>(values.size()));
  all.resize(row * static_cast<size_t>(rows));
  for (size_t at = 0; at < all.size(); at += some.size())
    std::memcpy(all.data() + at, some.data(), std::min(some.size(), all.size() - at));
  return all;
}

Weight RandomNetwork::matrix(DType type, int rows, int cols) {
  memory_.push_back(backend_.allocate(backend_.weight_bytes(type, rows, cols)));
  return backend_.import_weight(type, rows, cols, Blocks(blocks(type, rows, cols).data()),
                                memory_.back()->data());
}

const float* RandomNetwork::vector(int size) {
  const std::vector<float> ones(static_cast<size_t>(size), 1.0f);
  memory_.push_back(backend_.allocate(ones.size() * sizeof(float)));
  backend_.upload(memory_.back()->data(), ones.data(), ones.size() * sizeof(float));
  return static_cast<const float*>(memory_.back()->data());
}

}  // namespace cria::test
