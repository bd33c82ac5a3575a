// F2. The text of a grammar, read from front to back, and errors that say where in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace cria::grammar {

/// No grammar is longer, in bytes: what compiling it takes stays within a tenth of a second.
inline constexpr size_t kMaxTextBytes = size_t{1} << 20;

class Source {
 public:
  /// `what` names the text in errors: "grammar". Throws kBadArgument where the text is too long or
  /// is no UTF-8.
  Source(const char* what, std::string_view text);

  size_t at() const { return at_; }
  size_t bytes() const { return text_.size(); }
  bool done() const { return at_ == text_.size(); }
  /// The next byte; 0 at the end. A NUL in the text is a character like others: see `done`.
  char peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool starts_with(std::string_view part) const { return text_.substr(at_).starts_with(part); }
  std::string_view since(size_t begin) const { return text_.substr(begin, at_ - begin); }

  void skip(size_t bytes = 1) { at_ += bytes; }
  /// Takes `part` if it comes next.
  bool take(std::string_view part);
  /// The next code point. Not at the end.
  uint32_t take_code();
  /// A whole number in decimal that comes next; beyond `most` it is refused.
  uint32_t take_number(uint32_t most);
  bool at_digit() const { return peek() >= '0' && peek() <= '9'; }
  /// Exactly `digits` hexadecimal digits; refused where they spell no code point.
  uint32_t take_hex(int digits);

  /// Throws kBadArgument: where, what was expected, and what comes there.
  [[noreturn]] void refuse(size_t at, std::string_view expected) const;
  [[noreturn]] void refuse(std::string_view expected) const { refuse(at_, expected); }
  /// Throws kBadArgument: where, and what is wrong there.
  [[noreturn]] void complain(size_t at, std::string_view complaint) const;
  /// "line 2, column 7"; columns count code points.
  std::string place(size_t at) const;

 private:
  const char* what_;
  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace cria::grammar
