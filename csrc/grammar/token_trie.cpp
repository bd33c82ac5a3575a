#include "grammar/token_trie.h"

#include <algorithm>
#include <string_view>

namespace cria::grammar {

TokenTrie::TokenTrie(std::shared_ptr<const text::Tokenizer> tokenizer)
    : tokenizer_(std::move(tokenizer)) {
  for (int32_t id = 0; id < tokenizer_->size(); ++id)
    if (!tokenizer_->is_end_of_generation(id) && !tokenizer_->bytes_of(id).empty())
      tokens_.push_back(id);
  std::ranges::stable_sort(tokens_, {}, [this](int32_t id) { return tokenizer_->bytes_of(id); });

  std::vector<uint32_t> path;  // the nodes above the next one
  std::string_view last;
  const auto close = [&](size_t depth) {
    for (; path.size() > depth; path.pop_back())
      nodes_[path.back()].skip = static_cast<uint32_t>(nodes_.size());
  };
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const std::string_view bytes = tokenizer_->bytes_of(tokens_[i]);
    const auto common = static_cast<size_t>(std::ranges::mismatch(last, bytes).in1 - last.begin());
    close(common);
    for (size_t depth = common; depth < bytes.size(); ++depth) {
      path.push_back(static_cast<uint32_t>(nodes_.size()));
      nodes_.push_back({0, static_cast<uint32_t>(depth + 1), static_cast<uint32_t>(i),
                        static_cast<uint8_t>(bytes[depth])});
    }
    depth_ = std::max(depth_, static_cast<uint32_t>(bytes.size()));
    last = bytes;
  }
  close(0);
  // A node above the one of a token has none of its own: they begin where its first child's do.
  nodes_.push_back({0, 0, static_cast<uint32_t>(tokens_.size()), 0});
}

}  // namespace cria::grammar
