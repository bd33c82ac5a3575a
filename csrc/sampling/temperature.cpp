#include "sampling/temperature.h"

#include <algorithm>

#include "sampling/numbers.h"

namespace cria {
namespace {

double dynamic_temperature(Candidates& candidates, const Sampling& sampling) {
  const std::vector<Candidate>& list = candidates.weighed();
  double entropy = 0;
  for (const Candidate& c : list)
    if (c.p > 0) entropy -= c.p * portable_log(c.p);
  const double most = portable_log(static_cast<double>(list.size()));
  const double unsure = most > 0 ? std::clamp(entropy / most, 0.0, 1.0) : 0;
  const double base = sampling.temperature, range = sampling.dynamic_range;
  const double low = std::max(0.0, base - range), high = base + range;
  return low + (high - low) * portable_pow(unsure, sampling.dynamic_exponent);
}

}  // namespace

void apply_temperature(Candidates& candidates, const Sampling& sampling) {
  const double temperature =
      sampling.dynamic_range > 0 ? dynamic_temperature(candidates, sampling) : sampling.temperature;
  if (temperature == 0) return candidates.keep_top(1);
  for (Candidate& c : candidates.list()) c.logit /= temperature;
  candidates.scaled();
}

}  // namespace cria
