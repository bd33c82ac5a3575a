// Vocabularies for the tokenizer's tests: a small one made here, and those of ../shared.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/gguf.h"
#include "support/check.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace cria::test {

using text::PieceType;
using text::Vocab;
using Ids = std::vector<int32_t>;

/// Ids as text, so that CHECK_EQ can show them.
inline std::string shown(const Ids& ids) {
  std::string out;
  for (const int32_t id : ids) out += cat(" ", id);
  return out;
}

inline int32_t add_piece(Vocab& vocab, std::string_view piece, PieceType type, float score = 0) {
  vocab.pieces.emplace_back(piece);
  vocab.types.push_back(type);
  vocab.scores.push_back(score);
  return static_cast<int32_t>(vocab.pieces.size()) - 1;
}

inline std::string byte_piece(int byte) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  return {'<', '0', 'x', kDigits[byte / 16], kDigits[byte % 16], '>'};
}

/// <unk>, <s>, </s> and, if asked for, the 256 byte pieces, as SentencePiece numbers them.
inline Vocab empty_vocab(bool bytes = true) {
  Vocab vocab;
  vocab.unknown = add_piece(vocab, "<unk>", PieceType::kUnknown);
  vocab.bos = add_piece(vocab, "<s>", PieceType::kControl);
  vocab.eos = add_piece(vocab, "</s>", PieceType::kControl);
  vocab.end_of_generation = {vocab.eos};
  for (int byte = 0; bytes && byte < 256; ++byte)
    add_piece(vocab, byte_piece(byte), PieceType::kByte);
  return vocab;
}

/// A vocabulary in which merges compete: shared prefixes, equal scores, runs of spaces, pieces of
/// two and three bytes a character, a piece whose first character is none, and special pieces that
/// are prefixes of each other.
inline Vocab small_vocab(bool bytes = true) {
  Vocab vocab = empty_vocab(bytes);
  const char* const characters[] = {"▁", "a", "b", "c", "d", "e", "é", "я", "日", "<", "s", "\n"};
  for (const char* piece : characters) add_piece(vocab, piece, PieceType::kNormal, -100);
  const std::pair<const char*, float> merges[] = {
      {"▁a", -1},  {"ab", -2},   {"bc", -2},  {"abc", -3},   {"▁▁", -4},   {"▁▁▁▁", -5},
      {"aa", -6},  {"aaaa", -7}, {"cd", -2},  {"▁ab", -8},   {"éя", -9},   {"日日", -9},
      {"xa", -10}, {"de", -1.5}, {"ede", -3}, {"\n\n", -11}, {"bcde", -4}, {"abcde", 0.5},
  };
  for (const auto& [piece, score] : merges) add_piece(vocab, piece, PieceType::kNormal, score);
  add_piece(vocab, "<tool>", PieceType::kUserDefined);
  add_piece(vocab, "<tool>s", PieceType::kUserDefined);
  add_piece(vocab, "<end>", PieceType::kControl);
  add_piece(vocab, "<end><tool>", PieceType::kControl);
  add_piece(vocab, "ee<e", PieceType::kUserDefined);
  return vocab;
}

/// The same with its user-defined pieces as control ones, which plain text never gives: before text
/// that follows a special piece there is a dummy prefix, and decoding cannot know it from a space.
inline Vocab without_user_defined(Vocab vocab) {
  for (PieceType& type : vocab.types)
    if (type == PieceType::kUserDefined) type = PieceType::kControl;
  return vocab;
}

inline std::filesystem::path shared_file(const char* name) {
  const std::filesystem::path path = std::filesystem::path("../shared") / name;
  if (!std::filesystem::exists(path)) throw Skip{path.string() + " is not here"};
  return path;
}

/// The vocabulary of a file whose content is known to be good; model/vocab.h is the checked reader.
inline Vocab shared_vocab(const char* name) {
  const gguf::File file = gguf::File::open(shared_file(name));
  Vocab vocab;
  const auto pieces = file.get_strings("tokenizer.ggml.tokens").value();
  vocab.pieces.assign(pieces.begin(), pieces.end());
  vocab.scores = file.get_floats("tokenizer.ggml.scores").value();
  const auto types = file.get_ints("tokenizer.ggml.token_type").value();
  for (const int64_t type : types) vocab.types.push_back(static_cast<PieceType>(type));
  vocab.unknown = 0;
  vocab.bos = 1;
  vocab.eos = 2;
  vocab.end_of_generation = {2};
  return vocab;
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void append_utf8(uint32_t code, std::string& out) {
  const auto put = [&](uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xC0 | code >> 6);
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
  }
  put(0x80 | (code & 0x3F));
}

inline bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const text::Utf8Sequence sequence = text::read_utf8(bytes);
    if (sequence.state != text::Utf8State::kWhole) return false;
    bytes.remove_prefix(sequence.bytes);
  }
  return true;
}

/// Random code points of all planes, no surrogates, no U+2581 (which a text cannot tell from a
/// space once it is encoded).
inline std::string random_unicode(std::mt19937& random, size_t length) {
  std::string out;
  while (length > 0) {
    constexpr uint32_t kLimits[] = {0x80, 0x800, 0x10000, 0x110000};
    const uint32_t code = random() % kLimits[random() % 4];
    if ((code >= 0xD800 && code < 0xE000) || code == 0x2581) continue;
    append_utf8(code, out);
    --length;
  }
  return out;
}

/// A text made of pieces of the vocabulary, spaces, and now and then something foreign: what makes
/// merges compete most.
inline std::string random_text(const Vocab& vocab, std::mt19937& random, size_t parts) {
  std::string out;
  for (size_t i = 0; i < parts; ++i) {
    switch (random() % 8) {
      case 0:
        out += ' ';
        break;
      case 1:
        out += random_unicode(random, 1);
        break;
      case 2:
        out += static_cast<char>(random() % 256);
        break;
      default: {
        const std::string& piece = vocab.pieces[random() % vocab.pieces.size()];
        out.append(piece, 0, random() % 4 == 0 ? piece.size() / 2 : piece.size());
      }
    }
  }
  return out;
}

}  // namespace cria::test
