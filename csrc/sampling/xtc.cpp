#include "sampling/xtc.h"

#include "sampling/numbers.h"

namespace cria {

void exclude_top_choices(Candidates& candidates, const Sampling& sampling, uint64_t drawn) {
  if (sampling.xtc_probability == 0) return;
  if (random_unit(sampling.seed, Draw::kXtc, drawn) >= sampling.xtc_probability) return;
  const std::vector<Candidate>& list = candidates.ranked_and_weighed();
  size_t top = 0;
  while (top < list.size() && list[top].p >= sampling.xtc_threshold) ++top;
  if (top > 1) candidates.drop_first(top - 1);
}

}  // namespace cria
