// F1. The classes of code points that pre-tokenizers tell apart.
#include "text/unicode.h"

#include <algorithm>

namespace cria::text {
namespace {

bool is_in(std::span<const CodeRange> ranges, uint32_t code) {
  const auto after =
      std::upper_bound(ranges.begin(), ranges.end(), code,
                       [](uint32_t value, const CodeRange& range) { return value < range.first; });
  return after != ranges.begin() && code <= std::prev(after)->last;
}

}  // namespace

CodeClass class_of(uint32_t code) {
  if (code < 0x80) {  // most text: without the tables
    const uint32_t lower = code | 0x20;
    if (lower >= 'a' && lower <= 'z') return CodeClass::kLetter;
    if (code >= '0' && code <= '9') return CodeClass::kNumber;
    return code == ' ' || (code >= '\t' && code <= '\r') ? CodeClass::kSpace : CodeClass::kOther;
  }
  if (is_in(kLetters, code)) return CodeClass::kLetter;
  if (is_in(kNumbers, code)) return CodeClass::kNumber;
  return is_in(kSpaces, code) ? CodeClass::kSpace : CodeClass::kOther;
}

}  // namespace cria::text
