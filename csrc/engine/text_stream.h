// F5. From drawn tokens to the text a caller sees: whole code points only, cut at stop strings.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace cria {

class TextStream {
 public:
  TextStream(const text::Tokenizer& tokenizer, const std::vector<std::string>& stop,
             bool trim_start)
      : tokenizer_(tokenizer), stop_(stop), trimming_(trim_start) {}

  /// Adds a token. Text that is certain is appended to `out`: what could still be the beginning of
  /// a stop string is held back. True when a stop string is complete: the text ends before it.
  bool push(int32_t token, std::string& out) { return push(tokenizer_.bytes_of(token), out); }
  /// Likewise with the bytes that a token adds.
  bool push(std::string_view bytes, std::string& out);
  /// The generation ended without a stop string: appends what was held.
  void flush(std::string& out);

 private:
  bool release(std::string& out);
  void trim();

  const text::Tokenizer& tokenizer_;
  const std::vector<std::string>& stop_;
  bool trimming_;
  text::Utf8Stream utf8_;
  std::string held_;
};

}  // namespace cria
