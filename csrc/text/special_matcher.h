// F1. Finds the pieces that are taken whole out of a text: control and user-defined ones.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace cria::text {

/// A special piece at a place in a text.
struct SpecialHit {
  size_t at;     // its first byte
  size_t bytes;  // its length
  int32_t id;
};

/// Leftmost, longest, without overlap; linear in the text whatever the pieces are.
///
/// Aho & Corasick (1975) over the *reversed* pieces, run from the end of the text to its front: the
/// state at a byte then names the longest piece that *starts* there, so the choice from left to
/// right needs no second look at the text. (Run forwards the automaton knows where pieces end, and
/// a failed long match would be scanned again.)
class SpecialMatcher {
 public:
  /// Of all special pieces, or only of the user-defined ones. `vocab` is not kept.
  enum class Kind : uint8_t { kAll, kUserDefined };
  SpecialMatcher(const Vocab& vocab, Kind kind);

  bool empty() const { return nodes_.size() == 1; }

  /// Appends the hits in `text` in order, with `base` added to their places.
  void find(std::string_view text, size_t base, std::vector<SpecialHit>& hits) const;

 private:
  // A trie node. Children hang in a list, as few nodes but the root have more than a handful; the
  // root, where nearly all text is, has a table.
  struct Node {
    uint32_t first_child = 0;  // 0: none (the root is nobody's child)
    uint32_t next_sibling = 0;
    uint32_t suffix = 0;  // the longest proper suffix of this node's bytes that is a node too
    int32_t id = -1;      // the longest piece that is a suffix of this node's bytes, or -1
    uint32_t bytes = 0;   // the length of that piece
    uint8_t byte = 0;     // on the edge from the parent
  };

  uint32_t child(uint32_t node, uint8_t byte) const;
  /// The node of the longest suffix of `node`'s bytes followed by `byte`.
  uint32_t step(uint32_t node, uint8_t byte) const;
  void insert(std::string_view piece, int32_t id);
  void link_suffixes();

  std::vector<Node> nodes_;  // [0] is the root
  std::array<uint32_t, 256> root_children_{};
};

}  // namespace cria::text
