// F5. The page pool and the prefix cache as one: the keys and values of token sequences, in pages
// that sequences with the same beginning share.
//
// Full pages belong to the prefix cache, where every sequence that begins alike finds them; the
// last one is the sequence's own. When a page is wanted and none is free, cached ones that nobody
// holds give way.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "engine/page_pool.h"
#include "engine/prefix_cache.h"

namespace cria {

/// Where the keys and values of one sequence are.
struct PageTable {
  int cached = 0;                     // tokens [0, cached) are computed …
  std::vector<int32_t> pages = {};    // … into these pages,
  size_t shared = 0;                  // of which so many are the prefix cache's,
  PrefixCache::Node* node = nullptr;  // the last of them held here; null: it holds none
};

class PagedCache {
 public:
  using Tokens = PrefixCache::Tokens;
  /// Copies the inside of one page to another.
  using CopyPage = std::function<void(int32_t from, int32_t to)>;

  /// Fewer tokens than this of a page that differs further on are computed, not copied.
  static constexpr int kLeastCopied = 8;

  PagedCache(int pages, CopyPage copy) : copy_(std::move(copy)), pool_(pages), cache_(pool_) {}

  /// The tokens of page `index`, as far as `end`.
  static Tokens page_of(Tokens tokens, size_t index, size_t end) {
    const size_t at = index * kPageTokens;
    return tokens.subspan(at, std::min<size_t>(kPageTokens, end - at));
  }

  /// A table under `key` that holds nothing yet.
  void open(PageTable& table, const std::string& key) { table.node = cache_.hold_root(key); }
  /// Lets go of all pages; full ones stay in the cache.
  void close(PageTable& table);

  // Tokens that need not be computed: each takes the sequence as far as it may be reused, and gives
  // how many it found beyond `table.cached`.

  /// Goes on where the cache has whole pages of what comes next.
  int follow(PageTable& table, Tokens tokens);
  /// Begins the table's own page with a copy of the cached one that shares most with it.
  int copy_tail(PageTable& table, Tokens tokens);
  /// Begins it with a copy of the page that `other`, a table of `others`, has at that place: as far
  /// as `others` are computed.
  int copy_other(PageTable& table, Tokens tokens, const PageTable& other, Tokens others);

  /// Makes `to`, which holds nothing, go on where `from` is: full pages are shared, and the last
  /// one copied. False, and nothing was done, where there is no page for that.
  bool fork(const PageTable& from, PageTable& to);

  /// Pages for so many tokens in all; false where there are too few. Then some may have been added.
  bool make_room(PageTable& table, int tokens);
  /// Whether pages for so many tokens could be had.
  bool has_room(const PageTable& table, int tokens) const;

  /// Pages full of computed tokens become the prefix cache's.
  void publish(PageTable& table, Tokens tokens);
  /// The page that is not full becomes the prefix cache's too; `close` is next.
  void keep_tail(PageTable& table, Tokens tokens);
  /// What was computed of the tokens from `size` on is not wanted. Of a page that is the cache's
  /// the beginning goes too, for it never changes; `copy_tail` may bring that back.
  void rewind(PageTable& table, int size);

  /// Pages for a sequence that was computed elsewhere, as far as there is room, and, once they are
  /// filled, all of them into the cache as the beginning of `tokens`.
  std::vector<int32_t> take_pages(int wanted);
  void put_pages(const std::string& key, Tokens tokens, const std::vector<int32_t>& pages);

  PrefixCache& prefixes() { return cache_; }
  const PagePool& pool() const { return pool_; }
  const PrefixCache& prefixes() const { return cache_; }

 private:
  bool grow(PageTable& table, size_t pages);
  void drop_own_pages(PageTable& table);

  CopyPage copy_;
  PagePool pool_;
  PrefixCache cache_;
};

}  // namespace cria
