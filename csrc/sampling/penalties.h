// F1. Changes of single logits: a bias, and penalties on tokens seen lately.
//
//   bias        logit += b                                      for each token that is given one
//   repetition  logit = logit > 0 ? logit / r : logit · r       Keskar et al. 2019 (CTRL, §4.1),
//   with
//                                                               the sign that makes it a penalty
//   presence    logit -= α                                      once for a token of the window,
//   frequency   logit -= β · (times it is in the window)        as OpenAI's API documents them
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sampling/candidates.h"
#include "sampling/sampling.h"

namespace cria {

class Penalties {
 public:
  explicit Penalties(const Sampling& sampling);

  void add_bias(Candidates& candidates) const;
  /// `history`: the tokens so far, prompt included.
  void penalize(Candidates& candidates, std::span<const int32_t> history);

 private:
  const Sampling& sampling_;
  std::vector<int32_t> bias_ids_;  // rising, none twice
  std::vector<float> bias_;
  std::vector<int32_t> window_;  // sorted
  std::vector<int32_t> ids_;     // of the window, rising
  std::vector<int> counts_;      // of each
};

}  // namespace cria
