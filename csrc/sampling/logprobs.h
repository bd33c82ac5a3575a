// F1. Log-probabilities of drawn tokens, as the network gave them: before biases, penalties, masks
// and temperature. log p(i) = logit(i) - log Σ e^logit, in double precision.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace cria {

struct AlternativeLogprob {
  int32_t id = 0;
  double logprob = 0;
};

struct TokenLogprob {
  int32_t id = 0;
  double logprob = 0;                   // minus infinity where the network ruled the token out
  std::vector<AlternativeLogprob> top;  // the likeliest tokens, whether drawn or not
};

/// Most alternatives that a caller may ask for.
inline constexpr int kMostAlternatives = 20;

/// The logarithm of the sum of the exponentials of all that is a number.
double log_sum_exp(std::span<const float> logits);

/// Of the drawn `id`, with the `top` likeliest tokens of `logits` [V], the lower id first among
/// equals. What is not a number is impossible.
TokenLogprob token_logprob(std::span<float> logits, int32_t id, int top);

}  // namespace cria
