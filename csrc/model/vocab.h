// F4. A tokenizer's vocabulary, read from a file's metadata.
#pragma once

#include "gguf/gguf.h"
#include "text/tokenizer.h"

namespace cria {

/// Reads the `tokenizer.ggml.*` keys of a SentencePiece vocabulary (`tokenizer.ggml.model` "llama":
/// Llama 2) or a byte-level one ("gpt2", with `tokenizer.ggml.pre` "llama-bpe": Llama 3). Throws
/// kUnsupported for another kind of tokenizer, kBadGguf where a key is missing or its value has the
/// wrong type, count or range; what the pieces hold is checked by `text::Tokenizer`.
///
/// Absent keys: add_bos_token and add_space_prefix true; for SentencePiece bos
/// 1, eos 2 and unknown 0 where the vocabulary has such ids, otherwise none; without token_type,
/// the special ids are control and unknown pieces, SentencePiece's `<0xXX>` byte pieces, all others
/// normal.
text::Vocab read_vocab(const gguf::File& file);

}  // namespace cria
