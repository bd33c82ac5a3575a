#include "grammar/grammar.h"

#include <algorithm>

#include "base/error.h"

namespace cria::grammar {
namespace {

// 4 KB each with 32,000 tokens, 16 KB with 128,000.
constexpr size_t kMaxMasks = 512;

}  // namespace

Grammar::Grammar(Program program, std::shared_ptr<const TokenTrie> trie)
    : program_(std::move(program)),
      trie_(std::move(trie)),
      found_(std::make_shared<Found>(program_)),
      path_(trie_->depth() + 1) {}

const TokenMask& Grammar::mask(Found& found, uint32_t state, Place place) const {
  const uint64_t key = uint64_t{state} << 1 | static_cast<uint64_t>(place);
  auto at = found.masks.find(key);
  if (at == found.masks.end()) {
    TokenMask made = make_mask(found.states, state, place);
    if (found.masks.size() == kMaxMasks)  // the one that was not wanted for longest
      found.masks.erase(std::ranges::min_element(
          found.masks, {}, [](const auto& entry) { return entry.second.used; }));
    at = found.masks.emplace(key, Kept{std::move(made), 0}).first;
  }
  at->second.used = ++found.uses;
  return at->second.mask;
}

TokenMask Grammar::make_mask(States& states, uint32_t state, Place place) const {
  const text::Tokenizer& tokenizer = trie_->tokenizer();
  TokenMask mask(static_cast<size_t>(tokenizer.size()));
  states.allow_work(kMaxWork);
  const std::span<const TokenTrie::Node> nodes = trie_->nodes();
  const auto end = static_cast<uint32_t>(nodes.size());
  if (place == Place::kAnywhere) {
    walk(states, state, 0, end, 0, mask);
  } else {
    for (uint32_t at = 0; at < end; at = nodes[at].skip) {
      if (nodes[at].byte != ' ') {
        walk(states, state, at, nodes[at].skip, 0, mask);
        continue;
      }
      for (const int32_t id : trie_->tokens(at)) mask.set(id);
      walk(states, state, at + 1, nodes[at].skip, 1, mask);
    }
  }
  if (states.can_end(state))
    for (const int32_t id : tokenizer.vocab().end_of_generation) mask.set(id);
  return mask;
}

void Grammar::walk(States& states, uint32_t state, uint32_t begin, uint32_t end, uint32_t depth,
                   TokenMask& mask) const {
  const std::span<const TokenTrie::Node> nodes = trie_->nodes();
  path_[depth] = state;
  for (uint32_t at = begin; at < end;) {
    const TokenTrie::Node& node = nodes[at];
    const uint32_t next = states.step(path_[node.depth - 1], node.byte);
    if (next == kRefused) {
      at = node.skip;
      continue;
    }
    path_[node.depth] = next;
    for (const int32_t id : trie_->tokens(at)) mask.set(id);
    ++at;
  }
}

Matcher::Matcher(std::shared_ptr<const Grammar> grammar, bool drop_space)
    : grammar_(std::move(grammar)),
      found_(grammar_->found_),
      state_(found_->states.initial()),
      drop_space_(drop_space) {}

const TokenMask& Matcher::allowed() {
  keep_up();
  using Place = Grammar::Place;
  return grammar_->mask(*found_, state_,
                        drop_space_ ? Place::kAfterDroppedSpace : Place::kAnywhere);
}

std::string_view Matcher::take(int32_t id) {
  std::string_view bytes = grammar_->trie().tokenizer().bytes_of(id);
  if (drop_space_ && bytes.starts_with(' ')) bytes.remove_prefix(1);
  drop_space_ = false;
  found_->states.allow_work(kMaxWork);  // a text that is read again may make edges
  uint32_t state = state_;
  for (const char byte : bytes) state = found_->states.step(state, static_cast<uint8_t>(byte));
  if (state == kRefused)
    fail(ErrorCode::kBackend, "token ", id, " was drawn though the grammar does not allow it");
  state_ = state;
  return bytes;
}

void Matcher::keep_up() {
  if (grammar_->found_->states.full())
    grammar_->found_ = std::make_shared<Grammar::Found>(grammar_->program_);
  if (found_ == grammar_->found_) return;
  state_ = grammar_->found_->states.import(found_->states, state_);
  found_ = grammar_->found_;
  ++moves_;
}

std::shared_ptr<const Grammar> Compiler::compile(Syntax syntax, std::string_view text) {
  Program program = syntax == Syntax::kGbnf ? parse_gbnf(text) : parse_regex(text);
  std::shared_ptr<const TokenTrie> trie;
  {
    const std::lock_guard lock(mutex_);
    if (!trie_) trie_ = std::make_shared<TokenTrie>(tokenizer_);
    trie = trie_;
  }
  const auto grammar = std::make_shared<const Grammar>(std::move(program), std::move(trie));
  Matcher(grammar).allowed();
  return grammar;
}

}  // namespace cria::grammar
