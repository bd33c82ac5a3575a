// F1. How Llama 3 cuts a text into words before it merges bytes.
#pragma once

#include <cstddef>
#include <string_view>

namespace cria::text {

/// The length in bytes of the word at the front of `text`, which must not be empty: what the first
/// matching alternative of the Llama 3 tokenizer's pattern takes (at least one code point),
///
///     (?i:'s|'t|'re|'ve|'m|'ll|'d)
///   | [^\r\n\p{L}\p{N}]?\p{L}+
///   | \p{N}{1,3}
///   |  ?[^\s\p{L}\p{N}]+[\r\n]*
///   | \s*[\r\n]+
///   | \s+(?!\S)
///   | \s+
///
/// A byte that belongs to no code point counts as one that is no letter, number or space.
size_t llama3_word(std::string_view text);

}  // namespace cria::text
