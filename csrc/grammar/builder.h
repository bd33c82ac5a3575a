// F2. Puts a program together from the parts of expressions (Thompson 1968), and finishes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "grammar/char_set.h"
#include "grammar/program.h"
#include "grammar/source.h"

namespace cria::grammar {

/// A piece of a graph: it begins at node `start`, and `end` is a kJump that leads nowhere yet.
struct Part {
  uint32_t start;
  uint32_t end;
};

inline constexpr uint32_t kNoMost = UINT32_MAX;

class Builder {
 public:
  /// `source` outlives it: its errors say where the source is read. Its bytes are the first steps
  /// of the work that is counted.
  explicit Builder(const Source& source) : source_(source) { spend(source.bytes()); }

  /// Counts steps; throws kBadArgument with the place in the source where they are more than
  /// kMaxCompileWork in all. What parts take is counted already; what sets of
  /// characters take until they come here is not.
  void spend(size_t steps);
  /// The steps of adding so many ranges to a set of characters.
  static size_t range_work(size_t ranges) { return kRangeWork * ranges; }

  // A part is used up by being made part of another.

  Part empty();
  /// Bytes, one after the other; at least one.
  Part text(std::string_view bytes);
  /// One character of the set, which is not empty.
  Part character(const CharSet& set);
  Part call(uint32_t rule);
  Part join(Part first, Part second);
  Part either(std::span<const Part> branches);  // at least one
  /// From `least` to `most` times; most ≥ least, or kNoMost.
  Part repeat(Part part, uint32_t least, uint32_t most);

  /// A rule to be defined later; the name and place of where it is seen are for errors.
  uint32_t add_rule(std::string name, size_t seen_at);
  void define(uint32_t rule, Part body);

  /// The program, checked. Rule 0 is the root.
  Program finish();

 private:
  // Steps that it takes, with all passes of `finish`.
  static constexpr size_t kNodeWork = 4, kRuleWork = 16, kRangeWork = 4, kSequenceWork = 8;

  struct Rule {
    std::string name;
    size_t seen_at;
    uint32_t start = 0;
  };

  uint32_t add(Node node);
  uint32_t set_of(const ByteSet& set);
  Part bytes(const ByteSet& set);
  Part optional(Part part);
  Part loop(Part part);  // once or more
  Part copies(Part part, uint32_t least, uint32_t most);

  // The steps of `finish`, in order.
  void skip_jumps();
  void refuse_left_recursion() const;
  void kill_endless();
  void group_bytes();

  /// For each rule those that it may begin with, before any byte.
  std::vector<std::vector<uint32_t>> first_calls() const;

  const Source& source_;
  Program program_;
  std::vector<Rule> rules_;
  std::vector<ByteSet> sets_;
  std::unordered_map<ByteSet, uint32_t> set_ids_;
};

}  // namespace cria::grammar
