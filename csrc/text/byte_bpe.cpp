// F1. Byte-level byte-pair encoding with the words of Llama 3.
#include "text/byte_bpe.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "text/byte_spelling.h"
#include "text/pretokenizer.h"

namespace cria::text {

ByteBpe::ByteBpe(const Vocab& vocab) : vocab_(vocab), normal_(vocab, PieceType::kNormal) {
  std::string spelt;
  for (size_t byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    spelt.clear();
    append_spelt({&c, 1}, spelt);
    byte_ids_[byte] = normal_.find(spelt);
  }
  if (!has_all_bytes() && vocab.unknown < 0)
    fail(
        ErrorCode::kBadGguf, "vocabulary: the pieces of ", std::ranges::count(byte_ids_, -1),
        " bytes are missing, and there is no unknown token; expected either, since some text could "
        "not be encoded");
  merges_.reserve(vocab.merges.size());
  for (size_t rank = 0; rank < vocab.merges.size(); ++rank) add_merge(rank);
}

void ByteBpe::add_merge(size_t rank) {
  const std::string_view merge = vocab_.merges[rank];
  const size_t space = merge.find(' ');  // spelt pieces hold none
  if (space == std::string_view::npos || merge.find(' ', space + 1) != std::string_view::npos)
    fail(ErrorCode::kBadGguf, "vocabulary: merge ", rank,
         " is not two pieces with a space between");
  const std::string_view left = merge.substr(0, space), right = merge.substr(space + 1);
  const int32_t left_id = normal_.find(left), right_id = normal_.find(right);
  const int32_t id = normal_.find(std::string(left) += right);
  if (left_id < 0 || right_id < 0 || id < 0)
    fail(ErrorCode::kBadGguf, "vocabulary: merge ", rank,
         " is of pieces that are not in the vocabulary; expected both parts and the whole");
  // A pair that is listed twice keeps its better rank. Ranks are exact in a float: below 2^24.
  merges_.try_emplace(pair_of(left_id, right_id), Joined{id, -static_cast<float>(rank)});
}

bool ByteBpe::has_all_bytes() const {
  return std::ranges::all_of(byte_ids_, [](int32_t id) { return id >= 0; });
}

size_t ByteBpe::encode(std::string_view text, std::vector<int32_t>& ids) const {
  Merger merger;
  std::string spelt;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, llama3_word(text));
    text.remove_prefix(word.size());
    spelt.clear();
    append_spelt(word, spelt);
    if (const int32_t id = normal_.find(spelt); id >= 0) {
      ids.push_back(id);
      continue;
    }
    merger.clear();
    for (uint32_t at = 0; at < word.size(); ++at)
      merger.add(at, 1, byte_ids_[static_cast<uint8_t>(word[at])]);
    merger.merge([&](const Symbol& left, const Symbol& right) -> Joined {
      const auto found = merges_.find(pair_of(left.id, right.id));
      return found == merges_.end() ? Joined{-1, 0} : found->second;
    });
    merger.for_each(
        [&](const Symbol& symbol) { ids.push_back(symbol.id < 0 ? vocab_.unknown : symbol.id); });
  }
  return merger.queued();
}

}  // namespace cria::text
