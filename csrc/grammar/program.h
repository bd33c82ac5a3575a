// F2. A grammar as a program: a recursive network over bytes, what GBNF and regexes both become.
//
// Each rule is a graph of nodes between its start and a kReturn. A text belongs to the grammar
// where some way through rule 0 spells it:
//
//   root ::= "a" item* "b"         kBytes a ──▶ kSplit ──▶ kCall item ─┐
//                                                 ▲ │                  │
//                                                 └─┼──────────────────┘
//                                                   └────▶ kBytes b ──▶ kReturn
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace cria::grammar {

using ByteSet = std::bitset<256>;

enum class Op : uint8_t {
  kBytes,   // one byte of set `arg`, then `next`
  kCall,    // a text of rule `arg`, then `next`
  kSplit,   // `next` or `arg`
  kJump,    // `next`; none is left in a finished program
  kReturn,  // the rule's end
  kDead,    // no way from here ends
};

struct Node {
  Op op = Op::kJump;
  uint32_t arg = 0;
  uint32_t next = UINT32_MAX;  // of a kJump that was never led on
};

/// Made by `parse_gbnf` and `parse_regex`, and constant from then on.
struct Program {
  std::vector<Node> nodes;
  std::vector<uint32_t> starts;         // [rule]; 0 is the root
  std::vector<ByteSet> set_groups;      // [set]: the byte groups in it
  std::array<uint8_t, 256> group_of{};  // bytes that no set tells apart are one group
  size_t groups = 1;
  size_t work = 0;  // that making it took, in steps; see kMaxCompileWork
};

// What a program may be. Beyond it: kBadArgument.
inline constexpr size_t kMaxNodes = size_t{1} << 19;
inline constexpr size_t kMaxSets = 4096;          // of bytes, that differ
inline constexpr size_t kMaxNesting = 10'000;     // of groups
inline constexpr uint32_t kMaxRepeats = 100'000;  // of {m,n}
/// What making a program may take, in steps of some nanoseconds each. They are counted, not timed:
/// the same text is refused everywhere, or nowhere. See `Builder::spend`.
inline constexpr size_t kMaxCompileWork = size_t{1} << 23;

/// GBNF as llama.cpp defines it, but for token references (`<[123]>`), which are refused. Throws
/// kBadArgument with line and column for what is no grammar, left recursion, an undefined rule, a
/// grammar that no text ends, and one beyond the limits above.
Program parse_gbnf(std::string_view text);

/// A regular expression of JavaScript's Unicode mode that the whole text must match, without
/// assertions other than `^` and `$` at its ends, back references and properties. Throws
/// kBadArgument with the position of what is refused.
Program parse_regex(std::string_view text);

}  // namespace cria::grammar
