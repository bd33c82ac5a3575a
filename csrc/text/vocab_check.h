// F1. What the tokenizer takes for granted about a vocabulary, checked once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "text/tokenizer.h"

namespace cria::text {

/// More pieces than any vocabulary has; bounds the memory that a hostile file can ask for.
inline constexpr size_t kMaxPieces = size_t{1} << 24;
/// All control, unknown and user-defined pieces together; the largest vocabularies have some 100
/// kB.
inline constexpr size_t kMaxSpecialBytes = size_t{1} << 24;

/// The value of a byte piece's spelling, `<0x00>` to `<0xFF>`; -1 for any other spelling.
int byte_value(std::string_view piece);

/// Whether pieces of this type are cut out of a text before it is merged.
inline bool is_special(PieceType type) {
  return type == PieceType::kControl || type == PieceType::kUnknown ||
         type == PieceType::kUserDefined;
}

/// Throws kBadGguf unless all of these hold: 1 to kMaxPieces pieces, a score and a type for each,
/// no score that is NaN, types that exist, byte pieces spelt as such, special pieces of at most
/// kMaxSpecialBytes, special ids in range, and either all 256 byte pieces or an unknown token.
void check_vocab(const Vocab& vocab);

}  // namespace cria::text
