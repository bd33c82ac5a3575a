// F1. What each id adds to a text.
#include "text/piece_texts.h"

#include "text/byte_spelling.h"
#include "text/spm.h"
#include "text/vocab_check.h"

namespace cria::text {
namespace {

void append_with_spaces(std::string_view piece, std::string& out) {
  for (;;) {
    const size_t mark = piece.find(kSpaceMark);
    out += piece.substr(0, mark);
    if (mark == std::string_view::npos) return;
    out += ' ';
    piece.remove_prefix(mark + kSpaceMark.size());
  }
}

}  // namespace

PieceTexts::PieceTexts(const Vocab& vocab) : vocab_(vocab) {
  ends_.reserve(vocab.pieces.size());
  for (size_t id = 0; id < vocab.pieces.size(); ++id) {
    const std::string& piece = vocab.pieces[id];
    if (vocab.types[id] == PieceType::kNormal) {
      if (vocab.algorithm == Algorithm::kSpm) append_with_spaces(piece, pool_);
      if (vocab.algorithm == Algorithm::kByteBpe) append_unspelt(piece, pool_);
    }
    if (vocab.types[id] == PieceType::kByte) pool_ += static_cast<char>(byte_value(piece));
    ends_.push_back(pool_.size());
  }
}

std::string_view PieceTexts::of(int32_t id, bool special) const {
  const auto i = static_cast<size_t>(id);
  switch (vocab_.types[i]) {
    case PieceType::kNormal:
    case PieceType::kByte: {
      const size_t begin = i == 0 ? 0 : ends_[i - 1];
      return std::string_view(pool_).substr(begin, ends_[i] - begin);
    }
    case PieceType::kUserDefined:
      return vocab_.pieces[i];
    default:
      return special ? std::string_view(vocab_.pieces[i]) : std::string_view();
  }
}

}  // namespace cria::text
