// F1. DRY, "don't repeat yourself" (p-e-w 2024, text-generation-webui pull request 5677): a penalty
// on the tokens that would prolong a repetition.
//
//   … the old house stood … the old ▁        "house" would prolong a repetition of n = 2 tokens
//
//   logit -= multiplier · base^(n - allowed)       for n ≥ allowed, 10^6 at most
//
// n is the longest end of the text that has stood before a token once already. A breaker is a text
// that no repetition reaches across: the token that it ends in is neither part of one nor
// penalized. Nor is a token without text, such as the marks of a chat.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sampling/candidates.h"
#include "sampling/sampling.h"

namespace cria {

/// The bytes that a token adds to a text.
using TokenBytes = std::function<std::string_view(int32_t)>;

class Dry {
 public:
  /// Without `bytes` nothing is a breaker.
  Dry(const Sampling& sampling, TokenBytes bytes);

  /// `history`: the tokens so far, prompt included; as before and longer, but for what was taken
  /// back.
  void penalize(Candidates& candidates, std::span<const int32_t> history);
  /// The tokens from `size` on were taken back.
  void rewind(size_t size);

 private:
  void find_breaks(std::span<const int32_t> history);
  bool breaks(std::span<const int32_t> history, size_t at);
  void find_repetitions(std::span<const int32_t> window, std::span<const char> broken);

  const Sampling& sampling_;
  TokenBytes bytes_;
  size_t longest_ = 0;          // breaker, in bytes
  std::vector<char> broken_;    // for each token of the history, whether a breaker ends in it
  std::string text_;            // scratch
  std::vector<uint32_t> same_;  // scratch: see find_repetitions
  std::vector<std::pair<int32_t, uint32_t>> repetitions_;  // (token, n)
  std::vector<int32_t> ids_;                               // rising
  std::vector<uint32_t> lengths_;                          // the longest n of each
};

}  // namespace cria
