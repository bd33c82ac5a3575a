#include "sampling/logprobs.h"

#include <algorithm>

#include "sampling/candidates.h"
#include "sampling/numbers.h"

namespace cria {

double log_sum_exp(std::span<const float> logits) {
  double most = -std::numeric_limits<double>::infinity(), sum = 0;
  for (const float logit : logits)
    if (possible(logit)) most = std::max<double>(most, logit);
  for (const float logit : logits)
    if (possible(logit)) sum += portable_exp(logit - most);
  return most + portable_log(sum);
}

TokenLogprob token_logprob(std::span<float> logits, int32_t id, int top) {
  const double all = log_sum_exp(logits);
  const double own = logits[static_cast<size_t>(id)];
  TokenLogprob out;
  out.id = id;
  out.logprob = (possible(own) ? own : -std::numeric_limits<double>::infinity()) - all;
  if (top == 0) return out;
  Candidates candidates;
  candidates.reset(logits);
  candidates.keep_top(static_cast<size_t>(top));
  for (const Candidate& c : candidates.ranked()) out.top.push_back({c.id, c.logit - all});
  return out;
}

}  // namespace cria
