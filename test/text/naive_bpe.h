// The words of Llama 3 and byte-level merging, by their definitions: a small backtracking matcher
// that is given the pattern as data, and merges by looking at all neighbours again and again.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "text/byte_spelling.h"
#include "text/fixtures.h"

namespace cria::test {

/// The characters that the random texts of these tests are made of, with their class as Unicode has
/// it: L, N, S (white space), R (white space that ends a line) or O (other).
struct Letter {
  const char* bytes;
  char type;
};
inline constexpr Letter kAlphabet[] = {
    {"a", 'L'},      {"S", 'L'},      {"s", 'L'},    {"t", 'L'},    {"R", 'L'},
    {"e", 'L'},      {"l", 'L'},      {"v", 'L'},    {"ſ", 'L'},    {"é", 'L'},
    {"日", 'L'},     {"𐐷", 'L'},      {"1", 'N'},    {"9", 'N'},    {"²", 'N'},
    {"Ⅷ", 'N'},      {"٣", 'N'},      {" ", 'S'},    {" ", 'S'},    {"\t", 'S'},
    {"\u00A0", 'S'}, {"\u3000", 'S'}, {"\n", 'R'},   {"\r", 'R'},   {"'", 'O'},
    {"'", 'O'},      {"!", 'O'},      {"_", 'O'},    {"🦙", 'O'}, {"\u0301", 'O'},
    {"\u200B", 'O'}, {"\xFF", 'O'},   {"\xC3", 'O'},
};
using Letters = std::vector<Letter>;

/// A pattern item: between `least` and `most` characters that are `is`, as many as possible first.
struct Item {
  std::function<bool(const Letter&)> is;
  size_t least;
  size_t most;
};

/// The end of what `items` from `item` on match at `at`, or -1. `(?!\S)` is `ends_free`.
inline long match(const Letters& text, size_t at, const std::vector<Item>& items, size_t item,
                  bool ends_free) {
  if (item == items.size()) {
    const bool free = at == text.size() || text[at].type == 'S' || text[at].type == 'R';
    return ends_free && !free ? -1 : static_cast<long>(at);
  }
  size_t count = 0;
  while (count < items[item].most && at + count < text.size() && items[item].is(text[at + count]))
    ++count;
  for (;; --count) {
    if (count < items[item].least) return -1;
    const long end = match(text, at + count, items, item + 1, ends_free);
    if (end >= 0 || count == 0) return end;
  }
}

/// The number of characters of the word at `at`, by the alternatives in the order of the pattern.
inline size_t naive_word(const Letters& text, size_t at) {
  const auto any_of = [](std::string types) {
    return [types](const Letter& c) { return types.find(c.type) != std::string::npos; };
  };
  const auto spelt = [](std::vector<std::string> forms) {
    return [forms](const Letter& c) { return std::ranges::find(forms, c.bytes) != forms.end(); };
  };
  const size_t many = text.size();
  const Item quote{spelt({"'"}), 1, 1}, e{spelt({"e", "E"}), 1, 1};
  const std::pair<std::vector<Item>, bool> alternatives[] = {
      {{quote, {spelt({"s", "S", "ſ"}), 1, 1}}, false},
      {{quote, {spelt({"t", "T"}), 1, 1}}, false},
      {{quote, {spelt({"r", "R"}), 1, 1}, e}, false},
      {{quote, {spelt({"v", "V"}), 1, 1}, e}, false},
      {{quote, {spelt({"m", "M"}), 1, 1}}, false},
      {{quote, {spelt({"l", "L"}), 2, 2}}, false},
      {{quote, {spelt({"d", "D"}), 1, 1}}, false},
      {{{any_of("SO"), 0, 1}, {any_of("L"), 1, many}}, false},
      {{{any_of("N"), 1, 3}}, false},
      {{{spelt({" "}), 0, 1}, {any_of("O"), 1, many}, {any_of("R"), 0, many}}, false},
      {{{any_of("SR"), 0, many}, {any_of("R"), 1, many}}, false},
      {{{any_of("SR"), 1, many}}, true},
      {{{any_of("SR"), 1, many}}, false},
  };
  for (const auto& [items, ends_free] : alternatives) {
    const long end = match(text, at, items, 0, ends_free);
    if (end > static_cast<long>(at)) return static_cast<size_t>(end) - at;
  }
  return 0;
}

inline std::vector<std::string> naive_words(const Letters& text) {
  std::vector<std::string> words;
  for (size_t at = 0; at < text.size();) {
    std::string word;
    for (size_t left = naive_word(text, at); left > 0; --left) word += text[at++].bytes;
    words.push_back(word);
  }
  return words;
}

/// The ids of one word.
inline Ids naive_merges(const Vocab& vocab, const std::string& word) {
  const auto id_of = [&](const std::string& piece) {
    const auto found = std::ranges::find(vocab.pieces, piece);
    return static_cast<int32_t>(found - vocab.pieces.begin());
  };
  const auto spelt = [](const std::string& bytes) {
    std::string out;
    text::append_spelt(bytes, out);
    return out;
  };
  if (std::ranges::count(vocab.pieces, spelt(word)) > 0) return {id_of(spelt(word))};
  std::vector<std::string> symbols;
  for (const char c : word) symbols.push_back(spelt(std::string(1, c)));
  for (const std::string& merge : vocab.merges) {
    // The best merge that applies, everywhere from left to right; an earlier one may apply again
    // only to what it makes itself, as a merge's parts come before it.
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      if (symbols[i] + " " + symbols[i + 1] != merge) continue;
      symbols[i] += symbols[i + 1];
      symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    }
  }
  Ids ids;
  for (const std::string& symbol : symbols) ids.push_back(id_of(symbol));
  return ids;
}

}  // namespace cria::test
