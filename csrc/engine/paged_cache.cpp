#include "engine/paged_cache.h"

#include "model/kv_cache.h"

namespace cria {

int PagedCache::follow(PageTable& table, Tokens tokens) {
  int found = 0;
  while ((table.shared + 1) * kPageTokens <= tokens.size()) {
    PrefixCache::Node* next =
        cache_.hold_child(*table.node, page_of(tokens, table.shared, tokens.size()));
    if (!next) break;
    table.node = next;
    if (table.shared == table.pages.size()) table.pages.push_back(-1);
    int32_t& page = table.pages[table.shared++];
    if (page >= 0) pool_.give_back(page);  // begun here, done elsewhere
    page = next->page;
    const int cached = static_cast<int>(table.shared) * kPageTokens;
    found += cached - table.cached;
    table.cached = cached;
  }
  return found;
}

int PagedCache::copy_tail(PageTable& table, Tokens tokens) {
  if (table.shared * kPageTokens >= tokens.size()) return 0;
  const auto [near, count] =
      cache_.hold_nearest(*table.node, page_of(tokens, table.shared, tokens.size()));
  if (!near) return 0;
  int found = 0;
  if (count >= kLeastCopied && grow(table, table.shared + 1)) {
    copy_(near->page, table.pages[table.shared]);
    table.cached += count;
    found = count;
  }
  cache_.release_nearest(*near);
  return found;
}

int PagedCache::copy_other(PageTable& table, Tokens tokens, const PageTable& other, Tokens others) {
  const size_t begin = table.shared * kPageTokens;
  const size_t end = std::min({tokens.size(), begin + kPageTokens, others.size()});
  if (begin >= end || other.node != table.node || other.pages.size() <= other.shared) return 0;
  if (end < static_cast<size_t>(table.cached) + kLeastCopied) return 0;
  if (!std::ranges::equal(page_of(tokens, table.shared, end), page_of(others, table.shared, end)))
    return 0;
  if (!grow(table, table.shared + 1)) return 0;
  copy_(other.pages[table.shared], table.pages[table.shared]);
  const int found = static_cast<int>(end) - table.cached;
  table.cached = static_cast<int>(end);
  return found;
}

bool PagedCache::fork(const PageTable& from, PageTable& to) {
  const bool has_tail = from.cached > static_cast<int>(from.shared) * kPageTokens;
  PageTable forked{from.cached, from.pages, from.shared, from.node};
  forked.pages.resize(from.shared);
  if (has_tail && !grow(forked, from.shared + 1)) return false;
  if (has_tail) copy_(from.pages[from.shared], forked.pages.back());
  cache_.hold_path(*from.node);
  to = std::move(forked);
  return true;
}

bool PagedCache::make_room(PageTable& table, int tokens) {
  return grow(table, static_cast<size_t>(KvCache::pages_for(tokens)));
}

bool PagedCache::grow(PageTable& table, size_t pages) {
  while (!pool_.grow(table.pages, static_cast<int>(pages)))
    if (!cache_.evict()) return false;
  return true;
}

bool PagedCache::has_room(const PageTable& table, int tokens) const {
  return KvCache::pages_for(tokens) - static_cast<int>(table.shared) <=
         pool_.free_pages() + cache_.evictable();
}

void PagedCache::publish(PageTable& table, Tokens tokens) {
  while ((table.shared + 1) * kPageTokens <= static_cast<size_t>(table.cached)) {
    int32_t& page = table.pages[table.shared];
    table.node = cache_.add(*table.node, page_of(tokens, table.shared, tokens.size()), page);
    page = table.node->page;
    ++table.shared;
  }
}

void PagedCache::keep_tail(PageTable& table, Tokens tokens) {
  const auto cached = static_cast<size_t>(table.cached);
  if (cached <= table.shared * kPageTokens) return;
  const auto tail = table.pages.begin() + static_cast<std::ptrdiff_t>(table.shared);
  cache_.add_partial(*table.node, page_of(tokens, table.shared, cached), *tail);
  table.pages.erase(tail);
}

void PagedCache::rewind(PageTable& table, int size) {
  table.cached = std::min(table.cached, size);
  const auto cached = static_cast<size_t>(table.cached);
  if (cached >= table.shared * kPageTokens) return;
  drop_own_pages(table);
  while (cached < table.shared * kPageTokens) {
    PrefixCache::Node& last = *table.node;
    table.node = last.parent;
    cache_.release_nearest(last);
    --table.shared;
  }
  table.pages.resize(table.shared);
  table.cached = static_cast<int>(table.shared) * kPageTokens;
}

void PagedCache::close(PageTable& table) {
  if (!table.node) return;
  drop_own_pages(table);
  cache_.release(*table.node);
  table = {};
}

std::vector<int32_t> PagedCache::take_pages(int wanted) {
  PageTable table;
  grow(table, static_cast<size_t>(std::min(wanted, pool_.free_pages() + cache_.evictable())));
  return std::move(table.pages);
}

void PagedCache::put_pages(const std::string& key, Tokens tokens,
                           const std::vector<int32_t>& pages) {
  PrefixCache::Node* node = cache_.hold_root(key);
  for (size_t i = 0; i < pages.size(); ++i) {
    const Tokens page = page_of(tokens, i, tokens.size());
    if (page.size() == kPageTokens)
      node = cache_.add(*node, page, pages[i]);
    else
      cache_.add_partial(*node, page, pages[i]);
  }
  cache_.release(*node);
}

void PagedCache::drop_own_pages(PageTable& table) {
  pool_.shrink(table.pages, static_cast<int>(table.shared));
}

}  // namespace cria
