// F1. Draws the next token from logits: the chain of stages (sampling.h), then one random number.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "sampling/candidates.h"
#include "sampling/dry.h"
#include "sampling/mirostat.h"
#include "sampling/penalties.h"
#include "sampling/sampling.h"

namespace cria {

class Sampler {
 public:
  /// `sampling` outlives the object. `bytes`: what DRY's breakers are looked for in.
  explicit Sampler(const Sampling& sampling, TokenBytes bytes = {});

  /// Draws the next id. `logits` [V] is changed in place; minus infinity there rules a token out.
  /// `history`: prompt and generated tokens so far. `drawn`: how many tokens this request has drawn
  /// before, those that were taken back included. Throws kBackend where no logit is a number.
  int32_t draw(std::span<float> logits, std::span<const int32_t> history, uint64_t drawn);

  /// The tokens of the history from `size` on were taken back.
  void rewind(size_t size);
  /// Rules a token out for the place at `position` of the history, until that is taken back itself.
  void ban(size_t position, int32_t id) { banned_.emplace_back(position, id); }

 private:
  void apply(Stage stage, std::span<const int32_t> history, uint64_t drawn);
  bool acts(Stage stage) const;
  int32_t pick(uint64_t drawn);
  void check_any();
  [[noreturn]] void refuse_all() const;

  const Sampling& sampling_;
  Candidates candidates_;
  bool checked_ = false;  // some candidate is a number
  Penalties penalties_;
  Dry dry_;
  MirostatState mirostat_;
  std::vector<std::pair<size_t, int32_t>> banned_;  // (position, id); positions never fall
};

}  // namespace cria
