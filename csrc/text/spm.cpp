// F1. The byte-pair merging of SentencePiece.
//
// A text is first cut wherever two neighbouring code points stand side by side in no piece: no
// merge can cross such a place, and merges on its two sides do not see each other, so the stretches
// can be merged one by one with the same result. In ordinary text a stretch is about a word and its
// heap stays in the first-level cache; a text of one letter repeated is one stretch, and costs n
// log n.
//
// Which neighbours a piece joins is kept in a bitmap by hash. Two pairs with one hash only mean
// that a cut is missed, which changes nothing but the time.
#include "text/spm.h"

#include <algorithm>
#include <string>

#include "text/utf8.h"
#include "text/vocab_check.h"

namespace cria::text {
namespace {

// 2^20 bits = 128 KiB: a vocabulary of 32,000 pieces has some 10,000 joints, and sets 1 % of them.
constexpr int kJointBits = 20;
// The id of a symbol that is no merge: whether it is a piece is looked up when it is all it became.
constexpr int32_t kNotLookedUp = -1;

uint32_t joint_of(uint32_t left, uint32_t right) {
  // Multiplicative hashing (Knuth, TAOCP 3, §6.4) with the golden ratio of 2^64.
  const uint64_t both = uint64_t{left} << 32 | right;
  return static_cast<uint32_t>(both * 0x9E3779B97F4A7C15u >> (64 - kJointBits));
}

// The length of the symbol at the front of `text` and, in `code`, what tells it from others.
uint32_t read_symbol(std::string_view text, uint32_t& code) {
  const Utf8Sequence sequence = read_utf8(text);
  if (sequence.state == Utf8State::kWhole) {
    code = sequence.code;
    return sequence.bytes;
  }
  code = 0x110000u + static_cast<uint8_t>(text.front());  // beyond the last code point
  return 1;
}

}  // namespace

Spm::Spm(const Vocab& vocab)
    : vocab_(vocab), normal_(vocab, PieceType::kNormal), joints_((size_t{1} << kJointBits) / 64) {
  byte_ids_.fill(-1);
  for (size_t id = 0; id < vocab.pieces.size(); ++id) {
    const std::string& piece = vocab.pieces[id];
    if (vocab.types[id] == PieceType::kByte) {
      int32_t& slot = byte_ids_[static_cast<size_t>(byte_value(piece))];
      if (slot < 0) slot = static_cast<int32_t>(id);
    } else if (vocab.types[id] == PieceType::kNormal) {
      longest_ = std::max(longest_, piece.size());
      learn_joints(piece);
    }
  }
}

bool Spm::has_all_bytes() const {
  return std::ranges::all_of(byte_ids_, [](int32_t id) { return id >= 0; });
}

size_t Spm::encode(std::string_view text, std::vector<int32_t>& ids) const {
  if (text.empty()) return 0;
  const std::string marked = with_marks(text);
  text = marked;
  Merger merger;  // kept from stretch to stretch, so that most of them allocate nothing
  for (uint32_t at = 0; at < text.size();) {
    merger.clear();
    uint32_t left = 0, code = 0;
    do {
      const uint32_t bytes = read_symbol(text.substr(at), code);
      if (merger.size() > 0 && !may_join(left, code)) break;
      merger.add(at, bytes, kNotLookedUp);
      left = code;
      at += bytes;
    } while (at < text.size());
    merge(text, merger);
    merger.for_each([&](const Symbol& symbol) {
      if (symbol.id != kNotLookedUp) return ids.push_back(symbol.id);
      emit(text.substr(symbol.at, symbol.bytes), ids);
    });
  }
  return merger.queued();
}

std::string Spm::with_marks(std::string_view text) const {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  if (vocab_.add_space_prefix) out += kSpaceMark;
  for (;;) {
    const size_t space = text.find(' ');
    out += text.substr(0, space);
    if (space == std::string_view::npos) return out;
    out += kSpaceMark;
    text.remove_prefix(space + 1);
  }
}

bool Spm::may_join(uint32_t left, uint32_t right) const {
  const uint32_t joint = joint_of(left, right);
  return joints_[joint / 64] >> (joint % 64) & 1;
}

void Spm::learn_joints(std::string_view piece) {
  uint32_t left = 0, code = 0;
  for (size_t at = 0; at < piece.size();) {
    const uint32_t bytes = read_symbol(piece.substr(at), code);
    if (at > 0) {
      const uint32_t joint = joint_of(left, code);
      joints_[joint / 64] |= uint64_t{1} << (joint % 64);
    }
    left = code;
    at += bytes;
  }
}

void Spm::merge(std::string_view text, Merger& merger) const {
  merger.merge([&](const Symbol& left, const Symbol& right) -> Joined {
    const uint32_t bytes = left.bytes + right.bytes;
    if (bytes > longest_) return {-1, 0};
    const int32_t id = normal_.find(text.substr(left.at, bytes));
    return {id, id < 0 ? 0 : vocab_.scores[static_cast<size_t>(id)]};
  });
}

void Spm::emit(std::string_view spelt, std::vector<int32_t>& ids) const {
  if (const int32_t id = normal_.find(spelt); id >= 0) return ids.push_back(id);
  const auto byte_id = [&](char c) { return byte_ids_[static_cast<uint8_t>(c)]; };
  if (std::ranges::any_of(spelt, [&](char c) { return byte_id(c) < 0; }))
    return ids.push_back(vocab_.unknown);
  for (const char c : spelt) ids.push_back(byte_id(c));
}

}  // namespace cria::text
