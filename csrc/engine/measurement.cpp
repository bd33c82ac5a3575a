#include "engine/measurement.h"

#include <algorithm>
#include <cmath>

namespace cria {
namespace {

[[noreturn]] void refuse_numbers(const char* what) {
  fail(ErrorCode::kBackend, "the ", what, " of the network are not finite numbers; the model file ",
       "may be damaged");
}

/// The mean of all states, or the last one. Sums are f64 and run in the order of the tokens, so
/// that it does not matter how the text was cut into steps.
class Embedding final : public Measurement {
 public:
  Embedding(Pooling pooling, bool normalize, int width)
      : pooling_(pooling),
        normalize_(normalize),
        sum_(static_cast<size_t>(width), 0.0),
        state_(static_cast<size_t>(width)) {}

  void take(const Measured& rows) override {
    const int total = static_cast<int>(rows.tokens.size());
    for (int i = 0; i < rows.slice.count; ++i) {
      const int position = rows.slice.past + i;
      if (position < std::max(taken_, first_needed(total))) continue;
      rows.transformer.read_state(rows.slice.first_row + i, state_);
      for (size_t d = 0; d < sum_.size(); ++d) sum_[d] += double{state_[d]};
      taken_ = position + 1;
      ++count_;
    }
  }

  std::vector<float> result() override {
    double squares = 0;
    for (double& value : sum_) {
      value /= count_;
      squares += value * value;
    }
    if (!std::isfinite(squares)) refuse_numbers("states");
    const double scale = normalize_ && squares > 0 ? 1 / std::sqrt(squares) : 1;
    std::vector<float> out(sum_.size());
    std::ranges::transform(sum_, out.begin(),
                           [scale](double value) { return static_cast<float>(value * scale); });
    return out;
  }

  int first_needed(int tokens) const override {
    return pooling_ == Pooling::kLast ? tokens - 1 : 0;
  }

 private:
  Pooling pooling_;
  bool normalize_;
  std::vector<double> sum_;   // [D]
  std::vector<float> state_;  // [D]
  int taken_ = 0;             // positions below it were seen
  int count_ = 0;             // states summed
};

/// log p(tokens[i] | tokens[0, i)) for every i from `from` on.
class Score final : public Measurement {
 public:
  explicit Score(int from) : from_(from) {}

  void take(const Measured& rows) override {
    const int total = static_cast<int>(rows.tokens.size());
    const size_t most = rows.logits.size() / static_cast<size_t>(rows.vocab);
    std::vector<int64_t> group;
    for (int i = 0; i < rows.slice.count; ++i) {
      const int position = rows.slice.past + i;
      // The last position's logits are of a token that is not there.
      if (position >= next_position() && position < total - 1)
        group.push_back(rows.slice.first_row + i);
      if (group.size() < most && i + 1 < rows.slice.count) continue;
      if (group.empty()) continue;
      if (rows.unwanted()) return;
      take_group(rows, group);
      group.clear();
    }
  }

  std::vector<float> result() override { return std::move(values_); }

  int first_needed(int tokens) const override { return std::min(from_, tokens) - 1; }

 private:
  /// Whose logits come next.
  int next_position() const { return from_ - 1 + static_cast<int>(values_.size()); }

  void take_group(const Measured& rows, const std::vector<int64_t>& group) {
    rows.transformer.read_logits(group, rows.logits.data());
    const auto vocab = static_cast<size_t>(rows.vocab);
    for (size_t row = 0; row < group.size(); ++row) {
      const int32_t id = rows.tokens[static_cast<size_t>(next_position()) + 1];
      const double value = log_probability(rows.logits.subspan(row * vocab, vocab), id);
      if (!std::isfinite(value)) refuse_numbers("logits");
      values_.push_back(static_cast<float>(value));
    }
  }

  int from_;
  std::vector<float> values_;
};

}  // namespace

std::unique_ptr<Measurement> make_measurement(const Request& request, int width) {
  switch (request.purpose) {
    case Purpose::kGenerate:
      return nullptr;
    case Purpose::kEmbed:
      return std::make_unique<Embedding>(request.pooling, request.normalize, width);
    case Purpose::kScore:
      return std::make_unique<Score>(request.score_from);
  }
  return nullptr;
}

void check_measurement(const Request& request, int tokens) {
  if (request.purpose != Purpose::kScore) return;
  if (request.score_from < 1 || request.score_from > tokens)
    fail(ErrorCode::kBadArgument, "from: expected a whole number from 1 to ", tokens,
         ", the number of tokens, got ", request.score_from);
}

double log_probability(std::span<const float> logits, int32_t id) {
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double{logit} - most);
  return double{logits[static_cast<size_t>(id)]} - most - std::log(sum);
}

}  // namespace cria
