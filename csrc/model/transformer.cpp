#include "model/transformer.h"

#include <algorithm>
#include <cmath>

namespace cria {
namespace {

/// The widest input of any product: what the backend sizes its prepared activations for.
int64_t widest_input(const Config& config) {
  return std::max({config.width, config.query_width(), config.feed_forward});
}

}  // namespace

Transformer::Transformer(const Config& config, const ModelWeights& weights, Backend& backend,
                         Communicator& comm, const KvCache& cache, BatchLimits limits)
    : config_(config),
      weights_(weights),
      backend_(backend),
      comm_(comm),
      cache_(cache),
      limits_(limits),
      rope_(config.rope, weights.rope_factors) {
  const size_t floats = lay_out(config, limits, nullptr, all_);
  memory_ = backend.allocate(floats * sizeof(float));
  lay_out(config, limits, static_cast<float*>(memory_->data()), all_);
  host_angles_.resize(static_cast<size_t>(all_.angles.rows * all_.angles.cols));
  backend.reserve(limits.tokens, widest_input(config));
  host_norm_.resize(static_cast<size_t>(config.width));
  backend.download(host_norm_.data(), weights.output_norm, host_norm_.size() * sizeof(float));
}

bool Transformer::forward(const Batch& batch, float* logits,
                          const std::function<bool()>& interrupted) {
  const auto tokens = static_cast<int64_t>(batch.ids.size());
  const auto rows = static_cast<int64_t>(batch.logit_rows.size());
  if (tokens == 0 || tokens > limits_.tokens || rows > limits_.logit_rows)
    fail(ErrorCode::kBackend, "forward: expected 1 to ", limits_.tokens, " tokens and up to ",
         limits_.logit_rows, " rows of logits, got ", tokens, " and ", rows);
  Activations a = all_;
  for (Matrix* m : {&a.x, &a.q, &a.k, &a.v, &a.attended, &a.hidden}) *m = m->first_rows(tokens);

  backend_.embed(weights_.token_embedding, batch.ids, a.x);
  const RopeAngles angles = rope_angles(batch.slices);
  for (int index = 0; index < config_.layers; ++index) {
    if (interrupted && interrupted()) {
      backend_.end_step(false);
      return false;
    }
    const LayerWeights& layer = weights_.layers[static_cast<size_t>(index)];
    attention_block(layer, cache_.layer(index), batch.slices, angles, a);
    feed_forward_block(layer, a);
  }

  if (rows > 0) read_logits(batch.logit_rows, logits);  // which ends with a download
  backend_.end_step(true);
  return true;
}

void Transformer::read_logits(std::span<const int64_t> rows, float* logits) {
  const auto count = static_cast<int64_t>(rows.size());
  const Matrix last = all_.last.first_rows(count), out = all_.logits.first_rows(count);
  backend_.gather_rows(all_.x, rows, last);
  backend_.project(normed(last, weights_.output_norm, config_.rms_epsilon),
                   {{weights_.output, nullptr, out}});
  comm_.all_gather(out, out);
  backend_.download(logits, out.data, static_cast<size_t>(out.rows * out.cols) * sizeof(float));
}

/// In plain f64 on the host: no operation of a backend gives a norm in full precision.
void Transformer::read_state(int64_t row, std::span<float> state) {
  backend_.download(state.data(), all_.x.row(row), state.size_bytes());
  double squares = 0;
  for (const float value : state) squares += double{value} * double{value};
  const double mean = squares / static_cast<double>(state.size());
  const double scale = 1 / std::sqrt(mean + double{config_.rms_epsilon});
  for (size_t i = 0; i < state.size(); ++i)
    state[i] = static_cast<float>(state[i] * scale * host_norm_[i]);
}

/// x += Wo · attention(rope(Wq·n), rope(Wk·n), Wv·n), with n = rmsnorm(x)
void Transformer::attention_block(const LayerWeights& layer, const LayerKv& kv,
                                  std::span<const Slice> slices, RopeAngles angles,
                                  const Activations& a) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(config_.head_width));
  backend_.project(normed(a.x, layer.attn_norm, config_.rms_epsilon),
                   {{layer.query, layer.query_bias, a.q},
                    {layer.key, layer.key_bias, a.k},
                    {layer.value, layer.value_bias, a.v}});
  backend_.rope_store_kv(slices, angles, a.q, a.k, a.v, kv);
  backend_.attention(slices, a.q, kv, scale, a.attended);
  backend_.project(a.attended, {add_to_residual(layer.attn_output, layer.attn_output_bias, a.x)});
  comm_.all_reduce(a.x);
}

/// x += Wdown · (silu(Wgate·n) ⊙ Wup·n), with n = rmsnorm(x)
void Transformer::feed_forward_block(const LayerWeights& layer, const Activations& a) {
  backend_.project(normed(a.x, layer.ffn_norm, config_.rms_epsilon),
                   {gated(layer.gate, layer.gate_bias, layer.up, layer.up_bias, a.hidden)});
  backend_.project(a.hidden, {add_to_residual(layer.down, layer.down_bias, a.x)});
  comm_.all_reduce(a.x);
}

/// A row-split product, whose results the ranks sum into x: one of them brings the old x and the
/// bias along.
Projection Transformer::add_to_residual(const Weight& weight, Vector bias, Matrix x) const {
  const bool first = comm_.rank() == 0;
  return {weight, first ? bias : nullptr, x, first};
}

RopeAngles Transformer::rope_angles(std::span<const Slice> slices) {
  const int64_t stride = all_.angles.cols;
  for (const Slice& slice : slices)
    for (int i = 0; i < slice.count; ++i)
      rope_.angles(slice.past + i, host_angles_.data() + (slice.first_row + i) * stride);
  const int64_t rows = slices.empty() ? 0 : slices.back().first_row + slices.back().count;
  backend_.upload(all_.angles.data, host_angles_.data(),
                  static_cast<size_t>(rows * stride) * sizeof(float));
  return {all_.angles.data, rope_.pairs()};
}

size_t Transformer::lay_out(const Config& config, BatchLimits limits, float* base,
                            Activations& out) {
  size_t floats = 0;
  const auto place = [&](Matrix& m, int rows, int cols) {
    m = {base ? base + floats : nullptr, rows, cols};
    // 16 floats are 64 bytes: every matrix starts on a cache line.
    floats += (static_cast<size_t>(rows) * static_cast<size_t>(cols) + 15) / 16 * 16;
  };
  place(out.x, limits.tokens, config.width);
  place(out.q, limits.tokens, config.query_width());
  place(out.k, limits.tokens, config.kv_width());
  place(out.v, limits.tokens, config.kv_width());
  place(out.attended, limits.tokens, config.query_width());
  place(out.hidden, limits.tokens, config.feed_forward);
  place(out.last, limits.logit_rows, config.width);
  place(out.logits, limits.logit_rows, config.vocab);
  place(out.angles, limits.tokens, config.rope.pairs * 2);
  return floats;
}

uint64_t Transformer::scratch_bytes(const Config& config, const Backend& backend,
                                    BatchLimits limits) {
  Activations unused;
  return lay_out(config, limits, nullptr, unused) * sizeof(float) +
         backend.scratch_bytes(limits.tokens, widest_input(config));
}

}  // namespace cria
