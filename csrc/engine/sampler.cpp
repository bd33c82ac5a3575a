#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace cria {
namespace {

constexpr float kBanned = -std::numeric_limits<float>::infinity();

/// NaN counts as impossible.
bool possible(float logit) {
  return logit > kBanned;
}

int32_t argmax(std::span<const float> logits) {
  size_t best = 0;
  for (size_t i = 1; i < logits.size(); ++i)
    if (logits[i] > logits[best] || !possible(logits[best])) best = i;
  return static_cast<int32_t>(best);
}

[[noreturn]] void refuse_all(const Sampling& sampling) {
  if (!sampling.logit_bias.empty())
    fail(ErrorCode::kBadArgument, "logitBias leaves no token that could be drawn; ban fewer");
  fail(ErrorCode::kBackend, "the logits are not finite numbers; the model file may be damaged");
}

}  // namespace

uint64_t random_bits(uint64_t seed, uint64_t counter) {
  // The golden ratio's odd 64-bit fraction steps the state; the rest is its mixing function.
  uint64_t z = seed + (counter + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

double portable_exp(double x) {
  if (std::isnan(x)) return x;
  if (x < -708) return 0;
  if (x > 709) return std::numeric_limits<double>::infinity();
  // x = n·ln 2 + r with |r| ≤ ln 2 / 2; ln 2 in two parts, so that n·kLn2High is exact.
  constexpr double kLog2E = 1.4426950408889634;
  constexpr double kLn2High = 0x1.62e42fee00000p-1, kLn2Low = 0x1.a39ef35793c76p-33;
  const double n = std::floor(x * kLog2E + 0.5);
  const double r = (x - n * kLn2High) - n * kLn2Low;
  // Taylor to r^13 / 13!: the next term is below 2^-60 at |r| = 0.35.
  double sum = 1;
  for (int k = 13; k >= 1; --k) sum = 1 + sum * r / k;
  return std::ldexp(sum, static_cast<int>(n));
}

int32_t Sampler::draw(std::span<float> logits, std::span<const int32_t> history, uint64_t drawn) {
  bias(logits);
  penalize(logits, history);
  const int32_t best = argmax(logits);
  if (!possible(logits[static_cast<size_t>(best)]) || std::isinf(logits[static_cast<size_t>(best)]))
    refuse_all(sampling_);
  if (sampling_.temperature == 0) return best;
  collect(logits);
  normalize();
  keep_typical();
  keep_top_p();
  keep_min_p();
  return pick(drawn);
}

void Sampler::bias(std::span<float> logits) const {
  for (const auto& [id, value] : sampling_.logit_bias) logits[static_cast<size_t>(id)] += value;
}

void Sampler::penalize(std::span<float> logits, std::span<const int32_t> history) {
  const bool off = sampling_.repeat_penalty == 1 && sampling_.presence_penalty == 0 &&
                   sampling_.frequency_penalty == 0;
  if (off || sampling_.repeat_window == 0) return;
  const size_t count = std::min(history.size(), static_cast<size_t>(sampling_.repeat_window));
  window_.assign(history.end() - static_cast<std::ptrdiff_t>(count), history.end());
  std::sort(window_.begin(), window_.end());
  for (size_t first = 0; first < window_.size();) {
    size_t last = first;
    while (last < window_.size() && window_[last] == window_[first]) ++last;
    float& logit = logits[static_cast<size_t>(window_[first])];
    logit = logit > 0 ? logit / sampling_.repeat_penalty : logit * sampling_.repeat_penalty;
    logit -=
        sampling_.presence_penalty + static_cast<float>(last - first) * sampling_.frequency_penalty;
    first = last;
  }
}

void Sampler::collect(std::span<const float> logits) {
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i)
    if (possible(logits[i])) candidates_.push_back({static_cast<int32_t>(i), logits[i], 0});
  const auto k = static_cast<size_t>(sampling_.top_k);
  if (k == 0 || k >= candidates_.size()) {
    std::sort(candidates_.begin(), candidates_.end(), likelier);
    return;
  }
  std::partial_sort(candidates_.begin(), candidates_.begin() + sampling_.top_k, candidates_.end(),
                    likelier);
  candidates_.resize(k);
}

void Sampler::normalize() {
  double sum = 0;
  const double most = candidates_.front().logit;
  for (Candidate& c : candidates_) sum += c.p = portable_exp(c.logit - most);
  for (Candidate& c : candidates_) c.p /= sum;
}

/// Keeps the tokens whose surprise is nearest to the entropy, up to a mass of typical_p. With
/// -log p = Z - logit, the distance | -log p - E[-log p] | is | E[logit] - logit |.
void Sampler::keep_typical() {
  if (sampling_.typical_p >= 1) return;
  double mean = 0;
  for (const Candidate& c : candidates_) mean += c.p * c.logit;
  std::stable_sort(candidates_.begin(), candidates_.end(),
                   [mean](const Candidate& a, const Candidate& b) {
                     return std::abs(mean - a.logit) < std::abs(mean - b.logit);
                   });
  double mass = 0;
  size_t kept = 0;
  while (kept < candidates_.size() && mass < sampling_.typical_p) mass += candidates_[kept++].p;
  candidates_.resize(kept);
  std::sort(candidates_.begin(), candidates_.end(), likelier);
  normalize();
}

void Sampler::keep_top_p() {
  if (sampling_.top_p >= 1) return;
  double mass = 0;
  size_t kept = 0;
  while (kept < candidates_.size() && mass < sampling_.top_p) mass += candidates_[kept++].p;
  candidates_.resize(kept);
}

void Sampler::keep_min_p() {
  const double least = sampling_.min_p * candidates_.front().p;
  while (candidates_.back().p < least) candidates_.pop_back();
}

int32_t Sampler::pick(uint64_t drawn) {
  const double most = candidates_.front().logit;
  double sum = 0;
  for (Candidate& c : candidates_)
    sum += c.p = portable_exp((c.logit - most) / sampling_.temperature);
  // 53 random bits: a double in [0, 1) with every step reachable.
  double left = static_cast<double>(random_bits(sampling_.seed, drawn) >> 11) * 0x1p-53 * sum;
  for (const Candidate& c : candidates_) {
    if (left < c.p) return c.id;
    left -= c.p;
  }
  return candidates_.front().id;  // rounding ate the last of the mass
}

}  // namespace cria
