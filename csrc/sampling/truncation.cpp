#include "sampling/truncation.h"

#include <algorithm>
#include <cmath>

#include "sampling/numbers.h"

namespace cria {
void keep_top_n_sigma(Candidates& candidates, double n) {
  if (n == 0) return;
  candidates.keep_from(candidates.most() - n * candidates.spread().deviation);
}

void keep_top_k(Candidates& candidates, int k) {
  if (k > 0) candidates.keep_top(static_cast<size_t>(k));
}

/// With -log p = Z - logit, the distance | -log p - E[-log p] | is | E[logit] - logit |.
void keep_typical(Candidates& candidates, double p) {
  if (p >= 1) return;
  std::vector<Candidate>& list = candidates.ranked_and_weighed();
  double mean = 0;
  for (const Candidate& c : list) mean += c.p * c.logit;
  std::stable_sort(list.begin(), list.end(), [mean](const Candidate& a, const Candidate& b) {
    return std::abs(mean - a.logit) < std::abs(mean - b.logit);
  });
  double mass = 0;
  size_t kept = 0;
  while (kept < list.size() && mass < p) mass += list[kept++].p;
  candidates.keep_first(kept);
  candidates.changed();
}

void keep_top_p(Candidates& candidates, double p) {
  if (p >= 1) return;
  // Few of many tokens are wanted as a rule, so no more are put in order than it turns out to take.
  std::vector<Candidate>& list = candidates.weighed();
  double mass = 0;
  size_t kept = 0;
  for (size_t ranked = 256; kept < list.size() && mass < p; ranked *= 4) {
    candidates.rank_first(ranked);
    const size_t end = std::min(ranked, list.size());
    while (kept < end && mass < p) mass += list[kept++].p;
  }
  candidates.keep_ranked(kept);
}

/// pᵢ / max p = e^(logitᵢ - max): a threshold for the logit, whatever the sum of all is.
void keep_min_p(Candidates& candidates, double share) {
  if (share > 0) candidates.keep_from(candidates.most() + portable_log(share));
}

}  // namespace cria
