// F2. What a generation may write: a grammar over the tokens of a vocabulary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "grammar/program.h"
#include "grammar/states.h"
#include "grammar/token_trie.h"

namespace cria::grammar {

/// A bit for each token.
class TokenMask {
 public:
  explicit TokenMask(size_t tokens) : words_((tokens + 63) / 64) {}
  void set(int32_t id) { words_[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64); }
  bool operator[](int32_t id) const {
    return words_[static_cast<size_t>(id) / 64] >> (id % 64) & 1;
  }

 private:
  std::vector<uint64_t> words_;
};

/// A program and its automaton, with masks of the tokens that may follow, found as they are asked
/// for and kept. It belongs to one thread at a time: what texts have led to is shared by all
/// matchers.
class Grammar {
 public:
  Grammar(Program program, std::shared_ptr<const TokenTrie> trie);

  const TokenTrie& trie() const { return *trie_; }

 private:
  friend class Matcher;

  /// How a text stands to its first token.
  enum class Place : uint8_t { kAnywhere, kAfterDroppedSpace };
  struct Kept {
    TokenMask mask;
    uint64_t used;  // when last
  };
  /// What is given up as a whole once it is full.
  struct Found {
    explicit Found(const Program& program) : states(program) {}
    States states;
    std::unordered_map<uint64_t, Kept> masks;  // by state and place
    uint64_t uses = 0;
  };

  const TokenMask& mask(Found& found, uint32_t state, Place place) const;
  TokenMask make_mask(States& states, uint32_t state, Place place) const;
  /// Adds the tokens of the nodes from `begin` to `end`, which hang at depth `depth`.
  void walk(States& states, uint32_t state, uint32_t begin, uint32_t end, uint32_t depth,
            TokenMask& mask) const;

  const Program program_;
  const std::shared_ptr<const TokenTrie> trie_;
  mutable std::shared_ptr<Found> found_;
  mutable std::vector<uint32_t> path_;  // [depth] the states of a walk
};

/// One text on its way through a grammar.
class Matcher {
 public:
  /// `drop_space`: one space that the first token begins with is no part of the text.
  explicit Matcher(std::shared_ptr<const Grammar> grammar, bool drop_space = false);

  /// The tokens that may come next; those that end a generation where the text may end here. Good
  /// until the next call. Throws kBadArgument where there are too many ways.
  const TokenMask& allowed();
  /// Takes a token that is allowed and ends nothing; gives what it adds to the text.
  std::string_view take(int32_t id);

  /// A place that the text has come to. Good for this matcher and copies of it, while `moves`
  /// stays.
  struct Mark {
    uint32_t state;
    bool drop_space;
  };
  Mark mark() const { return {state_, drop_space_}; }
  void go_back(Mark mark) {
    state_ = mark.state;
    drop_space_ = mark.drop_space;
  }
  /// How often `allowed` has moved to a new automaton, where marks of the old one mean nothing.
  uint32_t moves() const { return moves_; }

  /// Whether the text so far is whole.
  bool can_end() const { return found_->states.can_end(state_); }
  /// Whether it is, and nothing may follow.
  bool finished() const { return can_end() && !found_->states.can_go_on(state_); }

 private:
  /// Moves to what the grammar keeps now.
  void keep_up();

  std::shared_ptr<const Grammar> grammar_;
  std::shared_ptr<Grammar::Found> found_;
  uint32_t state_;
  uint32_t moves_ = 0;
  bool drop_space_;
};

/// How a grammar is written.
enum class Syntax : uint8_t { kGbnf, kRegex };

/// Compiles grammars for one vocabulary, from any thread.
class Compiler {
 public:
  explicit Compiler(std::shared_ptr<const text::Tokenizer> tokenizer)
      : tokenizer_(std::move(tokenizer)) {}

  /// Throws as `parse_gbnf` and `parse_regex` do. The first masks are made here.
  std::shared_ptr<const Grammar> compile(Syntax syntax, std::string_view text);

 private:
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  std::mutex mutex_;
  std::shared_ptr<const TokenTrie> trie_;  // made for the first grammar
};

}  // namespace cria::grammar
