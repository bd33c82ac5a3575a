#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace cria {
namespace {

// YaRN's α and β (Peng et al. 2023, §3.2, as fitted for Llama): pairs that turn more than 32 times
// over the original context keep their frequency, those that turn less than once are interpolated.
constexpr double kTurnsKept = 32;
constexpr double kTurnsInterpolated = 1;

/// The pair (a real number) that makes `turns` full turns over the original context.
double pair_with_turns(const RopeConfig& config, double turns) {
  const double dimensions = 2.0 * config.pairs;
  return dimensions * std::log(config.original_context / (turns * 2 * std::numbers::pi)) /
         (2 * std::log(config.base));
}

/// 1 where a pair keeps its frequency, 0 where it is interpolated, a ramp between.
double kept_share(const RopeConfig& config, int pair) {
  const double last = 2.0 * config.pairs - 1;
  const double low = std::max(0.0, std::floor(pair_with_turns(config, kTurnsKept)));
  const double high = std::min(last, std::ceil(pair_with_turns(config, kTurnsInterpolated)));
  const double ramp = (pair - low) / std::max(0.001, high - low);
  return 1 - std::clamp(ramp, 0.0, 1.0);
}

}  // namespace

Rope::Rope(const RopeConfig& config, std::span<const float> factors) {
  frequencies_.resize(static_cast<size_t>(config.pairs));
  for (int pair = 0; pair < config.pairs; ++pair) {
    // θ_i = base^(-2i/d) (Su et al. 2021, §3.2.2)
    double frequency = std::pow(config.base, -static_cast<double>(pair) / config.pairs);
    if (!factors.empty()) frequency /= factors[static_cast<size_t>(pair)];
    if (config.scaling == RopeScaling::kLinear) frequency /= config.factor;
    if (config.scaling == RopeScaling::kYarn) {
      const double kept = kept_share(config, pair);
      frequency = frequency / config.factor * (1 - kept) + frequency * kept;
    }
    frequencies_[static_cast<size_t>(pair)] = frequency;
  }
  if (config.scaling == RopeScaling::kYarn)
    magnitude_ = config.attention_factor * (1 + 0.1 * std::log(config.factor));
}

void Rope::angles(int position, float* out) const {
  for (const double frequency : frequencies_) {
    const double angle = position * frequency;
    *out++ = static_cast<float>(std::cos(angle) * magnitude_);
    *out++ = static_cast<float>(std::sin(angle) * magnitude_);
  }
}

}  // namespace cria
