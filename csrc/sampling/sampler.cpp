#include "sampling/sampler.h"

#include <cmath>

#include "sampling/numbers.h"
#include "sampling/temperature.h"
#include "sampling/truncation.h"
#include "sampling/xtc.h"

namespace cria {
namespace {

constexpr float kBanned = -std::numeric_limits<float>::infinity();

/// Stages that change single logits, rather than leave tokens out.
bool changes_logits(Stage stage) {
  return stage == Stage::kBias || stage == Stage::kPenalties || stage == Stage::kDry;
}

}  // namespace

Sampler::Sampler(const Sampling& sampling, TokenBytes bytes)
    : sampling_(sampling),
      penalties_(sampling),
      dry_(sampling, std::move(bytes)),
      mirostat_(sampling) {}

int32_t Sampler::draw(std::span<float> logits, std::span<const int32_t> history, uint64_t drawn) {
  for (auto at = banned_.rbegin(); at != banned_.rend() && at->first == history.size(); ++at)
    logits[static_cast<size_t>(at->second)] = kBanned;
  candidates_.reset(logits);
  checked_ = false;
  for (const Stage stage : sampling_.order)
    if (acts(stage)) apply(stage, history, drawn);
  const bool mirostat = sampling_.mirostat != Mirostat::kOff && sampling_.temperature > 0;
  check_any();
  if (sampling_.temperature == 0) return candidates_.likeliest();
  if (mirostat) mirostat_.truncate(candidates_);
  const int32_t id = pick(drawn);
  if (mirostat) mirostat_.learn(id, history.size());
  return id;
}

void Sampler::rewind(size_t size) {
  dry_.rewind(size);
  mirostat_.rewind(size);
  while (!banned_.empty() && banned_.back().first > size) banned_.pop_back();
}

/// See Sampling: who acts at temperature 0 and beside mirostat.
bool Sampler::acts(Stage stage) const {
  if (changes_logits(stage)) return true;
  if (sampling_.temperature == 0) return false;
  return sampling_.mirostat == Mirostat::kOff || stage == Stage::kTemperature;
}

void Sampler::apply(Stage stage, std::span<const int32_t> history, uint64_t drawn) {
  if (!changes_logits(stage)) check_any();
  checked_ = !changes_logits(stage);
  switch (stage) {
    case Stage::kBias:
      return penalties_.add_bias(candidates_);
    case Stage::kPenalties:
      return penalties_.penalize(candidates_, history);
    case Stage::kDry:
      return dry_.penalize(candidates_, history);
    case Stage::kTopNSigma:
      return keep_top_n_sigma(candidates_, sampling_.top_n_sigma);
    case Stage::kTopK:
      return keep_top_k(candidates_, sampling_.top_k);
    case Stage::kTypicalP:
      return keep_typical(candidates_, sampling_.typical_p);
    case Stage::kTopP:
      return keep_top_p(candidates_, sampling_.top_p);
    case Stage::kMinP:
      return keep_min_p(candidates_, sampling_.min_p);
    case Stage::kXtc:
      return exclude_top_choices(candidates_, sampling_, drawn);
    case Stage::kTemperature:
      return apply_temperature(candidates_, sampling_);
  }
}

int32_t Sampler::pick(uint64_t drawn) {
  std::vector<Candidate>& list = candidates_.ranked();
  const double most = list.front().logit;
  double sum = 0;
  for (Candidate& c : list) sum += c.p = portable_exp(c.logit - most);
  double left = random_unit(sampling_.seed, Draw::kToken, drawn) * sum;
  for (const Candidate& c : list) {
    if (left < c.p) return c.id;
    left -= c.p;
  }
  return list.front().id;  // rounding ate the last of the mass
}

/// All but changes of logits count on one number at least, and leave one.
void Sampler::check_any() {
  if (checked_) return;
  const double most = candidates_.most();
  if (!possible(most) || std::isinf(most)) refuse_all();
  checked_ = true;
}

void Sampler::refuse_all() const {
  if (!banned_.empty())
    fail(ErrorCode::kBadArgument, "banned leaves no token that could be drawn; ban fewer texts");
  if (!sampling_.logit_bias.empty())
    fail(ErrorCode::kBadArgument, "logitBias leaves no token that could be drawn; ban fewer");
  fail(ErrorCode::kBackend, "the logits are not finite numbers; the model file may be damaged");
}

}  // namespace cria
