// F1. From the bytes of a piece to its id.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace cria::text {

/// A flat hash table with linear probing, at most half full. Where a spelling occurs more than once
/// the first id has it. The hash has a random key of its own, so that no vocabulary can be written
/// whose pieces all collide.
class PieceIndex {
 public:
  /// Of all pieces, or of those of one type. `vocab` must outlive the index; empty pieces are left
  /// out of an index of one type, since no text is spelt by them.
  explicit PieceIndex(const Vocab& vocab);
  PieceIndex(const Vocab& vocab, PieceType type);

  /// The id of `piece`, or -1.
  int32_t find(std::string_view piece) const;

 private:
  struct Slot {
    uint32_t tag = 0;  // the upper half of the hash, compared before the bytes
    int32_t id = -1;   // -1: free
  };

  uint64_t hash(std::string_view bytes) const;
  void reserve(size_t pieces);
  void insert(int32_t id);
  /// The slot that holds `piece`, or the free one where it belongs.
  size_t slot_of(std::string_view piece, uint64_t hashed) const;

  const std::vector<std::string>* pieces_;
  uint64_t key_;
  std::vector<Slot> slots_;  // a power of two
};

}  // namespace cria::text
