// F1. What the tokenizer takes for granted about a vocabulary, checked once.
#include "text/vocab_check.h"

#include <bitset>
#include <cmath>

#include "base/error.h"

namespace cria::text {
namespace {

// Pieces come from a file and go into a message: show a bounded, printable form.
std::string shown(std::string_view piece) {
  constexpr size_t kLongest = 24;
  std::string out = "\"";
  for (const char c : piece.substr(0, kLongest)) out += c >= ' ' && c <= '~' ? c : '?';
  return out + (piece.size() > kLongest ? "…\"" : "\"");
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

void check_id(const char* name, int32_t id, int32_t lowest, size_t pieces) {
  if (id >= lowest && id < static_cast<int64_t>(pieces)) return;
  fail(ErrorCode::kBadGguf, "vocabulary: the ", name, " id is ", id, "; expected ", lowest, " to ",
       pieces - 1);
}

void check_counts(const Vocab& vocab) {
  const size_t count = vocab.pieces.size();
  if (count == 0 || count > kMaxPieces)
    fail(ErrorCode::kBadGguf, "vocabulary: ", count, " pieces; expected 1 to ", kMaxPieces);
  const bool scored = vocab.algorithm == Algorithm::kSpm || !vocab.scores.empty();
  if (scored && vocab.scores.size() != count)
    fail(ErrorCode::kBadGguf, "vocabulary: ", vocab.scores.size(), " scores for ", count,
         " pieces; expected one each");
  if (vocab.types.size() != count)
    fail(ErrorCode::kBadGguf, "vocabulary: ", vocab.types.size(), " types for ", count,
         " pieces; expected one each");
  if (vocab.merges.size() > kMaxPieces)
    fail(ErrorCode::kBadGguf, "vocabulary: ", vocab.merges.size(), " merges; expected at most ",
         kMaxPieces);
}

void check_pieces(const Vocab& vocab) {
  size_t special_bytes = 0;
  std::bitset<256> byte_pieces;
  for (size_t id = 0; id < vocab.pieces.size(); ++id) {
    const std::string& piece = vocab.pieces[id];
    const PieceType type = vocab.types[id];
    if (!vocab.scores.empty() && std::isnan(vocab.scores[id]))
      fail(ErrorCode::kBadGguf, "vocabulary: the score of piece ", id, " is not a number");
    if (type < PieceType::kNormal || type > PieceType::kByte)
      fail(ErrorCode::kBadGguf, "vocabulary: piece ", id, " has type ", static_cast<int>(type),
           "; expected 1 to 6");
    if (is_special(type)) special_bytes += piece.size();
    if (type != PieceType::kByte) continue;
    const int value = byte_value(piece);
    if (value < 0)
      fail(ErrorCode::kBadGguf, "vocabulary: byte piece ", id, " is spelt ", shown(piece),
           "; expected <0x00> to <0xFF>");
    byte_pieces.set(static_cast<size_t>(value));
  }
  if (special_bytes > kMaxSpecialBytes)
    fail(ErrorCode::kBadGguf, "vocabulary: control and user-defined pieces of ", special_bytes,
         " bytes; expected at most ", kMaxSpecialBytes);
  if (vocab.algorithm == Algorithm::kSpm && !byte_pieces.all() && vocab.unknown < 0)
    fail(ErrorCode::kBadGguf, "vocabulary: ", byte_pieces.count(),
         " of 256 byte pieces and no unknown token; expected all of them or the token, since some "
         "text could not be encoded");
}

}  // namespace

int byte_value(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || !piece.ends_with('>')) return -1;
  const int high = hex_digit(piece[3]);
  const int low = hex_digit(piece[4]);
  return high < 0 || low < 0 ? -1 : 16 * high + low;
}

void check_vocab(const Vocab& vocab) {
  check_counts(vocab);
  const size_t count = vocab.pieces.size();
  check_id("beginning-of-text", vocab.bos, -1, count);
  check_id("end-of-text", vocab.eos, -1, count);
  check_id("unknown token's", vocab.unknown, -1, count);
  for (const int32_t id : vocab.end_of_generation) check_id("end-of-generation", id, 0, count);
  check_pieces(vocab);
}

}  // namespace cria::text
