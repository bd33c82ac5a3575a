// F5. Holds one request's text to its grammar.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "grammar/grammar.h"

namespace cria {

/// Its state is a function of the tokens taken, so a request that is sent back and computed again
/// goes on where it was.
class Constraint {
 public:
  /// `trim_start`: an answer in a chat, where the first word comes with a space that is dropped.
  Constraint(std::shared_ptr<const grammar::Grammar> grammar, bool trim_start)
      : grammar_(std::move(grammar)), trim_start_(trim_start), matcher_(grammar_, trim_start) {}

  /// Makes −∞ of the logits of all tokens that may not come next. Throws kBadArgument where none
  /// may, or where the text can be read in too many ways to tell.
  void mask(std::span<float> logits);
  /// Takes the token that was drawn; gives the bytes that it adds to the text.
  std::string_view take(int32_t id);
  /// Tokens were taken back: these are all that were drawn. Takes time for those taken back alone,
  /// but where the grammar has moved to a new automaton since, which it does after thousands of
  /// states.
  void rewind(std::span<const int32_t> drawn);
  /// Whether the text is whole.
  bool complete() const { return matcher_.can_end(); }
  /// Whether it is, and nothing may follow.
  bool finished() const { return matcher_.finished(); }

 private:
  std::shared_ptr<const grammar::Grammar> grammar_;
  bool trim_start_;
  grammar::Matcher matcher_;
  size_t taken_ = 0;
  std::vector<grammar::Matcher::Mark> marks_;  // before each of the last tokens
};

}  // namespace cria
