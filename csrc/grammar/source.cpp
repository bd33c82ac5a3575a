#include "grammar/source.h"

#include <algorithm>

#include "text/utf8.h"

namespace cria::grammar {

Source::Source(const char* what, std::string_view text) : what_(what), text_(text) {
  if (text.size() > kMaxTextBytes)
    fail(ErrorCode::kBadArgument, what, ": expected a text of at most ", kMaxTextBytes,
         " bytes, got ", text.size());
  for (size_t at = 0; at < text.size();) {
    if (static_cast<uint8_t>(text[at]) < 0x80) {
      ++at;
      continue;
    }
    const text::Utf8Sequence sequence = text::read_utf8(text.substr(at));
    if (sequence.state != text::Utf8State::kWhole)
      fail(ErrorCode::kBadArgument, what, ", byte ", at, ": expected UTF-8, got byte ",
           static_cast<int>(static_cast<uint8_t>(text[at])));
    at += sequence.bytes;
  }
}

bool Source::take(std::string_view part) {
  if (!starts_with(part)) return false;
  at_ += part.size();
  return true;
}

uint32_t Source::take_code() {
  const text::Utf8Sequence sequence = text::read_utf8(text_.substr(at_));
  at_ += sequence.bytes;
  return sequence.code;
}

uint32_t Source::take_number(uint32_t most) {
  const size_t begin = at_;
  if (!at_digit()) refuse("a number");
  uint64_t value = 0;
  for (; at_digit(); skip()) {
    value = std::min<uint64_t>(value * 10 + static_cast<uint64_t>(peek() - '0'), UINT32_MAX);
  }
  if (value > most) complain(begin, cat("expected a number of at most ", most));
  return static_cast<uint32_t>(value);
}

uint32_t Source::take_hex(int digits) {
  const size_t begin = at_;
  uint32_t value = 0;
  for (int i = 0; i < digits; ++i, skip()) {
    const char c = peek();
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) refuse(cat(digits, " hexadecimal digits"));
    value = value << 4 | static_cast<uint32_t>(digit);
  }
  if (value > 0x10FFFF) complain(begin, "expected a code point, at most 10FFFF");
  return value;
}

void Source::refuse(size_t at, std::string_view expected) const {
  std::string got = "the end of the text";
  if (at < text_.size()) {
    const std::string_view rest = text_.substr(at);
    const uint8_t byte = static_cast<uint8_t>(rest.front());
    if (byte == '\n' || byte == '\r')
      got = "the end of the line";
    else if (byte < 0x20 || byte == 0x7F)
      got = cat("control character ", static_cast<int>(byte));
    else
      got = cat("'", rest.substr(0, text::read_utf8(rest).bytes), "'");
  }
  complain(at, cat("expected ", expected, ", got ", got));
}

void Source::complain(size_t at, std::string_view complaint) const {
  fail(ErrorCode::kBadArgument, what_, ", ", place(at), ": ", complaint);
}

std::string Source::place(size_t at) const {
  const std::string_view before = text_.substr(0, at);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t begin = before.rfind('\n') + 1;  // npos + 1 = 0
  const auto column = std::count_if(before.begin() + static_cast<std::ptrdiff_t>(begin),
                                    before.end(), [](char c) { return (c & 0xC0) != 0x80; }) +
                      1;
  return cat("line ", line, ", column ", column);
}

}  // namespace cria::grammar
