// F5. Pages of keys and values by the tokens that they were computed for: a radix tree in which
// every node is a page (Zheng et al. 2024, SGLang, RadixAttention; Kwon et al. 2023,
// PagedAttention).
//
//   root "" ── [1 … 32] ── [33 … 64] ── [65 … 70]      a conversation of 70 tokens
//           │           └─ [33 … 60, 7 …] ── …         another with the same beginning
//   root "b" ── [1 … 32]                               the same tokens under another key: apart
//
// A key or value depends on its token and all before it, so a node means the tokens from the root
// down to it. Inner nodes are full pages and never change again. A leaf may hold fewer tokens than
// its page has places; nobody computes on such a page, it is there to be copied.
//
// Tasks hold the nodes that they read. What nobody holds stays until its page is wanted: leaves
// first, the longest unused first.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/page_pool.h"

namespace cria {

class PrefixCache {
 public:
  using Tokens = std::span<const int32_t>;
  struct Node;

  /// `pool` gets the pages that are given up.
  explicit PrefixCache(PagePool& pool) : pool_(pool) {}

  /// The beginning of everything under `key`, held for the caller.
  Node* hold_root(const std::string& key);
  /// The child of `node` with exactly these tokens, held besides; null where there is none.
  Node* hold_child(Node& node, Tokens tokens);
  /// Holds a held node, and all above it, for one more.
  void hold_path(Node& node);
  /// Lets go of a node and all above it that was held on the way down.
  void release(Node& node);

  /// The child of `node` that shares most leading tokens, held, and how many; null for none.
  std::pair<Node*, int> hold_nearest(Node& node, Tokens tokens);
  /// Lets go of what `hold_nearest` gave.
  void release_nearest(Node& node);

  /// Takes `page` in as the child of `node` with these tokens, and holds it for the caller. Where
  /// there is such a child already, that one is held and `page` given back: both hold the same
  /// bits.
  Node* add(Node& node, Tokens tokens, int32_t page);
  /// Takes a page in that is not full, as a leaf that nobody holds.
  void add_partial(Node& node, Tokens tokens, int32_t page);

  /// Gives back the page of the leaf that was not used for longest; false where all are held.
  bool evict();
  /// What these tokens are cached in, as far as nothing else hangs on it, is the next to go.
  void demote(const std::string& key, Tokens tokens);
  /// The pages that hold the beginning of `tokens`, and how many of them they hold.
  std::pair<std::vector<int32_t>, int> find(const std::string& key, Tokens tokens) const;

  int pages() const { return pages_; }
  /// Pages that `evict` could give back, one after the other.
  int evictable() const { return pages_ - held_; }

 private:
  struct Before {
    using is_transparent = void;
    bool operator()(Tokens a, Tokens b) const;
  };
  using Children = std::map<std::vector<int32_t>, std::unique_ptr<Node>, Before>;
  using Roots = std::map<std::string, std::unique_ptr<Node>>;

  static std::pair<Node*, int> nearest(const Node& node, Tokens tokens);
  std::vector<Node*> path(const std::string& key, Tokens tokens) const;
  Node* make(Node& parent, Tokens tokens, int32_t page);
  void hold(Node& node);
  void let_go(Node& node);
  void use(Node& node, uint64_t when);
  void drop(Node& leaf);
  void drop_superseded(Node& parent, Tokens tokens);
  void drop_root_if_empty(Node& root);

  PagePool& pool_;
  Roots roots_;
  std::set<std::pair<uint64_t, Node*>> idle_;  // leaves that nobody holds, the next to go first
  int pages_ = 0;
  int held_ = 0;
  uint64_t clock_ = uint64_t{1} << 32;  // of uses; below: demoted
  uint64_t demoted_ = 0;
};

/// A page and the tokens that it holds after those of the nodes above.
struct PrefixCache::Node {
  Node* parent = nullptr;                        // null: a root, which has no page
  const std::vector<int32_t>* tokens = nullptr;  // the key among the parent's children
  const std::string* key = nullptr;              // of a root
  int32_t page = -1;
  int holders = 0;  // of this node or of one below
  uint64_t used = 0;
  Children children;
};

}  // namespace cria
