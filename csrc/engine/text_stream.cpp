#include "engine/text_stream.h"

#include <algorithm>

namespace cria {

bool TextStream::push(std::string_view bytes, std::string& out) {
  utf8_.push(bytes, held_);
  return release(out);
}

void TextStream::flush(std::string& out) {
  utf8_.flush(held_);
  trim();
  out += held_;
  held_.clear();
}

bool TextStream::release(std::string& out) {
  trim();
  size_t stop_at = std::string::npos;
  for (const std::string& stop : stop_) stop_at = std::min(stop_at, held_.find(stop));
  if (stop_at != std::string::npos) {
    out.append(held_, 0, stop_at);
    held_.clear();
    return true;
  }
  size_t hold = 0;  // the longest end of the text that begins a stop string
  for (const std::string& stop : stop_) {
    size_t length = std::min(stop.size() - 1, held_.size());
    while (length > hold && !held_.ends_with(std::string_view(stop).substr(0, length))) --length;
    hold = std::max(hold, length);
  }
  // A stop string is whole code points, but its beginning may end inside one; held_ never does.
  out.append(held_, 0, held_.size() - hold);
  held_.erase(0, held_.size() - hold);
  return false;
}

void TextStream::trim() {
  if (!trimming_) return;
  held_.erase(0, held_.find_first_not_of(" \t\r\n"));
  trimming_ = held_.empty();
}

}  // namespace cria
