// SentencePiece merging as its paper words it, and nothing else: look at all neighbours, merge the
// best pair, repeat. Quadratic, and shares no code with csrc/text.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "text/fixtures.h"

namespace cria::test {

class NaiveSpm {
 public:
  explicit NaiveSpm(const Vocab& vocab) : vocab_(vocab) {
    for (size_t id = vocab.pieces.size(); id-- > 0;) {  // backwards: the first of equals remains
      if (vocab.types[id] == PieceType::kNormal) ids_[vocab.pieces[id]] = static_cast<int32_t>(id);
      if (vocab.types[id] == PieceType::kByte) bytes_[vocab.pieces[id]] = static_cast<int32_t>(id);
    }
  }

  /// The ids of a text without special pieces, with the dummy prefix before it.
  Ids encode(const std::string& text) const {
    if (text.empty()) return {};
    std::string marked = "▁";
    for (const char c : text) marked += c == ' ' ? "▁" : std::string(1, c);
    std::vector<std::string> symbols = characters(marked);
    for (;;) {
      size_t best = symbols.size();
      float best_score = 0;
      for (size_t i = 0; i + 1 < symbols.size(); ++i) {
        const auto found = ids_.find(symbols[i] + symbols[i + 1]);
        if (found == ids_.end()) continue;
        const float score = vocab_.scores[static_cast<size_t>(found->second)];
        if (best < symbols.size() && score <= best_score) continue;
        best = i;
        best_score = score;
      }
      if (best == symbols.size()) break;
      symbols[best] += symbols[best + 1];
      symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
    Ids out;
    for (const std::string& symbol : symbols) emit(symbol, out);
    return out;
  }

 private:
  /// One entry for each well-formed code point (checked by decoding and encoding it again), one for
  /// each byte otherwise.
  static std::vector<std::string> characters(const std::string& text) {
    std::vector<std::string> out;
    for (size_t at = 0; at < text.size();) {
      size_t length = 1;
      for (size_t tried = 2; tried <= 4 && at + tried <= text.size(); ++tried) {
        if (is_character(text.substr(at, tried))) length = tried;
      }
      out.push_back(text.substr(at, length));
      at += length;
    }
    return out;
  }
  static bool is_character(const std::string& bytes) {
    uint32_t code = static_cast<uint8_t>(bytes[0]) & (0xFFu >> (bytes.size() + 1));
    for (size_t i = 1; i < bytes.size(); ++i) code = code << 6 | (bytes[i] & 0x3F);
    std::string again;
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
    append_utf8(code, again);
    return again == bytes;
  }
  void emit(const std::string& symbol, Ids& out) const {
    if (const auto found = ids_.find(symbol); found != ids_.end()) {
      out.push_back(found->second);
      return;
    }
    Ids bytes;
    for (const char c : symbol) {
      const auto found = bytes_.find(byte_piece(static_cast<uint8_t>(c)));
      if (found == bytes_.end()) {
        out.push_back(vocab_.unknown);
        return;
      }
      bytes.push_back(found->second);
    }
    out.insert(out.end(), bytes.begin(), bytes.end());
  }

  const Vocab& vocab_;
  std::map<std::string, int32_t> ids_, bytes_;
};

}  // namespace cria::test
