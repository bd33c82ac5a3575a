// F2. The automaton of a program: a pushdown automaton on all its ways at once, made deterministic
// as far as texts lead.
//
// A way through the program is the node whose byte comes next and the stack of nodes to return to.
// A state is the set of all ways that a text may have taken. Stacks are linked lists that share
// their ends; equal stacks are one number, and so are equal states, so that the edge of a state by
// a byte is found once and then looked up:
//
//   state 7 = { (node 12, stack 3), (node 40, stack 0) }     stack 3 = (return to 9) ─▶ stack 1 ─▶
//   0
//       │ '"'                                                                             empty: 0
//       ▼
//   state 8 = { (node 13, stack 3) }
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "grammar/id_table.h"
#include "grammar/program.h"

namespace cria::grammar {

/// The state that nothing leads out of.
inline constexpr uint32_t kRefused = 0;

/// What may be done for one token, in steps: a way looked at is one. Some tens of milliseconds,
/// hundreds of times what it usually takes.
inline constexpr size_t kMaxWork = size_t{1} << 22;
/// A state has no more ways. Beyond it: kBadArgument.
inline constexpr size_t kMaxWays = size_t{1} << 14;

class States {
 public:
  /// `program` outlives it.
  explicit States(const Program& program);

  uint32_t initial() const { return initial_; }
  /// Where a byte leads; kRefused where no way takes it. Throws kBadArgument beyond kMaxWays, and
  /// where the work allowed is used up.
  uint32_t step(uint32_t state, uint8_t byte) {
    const size_t edge = state * program_.groups + program_.group_of[byte];
    return edges_[edge] != kNone ? edges_[edge] : make_edge(state, program_.group_of[byte]);
  }
  /// Whether the text that led there belongs to the grammar.
  bool can_end(uint32_t state) const { return states_[state].can_end; }
  /// Whether some byte may follow.
  bool can_go_on(uint32_t state) const { return states_[state].ways > 0; }

  /// How much may be done before `step` throws, from now on, in steps.
  void allow_work(size_t steps) { work_ = allowed_ = steps; }
  /// How much of it is left.
  size_t work_left() const { return work_; }
  /// Whether so much is kept that it is time for a new one.
  bool full() const;
  /// The state of `other`, an automaton of the same program, as one of this.
  uint32_t import(const States& other, uint32_t state);

 private:
  /// A place in the program, and the stack to return to.
  struct Way {
    uint32_t node;
    uint32_t stack;
    friend bool operator==(const Way&, const Way&) = default;
    friend auto operator<=>(const Way&, const Way&) = default;
  };
  struct State {
    size_t first_way;
    size_t ways;
    bool can_end;
  };
  struct Frame {
    uint32_t node;    // to return to
    uint32_t parent;  // the stack below
  };

  std::span<const Way> ways(uint32_t state) const {
    return std::span(ways_).subspan(states_[state].first_way, states_[state].ways);
  }
  void spend(size_t steps);
  uint32_t make_edge(uint32_t state, uint8_t group);
  uint32_t push(uint32_t node, uint32_t parent);
  void begin();
  void follow(Way way);
  void follow_one(Way way);
  uint32_t keep();

  const Program& program_;
  std::vector<Frame> frames_;  // [stack]; 0 is the empty one
  IdTable frame_ids_;
  std::vector<State> states_;
  std::vector<Way> ways_;        // of all states, one after the other
  std::vector<uint32_t> edges_;  // [state × group]; kNone: not looked for yet
  IdTable state_ids_;
  uint32_t initial_ = 0;
  size_t allowed_ = kMaxWork;
  size_t work_ = kMaxWork;

  // The state that is being made:
  std::vector<Way> made_;
  bool made_can_end_ = false;
  SeenSet seen_;
  std::vector<Way> to_follow_;
};

}  // namespace cria::grammar
