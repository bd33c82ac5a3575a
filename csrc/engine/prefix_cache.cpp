#include "engine/prefix_cache.h"

#include <algorithm>

#include "backend/backend.h"

namespace cria {
namespace {

using Tokens = PrefixCache::Tokens;

int common(Tokens a, Tokens b) {
  return static_cast<int>(std::ranges::mismatch(a, b).in1 - a.begin());
}

Tokens page_of(Tokens tokens, size_t index) {
  const size_t at = index * kPageTokens;
  return at < tokens.size() ? tokens.subspan(at, std::min<size_t>(kPageTokens, tokens.size() - at))
                            : Tokens{};
}

}  // namespace

bool PrefixCache::Before::operator()(Tokens a, Tokens b) const {
  return std::ranges::lexicographical_compare(a, b);
}

PrefixCache::Node* PrefixCache::hold_root(const std::string& key) {
  const auto [at, fresh] = roots_.try_emplace(key);
  if (fresh) {
    at->second = std::make_unique<Node>();
    at->second->key = &at->first;
  }
  ++at->second->holders;
  return at->second.get();
}

PrefixCache::Node* PrefixCache::hold_child(Node& node, Tokens tokens) {
  const auto at = node.children.find(tokens);
  if (at == node.children.end()) return nullptr;
  hold(*at->second);
  return at->second.get();
}

void PrefixCache::hold_path(Node& node) {
  for (Node* at = &node; at; at = at->parent) ++at->holders;
}

void PrefixCache::release(Node& node) {
  Node* at = &node;
  while (at->parent) {
    Node* parent = at->parent;
    let_go(*at);
    at = parent;
  }
  --at->holders;
  drop_root_if_empty(*at);
}

std::pair<PrefixCache::Node*, int> PrefixCache::hold_nearest(Node& node, Tokens tokens) {
  const auto found = nearest(node, tokens);
  if (found.first) hold(*found.first);
  return found;
}

void PrefixCache::release_nearest(Node& node) {
  let_go(node);
}

/// Children are in lexicographical order, so the one that shares most is a neighbour of where
/// `tokens` would stand.
std::pair<PrefixCache::Node*, int> PrefixCache::nearest(const Node& node, Tokens tokens) {
  std::pair<Node*, int> best{nullptr, 0};
  const auto look = [&](Children::const_iterator at) {
    const int shared = common(at->first, tokens);
    if (shared > best.second) best = {at->second.get(), shared};
  };
  const auto after = node.children.lower_bound(tokens);
  if (after != node.children.end()) look(after);
  if (after != node.children.begin()) look(std::prev(after));
  return best;
}

PrefixCache::Node* PrefixCache::add(Node& node, Tokens tokens, int32_t page) {
  if (Node* there = hold_child(node, tokens)) {
    pool_.give_back(page);
    return there;
  }
  Node* made = make(node, tokens, page);
  hold(*made);
  return made;
}

void PrefixCache::add_partial(Node& node, Tokens tokens, int32_t page) {
  const auto [near, shared] = nearest(node, tokens);
  if (shared < static_cast<int>(tokens.size()))
    make(node, tokens, page);
  else
    pool_.give_back(page);  // another page begins with all of it
}

PrefixCache::Node* PrefixCache::make(Node& parent, Tokens tokens, int32_t page) {
  auto owned = std::make_unique<Node>();
  owned->parent = &parent;
  owned->page = page;
  owned->used = ++clock_;
  const auto [at, fresh] =
      parent.children.try_emplace({tokens.begin(), tokens.end()}, std::move(owned));
  Node* node = at->second.get();
  node->tokens = &at->first;
  ++pages_;
  if (parent.parent) idle_.erase({parent.used, &parent});  // no leaf any more
  idle_.insert({node->used, node});
  drop_superseded(parent, tokens);
  return node;
}

/// A page that is not full and all of which stands in another one too is of no use any more.
void PrefixCache::drop_superseded(Node& parent, Tokens tokens) {
  const auto at = parent.children.find(tokens);
  if (at == parent.children.begin()) return;
  const auto before = std::prev(at);
  const bool prefix = common(before->first, tokens) == static_cast<int>(before->first.size());
  if (prefix && before->second->holders == 0) drop(*before->second);
}

void PrefixCache::hold(Node& node) {
  if (node.holders++ > 0) return;
  ++held_;
  idle_.erase({node.used, &node});
}

void PrefixCache::let_go(Node& node) {
  if (--node.holders > 0) return;
  --held_;
  use(node, ++clock_);
}

void PrefixCache::use(Node& node, uint64_t when) {
  idle_.erase({node.used, &node});
  node.used = when;
  if (node.children.empty()) idle_.insert({when, &node});
}

bool PrefixCache::evict() {
  if (idle_.empty()) return false;
  drop(*idle_.begin()->second);
  return true;
}

void PrefixCache::drop(Node& leaf) {
  Node& parent = *leaf.parent;
  idle_.erase({leaf.used, &leaf});
  pool_.give_back(leaf.page);
  --pages_;
  parent.children.erase(parent.children.find(*leaf.tokens));
  if (!parent.parent)
    drop_root_if_empty(parent);
  else if (parent.children.empty() && parent.holders == 0)
    idle_.insert({parent.used, &parent});
}

void PrefixCache::drop_root_if_empty(Node& root) {
  if (root.holders == 0 && root.children.empty()) roots_.erase(roots_.find(*root.key));
}

/// The nodes that hold the beginning of `tokens`, the root first; the last may hold more than it.
std::vector<PrefixCache::Node*> PrefixCache::path(const std::string& key, Tokens tokens) const {
  std::vector<Node*> nodes;
  const auto root = roots_.find(key);
  if (root == roots_.end()) return nodes;
  nodes.push_back(root->second.get());
  for (size_t index = 0;; ++index) {
    const Tokens page = page_of(tokens, index);
    const auto [near, shared] = nearest(*nodes.back(), page);
    if (!near) return nodes;
    nodes.push_back(near);
    if (shared < kPageTokens) return nodes;
  }
}

void PrefixCache::demote(const std::string& key, Tokens tokens) {
  std::vector<Node*> nodes = path(key, tokens);
  while (nodes.size() > 1) {
    Node& node = *nodes.back();
    nodes.pop_back();
    if (node.holders > 0 || node.children.size() > 1) return;
    use(node, ++demoted_);
  }
}

std::pair<std::vector<int32_t>, int> PrefixCache::find(const std::string& key,
                                                       Tokens tokens) const {
  std::pair<std::vector<int32_t>, int> found{{}, 0};
  const std::vector<Node*> nodes = path(key, tokens);
  for (size_t i = 1; i < nodes.size(); ++i) {
    found.first.push_back(nodes[i]->page);
    found.second += common(*nodes[i]->tokens, page_of(tokens, i - 1));
  }
  return found;
}

}  // namespace cria
