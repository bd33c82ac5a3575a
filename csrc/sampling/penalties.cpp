#include "sampling/penalties.h"

#include <algorithm>
#include <map>

namespace cria {

Penalties::Penalties(const Sampling& sampling) : sampling_(sampling) {
  std::map<int32_t, float> sums;
  for (const auto& [id, value] : sampling.logit_bias) sums[id] += value;
  for (const auto& [id, value] : sums) {
    bias_ids_.push_back(id);
    bias_.push_back(value);
  }
}

void Penalties::add_bias(Candidates& candidates) const {
  if (bias_ids_.empty()) return;
  candidates.change(bias_ids_, [this](size_t i, auto& logit) { logit += bias_[i]; });
}

void Penalties::penalize(Candidates& candidates, std::span<const int32_t> history) {
  const float repeat = sampling_.repeat_penalty, presence = sampling_.presence_penalty,
              frequency = sampling_.frequency_penalty;
  const bool off = repeat == 1 && presence == 0 && frequency == 0;
  if (off || sampling_.repeat_window == 0 || history.empty()) return;
  const auto last =
      history.last(std::min(history.size(), static_cast<size_t>(sampling_.repeat_window)));
  window_.assign(last.begin(), last.end());
  std::sort(window_.begin(), window_.end());
  ids_.clear();
  counts_.clear();
  for (const int32_t id : window_) {
    if (ids_.empty() || ids_.back() != id) {
      ids_.push_back(id);
      counts_.push_back(0);
    }
    ++counts_.back();
  }
  candidates.change(ids_, [&](size_t i, auto& logit) {
    logit = logit > 0 ? logit / repeat : logit * repeat;
    logit -= presence + static_cast<float>(counts_[i]) * frequency;
  });
}

}  // namespace cria
