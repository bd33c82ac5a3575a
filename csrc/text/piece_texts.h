// F1. What each id adds to a text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace cria::text {

/// The bytes of the pieces that spell plain text: a normal piece with its U+2581 turned back into
/// spaces (or its spelt bytes into bytes), a byte piece's byte, a user-defined piece as it is.
class PieceTexts {
 public:
  /// `vocab`, already checked, must outlive it.
  explicit PieceTexts(const Vocab& vocab);

  /// `id` must be in range. Control, unknown and unused pieces give their own spelling if
  /// `special`, otherwise nothing.
  std::string_view of(int32_t id, bool special) const;

 private:
  const Vocab& vocab_;
  std::string pool_;          // of normal and byte pieces, one after the other
  std::vector<size_t> ends_;  // [V] in the pool
};

}  // namespace cria::text
