// F1. The tokens that may still be drawn, as the stages of a chain see them.
//
//   logits [V], all of the vocabulary  ──keep_top, keep_from, list──▶  a list of those that are
//   left
//
// It begins as the logits themselves, which most stages leave after one pass over them: choosing
// the 40 likeliest of 32,000 reads each logit once and sorts 40. A stage works on either form. What
// is not a number or minus infinity is no candidate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace cria {

struct Candidate {
  int32_t id;
  double logit;
  double p;  // see Candidates::weigh
};

/// The order of candidates: falling logits, the lower id first among equals.
inline bool likelier(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

class Candidates {
 public:
  /// All of `logits` [V], which outlive the use and are changed in place.
  void reset(std::span<float> logits);

  /// The greatest logit, minus infinity where there is no candidate.
  double most() const;
  /// The id of the greatest logit, the lowest such; the first id where there is no candidate.
  int32_t likeliest() const;

  /// Calls change(index, logit) for each candidate of `ids`, which rise, with its place in them.
  template <class Change>
  void change(std::span<const int32_t> ids, Change change);

  /// Keeps the `count` likeliest.
  void keep_top(size_t count);
  /// Keeps those with this logit or more.
  void keep_from(double logit);
  /// Keeps the first `count` of the list as it stands.
  void keep_first(size_t count);
  /// Likewise, where those are the likeliest and in order.
  void keep_ranked(size_t count) {
    keep_first(count);
    ranked_ = true;
  }
  /// Removes the first `count` of the list as it stands.
  void drop_first(size_t count);

  /// The list, in any order. A caller that changes logits or the order says so: `changed`.
  std::vector<Candidate>& list();
  /// The list, likeliest first.
  std::vector<Candidate>& ranked();
  /// Puts the `count` likeliest of the list first, in order, and the rest behind them.
  void rank_first(size_t count);
  /// The list with p, the softmax of the logits. In the order that it is in.
  std::vector<Candidate>& weighed();
  /// Both: likeliest first, and with p.
  std::vector<Candidate>& ranked_and_weighed();
  void changed() { ranked_ = weighed_ = false; }
  /// All logits were changed by a function that rises.
  void scaled() { weighed_ = false; }

  /// Mean and standard deviation of all logits.
  struct Spread {
    double mean, deviation;
  };
  Spread spread() const;

 private:
  template <class Visit>
  void visit(Visit visit) const;
  void select(size_t count);

  std::span<float> logits_;
  std::vector<Candidate> list_;  // where `listed_`
  bool listed_ = false;
  bool ranked_ = false;   // likeliest first
  bool weighed_ = false;  // p is right
};

/// Whether a logit makes a candidate.
inline bool possible(double logit) {
  return logit > -std::numeric_limits<double>::infinity();
}

template <class Change>
void Candidates::change(std::span<const int32_t> ids, Change change) {
  if (!listed_) {
    for (size_t i = 0; i < ids.size(); ++i) change(i, logits_[static_cast<size_t>(ids[i])]);
    return;
  }
  for (Candidate& candidate : list_) {
    size_t at = 0;  // of the first id that is not below
    for (size_t left = ids.size(); left > 0;) {
      const size_t half = left / 2;
      if (ids[at + half] < candidate.id) {
        at += half + 1;
        left -= half + 1;
      } else {
        left = half;
      }
    }
    if (at < ids.size() && ids[at] == candidate.id) change(at, candidate.logit);
  }
  std::erase_if(list_, [](const Candidate& c) { return !possible(c.logit); });
  changed();
}

}  // namespace cria
