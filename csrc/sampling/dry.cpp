#include "sampling/dry.h"

#include <algorithm>

namespace cria {
namespace {

constexpr double kMost = 1e6;  // beyond every logit, and still a number

double penalty(const Sampling& sampling, uint32_t length) {
  double value = sampling.dry_multiplier;
  const auto times = length - static_cast<uint32_t>(sampling.dry_allowed_length);
  for (uint32_t i = 0; i < times && value < kMost && sampling.dry_base > 1; ++i)
    value *= sampling.dry_base;
  return std::min(value, kMost);
}

}  // namespace

Dry::Dry(const Sampling& sampling, TokenBytes bytes)
    : sampling_(sampling), bytes_(std::move(bytes)) {
  for (const std::string& breaker : sampling.dry_breakers)
    longest_ = std::max(longest_, breaker.size());
}

void Dry::rewind(size_t size) {
  broken_.resize(std::min(broken_.size(), size));
}

void Dry::penalize(Candidates& candidates, std::span<const int32_t> history) {
  if (sampling_.dry_multiplier == 0) return;
  find_breaks(history);
  const size_t all = history.size();
  const size_t count =
      sampling_.dry_window == 0 ? all : std::min(all, static_cast<size_t>(sampling_.dry_window));
  find_repetitions(history.last(count), std::span(broken_).last(count));
  if (repetitions_.empty()) return;
  std::sort(repetitions_.begin(), repetitions_.end());
  ids_.clear();
  lengths_.clear();
  for (const auto& [id, length] : repetitions_) {
    if (ids_.empty() || ids_.back() != id) {
      ids_.push_back(id);
      lengths_.push_back(0);
    }
    lengths_.back() = length;  // they rise
  }
  candidates.change(ids_, [this](size_t i, auto& logit) {
    logit -= static_cast<float>(penalty(sampling_, lengths_[i]));
  });
}

void Dry::find_breaks(std::span<const int32_t> history) {
  broken_.resize(std::min(broken_.size(), history.size()));
  while (broken_.size() < history.size()) broken_.push_back(breaks(history, broken_.size()));
}

/// Whether a breaker ends in the token at `at`, or it has no text.
bool Dry::breaks(std::span<const int32_t> history, size_t at) {
  if (!bytes_) return false;
  const std::string_view own = bytes_(history[at]);
  if (own.empty()) return true;
  if (longest_ == 0) return false;
  text_.assign(own);
  // What is before it, as far as the longest breaker may reach.
  for (size_t i = at; i > 0 && text_.size() < own.size() + longest_ - 1; --i)
    text_.insert(0, bytes_(history[i - 1]));
  const size_t before = text_.size() - own.size();
  return std::ranges::any_of(sampling_.dry_breakers, [&](const std::string& breaker) {
    const size_t from = before + 1 > breaker.size() ? before + 1 - breaker.size() : 0;
    return text_.find(breaker, from) != std::string::npos;
  });
}

/// For every token of the window, how long an end of the window stands just before it. That is the
/// Z-function (Gusfield 1997, §1.3) of the window read backwards: same_[k], how many tokens from
/// the k-th last on are the same as from the last on.
void Dry::find_repetitions(std::span<const int32_t> window, std::span<const char> broken) {
  repetitions_.clear();
  const size_t count = window.size();
  const auto back = [&](size_t k) { return window[count - 1 - k]; };
  size_t most = 0;  // tokens from the end that no breaker cuts
  while (most < count && !broken[count - 1 - most]) ++most;
  const auto allowed = static_cast<size_t>(sampling_.dry_allowed_length);
  if (most < allowed) return;
  same_.assign(count, 0);
  size_t left = 0, right = 0;  // the stretch [left, right) that equals a beginning and ends last
  for (size_t k = 1; k < count; ++k) {
    size_t n = k < right ? std::min<size_t>(right - k, same_[k - left]) : 0;
    while (k + n < count && back(n) == back(k + n)) ++n;
    same_[k] = static_cast<uint32_t>(n);
    if (k + n > right) {
      left = k;
      right = k + n;
    }
    n = std::min(n, most);
    if (n >= allowed && !broken[count - k])
      repetitions_.emplace_back(back(k - 1), static_cast<uint32_t>(n));
  }
}

}  // namespace cria
