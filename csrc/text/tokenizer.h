// F1. Text to token ids and back: the SentencePiece BPE of Llama 2 and the byte-level BPE of
// Llama 3.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cria::text {

/// Piece types as SentencePiece and `tokenizer.ggml.token_type` number them.
enum class PieceType : uint8_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

enum class Algorithm : uint8_t {
  kSpm,      // SentencePiece: scores say which merge comes first
  kByteBpe,  // merges of bytes in the order of a list, within the words that Llama 3 knows
};

/// A vocabulary as a model file gives it; read from GGUF in model/vocab.h.
struct Vocab {
  Algorithm algorithm = Algorithm::kSpm;
  std::vector<std::string> pieces;  // [V] UTF-8; kSpm: a space is U+2581; kByteBpe: byte_spelling.h
  std::vector<float> scores;        // [V]; kByteBpe: none are needed
  std::vector<std::string> merges;  // kByteBpe: "left right", the first to be merged first
  std::vector<PieceType> types;     // [V]
  int32_t bos = -1;                 // -1: the vocabulary has none
  int32_t eos = -1;
  int32_t unknown = -1;
  bool add_bos = true;
  bool add_space_prefix = true;            // kSpm: SentencePiece's "dummy prefix"
  std::vector<int32_t> end_of_generation;  // ids that end a text: eos, end of turn, …
};

/// A stretch of text and whether control tokens spelt in it count as such. A caller's prompt parts
/// are trusted (the template's own) or not (what a user wrote).
struct Segment {
  std::string_view text;
  bool special = false;
};

class Tokenizer {
 public:
  /// Throws kBadGguf where the vocabulary is inconsistent (counts, ids, no byte fallback and no
  /// unknown token …). Broken UTF-8 in a piece is kept as bytes, never trusted.
  explicit Tokenizer(Vocab vocab);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  /// Encodes the segments as one text: adjoining plain text merges across a seam, a control token
  /// is recognised only inside a segment that allows it. User-defined pieces are always recognised.
  /// Of special pieces the leftmost counts, and of those that start there the longest; what a
  /// trusted segment holds is found first, so that no text beside it can take part of it away.
  /// `bos`: put the beginning-of-text token first. O(n log n) in the bytes of the text. Throws
  /// kBadArgument for more than 1 GiB.
  std::vector<int32_t> encode(std::span<const Segment> segments, bool bos) const;
  std::vector<int32_t> encode(std::string_view text, bool bos, bool special = false) const {
    const Segment one{text, special};
    return encode({&one, 1}, bos);
  }

  /// The text of whole `ids`: control tokens are left out unless `special`; the dummy prefix is
  /// removed; bytes that are no UTF-8 become U+FFFD. Throws kBadArgument on an id out of range.
  std::string decode(std::span<const int32_t> ids, bool special = false) const;

  /// The bytes that `id` adds to a running text (nothing for a control token unless `special`).
  std::string_view bytes_of(int32_t id, bool special = false) const;

  const Vocab& vocab() const;
  int32_t size() const;
  std::optional<int32_t> id_of(std::string_view piece) const;
  bool is_end_of_generation(int32_t id) const;
  /// The longest piece in bytes: no text of more than n × this fits in n tokens.
  size_t max_piece_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Bytes in, whole code points out: holds an unfinished UTF-8 sequence back until it is whole, and
/// turns what can never become one into U+FFFD (one per maximal subpart, Unicode 15 §3.9).
class Utf8Stream {
 public:
  /// Appends to `out` all that is certain after these bytes.
  void push(std::string_view bytes, std::string& out);
  /// Ends the text: what is held becomes U+FFFD.
  void flush(std::string& out);
  bool holding() const { return held_size_ > 0; }

 private:
  char held_[4] = {};
  int held_size_ = 0;
};

/// Ids in, text out, as `Tokenizer::decode` would give it for all of them: the dummy prefix is
/// dropped from the front, and only whole code points come out.
class StreamDecoder {
 public:
  /// `tokenizer` outlives the object.
  StreamDecoder(const Tokenizer& tokenizer, bool special);
  /// Appends to `out` what is certain after `id`. Throws kBadArgument on an id out of range.
  void push(int32_t id, std::string& out);
  void flush(std::string& out) { utf8_.flush(out); }

 private:
  const Tokenizer& tokenizer_;
  bool special_;
  bool prefixed_;  // until the first plain text has begun
  Utf8Stream utf8_;
};

}  // namespace cria::text
