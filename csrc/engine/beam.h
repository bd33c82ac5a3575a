// F5. Beam search: the likeliest texts, found by following several at once (Lowerre 1976, The Harpy
// Speech Recognition System; for networks Graves 2012 and Sutskever et al. 2014).
//
//   beams of 2          step 1           step 2
//   prompt ─┬─ "A" -0.4 ─┬─ "A cat" -1.1     each round all beams together offer their likeliest
//           └─ "The" -1.2 ─ "The cat" -1.6   continuations, and the likeliest of all go on
//
// A text's score is the sum of the log-probabilities of its tokens, the one that ended it included,
// divided by their count to the power of the length penalty (as in Wu et al. 2016 §7, with the
// count itself for its lp(Y)). The search ends once as many texts have ended as there are beams and
// no running one is, at its present length, better than the worst of them.
//
// Nothing is drawn, so it has no randomness; equal totals go by the lower token, then the earlier
// beam.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/request.h"
#include "sampling/logprobs.h"

namespace cria {

struct Task;

/// The continuation of a beam by a token.
struct BeamChoice {
  size_t beam = 0;
  int32_t id = 0;
  double total = 0;  // sum of log-probabilities, this token's included
};

/// A text that has ended.
struct BeamEnding {
  BeamText text;
  std::vector<TokenLogprob> logprobs;  // where wanted
};

/// The search alone: knows totals and lengths, nothing of networks and caches.
class BeamSearch {
 public:
  /// Most beams: with the request's prompt as many sequences as that and one are kept.
  static constexpr int kMostBeams = 16;

  BeamSearch(int beams, double length_penalty) : beams_(beams), penalty_(length_penalty) {}

  size_t beams() const { return static_cast<size_t>(beams_); }
  double score(double total, size_t tokens) const;

  /// The 2·beams likeliest continuations of one beam whose total is `total`, likeliest first, by
  /// `logits` [V] (minus infinity: may not come), of which `all` is the logarithm of the sum of
  /// exponentials. So many, because each beam may end with one.
  std::vector<BeamChoice> offer(size_t beam, double total, std::span<float> logits,
                                double all) const;
  /// The 2·beams likeliest of what all beams offer.
  std::vector<BeamChoice> best(std::vector<BeamChoice> offers) const;

  /// Keeps a text if it is among the best that ended.
  void end(BeamEnding ending);
  /// Whether a running text, the best of which has this total and length, may still be wanted.
  bool may_improve(double total, size_t tokens) const;
  /// All that ended, best first.
  std::vector<BeamEnding> take_endings() { return std::move(endings_); }

 private:
  int beams_;
  double penalty_;
  std::vector<BeamEnding> endings_;  // by falling score
};

/// A request's search and the tasks that its beams are.
struct BeamGroup {
  explicit BeamGroup(const Request& request) : search(request.beams, request.length_penalty) {}

  BeamSearch search;
  std::vector<Task*> beams;  // running, likeliest first; none before the prompt is computed
};

/// What a task has more where it is a beam.
struct Beam {
  double total = 0;
  bool offered = false;             // this round
  std::vector<BeamChoice> choices;  // that it offers then
  std::vector<float> logits;        // [V] of the network then, where log-probabilities are wanted
  std::string text;                 // so far, as far as it is certain
  std::optional<Error> failure;     // of the search, at its prompt
};

/// What a search ends with where the pages there are do not suffice for its beams.
Error no_room_for_beams(const Task& search);

}  // namespace cria
