#include "engine/beam.h"

#include <algorithm>
#include <cmath>

#include "engine/task.h"
#include "sampling/candidates.h"

namespace cria {

double BeamSearch::score(double total, size_t tokens) const {
  return total / std::pow(static_cast<double>(std::max<size_t>(1, tokens)), penalty_);
}

std::vector<BeamChoice> BeamSearch::offer(size_t beam, double total, std::span<float> logits,
                                          double all) const {
  Candidates candidates;
  candidates.reset(logits);
  candidates.keep_top(2 * beams());
  std::vector<BeamChoice> choices;
  for (const Candidate& c : candidates.ranked())
    choices.push_back({beam, c.id, total + (c.logit - all)});
  return choices;
}

std::vector<BeamChoice> BeamSearch::best(std::vector<BeamChoice> offers) const {
  std::ranges::sort(offers, [](const BeamChoice& a, const BeamChoice& b) {
    if (a.total != b.total) return a.total > b.total;
    return a.id != b.id ? a.id < b.id : a.beam < b.beam;
  });
  if (offers.size() > 2 * beams()) offers.resize(2 * beams());
  return offers;
}

void BeamSearch::end(BeamEnding ending) {
  const auto at =
      std::ranges::upper_bound(endings_, ending.text.score, std::ranges::greater(),
                               [](const BeamEnding& known) { return known.text.score; });
  endings_.insert(at, std::move(ending));
  if (endings_.size() > beams()) endings_.pop_back();
}

bool BeamSearch::may_improve(double total, size_t tokens) const {
  return endings_.size() < beams() || score(total, tokens) > endings_.back().text.score;
}

Error no_room_for_beams(const Task& search) {
  return {ErrorCode::kOutOfMemory,
          cat("beams: the KV cache has no room for ", search.request->beams,
              " beams of this prompt and length; ask for fewer, give a smaller maxTokens, or load "
              "with more sequences")};
}

}  // namespace cria
