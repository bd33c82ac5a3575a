#include "engine/constraint.h"

#include <limits>

#include "base/error.h"

namespace cria {

void Constraint::mask(std::span<float> logits) {
  const grammar::TokenMask& allowed = matcher_.allowed();
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

void Constraint::rewind(std::span<const int32_t> drawn) {
  matcher_ = grammar::Matcher(grammar_, trim_start_);
  for (const int32_t id : drawn) matcher_.take(id);
}

}  // namespace cria
