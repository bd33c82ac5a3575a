// F5. From drawn tokens to the text a caller sees: whole code points only, cut at stop strings, and
// never a banned one.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace cria {

/// With texts `stop` and `banned`, and "xyz" banned:
///
///   a b c x y        given out: "abc"     held: "xy", which may be the beginning of "xyz"
///   a b c x y z      the tokens of x, y and z are taken back
///
/// What is before it is certain only where no banned text begins with the end of that, for other
/// tokens may follow then: with "aab" banned, "aaa" is held as a whole.
///
/// Tokens are given out and taken back whole: where a banned text may have begun inside a token,
/// all of that token is held.
class TextStream {
 public:
  /// All three outlive the object and its copies.
  TextStream(const text::Tokenizer& tokenizer, const std::vector<std::string>& stop,
             const std::vector<std::string>& banned, bool trim_start)
      : tokenizer_(&tokenizer), stop_(&stop), banned_(&banned), trimming_(trim_start) {}

  struct Pushed {
    bool stopped = false;   // a stop string is complete: the text ends before it
    size_t taken_back = 0;  // a banned one is: the last so many tokens never were
  };
  /// Adds a token. Text that is certain is appended to `out`: what could still be the beginning of
  /// a stop string or a banned one is held back.
  Pushed push(int32_t token, std::string& out) { return push(tokenizer_->bytes_of(token), out); }
  /// Likewise with the bytes that a token adds.
  Pushed push(std::string_view bytes, std::string& out);
  /// The generation ended without a stop string: appends what was held.
  void flush(std::string& out);

  /// The last tokens, so many, may still be taken back.
  size_t held_tokens() const { return tokens_.size(); }

 private:
  /// How things stood before a token that may be taken back.
  struct Before {
    size_t held;  // bytes
    bool trimming;
    text::Utf8Stream utf8;
  };

  size_t first_stop() const;
  size_t take_back_banned(size_t end);
  size_t first_token_of(size_t at) const;
  size_t first_uncertain() const;
  static size_t beginnings(std::string_view text, const std::vector<std::string>& texts);
  void give_out(size_t bytes, std::string& out);
  void drop(size_t bytes);
  void trim();

  const text::Tokenizer* tokenizer_;
  const std::vector<std::string>* stop_;
  const std::vector<std::string>* banned_;
  bool trimming_;
  text::Utf8Stream utf8_;
  std::string held_;
  std::deque<Before> tokens_;  // of `held_`, where texts are banned
};

}  // namespace cria
