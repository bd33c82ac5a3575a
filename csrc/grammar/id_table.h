// F2. Finds what is kept elsewhere under a number, by its hash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace cria::grammar {

inline constexpr uint32_t kNone = UINT32_MAX;

/// Scrambles all bits of a word into all others (the finalizer of MurmurHash3; Appleby 2011).
inline uint64_t scramble(uint64_t x) {
  x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
  x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
  return x ^ x >> 33;
}

/// Open addressing with linear probing, at most half full.
class IdTable {
 public:
  /// The id under `hash` for which `same(id)`, or kNone.
  template <class Same>
  uint32_t find(uint64_t hash, Same same) const {
    for (size_t at = hash & mask_; slots_[at].id != kNone; at = (at + 1) & mask_)
      if (slots_[at].hash == hash && same(slots_[at].id)) return slots_[at].id;
    return kNone;
  }

  void insert(uint64_t hash, uint32_t id) {
    if (2 * ++count_ > slots_.size()) grow();
    put({hash, id});
  }

 private:
  struct Slot {
    uint64_t hash = 0;
    uint32_t id = kNone;
  };

  void put(Slot slot) {
    size_t at = slot.hash & mask_;
    while (slots_[at].id != kNone) at = (at + 1) & mask_;
    slots_[at] = slot;
  }
  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    mask_ = slots_.size() - 1;
    for (const Slot& slot : old)
      if (slot.id != kNone) put(slot);
  }

  std::vector<Slot> slots_ = std::vector<Slot>(64);
  size_t mask_ = 63;
  size_t count_ = 0;
};

/// A set of words that is emptied at once.
class SeenSet {
 public:
  void clear() {
    ++round_;
    count_ = 0;
  }
  /// False where it was in already.
  bool add(uint64_t word) {
    size_t at = scramble(word) & (slots_.size() - 1);
    for (; slots_[at].round == round_; at = (at + 1) & (slots_.size() - 1))
      if (slots_[at].word == word) return false;
    slots_[at] = {word, round_};
    if (2 * ++count_ > slots_.size()) grow();
    return true;
  }

 private:
  struct Slot {
    uint64_t word = 0;
    uint64_t round = 0;
  };

  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    count_ = 0;
    for (const Slot& slot : old)
      if (slot.round == round_) add(slot.word);
  }

  std::vector<Slot> slots_ = std::vector<Slot>(64);
  uint64_t round_ = 1;
  size_t count_ = 0;
};

}  // namespace cria::grammar
