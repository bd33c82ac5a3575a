// F1. How byte-level vocabularies spell bytes as printable code points (Radford et al. 2019,
// GPT-2).
#pragma once

#include <string>
#include <string_view>

namespace cria::text {

/// Appends the spelling of `bytes`: each printable Latin-1 byte as its own code point, the 68
/// others as U+0100 to U+0143 in order ("Ġ" for a space, "Ċ" for a line feed).
void append_spelt(std::string_view bytes, std::string& out);

/// Appends the bytes that `piece` spells; what is no such code point stands for itself.
void append_unspelt(std::string_view piece, std::string& out);

}  // namespace cria::text
