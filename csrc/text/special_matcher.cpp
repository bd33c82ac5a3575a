// F1. Finds the pieces that are taken whole out of a text: control and user-defined ones.
#include "text/special_matcher.h"

#include "text/vocab_check.h"

namespace cria::text {

SpecialMatcher::SpecialMatcher(const Vocab& vocab, Kind kind) : nodes_(1) {
  for (size_t id = 0; id < vocab.pieces.size(); ++id) {
    const PieceType type = vocab.types[id];
    const bool wanted = kind == Kind::kAll ? is_special(type) : type == PieceType::kUserDefined;
    if (wanted && !vocab.pieces[id].empty()) insert(vocab.pieces[id], static_cast<int32_t>(id));
  }
  link_suffixes();
}

void SpecialMatcher::find(std::string_view text, size_t base, std::vector<SpecialHit>& hits) const {
  if (empty()) return;
  std::vector<SpecialHit> starts;  // from the end of the text to its front
  uint32_t node = 0;
  for (size_t at = text.size(); at-- > 0;) {
    node = step(node, static_cast<uint8_t>(text[at]));
    if (const Node& here = nodes_[node]; here.id >= 0) starts.push_back({at, here.bytes, here.id});
  }
  size_t free = 0;  // the end of the last hit
  for (auto hit = starts.rbegin(); hit != starts.rend(); ++hit) {
    if (hit->at < free) continue;
    hits.push_back({base + hit->at, hit->bytes, hit->id});
    free = hit->at + hit->bytes;
  }
}

uint32_t SpecialMatcher::child(uint32_t node, uint8_t byte) const {
  if (node == 0) return root_children_[byte];
  uint32_t at = nodes_[node].first_child;
  while (at != 0 && nodes_[at].byte != byte) at = nodes_[at].next_sibling;
  return at;
}

uint32_t SpecialMatcher::step(uint32_t node, uint8_t byte) const {
  for (;;) {
    const uint32_t next = child(node, byte);
    if (next != 0 || node == 0) return next;
    node = nodes_[node].suffix;
  }
}

void SpecialMatcher::insert(std::string_view piece, int32_t id) {
  uint32_t node = 0;
  for (auto c = piece.rbegin(); c != piece.rend(); ++c) {
    const auto byte = static_cast<uint8_t>(*c);
    uint32_t next = child(node, byte);
    if (next == 0) {
      next = static_cast<uint32_t>(nodes_.size());
      nodes_.push_back({.next_sibling = nodes_[node].first_child, .byte = byte});
      nodes_[node].first_child = next;
      if (node == 0) root_children_[byte] = next;
    }
    node = next;
  }
  if (nodes_[node].id >= 0) return;  // spelt twice: the first id has it
  nodes_[node].id = id;
  nodes_[node].bytes = static_cast<uint32_t>(piece.size());
}

void SpecialMatcher::link_suffixes() {
  // Breadth first: a suffix is shorter than its node, so it is complete when it is needed.
  std::vector<uint32_t> queue{0};
  queue.reserve(nodes_.size());
  for (size_t i = 0; i < queue.size(); ++i) {
    const uint32_t parent = queue[i];
    for (uint32_t at = nodes_[parent].first_child; at != 0; at = nodes_[at].next_sibling) {
      Node& node = nodes_[at];
      node.suffix = parent == 0 ? 0 : step(nodes_[parent].suffix, node.byte);
      if (node.id < 0) {
        node.id = nodes_[node.suffix].id;
        node.bytes = nodes_[node.suffix].bytes;
      }
      queue.push_back(at);
    }
  }
}

}  // namespace cria::text
