// F2. Sets of characters, and how their UTF-8 begins and goes on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "text/unicode.h"

namespace cria::grammar {

using text::CodeRange;

class CharSet {
 public:
  void add(uint32_t first, uint32_t last) { ranges_.push_back({first, last}); }
  void add(uint32_t code) { add(code, code); }
  void add(const CharSet& other) {
    ranges_.insert(ranges_.end(), other.ranges_.begin(), other.ranges_.end());
  }
  /// Ranges as they were added.
  size_t size() const { return ranges_.size(); }
  /// All code points that are not in it.
  void negate();

  /// In rising order, without overlap, without surrogates, which no text has.
  std::vector<CodeRange> ranges() const;

 private:
  std::vector<CodeRange> ranges_;
};

/// Bytes from `first` to `last`, both included.
struct ByteRange {
  uint8_t first;
  uint8_t last;
};

/// Gives the UTF-8 of the range's code points as sequences of byte ranges: a text is that of one of
/// the code points where its bytes lie in those of one sequence, one by one.
void for_each_utf8(CodeRange range, const std::function<void(std::span<const ByteRange>)>& take);

}  // namespace cria::grammar
