// F1. Ids in one by one, text out as it becomes certain.
#include "text/tokenizer.h"

namespace cria::text {

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool special)
    : tokenizer_(tokenizer), special_(special), prefixed_(tokenizer.vocab().add_space_prefix) {}

void StreamDecoder::push(int32_t id, std::string& out) {
  std::string_view bytes = tokenizer_.bytes_of(id, special_);
  const PieceType type = tokenizer_.vocab().types[static_cast<size_t>(id)];
  const bool plain = type == PieceType::kNormal || type == PieceType::kByte;
  if (prefixed_ && plain && !bytes.empty()) {
    prefixed_ = false;
    if (type == PieceType::kNormal && bytes.front() == ' ') bytes.remove_prefix(1);
  }
  utf8_.push(bytes, out);
}

}  // namespace cria::text
