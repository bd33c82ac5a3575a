#include "grammar/builder.h"

#include <algorithm>

namespace cria::grammar {

void Builder::spend(size_t steps) {
  program_.work += steps;
  if (program_.work > kMaxCompileWork)
    source_.complain(source_.at(),
                     cat("up to here it takes more than ", kMaxCompileWork,
                         " steps of work to compile; expected fewer classes and rules, or smaller "
                         "repetitions"));
}

uint32_t Builder::add(Node node) {
  spend(kNodeWork);
  if (program_.nodes.size() == kMaxNodes)
    source_.complain(source_.at(),
                     cat("up to here it takes more than ", kMaxNodes,
                         " states; expected a smaller grammar, or smaller repetitions"));
  program_.nodes.push_back(node);
  return static_cast<uint32_t>(program_.nodes.size() - 1);
}

uint32_t Builder::set_of(const ByteSet& set) {
  const auto [at, added] = set_ids_.try_emplace(set, static_cast<uint32_t>(sets_.size()));
  if (added) sets_.push_back(set);
  if (sets_.size() > kMaxSets)
    source_.complain(source_.at(), cat("up to here it has more than ", kMaxSets,
                                       " different sets of bytes; expected fewer classes"));
  return at->second;
}

Part Builder::empty() {
  const uint32_t jump = add({});
  return {jump, jump};
}

Part Builder::bytes(const ByteSet& set) {
  const uint32_t end = add({});
  return {add({Op::kBytes, set_of(set), end}), end};
}

Part Builder::text(std::string_view bytes) {
  const uint32_t end = add({});
  uint32_t next = end;
  for (size_t i = bytes.size(); i-- > 0;) {
    ByteSet set;
    set.set(static_cast<uint8_t>(bytes[i]));
    next = add({Op::kBytes, set_of(set), next});
  }
  return {next, end};
}

// Sequences of bytes share their ends: of all characters, 12 nodes are left.
//
//   [C2-DF] ──────────────────────▶ [80-BF] ──▶ end
//   [E1-EC EE EF] ──▶ [80-BF] ─────────┘
//   [E0] ──▶ [A0-BF] ──────────────────┘ …
Part Builder::character(const CharSet& set) {
  spend(range_work(set.size()));
  const std::vector<CodeRange> ranges = set.ranges();
  if (ranges.back().last <= 0x7F) {
    ByteSet one;
    for (const auto [first, last] : ranges)
      for (size_t byte = first; byte <= last; ++byte) one.set(byte);
    return bytes(one);
  }
  const uint32_t end = add({});
  std::unordered_map<uint64_t, uint32_t> tails;     // by the range and the node after it
  std::vector<std::pair<uint32_t, ByteSet>> heads;  // by the node after them
  std::unordered_map<uint32_t, size_t> head_of;
  const auto take = [&](std::span<const ByteRange> sequence) {
    spend(kSequenceWork);
    uint32_t next = end;
    for (size_t i = sequence.size() - 1; i > 0; --i) {
      const auto [first, last] = sequence[i];
      const uint64_t key = uint64_t{next} << 16 | uint64_t{first} << 8 | last;
      const auto [at, added] = tails.try_emplace(key, 0);
      if (added) {
        ByteSet tail;
        for (size_t byte = first; byte <= last; ++byte) tail.set(byte);
        at->second = add({Op::kBytes, set_of(tail), next});
      }
      next = at->second;
    }
    const auto [at, added] = head_of.try_emplace(next, heads.size());
    if (added) heads.emplace_back(next, ByteSet());
    for (size_t byte = sequence[0].first; byte <= sequence[0].last; ++byte)
      heads[at->second].second.set(byte);
  };
  for (const CodeRange& range : ranges) for_each_utf8(range, take);

  uint32_t start = add({Op::kBytes, set_of(heads[0].second), heads[0].first});
  for (size_t i = 1; i < heads.size(); ++i) {
    const uint32_t head = add({Op::kBytes, set_of(heads[i].second), heads[i].first});
    start = add({Op::kSplit, start, head});
  }
  return {start, end};
}

Part Builder::call(uint32_t rule) {
  const uint32_t end = add({});
  return {add({Op::kCall, rule, end}), end};
}

Part Builder::join(Part first, Part second) {
  program_.nodes[first.end].next = second.start;
  return {first.start, second.end};
}

Part Builder::either(std::span<const Part> branches) {
  if (branches.size() == 1) return branches[0];
  const uint32_t end = add({});
  uint32_t start = branches[0].start;
  program_.nodes[branches[0].end].next = end;
  for (const Part& branch : branches.subspan(1)) {
    program_.nodes[branch.end].next = end;
    start = add({Op::kSplit, start, branch.start});
  }
  return {start, end};
}

Part Builder::optional(Part part) {
  return {add({Op::kSplit, part.end, part.start}), part.end};
}

Part Builder::loop(Part part) {
  const uint32_t end = add({});
  program_.nodes[part.end].next = add({Op::kSplit, end, part.start});
  return {part.start, end};
}

Part Builder::repeat(Part part, uint32_t least, uint32_t most) {
  if (most == 0) return empty();
  if (most == 1) return least == 0 ? optional(part) : part;
  if (most == kNoMost && least == 0) return optional(loop(part));
  if (most == kNoMost && least == 1) return loop(part);
  return copies(part, least, most);
}

// What is more than one node becomes a rule, so that n copies cost n calls whatever they copy:
//
//   x{2,4}     x ──▶ x ──▶ kSplit ──▶ x ──▶ kSplit ──▶ x ──▶ end
//                            └───────────────┴────────────────┘
Part Builder::copies(Part part, uint32_t least, uint32_t most) {
  const Node only = program_.nodes[part.start];
  const bool single = only.op == Op::kBytes && only.next == part.end;
  uint32_t rule = 0;
  if (!single) {
    rule = add_rule("a repeated part", source_.at());
    define(rule, part);
  }
  const auto copy = [&] {
    if (!single) return call(rule);
    const uint32_t end = add({});
    return Part{add({Op::kBytes, only.arg, end}), end};
  };
  Part all = empty();
  const uint32_t plain = most == kNoMost ? least - 1 : least;
  for (uint32_t i = 0; i < plain; ++i) all = join(all, copy());
  if (most == kNoMost) return join(all, loop(copy()));
  const uint32_t end = add({});
  for (uint32_t i = least; i < most; ++i) {
    const Part one = copy();
    program_.nodes[all.end].next = add({Op::kSplit, end, one.start});
    all.end = one.end;
  }
  program_.nodes[all.end].next = end;
  return {all.start, end};
}

uint32_t Builder::add_rule(std::string name, size_t seen_at) {
  spend(kRuleWork);
  rules_.push_back({std::move(name), seen_at});
  return static_cast<uint32_t>(rules_.size() - 1);
}

void Builder::define(uint32_t rule, Part body) {
  rules_[rule].start = body.start;
  program_.nodes[body.end].next = add({Op::kReturn, 0, 0});
}

Program Builder::finish() {
  skip_jumps();
  refuse_left_recursion();
  kill_endless();
  group_bytes();
  return std::move(program_);
}

/// Leads every edge past the jumps. There is no circle of jumps alone, for a loop has a kSplit;
/// what is repeated no times at all still ends with a jump to nowhere.
void Builder::skip_jumps() {
  std::vector<Node>& nodes = program_.nodes;
  std::vector<uint32_t> passed;
  const auto target = [&](uint32_t node) {
    passed.clear();
    for (; nodes[node].op == Op::kJump && nodes[node].next != UINT32_MAX; node = nodes[node].next)
      passed.push_back(node);
    for (const uint32_t jump : passed) nodes[jump].next = node;  // the next who comes saves the way
    return node;
  };
  for (Node& node : nodes) {
    if (node.op == Op::kReturn || node.op == Op::kJump) continue;
    node.next = target(node.next);
    if (node.op == Op::kSplit) node.arg = target(node.arg);
  }
  for (const Rule& rule : rules_) program_.starts.push_back(target(rule.start));
}

// Every node belongs to one rule, so one pass visits each at most once: a way that comes to the
// call of a rule waits there until that rule is known to have an empty text.
std::vector<std::vector<uint32_t>> Builder::first_calls() const {
  struct Place {
    uint32_t rule, node;
  };
  const size_t rules = program_.starts.size();
  std::vector<std::vector<uint32_t>> calls(rules);
  std::vector<std::vector<Place>> waiting(rules);
  std::vector<bool> seen(program_.nodes.size()), nullable(rules);
  std::vector<Place> ways;
  for (uint32_t rule = 0; rule < rules; ++rule) ways.push_back({rule, program_.starts[rule]});
  while (!ways.empty()) {
    const auto [rule, at] = ways.back();
    ways.pop_back();
    if (seen[at]) continue;
    seen[at] = true;
    const Node& node = program_.nodes[at];
    if (node.op == Op::kSplit) {
      ways.push_back({rule, node.next});
      ways.push_back({rule, node.arg});
    } else if (node.op == Op::kCall) {
      calls[rule].push_back(node.arg);
      if (nullable[node.arg])
        ways.push_back({rule, node.next});
      else
        waiting[node.arg].push_back({rule, node.next});
    } else if (node.op == Op::kReturn && !nullable[rule]) {
      nullable[rule] = true;
      ways.insert(ways.end(), waiting[rule].begin(), waiting[rule].end());
    }
  }
  return calls;
}

void Builder::refuse_left_recursion() const {
  const std::vector<std::vector<uint32_t>> calls = first_calls();
  struct Step {
    uint32_t rule;
    size_t next_call;
  };
  enum class Mark : uint8_t { kNew, kOpen, kDone };
  std::vector<Mark> marks(calls.size(), Mark::kNew);
  std::vector<Step> path;
  const auto refuse = [&](uint32_t again) {
    std::string way = rules_[again].name;
    auto at = path.begin();
    while (at->rule != again) ++at;
    for (size_t shown = 0; ++at != path.end(); ++shown) {
      if (shown == 4) {
        way += cat(" → … ", path.end() - at, " more");
        break;
      }
      way += " → " + rules_[at->rule].name;
    }
    source_.complain(rules_[again].seen_at,
                     cat("rule ", rules_[again].name, " begins with itself (left recursion: ", way,
                         " → ", rules_[again].name, "); expected a rule that takes a character ",
                         "first: write \"x ::= y (op y)*\" instead of \"x ::= x op y | y\""));
  };
  for (uint32_t root = 0; root < calls.size(); ++root) {
    if (marks[root] != Mark::kNew) continue;
    marks[root] = Mark::kOpen;
    path.push_back({root, 0});
    while (!path.empty()) {
      Step& step = path.back();
      if (step.next_call == calls[step.rule].size()) {
        marks[step.rule] = Mark::kDone;
        path.pop_back();
        continue;
      }
      const uint32_t called = calls[step.rule][step.next_call++];
      if (marks[called] == Mark::kOpen) refuse(called);
      if (marks[called] == Mark::kDone) continue;
      marks[called] = Mark::kOpen;
      path.push_back({called, 0});
    }
  }
}

/// Marks what leads to no end as kDead, so that no text begins what it can never finish. Backwards
/// from the ends; a call is alive once its rule and what follows both are.
void Builder::kill_endless() {
  std::vector<Node>& nodes = program_.nodes;
  const size_t count = nodes.size();
  // Edges backwards: who waits for a node. A call waits for its rule's start, too.
  std::vector<uint32_t> first(count, UINT32_MAX);
  struct Edge {
    uint32_t from, next;
  };
  std::vector<Edge> edges;
  edges.reserve(2 * count);
  const auto wait = [&](uint32_t from, uint32_t on) {
    edges.push_back({from, first[on]});
    first[on] = static_cast<uint32_t>(edges.size() - 1);
  };
  std::vector<uint32_t> ways;
  std::vector<uint8_t> wanted(count, 1);  // how many of its targets must be alive
  for (uint32_t at = 0; at < count; ++at) {
    const Node& node = nodes[at];
    if (node.op == Op::kReturn) ways.push_back(at);
    if (node.op == Op::kReturn || node.op == Op::kJump) continue;
    wait(at, node.next);
    if (node.op == Op::kSplit) wait(at, node.arg);
    if (node.op != Op::kCall) continue;
    wanted[at] = 2;
    wait(at, program_.starts[node.arg]);
  }
  std::vector<bool> alive(count);
  for (const uint32_t end : ways) alive[end] = true;
  while (!ways.empty()) {
    const uint32_t at = ways.back();
    ways.pop_back();
    for (uint32_t edge = first[at]; edge != UINT32_MAX; edge = edges[edge].next) {
      const uint32_t from = edges[edge].from;
      if (alive[from] || --wanted[from] > 0) continue;
      alive[from] = true;
      ways.push_back(from);
    }
  }
  if (!alive[program_.starts[0]])
    source_.complain(rules_[0].seen_at,
                     "no text ever ends by this grammar; expected a way out of its recursion");
  for (uint32_t at = 0; at < count; ++at)
    if (!alive[at]) nodes[at] = {Op::kDead, 0, 0};
}

/// Bytes that are in the same sets are told apart by nothing: an automaton needs one edge for all.
void Builder::group_bytes() {
  Program& p = program_;
  for (const ByteSet& set : sets_) {
    if (p.groups == 256) break;
    std::array<int, 256> inside;  // the new group of those of a group that are in the set
    inside.fill(-1);
    std::array<size_t, 256> members{}, common{};
    for (size_t byte = 0; byte < 256; ++byte) {
      ++members[p.group_of[byte]];
      common[p.group_of[byte]] += set[byte];
    }
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint8_t group = p.group_of[byte];
      if (!set[byte] || common[group] == members[group]) continue;
      if (inside[group] < 0) inside[group] = static_cast<int>(p.groups++);
      p.group_of[byte] = static_cast<uint8_t>(inside[group]);
    }
  }
  p.set_groups.resize(sets_.size());
  for (size_t i = 0; i < sets_.size(); ++i)
    for (size_t byte = 0; byte < 256; ++byte)
      if (sets_[i][byte]) p.set_groups[i].set(p.group_of[byte]);
}

}  // namespace cria::grammar
