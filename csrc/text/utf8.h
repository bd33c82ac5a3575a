// F1. Strict UTF-8, one sequence at a time (Unicode 15, table 3-7: no overlong forms, no
// surrogates, nothing above U+10FFFF).
#pragma once

#include <cstdint>
#include <string_view>

namespace cria::text {

enum class Utf8State : uint8_t {
  kWhole,    // a code point
  kPartial,  // the beginning of one, cut off by the end of the bytes
  kBroken,   // can never become one
};

struct Utf8Sequence {
  Utf8State state;
  uint32_t bytes;  // kWhole: of the code point; otherwise of the maximal subpart, 1 to 3
  uint32_t code;   // kWhole: the code point
};

/// Reads the sequence at the front of `bytes`, which must not be empty.
Utf8Sequence read_utf8(std::string_view bytes);

/// U+FFFD in UTF-8, which stands for what is no text.
inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

}  // namespace cria::text
