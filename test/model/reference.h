// A second Llama, as plain as the paper: f64, no cache, no batches. What forward() is held against.
#pragma once

#include <cmath>
#include <numbers>
#include <vector>

#include "model/tiny_llama.h"

namespace cria::test {

class Reference {
 public:
  using Row = std::vector<double>;

  explicit Reference(const TinyLlama& model) : model_(model), shape_(model.shape()) {}
  /// Radians per position of a pair; the default is plain RoPE with base 10000.
  double (*frequency)(const TinyLlama&, int pair) = [](const TinyLlama& m, int pair) {
    return std::pow(10000.0, -2.0 * pair / m.shape().head_width());
  };
  double rope_magnitude = 1;

  /// Logits of every position.
  std::vector<Row> logits(const std::vector<int32_t>& ids) const {
    std::vector<Row> out;
    for (const Row& state : states(ids))
      out.push_back(product(shape_.tied ? "token_embd" : "output", state));
    return out;
  }

  /// What they are made of: the residual stream after the last norm.
  std::vector<Row> states(const std::vector<int32_t>& ids) const {
    std::vector<Row> x;
    const auto& table = model_.weights("token_embd.weight");
    for (const int32_t id : ids) {
      const auto first = table.begin() + int64_t{id} * shape_.width;
      x.emplace_back(first, first + shape_.width);
    }
    for (int layer = 0; layer < shape_.layers; ++layer) {
      const std::string at = cat("blk.", layer, ".");
      attention(at, x);
      for (Row& row : x) feed_forward(at, row);
    }
    for (Row& row : x) row = norm("output_norm", row);
    return x;
  }

 private:
  Row norm(const std::string& name, const Row& x) const {
    const auto& weight = model_.weights(name + ".weight");
    double sum = 0;
    for (const double v : x) sum += v * v;
    const double scale = 1 / std::sqrt(sum / static_cast<double>(x.size()) + 1e-5);
    Row out(x.size());
    for (size_t i = 0; i < x.size(); ++i) out[i] = x[i] * scale * weight[i];
    return out;
  }

  Row product(const std::string& name, const Row& x) const {
    const auto& weight = model_.weights(name + ".weight");
    const auto& bias = model_.weights(name + ".bias");
    Row out(weight.size() / x.size());
    for (size_t n = 0; n < out.size(); ++n) {
      out[n] = bias.empty() ? 0 : bias[n];
      for (size_t k = 0; k < x.size(); ++k) out[n] += double{weight[n * x.size() + k]} * x[k];
    }
    return out;
  }

  void rotate(Row& heads, size_t position) const {
    const auto width = static_cast<size_t>(shape_.head_width());
    for (size_t i = 0; i < heads.size(); i += 2) {
      const double angle =
          static_cast<double>(position) * frequency(model_, static_cast<int>(i % width / 2));
      const double c = std::cos(angle) * rope_magnitude, s = std::sin(angle) * rope_magnitude;
      const double a = heads[i], b = heads[i + 1];
      heads[i] = a * c - b * s;
      heads[i + 1] = a * s + b * c;
    }
  }

  void attention(const std::string& at, std::vector<Row>& x) const {
    std::vector<Row> q, k, v;
    for (size_t t = 0; t < x.size(); ++t) {
      const Row n = norm(at + "attn_norm", x[t]);
      q.push_back(product(at + "attn_q", n));
      k.push_back(product(at + "attn_k", n));
      v.push_back(product(at + "attn_v", n));
      rotate(q[t], t);
      rotate(k[t], t);
    }
    const auto width = static_cast<size_t>(shape_.head_width());
    for (size_t t = 0; t < x.size(); ++t) {
      Row out(q[t].size(), 0.0);
      for (size_t h = 0; h < static_cast<size_t>(shape_.heads); ++h) {
        const size_t g = h / static_cast<size_t>(shape_.heads / shape_.kv_heads);
        Row p(t + 1);
        double sum = 0;
        for (size_t s = 0; s <= t; ++s) {
          double dot = 0;
          for (size_t i = 0; i < width; ++i) dot += q[t][h * width + i] * k[s][g * width + i];
          sum += p[s] = std::exp(dot / std::sqrt(static_cast<double>(width)));
        }
        for (size_t s = 0; s <= t; ++s)
          for (size_t i = 0; i < width; ++i) out[h * width + i] += p[s] / sum * v[s][g * width + i];
      }
      add(x[t], product(at + "attn_output", out));
    }
  }

  void feed_forward(const std::string& at, Row& x) const {
    const Row n = norm(at + "ffn_norm", x);
    Row gate = product(at + "ffn_gate", n);
    const Row up = product(at + "ffn_up", n);
    for (size_t i = 0; i < gate.size(); ++i) gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
    add(x, product(at + "ffn_down", gate));
  }

  static void add(Row& x, const Row& y) {
    for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  }

  const TinyLlama& model_;
  const TinyShape& shape_;
};

}  // namespace cria::test
