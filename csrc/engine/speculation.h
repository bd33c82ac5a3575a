// F5. Speculative decoding (Leviathan et al. 2023, Fast Inference from Transformers via Speculative
// Decoding, with another test of guesses, below): a step computes, with a request's last token,
// guesses at what follows, and takes as many of them as prove right.
//
//   last token  guesses             a step gives the logits after each of them
//   the      │  cat  sat  up
//   drawn: cat ✓ sat ✓ on ✗         three tokens for one step; "on" is the next last token
//
// Each row's token is drawn as it would be without guesses: from the same logits (batch invariance)
// by the same random number (they are counted by token). A guess is right where that very token is
// drawn. So the text is the same, token for token, whatever is guessed and also at a temperature; a
// guess x is right with probability p(x), the most that any exact test can give a fixed guess.
//
// Where the text repeats what was there before, that is the guess; else a draft model makes it, if
// there is one and the request wants it. How many are made: as many as make most tokens per
// millisecond of all requests in the step, by the share of guesses that proved right (per request
// and kind) and by what steps of so many rows took, of the model and of the draft. Where none pay,
// none are made, but for a try now and then.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/drafter.h"
#include "engine/ngram_lookup.h"
#include "engine/request.h"
#include "engine/step_cost.h"

namespace cria {

struct Task;

/// What guesses rest on. Rates are kept for each of these apart.
enum class GuessKind : uint8_t { kShortMatch, kLongMatch, kDraft };

/// How likely the next guess is right, given that those before it are: a mean of what was seen that
/// forgets, and begins as one half.
class AcceptanceRate {
 public:
  double rate() const { return (right_ + 0.5 * kPrior) / (tested_ + kPrior); }
  /// Of a run of guesses so many were right; what comes after the first wrong one was not tested.
  void record(int right, int guesses);
  /// Tokens expected of a step with so many guesses: 1 + p + p² + …
  double tokens(int guesses) const;

 private:
  static constexpr double kPrior = 2, kKeep = 0.95;
  double right_ = 0, tested_ = 0;
};

/// One request's part.
struct Speculation {
  AcceptanceRate& rate() { return rates[static_cast<size_t>(kind)]; }
  /// Of the running step's guesses so many were right.
  void learn(int right_ones, int guessed) { rate().record(right_ones, guessed); }

  NgramLookup lookup;
  std::array<AcceptanceRate, 3> rates;
  GuessKind kind = GuessKind::kShortMatch;  // of the running step's
  int idle = 0;                             // chances in a row that were left
  int patience = 0;                         // how many are, until the next try
  int made = 0, right = 0;                  // guesses, in all
};

class Speculator {
 public:
  /// Most guesses of one request in a step.
  static constexpr int kMostGuesses = 16;

  /// `drafter` outlives the object; null: guesses come from lookups alone.
  explicit Speculator(Drafter* drafter = nullptr) : drafter_(drafter) {}

  /// Decides on the guesses of the coming step, for those of `running` that want any. `rows`: most
  /// rows of logits in a step; `context`: most tokens of a sequence.
  void propose(std::span<Task* const> running, int rows, int context);
  /// A step without prompt tokens took so long.
  void record_step(int rows, double ms) { cost_.record(rows, ms); }

 private:
  /// The coming step, so far.
  struct Load {
    int rows = 0;
    double tokens = 0;    // expected of it
    int rounds = 0;       // of the draft model before it
    double round_ms = 0;  // what one of these takes
  };

  bool look_up(Task& task, int most, Load& load);
  int plan(Speculation& speculation, int most, Load& load) const;
  int worthwhile(Speculation& speculation, int most, const Load& load) const;
  double ms(const Load& load, int more_rows, int rounds) const;
  double least_probability(const Load& load) const;

  StepCost cost_;
  Drafter* drafter_;
};

}  // namespace cria
