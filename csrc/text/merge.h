// F1. The merging that both kinds of byte-pair encoding share: best pair first, in n log n.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace cria::text {

/// No symbol.
inline constexpr uint32_t kNoSymbol = UINT32_MAX;

/// A stretch of the text that is one unit so far.
struct Symbol {
  uint32_t at;     // first byte
  uint32_t bytes;  // 0: merged into the symbol to its left
  int32_t id;      // of the piece it is; what a symbol that is no merge has is the caller's choice
  uint32_t previous;
  uint32_t next;
};

/// What two neighbours would become. `id` below zero: nothing.
struct Joined {
  int32_t id;
  float score;
};

/// Symbols in a row, merged in order of score; of equal scores the leftmost pair first.
class Merger {
 public:
  void clear() { symbols_.clear(); }
  void add(uint32_t at, uint32_t bytes, int32_t id) {
    const auto index = static_cast<uint32_t>(symbols_.size());
    if (index > 0) symbols_.back().next = index;
    symbols_.push_back({at, bytes, id, index > 0 ? index - 1 : kNoSymbol, kNoSymbol});
  }

  /// Merges until no pair joins. `join(left, right)` gives the Joined of two neighbouring symbols.
  template <class Join>
  void merge(const Join& join) {
    for (uint32_t i = 0; i + 1 < symbols_.size(); ++i) queue_pair(i, join);
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), IsWorse());
      const Candidate best = heap_.back();
      heap_.pop_back();
      // Symbols only ever grow, or vanish into their left neighbour. So if the pair's length is
      // still that of the candidate, it is still the pair it was.
      Symbol& left = symbols_[best.left];
      if (left.bytes == 0 || left.next == kNoSymbol) continue;
      Symbol& right = symbols_[left.next];
      if (left.bytes + right.bytes != best.bytes) continue;
      left.bytes = best.bytes;
      left.id = best.id;
      right.bytes = 0;
      left.next = right.next;
      if (left.next != kNoSymbol) symbols_[left.next].previous = best.left;
      if (left.previous != kNoSymbol) queue_pair(left.previous, join);
      queue_pair(best.left, join);
    }
  }

  /// Calls `visit` with each symbol that is left, in order.
  template <class Visit>
  void for_each(const Visit& visit) const {
    // The first symbol never vanishes: it has no left neighbour.
    for (uint32_t i = symbols_.empty() ? kNoSymbol : 0; i != kNoSymbol; i = symbols_[i].next)
      visit(symbols_[i]);
  }

  size_t size() const { return symbols_.size(); }
  /// How many pairs were queued since the object was made.
  size_t queued() const { return queued_; }

 private:
  struct Candidate {
    float score;
    uint32_t left;   // symbol
    uint32_t bytes;  // of the pair together; differs from theirs once either has changed
    int32_t id;      // of the piece they would be
  };

  // An object, not a function: the heap's loops then hold its body instead of a call.
  struct IsWorse {
    bool operator()(const Candidate& a, const Candidate& b) const {
      return a.score != b.score ? a.score < b.score : a.left > b.left;
    }
  };

  template <class Join>
  void queue_pair(uint32_t left, const Join& join) {
    const Symbol& first = symbols_[left];
    if (first.next == kNoSymbol) return;
    const Symbol& second = symbols_[first.next];
    const Joined joined = join(first, second);
    if (joined.id < 0) return;
    heap_.push_back({joined.score, left, first.bytes + second.bytes, joined.id});
    std::push_heap(heap_.begin(), heap_.end(), IsWorse());
    ++queued_;
  }

  std::vector<Symbol> symbols_;
  std::vector<Candidate> heap_;
  size_t queued_ = 0;
};

}  // namespace cria::text
