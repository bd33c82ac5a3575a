// Each sampler as its source says it, over a plain list: slow, and with nothing in common with the
// code under test but the random numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "sampling/numbers.h"
#include "sampling/sampling.h"

namespace cria::test {

struct Token {
  int32_t id;
  double logit;
};
using Tokens = std::vector<Token>;

inline Tokens tokens_of(const std::vector<float>& logits) {
  Tokens out;
  for (size_t i = 0; i < logits.size(); ++i)
    if (logits[i] > -std::numeric_limits<float>::infinity())
      out.push_back({static_cast<int32_t>(i), double{logits[i]}});
  return out;
}

inline void rank(Tokens& tokens) {
  std::stable_sort(tokens.begin(), tokens.end(), [](const Token& a, const Token& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  });
}

inline std::vector<double> probabilities(const Tokens& tokens) {
  double most = -INFINITY, sum = 0;
  for (const Token& t : tokens) most = std::max(most, t.logit);
  std::vector<double> p;
  for (const Token& t : tokens) p.push_back(std::exp(t.logit - most));
  for (const double value : p) sum += value;
  for (double& value : p) value /= sum;
  return p;
}

inline Tokens where(const Tokens& tokens, auto wanted) {
  Tokens kept;
  for (size_t i = 0; i < tokens.size(); ++i)
    if (wanted(i)) kept.push_back(tokens[i]);
  return kept;
}

inline Tokens plain_top_n_sigma(const Tokens& tokens, double n) {
  if (n == 0) return tokens;
  double most = -INFINITY, mean = 0, variance = 0;
  for (const Token& t : tokens) most = std::max(most, t.logit);
  for (const Token& t : tokens) mean += t.logit / static_cast<double>(tokens.size());
  for (const Token& t : tokens) variance += (t.logit - mean) * (t.logit - mean);
  const double sigma = std::sqrt(variance / static_cast<double>(tokens.size()));
  return where(tokens, [&](size_t i) { return tokens[i].logit >= most - n * sigma; });
}

inline Tokens plain_top_k(Tokens tokens, int k) {
  rank(tokens);
  return k == 0 ? tokens : where(tokens, [&](size_t i) { return i < static_cast<size_t>(k); });
}

inline Tokens plain_typical(Tokens tokens, double mass) {
  if (mass >= 1) return tokens;
  rank(tokens);
  const auto p = probabilities(tokens);
  double entropy = 0;
  for (const double value : p) entropy -= value > 0 ? value * std::log(value) : 0;
  std::vector<size_t> order;
  for (size_t i = 0; i < p.size(); ++i) order.push_back(i);
  std::vector<double> distance;
  for (const double value : p) distance.push_back(std::abs(-std::log(value) - entropy));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    // Equal logits are equally far; the formula above may see a last bit between them.
    return tokens[a].logit != tokens[b].logit && distance[a] < distance[b];
  });
  Tokens kept;
  double sum = 0;
  for (const size_t i : order) {
    if (sum >= mass) break;
    kept.push_back(tokens[i]);
    sum += p[i];
  }
  rank(kept);
  return kept;
}

inline Tokens plain_top_p(Tokens tokens, double mass) {
  if (mass >= 1) return tokens;
  rank(tokens);
  const auto p = probabilities(tokens);
  double before = 0;
  return where(tokens, [&](size_t i) {
    const bool wanted = before < mass;
    before += p[i];
    return wanted;
  });
}

inline Tokens plain_min_p(const Tokens& tokens, double share) {
  const auto p = probabilities(tokens);
  const double most = *std::max_element(p.begin(), p.end());
  return where(tokens, [&](size_t i) { return p[i] >= share * most; });
}

inline Tokens plain_xtc(Tokens tokens, double threshold) {
  rank(tokens);
  const auto p = probabilities(tokens);
  // A top choice goes where the next one is a top choice, too.
  return where(tokens, [&](size_t i) { return i + 1 == p.size() || p[i + 1] < threshold; });
}

inline Tokens plain_temperature(const Tokens& tokens, const Sampling& s) {
  double t = s.temperature;
  if (s.dynamic_range > 0) {
    double entropy = 0;
    for (const double p : probabilities(tokens)) entropy -= p > 0 ? p * std::log(p) : 0;
    const double low = std::max(0.0, t - double{s.dynamic_range}), high = t + s.dynamic_range;
    const double share =
        tokens.size() > 1 ? entropy / std::log(static_cast<double>(tokens.size())) : 0;
    t = low + (high - low) * std::pow(std::clamp(share, 0.0, 1.0), double{s.dynamic_exponent});
  }
  if (t == 0) return plain_top_k(tokens, 1);
  Tokens out = tokens;
  for (Token& token : out) token.logit /= t;
  return out;
}

inline void add_to(Tokens& tokens, int32_t id, auto change) {
  for (Token& t : tokens)
    if (t.id == id) t.logit = change(t.logit);
}

inline void plain_penalties(Tokens& tokens, const Sampling& s,
                            const std::vector<int32_t>& history) {
  std::map<int32_t, int> seen;
  const size_t window = static_cast<size_t>(s.repeat_window);
  for (size_t i = history.size() - std::min(history.size(), window); i < history.size(); ++i)
    ++seen[history[i]];
  for (const auto& [id, count] : seen)
    add_to(tokens, id, [&, times = count](double logit) {
      logit = logit > 0 ? logit / s.repeat_penalty : logit * s.repeat_penalty;
      return logit - s.presence_penalty - times * s.frequency_penalty;
    });
}

