// F5. Draws the next token from logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/request.h"

namespace cria {

/// Counter-based random numbers (SplitMix64; Steele, Lea & Flood 2014): the n-th number is a
/// function of the seed and n alone, so a request draws the same numbers whatever else runs.
uint64_t random_bits(uint64_t seed, uint64_t counter);

/// e^x in plain double arithmetic without the system's libm, whose last bits differ by platform: a
/// seed reproduces its text everywhere. Relative error below 1e-15 for x ≤ 0.
double portable_exp(double x);

class Sampler {
 public:
  explicit Sampler(const Sampling& sampling) : sampling_(sampling) {}

  /// Draws the next id. `logits` [V] is changed in place (bias, penalties). `history`: prompt and
  /// generated tokens so far. `drawn`: how many tokens this request has drawn before. Throws
  /// kBackend where no logit is a number.
  int32_t draw(std::span<float> logits, std::span<const int32_t> history, uint64_t drawn);

 private:
  struct Candidate {
    int32_t id;
    float logit;
    double p;
  };

  /// The order of candidates: falling logits, the lower id first among equals.
  static bool likelier(const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  }

  void bias(std::span<float> logits) const;
  void penalize(std::span<float> logits, std::span<const int32_t> history);
  void collect(std::span<const float> logits);  // candidates, likeliest first, top-k applied
  void normalize();                             // p from logits; sums to 1
  void keep_typical();
  void keep_top_p();
  void keep_min_p();
  int32_t pick(uint64_t drawn);

  const Sampling& sampling_;
  std::vector<Candidate> candidates_;
  std::vector<int32_t> window_;
};

}  // namespace cria
