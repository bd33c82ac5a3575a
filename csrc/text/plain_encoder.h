// F1. What the kinds of tokenizer have in common: text without special pieces in, ids out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace cria::text {

class PlainEncoder {
 public:
  virtual ~PlainEncoder() = default;

  /// Appends the ids of a text that begins a document or follows a special piece; empty text has
  /// none. At most 1 GiB. O(n log n) time, O(n) memory. Returns how many candidate pairs were
  /// queued: a measure of the work, below 3 for each symbol.
  virtual size_t encode(std::string_view text, std::vector<int32_t>& ids) const = 0;

  /// Whether every byte has a piece, so that the unknown token is never needed.
  virtual bool has_all_bytes() const = 0;
};

/// The encoder that `vocab`, already checked, asks for; `vocab` must outlive it.
std::unique_ptr<const PlainEncoder> make_plain_encoder(const Vocab& vocab);

}  // namespace cria::text
