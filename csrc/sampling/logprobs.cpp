#include "sampling/logprobs.h"

#include <cmath>

#include "sampling/candidates.h"
#include "sampling/numbers.h"

namespace cria {

TokenLogprob token_logprob(std::span<float> logits, int32_t id, int top) {
  Candidates candidates;
  candidates.reset(logits);
  const double most = candidates.most();
  double sum = 0;
  for (const float logit : logits)
    if (possible(logit)) sum += portable_exp(logit - most);
  const double all = most + portable_log(sum);
  const double own = logits[static_cast<size_t>(id)];
  TokenLogprob out;
  out.id = id;
  out.logprob = (possible(own) ? own : -std::numeric_limits<double>::infinity()) - all;
  if (top == 0) return out;
  candidates.keep_top(static_cast<size_t>(top));
  for (const Candidate& c : candidates.ranked()) out.top.push_back({c.id, c.logit - all});
  return out;
}

}  // namespace cria
