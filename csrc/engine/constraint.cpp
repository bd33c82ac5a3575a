#include "engine/constraint.h"

#include <limits>

#include "base/error.h"

namespace cria {

void Constraint::mask(std::span<float> logits) {
  const uint32_t moves = matcher_.moves();
  const grammar::TokenMask& allowed = matcher_.allowed();
  if (matcher_.moves() != moves) marks_.clear();
  bool any = false;
  for (size_t id = 0; id < logits.size(); ++id) {
    if (allowed[static_cast<int32_t>(id)])
      any = true;
    else
      logits[id] = -std::numeric_limits<float>::infinity();
  }
  if (!any)
    fail(ErrorCode::kBadArgument,
         "no token of the vocabulary goes on with the text as the grammar wants it; expected a "
         "grammar of characters that the vocabulary can write");
}

std::string_view Constraint::take(int32_t id) {
  const grammar::Matcher::Mark before = matcher_.mark();
  const std::string_view bytes = matcher_.take(id);
  marks_.push_back(before);
  ++taken_;
  return bytes;
}

void Constraint::rewind(std::span<const int32_t> drawn) {
  const size_t back = taken_ - drawn.size();
  if (back == 0) return;
  taken_ = drawn.size();
  if (back <= marks_.size()) {
    const auto first = marks_.end() - static_cast<std::ptrdiff_t>(back);
    matcher_.go_back(*first);
    marks_.erase(first, marks_.end());
    return;
  }
  marks_.clear();
  matcher_ = grammar::Matcher(grammar_, trim_start_);
  for (const int32_t id : drawn) matcher_.take(id);
}

}  // namespace cria
