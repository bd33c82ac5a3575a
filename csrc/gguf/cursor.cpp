// F1. How names and offsets out of an untrusted file stand in messages.
#include "gguf/cursor.h"

namespace cria::gguf {

std::string quoted(std::string_view name) {
  constexpr size_t kShown = 80;
  constexpr char kHex[] = "0123456789abcdef";
  std::string text = "\"";
  for (const char c : name.substr(0, kShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      text += c;
    } else {
      text += "\\x";
      text += kHex[byte >> 4];
      text += kHex[byte & 15];
    }
  }
  return text + (name.size() > kShown ? "…\"" : "\"");
}

void fail_bad(const std::string& source, uint64_t offset, const std::string& what) {
  const std::string where = source.empty() ? "" : source + ": ";
  throw Error(ErrorCode::kBadGguf, cat(where, what, " (at byte ", offset, ")"), offset);
}

}  // namespace cria::gguf
