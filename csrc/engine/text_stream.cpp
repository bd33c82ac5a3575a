#include "engine/text_stream.h"

#include <algorithm>

namespace cria {

TextStream::Pushed TextStream::push(std::string_view bytes, std::string& out) {
  if (!banned_->empty()) tokens_.push_back({held_.size(), trimming_, utf8_});
  utf8_.push(bytes, held_);
  trim();
  const size_t stop_at = first_stop();
  if (const size_t taken = take_back_banned(std::min(stop_at, held_.size())))
    return {.stopped = false, .taken_back = taken};
  if (stop_at != std::string::npos) {
    out.append(held_, 0, stop_at);
    held_.clear();
    tokens_.clear();
    return {.stopped = true, .taken_back = 0};
  }
  // A stop string is whole code points, but its beginning may end inside one; held_ never does.
  size_t certain = held_.size() - beginnings(held_, *stop_);
  if (!banned_->empty()) {
    const size_t first = first_uncertain();
    if (first < tokens_.size()) certain = std::min(certain, tokens_[first].held);
    tokens_.erase(tokens_.begin(), tokens_.begin() + static_cast<std::ptrdiff_t>(first));
  }
  give_out(certain, out);
  return {};
}

void TextStream::flush(std::string& out) {
  utf8_.flush(held_);
  trim();
  out += held_;
  held_.clear();
  tokens_.clear();
}

size_t TextStream::first_stop() const {
  size_t at = std::string::npos;
  for (const std::string& stop : *stop_) at = std::min(at, held_.find(stop));
  return at;
}

/// Undoes the tokens from the one on in which the first banned text of held_[0, end) begins, where
/// there is one, and says how many those are.
size_t TextStream::take_back_banned(size_t end) {
  size_t begin = std::string::npos;
  for (const std::string& text : *banned_)
    begin = std::min(begin, std::string_view(held_).substr(0, end).find(text));
  if (begin == std::string::npos) return 0;
  const size_t first = first_token_of(begin), count = tokens_.size() - first;
  held_.resize(tokens_[first].held);
  trimming_ = tokens_[first].trimming;
  utf8_ = tokens_[first].utf8;
  tokens_.resize(first);
  return count;
}

/// The held token that the character at a byte of held_ begins in. At the end of the text: the
/// token that has the beginning of an unfinished code point, if there is one, or the number of
/// tokens.
size_t TextStream::first_token_of(size_t at) const {
  size_t next = tokens_.size();
  if (at >= held_.size() && !utf8_.holding()) return next;
  while (next > 0 && tokens_[next - 1].held > at) --next;
  if (next == 0) return 0;
  size_t first = next - 1;
  while (first > 0 && tokens_[first].utf8.holding()) --first;
  return first;
}

/// The first token that may be taken back. In what is before it no banned text begins: neither with
/// the text as it is, nor with any other after the tokens from there on are taken back.
size_t TextStream::first_uncertain() const {
  size_t end = held_.size();
  while (true) {
    const size_t begun = beginnings(std::string_view(held_).substr(0, end), *banned_);
    const size_t first = first_token_of(end - begun);
    if (first == tokens_.size()) return first;
    if (begun == 0 && tokens_[first].held >= end) return first;
    end = tokens_[first].held;
  }
}

/// The longest end of a text that begins one of these texts, in bytes.
size_t TextStream::beginnings(std::string_view text, const std::vector<std::string>& texts) {
  size_t hold = 0;
  for (const std::string& other : texts) {
    size_t length = std::min(other.size() - 1, text.size());
    while (length > hold && !text.ends_with(std::string_view(other).substr(0, length))) --length;
    hold = std::max(hold, length);
  }
  return hold;
}

void TextStream::give_out(size_t bytes, std::string& out) {
  out.append(held_, 0, bytes);
  drop(bytes);
}

void TextStream::drop(size_t bytes) {
  held_.erase(0, bytes);
  for (Before& token : tokens_) token.held -= std::min(token.held, bytes);
}

void TextStream::trim() {
  if (!trimming_) return;
  drop(std::min(held_.find_first_not_of(" \t\r\n"), held_.size()));
  trimming_ = held_.empty();
}

}  // namespace cria
