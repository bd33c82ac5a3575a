// F1. The classes of code points that pre-tokenizers tell apart.
#pragma once

#include <cstdint>
#include <span>

namespace cria::text {

/// Code points from `first` to `last`, both included.
struct CodeRange {
  uint32_t first;
  uint32_t last;
};

// In rising order, without overlap.
extern const std::span<const CodeRange> kLetters;
extern const std::span<const CodeRange> kNumbers;
extern const std::span<const CodeRange> kSpaces;

enum class CodeClass : uint8_t { kLetter, kNumber, kSpace, kOther };

/// The class of a code point; beyond the last one, kOther.
CodeClass class_of(uint32_t code);

}  // namespace cria::text