/// The longest n ≥ 1 for each token that some earlier place of the history had after the last n
/// tokens; `breaks` tells of a token whether no repetition reaches across it.
inline std::map<int32_t, int> plain_repetitions(const std::vector<int32_t>& history, auto breaks) {
  std::map<int32_t, int> longest;
  for (size_t at = 1; at < history.size(); ++at) {
    if (breaks(at)) continue;
    int n = 0;
    for (size_t back = 1; back <= at; ++back) {
      const size_t tail = history.size() - back, before = at - back;
      if (breaks(tail) || history[tail] != history[before]) break;
      n = static_cast<int>(back);
    }
    if (n > 0) longest[history[at]] = std::max(longest[history[at]], n);
  }
  return longest;
}

inline void plain_dry(Tokens& tokens, const Sampling& s, std::vector<int32_t> history) {
  if (s.dry_multiplier == 0) return;
  if (s.dry_window > 0 && history.size() > static_cast<size_t>(s.dry_window))
    history.erase(history.begin(), history.end() - s.dry_window);
  for (const auto& [id, n] : plain_repetitions(history, [](size_t) { return false; }))
    if (n >= s.dry_allowed_length)
      add_to(tokens, id, [&, length = n](double logit) {
        const double much = s.dry_multiplier * std::pow(s.dry_base, length - s.dry_allowed_length);
        return logit - std::min(much, 1e6);
      });
}

/// Mirostat as its paper's algorithms say; `mu` is their state.
inline Tokens plain_mirostat(Tokens tokens, const Sampling& s, double mu) {
  rank(tokens);
  const auto p = probabilities(tokens);
  const double n = static_cast<double>(p.size());
  if (s.mirostat == Mirostat::kV2)
    return where(tokens, [&](size_t i) { return i == 0 || -std::log2(p[i]) <= mu; });
  double above = 0, below = 0;
  for (size_t i = 1; i < std::min<size_t>(100, p.size()); ++i) {
    const double t = std::log(static_cast<double>(i + 1) / static_cast<double>(i));
    above += t * std::log(p[i - 1] / p[i]);
    below += t * t;
  }
  const double e = above / below - 1;
  const double k = std::pow(e * std::pow(2, mu) / (1 - std::pow(n, -e)), 1 / (e + 1));
  const auto count = p.size() == 1 ? 1 : static_cast<size_t>(std::clamp(std::round(k), 1.0, n));
  return where(tokens, [&](size_t i) { return i < count; });
}

/// -log2 p of a token among all.
inline double surprise(const Tokens& tokens, int32_t id) {
  const auto p = probabilities(tokens);
  for (size_t i = 0; i < p.size(); ++i)
    if (tokens[i].id == id) return -std::log2(p[i]);
  return INFINITY;
}

inline int32_t plain_pick(Tokens tokens, uint64_t seed, uint64_t drawn) {
  rank(tokens);
  const auto p = probabilities(tokens);
  double left = random_unit(seed, Draw::kToken, drawn);
  for (size_t i = 0; i < p.size(); ++i) {
    if (left < p[i]) return tokens[i].id;
    left -= p[i];
  }
  return tokens[0].id;
}

/// The whole chain; `mu` is mirostat's state, brought on.
inline int32_t plain_draw(const std::vector<float>& logits, const Sampling& s,
                          const std::vector<int32_t>& history, uint64_t drawn, double& mu) {
  Tokens tokens = tokens_of(logits);
  const bool greedy = s.temperature == 0, mirostat = s.mirostat != Mirostat::kOff;
  for (const Stage stage : s.order) {
    if (stage == Stage::kBias)
      for (const auto& [id, value] : s.logit_bias)
        add_to(tokens, id, [by = value](double logit) { return logit + by; });
    if (stage == Stage::kPenalties) plain_penalties(tokens, s, history);
    if (stage == Stage::kDry) plain_dry(tokens, s, history);
    if (stage == Stage::kTemperature && !greedy) tokens = plain_temperature(tokens, s);
    if (greedy || mirostat) continue;
    if (stage == Stage::kTopNSigma) tokens = plain_top_n_sigma(tokens, s.top_n_sigma);
    if (stage == Stage::kTopK) tokens = plain_top_k(tokens, s.top_k);
    if (stage == Stage::kTypicalP) tokens = plain_typical(tokens, s.typical_p);
    if (stage == Stage::kTopP) tokens = plain_top_p(tokens, s.top_p);
    if (stage == Stage::kMinP) tokens = plain_min_p(tokens, s.min_p);
    if (stage == Stage::kXtc && random_unit(s.seed, Draw::kXtc, drawn) < s.xtc_probability)
      tokens = plain_xtc(tokens, s.xtc_threshold);
  }
  if (greedy) return plain_top_k(tokens, 1)[0].id;
  if (!mirostat) return plain_pick(tokens, s.seed, drawn);
  const int32_t id = plain_pick(plain_mirostat(tokens, s, mu), s.seed, drawn);
  mu -= s.mirostat_eta * (surprise(tokens, id) - s.mirostat_tau);
  return id;
}

}  // namespace cria::test
