// F4. A tokenizer's vocabulary, read from a file's metadata.
#include "model/vocab.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "text/vocab_check.h"

namespace cria {
namespace {

using text::PieceType;
using text::Vocab;

constexpr std::string_view kModel = "tokenizer.ggml.model";
constexpr std::string_view kPre = "tokenizer.ggml.pre";
constexpr std::string_view kMerges = "tokenizer.ggml.merges";
constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
constexpr std::string_view kScores = "tokenizer.ggml.scores";
constexpr std::string_view kTypes = "tokenizer.ggml.token_type";
constexpr std::string_view kEnds = "tokenizer.ggml.eos_token_ids";

// What converters call the words of Llama 3.
constexpr std::string_view kLlama3Words[] = {"llama-bpe", "llama3", "llama-v3"};

// How chat formats spell the end of a turn. Files often name only the end of the whole text.
constexpr std::string_view kEndSpellings[] = {"<|im_end|>", "<|eot_id|>", "<|end|>",
                                              "<end_of_turn>", "<|endoftext|>"};

// A kBadGguf at the value of `key`.
template <class... Parts>
[[noreturn]] void fail_at(const gguf::File& file, std::string_view key, const Parts&... parts) {
  const gguf::Entry* entry = file.find(key);
  throw Error(ErrorCode::kBadGguf, cat(key, ": ", parts...),
              entry ? std::optional(entry->offset) : std::nullopt);
}

text::Algorithm read_algorithm(const gguf::File& file) {
  const auto model = file.get_string(kModel);
  if (!model) fail_at(file, kModel, "missing; expected \"llama\": the file has no tokenizer");
  if (*model == "llama") return text::Algorithm::kSpm;
  if (*model != "gpt2")
    fail(ErrorCode::kUnsupported, kModel, ": expected \"llama\" (SentencePiece) or \"gpt2\" ",
         "(byte-level BPE), got ", gguf::quoted(*model));
  const std::string_view words = file.get_string(kPre).value_or("");
  if (std::ranges::find(kLlama3Words, words) == std::end(kLlama3Words))
    fail(ErrorCode::kUnsupported, kPre, ": expected \"llama-bpe\", the words of Llama 3, got ",
         words.empty() ? "none" : gguf::quoted(words));
  return text::Algorithm::kByteBpe;
}

void check_count(const gguf::File& file, std::string_view key, size_t count, size_t pieces) {
  if (count != pieces)
    fail_at(file, key, "expected ", pieces, " values, one for each of ", kTokens, ", got ", count);
}

void read_pieces(const gguf::File& file, Vocab& vocab) {
  const auto pieces = file.get_strings(kTokens, text::kMaxPieces);
  if (!pieces) fail_at(file, kTokens, "missing; expected the vocabulary's pieces");
  if (pieces->empty() || pieces->size() > text::kMaxPieces)
    fail_at(file, kTokens, "expected 1 to ", text::kMaxPieces, " pieces, got ", pieces->size());
  vocab.pieces.assign(pieces->begin(), pieces->end());

  if (auto scores = file.get_floats(kScores, text::kMaxPieces)) {
    check_count(file, kScores, scores->size(), pieces->size());
    vocab.scores = std::move(*scores);
  } else if (vocab.algorithm == text::Algorithm::kSpm) {
    fail_at(file, kScores, "missing; expected one for each piece: they order the merges");
  }
  if (vocab.algorithm == text::Algorithm::kByteBpe) {
    const auto merges = file.get_strings(kMerges, text::kMaxPieces);
    if (!merges) fail_at(file, kMerges, "missing; expected the pairs of pieces that merge");
    vocab.merges.assign(merges->begin(), merges->end());
  }
}

// An id key, or `otherwise` where the vocabulary has that id, or -1.
int32_t read_id(const gguf::File& file, const char* name, int32_t otherwise, const Vocab& vocab) {
  const size_t pieces = vocab.pieces.size();
  const auto id = file.get_uint(cat("tokenizer.ggml.", name, "_token_id"), 0, pieces - 1);
  if (id) return static_cast<int32_t>(*id);
  return otherwise < static_cast<int64_t>(pieces) ? otherwise : -1;
}

void read_types(const gguf::File& file, Vocab& vocab) {
  if (const auto types = file.get_ints(kTypes, text::kMaxPieces)) {
    check_count(file, kTypes, types->size(), vocab.pieces.size());
    for (const int64_t type : *types) {
      if (type < int64_t{static_cast<uint8_t>(PieceType::kNormal)} ||
          type > int64_t{static_cast<uint8_t>(PieceType::kByte)})
        fail_at(file, kTypes, "expected 1 to 6, got ", type, " for piece ", vocab.types.size());
      vocab.types.push_back(static_cast<PieceType>(type));
    }
    return;
  }
  const bool spm = vocab.algorithm == text::Algorithm::kSpm;
  // Were they all normal, a user could spell control tokens, and no byte could be encoded.
  for (const std::string& piece : vocab.pieces)
    vocab.types.push_back(spm && text::byte_value(piece) >= 0 ? PieceType::kByte
                                                              : PieceType::kNormal);
  const auto mark = [&](int32_t id, PieceType type) {
    if (id >= 0) vocab.types[static_cast<size_t>(id)] = type;
  };
  mark(vocab.bos, PieceType::kControl);
  mark(vocab.eos, PieceType::kControl);
  mark(vocab.unknown, PieceType::kUnknown);
}

void read_ends(const gguf::File& file, Vocab& vocab) {
  std::vector<int32_t>& ends = vocab.end_of_generation;
  for (const int32_t id :
       {vocab.eos, read_id(file, "eot", -1, vocab), read_id(file, "eom", -1, vocab)})
    if (id >= 0) ends.push_back(id);
  if (const auto ids = file.get_ints(kEnds, text::kMaxPieces)) {
    const auto pieces = static_cast<int64_t>(vocab.pieces.size());
    for (const int64_t id : *ids) {
      if (id < 0 || id >= pieces)
        fail_at(file, kEnds, "expected ids from 0 to ", pieces - 1, ", got ", id);
      ends.push_back(static_cast<int32_t>(id));
    }
  }
  for (size_t id = 0; id < vocab.pieces.size(); ++id) {
    if (vocab.types[id] == PieceType::kControl &&
        std::ranges::find(kEndSpellings, vocab.pieces[id]) != std::end(kEndSpellings))
      ends.push_back(static_cast<int32_t>(id));
  }
  std::ranges::sort(ends);
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
}

}  // namespace

text::Vocab read_vocab(const gguf::File& file) {
  Vocab vocab;
  vocab.algorithm = read_algorithm(file);
  const bool spm = vocab.algorithm == text::Algorithm::kSpm;
  read_pieces(file, vocab);
  vocab.bos = read_id(file, "bos", spm ? 1 : -1, vocab);
  vocab.eos = read_id(file, "eos", spm ? 2 : -1, vocab);
  vocab.unknown = read_id(file, "unknown", spm ? 0 : -1, vocab);
  read_types(file, vocab);
  read_ends(file, vocab);
  vocab.add_bos = file.get_bool("tokenizer.ggml.add_bos_token").value_or(true);
  // Byte-level BPE has no dummy prefix, whatever a file says.
  vocab.add_space_prefix = file.get_bool("tokenizer.ggml.add_space_prefix").value_or(true) && spm;
  return vocab;
}

}  // namespace cria
