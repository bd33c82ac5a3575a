// F1. Mirostat (Basu, Ramachandran, Keskar & Varshney 2021): holds the surprise of the text, in
// bits a token, near a target τ. The most surprise that a token may have, μ, begins at 2τ and
// learns from every token X that is drawn:
//
//   S(X) = -log2 p(X)             p before anything is left out
//   μ   -= η · (S(X) - τ)
//
// Version 1 takes the k likeliest, k from μ by Zipf's law, whose exponent s is fitted to the 100
// likeliest of the n tokens:
//
//   s = Σ tᵢ·bᵢ / Σ tᵢ²           tᵢ = log((i + 1) / i), bᵢ = log(pᵢ / pᵢ₊₁), i = 1 … 99
//   k = ((s - 1) · 2^μ / (1 - n^(1 - s)))^(1 / s)       rounded, 1 to n
//
// Version 2 takes the tokens of S ≤ μ, the likeliest at least.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sampling/candidates.h"
#include "sampling/sampling.h"

namespace cria {

class MirostatState {
 public:
  explicit MirostatState(const Sampling& sampling) : sampling_(sampling) {}

  /// Leaves out what is too surprising for the token at `position` of the text.
  void truncate(Candidates& candidates);
  /// Learns from what was drawn there.
  void learn(int32_t id, size_t position);
  /// The tokens from `position` on were taken back.
  void rewind(size_t position);

  double most_surprise() const;

 private:
  struct Learnt {
    size_t position;
    double most_surprise;  // from then on
  };
  size_t zipf_count(const std::vector<Candidate>& ranked, size_t all) const;

  const Sampling& sampling_;
  std::vector<Candidate> kept_;  // with p before anything was left out
  std::vector<Learnt> learnt_;
};

}  // namespace cria
