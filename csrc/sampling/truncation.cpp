#include "sampling/truncation.h"

#include <algorithm>
#include <cmath>

#include "sampling/numbers.h"

namespace cria {
namespace {

/// How many of the list, from its front, it takes to reach this probability.
size_t reach(const std::vector<Candidate>& list, double p) {
  double mass = 0;
  size_t kept = 0;
  while (kept < list.size() && mass < p) mass += list[kept++].p;
  return kept;
}

}  // namespace

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
  candidates.keep_first(reach(list, p));
  candidates.changed();
}

void keep_top_p(Candidates& candidates, double p) {
  if (p >= 1) return;
  candidates.keep_first(reach(candidates.ranked_and_weighed(), p));
}

/// pᵢ / max p = e^(logitᵢ - max): a threshold for the logit, whatever the sum of all is.
void keep_min_p(Candidates& candidates, double share) {
  if (share > 0) candidates.keep_from(candidates.most() + portable_log(share));
}

}  // namespace cria
