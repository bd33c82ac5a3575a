// F1. Byte-level byte-pair encoding (Sennrich et al. 2016, over bytes as in Radford et al. 2019),
// with the words of Llama 3.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/hash.h"
#include "text/merge.h"
#include "text/piece_index.h"
#include "text/plain_encoder.h"

namespace cria::text {

/// A text is cut into words. A word that is a piece is that piece; any other starts as one symbol
/// for each byte, and the neighbours whose merge comes first in the vocabulary's list become one,
/// again and again.
class ByteBpe final : public PlainEncoder {
 public:
  /// Throws kBadGguf where a merge is malformed or of pieces that the vocabulary lacks.
  explicit ByteBpe(const Vocab& vocab);

  size_t encode(std::string_view text, std::vector<int32_t>& ids) const override;
  bool has_all_bytes() const override;

 private:
  static uint64_t pair_of(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }
  void add_merge(size_t rank);

  const Vocab& vocab_;
  PieceIndex normal_;
  std::array<int32_t, 256> byte_ids_;                       // -1: the vocabulary lacks that byte
  std::unordered_map<uint64_t, Joined, KeyedHash> merges_;  // by the ids of the two
};

}  // namespace cria::text
