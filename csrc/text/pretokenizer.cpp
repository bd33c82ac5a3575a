// F1. How Llama 3 cuts a text into words: its pattern, alternative by alternative, without a
// regular expression engine. Linear: no alternative looks beyond what it takes by more than one
// code point, but for the spaces after a run's last line end, which are looked at twice.
#include "text/pretokenizer.h"

#include <cstdint>

#include "text/unicode.h"
#include "text/utf8.h"

namespace cria::text {
namespace {

// A code point (or a stray byte) of the text and its class.
struct Char {
  size_t bytes;  // 0: the end of the text
  uint32_t code;
  CodeClass type;

  bool is_letter() const { return bytes > 0 && type == CodeClass::kLetter; }
  bool is_number() const { return bytes > 0 && type == CodeClass::kNumber; }
  bool is_space() const { return bytes > 0 && type == CodeClass::kSpace; }
  bool is_other() const { return bytes > 0 && type == CodeClass::kOther; }
  bool is_line_end() const { return bytes > 0 && (code == '\r' || code == '\n'); }
};

Char char_at(std::string_view text, size_t at) {
  if (at >= text.size()) return {0, 0, CodeClass::kOther};
  const Utf8Sequence sequence = read_utf8(text.substr(at));
  if (sequence.state != Utf8State::kWhole) return {1, 0xFFFD, CodeClass::kOther};
  return {sequence.bytes, sequence.code, class_of(sequence.code)};
}

// The end of the run of characters from `at` on that are `in`.
template <class In>
size_t run_end(std::string_view text, size_t at, const In& in) {
  for (Char c = char_at(text, at); in(c); c = char_at(text, at)) at += c.bytes;
  return at;
}

// As Unicode folds case for (?i): 's' is also U+017F, the long s.
uint32_t folded(uint32_t code) {
  if (code >= 'A' && code <= 'Z') return code + 32;
  return code == 0x17F ? 's' : code;
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d), or 0.
size_t contraction(std::string_view text) {
  if (text.front() != '\'') return 0;
  const Char first = char_at(text, 1);
  const Char second = char_at(text, 1 + first.bytes);
  if (first.bytes == 0) return 0;
  const uint32_t a = folded(first.code), b = folded(second.code);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 1 + first.bytes;
  const bool two = (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l');
  return two ? 1 + first.bytes + second.bytes : 0;
}

// The three alternatives for white space, at least one of which there is.
size_t white_space(std::string_view text) {
  size_t end = 0, last = 0, after_line_end = 0;
  for (Char c = char_at(text, 0); c.is_space(); c = char_at(text, end)) {
    last = end;
    end += c.bytes;
    if (c.is_line_end()) after_line_end = end;
  }
  if (after_line_end > 0) return after_line_end;
  // Before a word the last space is left to it.
  return end < text.size() && last > 0 ? last : end;
}

}  // namespace

size_t llama3_word(std::string_view text) {
  if (const size_t bytes = contraction(text); bytes > 0) return bytes;
  const auto letter = [](const Char& c) { return c.is_letter(); };
  const auto other = [](const Char& c) { return c.is_other(); };
  const auto line_end = [](const Char& c) { return c.is_line_end(); };

  const Char first = char_at(text, 0);
  if (first.is_letter()) return run_end(text, 0, letter);
  const Char second = char_at(text, first.bytes);
  if (!first.is_number() && !first.is_line_end() && second.is_letter())
    return run_end(text, first.bytes, letter);
  if (first.is_number()) {
    if (!second.is_number()) return first.bytes;
    const Char third = char_at(text, first.bytes + second.bytes);
    return first.bytes + second.bytes + (third.is_number() ? third.bytes : 0);
  }
  if (first.is_other() || (first.code == ' ' && second.is_other()))
    return run_end(text, run_end(text, first.bytes, other), line_end);
  return white_space(text);
}

}  // namespace cria::text
