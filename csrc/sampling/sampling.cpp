#include "sampling/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace cria {
namespace {

// NaN fails every comparison, so a range written as "not inside" refuses it.
void check_range(const char* name, double value, double min, double max) {
  if (!(value >= min && value <= max))
    fail(ErrorCode::kBadArgument, name, ": expected a number from ", min, " to ", max, ", got ",
         value);
}

constexpr double kMost = 1e6;  // far beyond any useful temperature or penalty
constexpr double kLeast = std::numeric_limits<float>::denorm_min();
constexpr double kMostTokens = std::numeric_limits<int>::max();

void check_order(const std::vector<Stage>& order) {
  for (size_t i = 0; i < order.size(); ++i)
    if (std::find(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(i), order[i]) !=
        order.begin() + static_cast<std::ptrdiff_t>(i))
      fail(ErrorCode::kBadArgument, "samplers: expected each name once, got ",
           kStageNames[static_cast<size_t>(order[i])], " twice");
}

void check_penalties(const Sampling& s) {
  check_range("repeatPenalty", s.repeat_penalty, 1e-6, kMost);
  check_range("repeatWindow", s.repeat_window, 0, kMostTokens);
  check_range("presencePenalty", s.presence_penalty, -2, 2);
  check_range("frequencyPenalty", s.frequency_penalty, -2, 2);
  check_range("dryMultiplier", s.dry_multiplier, 0, kMost);
  check_range("dryBase", s.dry_base, 1, kMost);
  check_range("dryAllowedLength", s.dry_allowed_length, 1, kMostTokens);
  check_range("dryWindow", s.dry_window, 0, kMostTokens);
  for (const std::string& breaker : s.dry_breakers)
    if (breaker.empty())
      fail(ErrorCode::kBadArgument, "dryBreakers: expected non-empty texts, got an empty one");
}

}  // namespace

std::vector<Stage> default_order() {
  std::vector<Stage> order;
  for (size_t i = 0; i < kStageNames.size(); ++i) order.push_back(static_cast<Stage>(i));
  return order;
}

std::optional<Stage> stage_of(std::string_view name) {
  const auto* at = std::find(kStageNames.begin(), kStageNames.end(), name);
  if (at == kStageNames.end()) return std::nullopt;
  return static_cast<Stage>(at - kStageNames.begin());
}

void check_sampling(const Sampling& s, int vocab_size) {
  check_order(s.order);
  check_penalties(s);
  check_range("topNSigma", s.top_n_sigma, 0, kMost);
  check_range("topK", s.top_k, 0, kMostTokens);
  check_range("typicalP", s.typical_p, kLeast, 1);
  check_range("topP", s.top_p, kLeast, 1);
  check_range("minP", s.min_p, 0, 1);
  check_range("xtcProbability", s.xtc_probability, 0, 1);
  check_range("xtcThreshold", s.xtc_threshold, 0, 1);
  check_range("temperature", s.temperature, 0, kMost);
  check_range("dynamicTemperatureRange", s.dynamic_range, 0, kMost);
  check_range("dynamicTemperatureExponent", s.dynamic_exponent, 0, kMost);
  check_range("mirostatTau", s.mirostat_tau, kLeast, kMost);
  check_range("mirostatEta", s.mirostat_eta, kLeast, 1);
  for (const auto& [id, value] : s.logit_bias) {
    if (id < 0 || id >= vocab_size)
      fail(ErrorCode::kBadArgument, "logitBias: expected token ids from 0 to ", vocab_size - 1,
           ", got ", id);
    if (std::isnan(value) || value == std::numeric_limits<float>::infinity())
      fail(ErrorCode::kBadArgument, "logitBias: expected a finite number or -Infinity for token ",
           id, ", got ", value);
  }
}

}  // namespace cria
