#include "grammar/states.h"

#include <algorithm>

#include "base/error.h"

namespace cria::grammar {
namespace {

// About 16 MB in all, at most; ordinary grammars keep far below.
constexpr size_t kFullStates = 8192;
constexpr size_t kFullEdges = size_t{1} << 20;
constexpr size_t kFullWays = size_t{1} << 19;
// Following a way costs as much time as looking at so many.
constexpr size_t kFollowWork = 16;
// … and a new state one for each pair of its edges, so that the memory they take has an end, too.
constexpr size_t kEdgesPerStep = 2;
constexpr size_t kFullFrames = size_t{1} << 17;

constexpr const char* kRemedy =
    "repetitions inside of repetitions, and branches that begin alike, multiply them";

[[noreturn]] void refuse_ways() {
  fail(
      ErrorCode::kBadArgument,
      "the grammar is too ambiguous: the text so far, or with a token that may follow, can be read "
      "in more than ",
      kMaxWays, " ways at once; expected a grammar with fewer: ", kRemedy);
}

uint64_t word_of(uint32_t node, uint32_t stack) {
  return uint64_t{node} << 32 | stack;
}

}  // namespace

void States::spend(size_t steps) {
  if (work_ < steps)
    fail(ErrorCode::kBadArgument,
         "the grammar is too ambiguous or too large: which tokens may follow takes more than ",
         allowed_,
         " steps of work to find; expected a smaller grammar, or one with fewer ways at once: ",
         kRemedy);
  work_ -= steps;
}

States::States(const Program& program) : program_(program) {
  frames_.push_back({kNone, kNone});
  begin();
  keep();  // kRefused, which has no way
  begin();
  follow({program.starts[0], 0});
  initial_ = keep();
}

bool States::full() const {
  return states_.size() > kFullStates || edges_.size() > kFullEdges || ways_.size() > kFullWays ||
         frames_.size() > kFullFrames;
}

uint32_t States::make_edge(uint32_t state, uint8_t group) {
  begin();
  const State from = states_[state];
  spend(from.ways);
  for (size_t i = from.first_way; i < from.first_way + from.ways; ++i) {
    const Node& node = program_.nodes[ways_[i].node];
    if (program_.set_groups[node.arg][group]) follow({node.next, ways_[i].stack});
  }
  const uint32_t target = keep();
  return edges_[state * program_.groups + group] = target;
}

uint32_t States::push(uint32_t node, uint32_t parent) {
  const uint64_t hash = scramble(word_of(node, parent));
  const uint32_t known = frame_ids_.find(
      hash, [&](uint32_t id) { return frames_[id].node == node && frames_[id].parent == parent; });
  if (known != kNone) return known;
  frames_.push_back({node, parent});
  const auto id = static_cast<uint32_t>(frames_.size() - 1);
  frame_ids_.insert(hash, id);
  return id;
}

void States::begin() {
  made_.clear();
  made_can_end_ = false;
  seen_.clear();
  to_follow_.clear();  // an error may have left some
}

/// Adds to the state being made all ways from here to the next byte.
void States::follow(Way way) {
  to_follow_.push_back(way);
  while (!to_follow_.empty()) {
    const Way next = to_follow_.back();
    to_follow_.pop_back();
    spend(kFollowWork);
    if (seen_.add(word_of(next.node, next.stack))) follow_one(next);
  }
}

void States::follow_one(Way way) {
  const Node& node = program_.nodes[way.node];
  switch (node.op) {
    case Op::kBytes:
      if (made_.size() == kMaxWays) refuse_ways();
      made_.push_back(way);
      break;
    case Op::kSplit:
      to_follow_.push_back({node.next, way.stack});
      to_follow_.push_back({node.arg, way.stack});
      break;
    case Op::kCall: {
      // A call that its rule ends with leaves nothing to return to: lists that are written as rules
      // that end with themselves take no stack, and come back to the same states.
      const bool last = program_.nodes[node.next].op == Op::kReturn;
      to_follow_.push_back(
          {program_.starts[node.arg], last ? way.stack : push(node.next, way.stack)});
      break;
    }
    case Op::kReturn:
      if (way.stack == 0)
        made_can_end_ = true;
      else
        to_follow_.push_back({frames_[way.stack].node, frames_[way.stack].parent});
      break;
    case Op::kJump:
    case Op::kDead:
      break;
  }
}

/// The number of the state that was made: a new one, or that of an equal one.
uint32_t States::keep() {
  std::ranges::sort(made_);
  uint64_t hash = made_can_end_;
  for (const Way& way : made_) hash = scramble(hash ^ word_of(way.node, way.stack)) + 1;
  const uint32_t known = state_ids_.find(hash, [&](uint32_t id) {
    return states_[id].can_end == made_can_end_ && std::ranges::equal(ways(id), made_);
  });
  if (known != kNone) return known;
  spend(program_.groups / kEdgesPerStep);
  states_.push_back({ways_.size(), made_.size(), made_can_end_});
  ways_.insert(ways_.end(), made_.begin(), made_.end());
  edges_.resize(states_.size() * program_.groups, kNone);
  const auto id = static_cast<uint32_t>(states_.size() - 1);
  state_ids_.insert(hash, id);
  return id;
}

uint32_t States::import(const States& other, uint32_t state) {
  begin();
  std::vector<uint32_t> imported(other.frames_.size(), kNone), chain;
  imported[0] = 0;
  for (const Way& way : other.ways(state)) {
    chain.clear();
    for (uint32_t at = way.stack; imported[at] == kNone; at = other.frames_[at].parent)
      chain.push_back(at);
    while (!chain.empty()) {
      const Frame& frame = other.frames_[chain.back()];
      imported[chain.back()] = push(frame.node, imported[frame.parent]);
      chain.pop_back();
    }
    made_.push_back({way.node, imported[way.stack]});
  }
  made_can_end_ = other.can_end(state);
  return keep();
}

}  // namespace cria::grammar
