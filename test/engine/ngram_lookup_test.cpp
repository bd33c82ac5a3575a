// Prompt lookup, held against a plain search for the longest match.
#include "engine/ngram_lookup.h"

#include <random>

#include "support/check.h"

namespace cria::test {
namespace {

/// Every place, the last first, however many there are.
NgramLookup::Match plain_find(const std::vector<int32_t>& tokens) {
  NgramLookup::Match best;
  int places = 0;
  for (size_t next = tokens.size() - 1; next >= NgramLookup::kLeastMatch; --next) {
    size_t length = 0;
    while (length < std::min(next, NgramLookup::kMostMatch) &&
           tokens[next - 1 - length] == tokens[tokens.size() - 1 - length])
      ++length;
    if (length < NgramLookup::kLeastMatch) continue;
    if (++places > NgramLookup::kMostPlaces) break;
    if (length > best.length) best = {length, next};
  }
  return best;
}

}  // namespace

TEST(lookup_finds_the_longest_match) {
  int found = 0, beyond = 0;
  for (uint32_t seed = 0; seed < 40; ++seed) {
    std::mt19937 random(seed);
    NgramLookup lookup;
    std::vector<int32_t> tokens = {1};
    const auto words = static_cast<unsigned>(2 + seed % 7);
    for (int turn = 0; turn < 200; ++turn) {
      if (random() % 8 == 0 && tokens.size() > 20) {
        tokens.resize(tokens.size() - random() % 20);
        lookup.rewind(tokens.size());
      }
      for (unsigned i = 0; i <= random() % 4; ++i)
        tokens.push_back(static_cast<int32_t>(random() % words));
      const NgramLookup::Match got = lookup.find(tokens), want = plain_find(tokens);
      CHECK_EQ(got.length, want.length);
      CHECK_EQ(got.next, want.next);
      found += got.length > 0;
      beyond += got.length == NgramLookup::kMostMatch;
    }
  }
  CHECK(found > 3000);
  CHECK(beyond == 0);
}

TEST(lookup_reads_on_into_what_it_guesses) {
  const std::vector<int32_t> tokens = {9, 1, 2, 3, 1, 2, 3};
  NgramLookup lookup;
  const NgramLookup::Match match = lookup.find(tokens);
  CHECK_EQ(match.length, size_t{3});
  CHECK_EQ(match.next, size_t{4});
  std::vector<int32_t> out;
  NgramLookup::read(tokens, match.next, 8, out);
  CHECK((out == std::vector<int32_t>{1, 2, 3, 1, 2, 3, 1, 2}));
}

TEST(lookup_of_short_texts_finds_nothing) {
  NgramLookup lookup;
  std::vector<int32_t> tokens;
  for (int i = 0; i < 4; ++i) {
    CHECK_EQ(lookup.find(tokens).length, size_t{0});
    tokens.push_back(7);
  }
  // Four alike: the first three are what the last three are.
  CHECK_EQ(lookup.find(tokens).length, size_t{3});
}

}  // namespace cria::test
