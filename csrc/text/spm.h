// F1. The byte-pair merging of SentencePiece (Kudo & Richardson 2018, §3.1).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/merge.h"
#include "text/piece_index.h"
#include "text/plain_encoder.h"

namespace cria::text {

/// How pieces write a space: U+2581.
inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

/// A text starts as one symbol for each code point, and for each byte that belongs to none. Again
/// and again the two neighbours whose joint spelling is the piece of the highest score (the
/// leftmost of equals) become one symbol, until no two neighbours spell a piece. Only normal pieces
/// take part. A symbol that is no piece becomes its byte pieces, or the unknown token where the
/// vocabulary lacks one of those bytes.
class Spm final : public PlainEncoder {
 public:
  /// `vocab`, already checked, must outlive it.
  explicit Spm(const Vocab& vocab);

  size_t encode(std::string_view text, std::vector<int32_t>& ids) const override;
  bool has_all_bytes() const override;

 private:
  /// `text` as the pieces spell it: spaces marked, one more in front if the vocabulary asks for it.
  std::string with_marks(std::string_view text) const;
  /// Whether some normal piece may hold the code points `left` and `right` side by side.
  bool may_join(uint32_t left, uint32_t right) const;
  void learn_joints(std::string_view piece);
  void merge(std::string_view text, Merger& merger) const;
  void emit(std::string_view spelt, std::vector<int32_t>& ids) const;

  const Vocab& vocab_;
  PieceIndex normal_;
  size_t longest_ = 0;                 // bytes of the longest normal piece
  std::array<int32_t, 256> byte_ids_;  // -1: the vocabulary lacks that byte
  std::vector<uint64_t> joints_;       // a bit for each hash of two adjoining code points
};

}  // namespace cria::text
