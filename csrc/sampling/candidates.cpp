#include "sampling/candidates.h"

#include <algorithm>
#include <cmath>

#include "sampling/numbers.h"

namespace cria {
namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();
constexpr size_t kBlock = 16;

/// Of a block; NaN counts for nothing. The form `a > b ? a : b` is one instruction per register.
float greatest(const float* block) {
  float most[kBlock / 2];
  for (size_t i = 0; i < kBlock / 2; ++i) most[i] = block[i] > kNone ? block[i] : kNone;
  for (size_t i = 0; i < kBlock / 2; ++i) {
    const float other = block[kBlock / 2 + i];
    most[i] = other > most[i] ? other : most[i];
  }
  for (size_t half = kBlock / 4; half > 0; half /= 2)
    for (size_t i = 0; i < half; ++i) most[i] = most[half + i] > most[i] ? most[half + i] : most[i];
  return most[0];
}

float greatest(std::span<const float> logits) {
  float most = kNone;
  size_t i = 0;
  for (; i + kBlock <= logits.size(); i += kBlock) most = std::max(most, greatest(&logits[i]));
  for (; i < logits.size(); ++i) most = logits[i] > most ? logits[i] : most;
  return most;
}

}  // namespace

void Candidates::reset(std::span<float> logits) {
  logits_ = logits;
  list_.clear();
  listed_ = ranked_ = weighed_ = false;
}

template <class Visit>
void Candidates::visit(Visit visit) const {
  if (listed_) {
    for (const Candidate& candidate : list_) visit(candidate.logit);
  } else {
    for (const float logit : logits_)
      if (possible(logit)) visit(double{logit});
  }
}

double Candidates::most() const {
  if (!listed_) return greatest(logits_);
  if (list_.empty()) return kNone;
  if (ranked_) return list_.front().logit;
  return std::ranges::max_element(list_, {}, &Candidate::logit)->logit;
}

int32_t Candidates::likeliest() const {
  if (listed_)
    return list_.empty() ? 0 : std::min_element(list_.begin(), list_.end(), likelier)->id;
  const float most = greatest(logits_);
  const auto at = std::find(logits_.begin(), logits_.end(), most);
  return at == logits_.end() ? 0 : static_cast<int32_t>(at - logits_.begin());
}

void Candidates::keep_top(size_t count) {
  if (!listed_) return count < logits_.size() ? select(count) : void();
  if (count >= list_.size()) return;
  rank_first(count);
  list_.resize(count);
  ranked_ = true;
  weighed_ = false;
}

/// The `count` likeliest of the logits, in one pass: what is not above the worst of the best so far
/// is skipped, a block at a time; the list is cut back to them whenever it is twice as long.
void Candidates::select(size_t count) {
  const size_t most = std::max<size_t>(2 * count, 64);
  float least = kNone;
  const auto cut = [&] {
    const auto last = list_.begin() + static_cast<std::ptrdiff_t>(count - 1);
    std::nth_element(list_.begin(), last, list_.end(), likelier);
    list_.resize(count);
    least = static_cast<float>(list_.back().logit);
  };
  // Among equals the lower ids came first, so one that is only as good as the worst is not wanted.
  const auto take = [&](size_t i) {
    if (!(logits_[i] > least)) return;
    list_.push_back({static_cast<int32_t>(i), logits_[i], 0});
    if (list_.size() == most) cut();
  };
  list_.reserve(most);
  size_t i = 0;
  for (; i + kBlock <= logits_.size(); i += kBlock) {
    if (!(greatest(&logits_[i]) > least)) continue;
    for (size_t j = i; j < i + kBlock; ++j) take(j);
  }
  for (; i < logits_.size(); ++i) take(i);
  if (list_.size() > count) cut();
  listed_ = true;
  std::sort(list_.begin(), list_.end(), likelier);
  ranked_ = true;
}

void Candidates::keep_from(double logit) {
  if (!listed_) {
    for (size_t i = 0; i < logits_.size(); ++i)
      if (possible(logits_[i]) && double{logits_[i]} >= logit)
        list_.push_back({static_cast<int32_t>(i), logits_[i], 0});
    listed_ = true;
    return;
  }
  if (std::erase_if(list_, [logit](const Candidate& c) { return !(c.logit >= logit); }) > 0)
    weighed_ = false;
}

void Candidates::keep_first(size_t count) {
  if (count >= list_.size()) return;
  list_.resize(count);
  weighed_ = false;
}

void Candidates::drop_first(size_t count) {
  if (count == 0) return;
  list_.erase(list_.begin(), list_.begin() + static_cast<std::ptrdiff_t>(count));
  weighed_ = false;
}

std::vector<Candidate>& Candidates::list() {
  if (!listed_) keep_from(-std::numeric_limits<double>::infinity());
  return list_;
}

std::vector<Candidate>& Candidates::ranked() {
  list();
  if (!ranked_) std::sort(list_.begin(), list_.end(), likelier);
  ranked_ = true;
  return list_;
}

void Candidates::rank_first(size_t count) {
  if (ranked_) return;
  if (count >= list_.size()) {
    ranked();
    return;
  }
  const auto end = list_.begin() + static_cast<std::ptrdiff_t>(count);
  std::nth_element(list_.begin(), end, list_.end(), likelier);
  std::sort(list_.begin(), end, likelier);
}

std::vector<Candidate>& Candidates::weighed() {
  list();
  if (weighed_) return list_;
  const double top = most();
  double sum = 0;
  for (Candidate& c : list_) sum += c.p = portable_exp(c.logit - top);
  for (Candidate& c : list_) c.p /= sum;
  weighed_ = true;
  return list_;
}

std::vector<Candidate>& Candidates::ranked_and_weighed() {
  ranked();
  return weighed();
}

Candidates::Spread Candidates::spread() const {
  double count = 0, sum = 0, squares = 0;
  visit([&](double logit) {
    ++count;
    sum += logit;
  });
  const double mean = sum / count;
  visit([&](double logit) { squares += (logit - mean) * (logit - mean); });
  return {mean, std::sqrt(squares / count)};
}

}  // namespace cria
