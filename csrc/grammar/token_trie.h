// F2. The bytes of all tokens as one tree, so that an automaton reads each common beginning once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "text/tokenizer.h"

namespace cria::grammar {

/// Nodes in the order of a walk: a node's children follow it, and `skip` is where the walk goes on
/// after them. Tokens that add no bytes to a text, and those that end one, are not in it.
class TokenTrie {
 public:
  struct Node {
    uint32_t skip;
    uint32_t depth;        // of the root's children: 1
    uint32_t first_token;  // its tokens end where those of the next node begin
    uint8_t byte;
  };

  explicit TokenTrie(std::shared_ptr<const text::Tokenizer> tokenizer);

  const text::Tokenizer& tokenizer() const { return *tokenizer_; }
  /// Without the root; one past the last node has `first_token` alone.
  std::span<const Node> nodes() const { return std::span(nodes_).first(nodes_.size() - 1); }
  std::span<const int32_t> tokens(uint32_t node) const {
    return std::span(tokens_).subspan(nodes_[node].first_token,
                                      nodes_[node + 1].first_token - nodes_[node].first_token);
  }
  uint32_t depth() const { return depth_; }

 private:
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  std::vector<Node> nodes_;
  std::vector<int32_t> tokens_;
  uint32_t depth_ = 0;
};

}  // namespace cria::grammar
