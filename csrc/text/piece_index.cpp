// F1. From the bytes of a piece to its id.
#include "text/piece_index.h"

#include <bit>
#include <cstring>

#include "text/hash.h"

namespace cria::text {

PieceIndex::PieceIndex(const Vocab& vocab) : pieces_(&vocab.pieces), key_(random_key()) {
  reserve(vocab.pieces.size());
  for (size_t id = 0; id < vocab.pieces.size(); ++id) insert(static_cast<int32_t>(id));
}

PieceIndex::PieceIndex(const Vocab& vocab, PieceType type)
    : pieces_(&vocab.pieces), key_(random_key()) {
  size_t count = 0;
  for (const PieceType each : vocab.types) count += each == type;
  reserve(count);
  for (size_t id = 0; id < vocab.pieces.size(); ++id) {
    if (vocab.types[id] == type && !vocab.pieces[id].empty()) insert(static_cast<int32_t>(id));
  }
}

int32_t PieceIndex::find(std::string_view piece) const {
  return slots_[slot_of(piece, hash(piece))].id;
}

uint64_t PieceIndex::hash(std::string_view bytes) const {
  uint64_t state = key_ ^ bytes.size();
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
    uint64_t word;
    std::memcpy(&word, bytes.data(), 8);
    state = mix(state ^ word);
  }
  uint64_t rest = 0;
  if (!bytes.empty()) std::memcpy(&rest, bytes.data(), bytes.size());
  return mix(state ^ rest);
}

void PieceIndex::reserve(size_t pieces) {
  slots_.resize(std::bit_ceil(2 * pieces + 2));
}

void PieceIndex::insert(int32_t id) {
  const std::string& piece = (*pieces_)[static_cast<size_t>(id)];
  const uint64_t hashed = hash(piece);
  Slot& slot = slots_[slot_of(piece, hashed)];
  if (slot.id < 0) slot = {static_cast<uint32_t>(hashed >> 32), id};
}

size_t PieceIndex::slot_of(std::string_view piece, uint64_t hashed) const {
  const auto tag = static_cast<uint32_t>(hashed >> 32);
  const size_t mask = slots_.size() - 1;
  for (size_t at = hashed & mask;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.id < 0) return at;
    if (slot.tag == tag && (*pieces_)[static_cast<size_t>(slot.id)] == piece) return at;
  }
}

}  // namespace cria::text
