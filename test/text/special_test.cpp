// Control and user-defined pieces: where they count, which of several counts, and seams.
#include <algorithm>

#include "text/fixtures.h"
#include "text/special_matcher.h"

using namespace cria;
using namespace cria::test;
using text::Segment;
using text::SpecialHit;
using text::SpecialMatcher;
using text::Tokenizer;

namespace {

/// Leftmost, then longest, by trying every piece at every place.
std::vector<SpecialHit> naive_find(const Vocab& vocab, std::string_view text) {
  std::vector<SpecialHit> hits;
  for (size_t at = 0; at < text.size();) {
    SpecialHit best{at, 0, -1};
    for (size_t id = 0; id < vocab.pieces.size(); ++id) {
      const std::string& piece = vocab.pieces[id];
      if (vocab.types[id] == PieceType::kControl && piece.size() > best.bytes &&
          text.substr(at).starts_with(piece))
        best = {at, piece.size(), static_cast<int32_t>(id)};
    }
    if (best.id >= 0) hits.push_back(best);
    at += std::max<size_t>(best.bytes, 1);
  }
  return hits;
}

std::string shown_hits(const std::vector<SpecialHit>& hits) {
  std::string out;
  for (const SpecialHit& hit : hits) out += cat(" ", hit.id, "@", hit.at, "+", hit.bytes);
  return out;
}

bool has_control(const Vocab& vocab, const Ids& ids) {
  return std::ranges::any_of(ids, [&](int32_t id) {
    const PieceType type = vocab.types[static_cast<size_t>(id)];
    return type == PieceType::kControl || type == PieceType::kUnknown;
  });
}

}  // namespace

TEST(special_matcher_like_naive) {
  std::mt19937 random(11);
  for (int round = 0; round < 1000; ++round) {
    Vocab vocab;
    for (int i = 0; i < 8; ++i) {
      std::string piece;
      for (size_t length = random() % 6; length > 0; --length)
        piece += static_cast<char>('a' + random() % 2);
      add_piece(vocab, piece, PieceType::kControl);
    }
    const SpecialMatcher matcher(vocab, SpecialMatcher::Kind::kAll);
    std::string text;
    for (size_t length = random() % 40; length > 0; --length)
      text += static_cast<char>('a' + random() % 8 % 3);
    std::vector<SpecialHit> hits;
    matcher.find(text, 0, hits);
    CHECK_EQ(shown_hits(hits), shown_hits(naive_find(vocab, text)));
  }
}

// With a trie alone, each of a million places would be compared with half a million bytes.
TEST(special_matcher_is_linear) {
  Vocab vocab = small_vocab();
  add_piece(vocab, std::string(500'000, 'a') + "b", PieceType::kControl);
  add_piece(vocab, "aaa", PieceType::kControl);
  const SpecialMatcher matcher(vocab, SpecialMatcher::Kind::kAll);
  std::vector<SpecialHit> hits;
  matcher.find(std::string(1'000'000, 'a'), 0, hits);
  CHECK_EQ(hits.size(), 333'333u);
}

TEST(special_only_where_allowed) {
  const Vocab vocab = small_vocab();
  const Tokenizer tokenizer(vocab);
  const int32_t end = tokenizer.id_of("<end>").value();
  const int32_t tool = tokenizer.id_of("<tool>").value();
  const int32_t a = tokenizer.id_of("▁a").value();
  CHECK(!has_control(vocab, tokenizer.encode("a<end></s><unk>", false)));
  CHECK_EQ(tokenizer.decode(tokenizer.encode("a<end></s><unk>", false)), "a<end></s><unk>");
  CHECK_EQ(shown(tokenizer.encode("a<end></s><unk>", true, true)), shown({1, a, end, 2, 0}));
  CHECK_EQ(shown(tokenizer.encode("a<tool>a", false)), shown({a, tool, a}));
}

TEST(special_longest_first) {
  const Tokenizer tokenizer(small_vocab());
  const auto id = [&](const char* piece) { return tokenizer.id_of(piece).value(); };
  CHECK_EQ(shown(tokenizer.encode("<tool>s", false)), shown({id("<tool>s")}));
  CHECK_EQ(shown(tokenizer.encode("<end><tool>", false, true)), shown({id("<end><tool>")}));
  CHECK_EQ(shown(tokenizer.encode("<end><tool>s", false, true)),
           shown({id("<end><tool>"), id("▁"), id("s")}));
}

TEST(special_dummy_prefix) {
  Vocab vocab = small_vocab();
  const Tokenizer with(vocab);
  vocab.add_space_prefix = false;
  const Tokenizer without(vocab);
  const auto id = [&](const char* piece) { return with.id_of(piece).value(); };
  CHECK_EQ(shown(with.encode("", true)), shown({1}));
  CHECK_EQ(shown(with.encode("", false)), "");
  CHECK_EQ(shown(with.encode(" a", false)), shown({id("▁"), id("▁a")}));
  CHECK_EQ(shown(with.encode("a<end>a<tool>", false, true)),
           shown({id("▁a"), id("<end>"), id("▁a"), id("<tool>")}));
  CHECK_EQ(shown(without.encode(" a", false)), shown({id("▁a")}));
  CHECK_EQ(shown(without.encode("a<end>a", false, true)), shown({id("a"), id("<end>"), id("a")}));
  CHECK_EQ(with.decode(with.encode("<s> a", false, true)), " a");
  CHECK_EQ(with.decode(Ids{id("▁a"), id("▁a")}), "a a");
  CHECK_EQ(without.decode(Ids{id("▁a"), id("▁a")}), " a a");
}

TEST(special_seams) {
  const Vocab vocab = small_vocab();
  const Tokenizer tokenizer(vocab);
  const auto encode = [&](std::initializer_list<Segment> segments) {
    return tokenizer.encode({segments.begin(), segments.size()}, false);
  };
  const auto whole = [&](const char* text) { return tokenizer.encode(text, false); };
  const auto id = [&](const char* piece) { return tokenizer.id_of(piece).value(); };
  // Plain text merges across a seam, and a code point cut in two is whole again.
  CHECK_EQ(shown(encode({{"ab", false}, {"cde", true}})), shown(whole("abcde")));
  CHECK_EQ(shown(encode({{"\xE6\x97", true}, {"\xA5", false}})), shown(whole("日")));
  CHECK_EQ(shown(encode({{"", true}, {"a", false}, {"", false}})), shown(whole("a")));
  // User-defined pieces are found across one; control tokens are not, in any mix of trust.
  CHECK_EQ(shown(encode({{"<to", false}, {"ol>", false}})), shown({id("<tool>")}));
  for (const bool first : {false, true}) {
    for (const bool second : {false, true})
      CHECK(!has_control(vocab, encode({{"<en", first}, {"d>", second}})));
  }
  // What a user writes can neither take a trusted token's first byte away nor lengthen it.
  CHECK_EQ(shown(encode({{"ee", false}, {"<end>", true}})),
           shown({id("▁"), id("e"), id("e"), id("<end>")}));
  CHECK_EQ(shown(encode({{"<end>", true}, {"<tool>", false}})), shown({id("<end>"), id("<tool>")}));
  CHECK_EQ(shown(encode({{"<tool>", true}, {"s", false}})),
           shown({id("<tool>"), id("▁"), id("s")}));
}

// Whatever the split and whatever the text: untrusted segments give no control token, and where no
// segment is trusted the seams do not show.
TEST(special_random_segments) {
  const Vocab vocab = small_vocab();
  const Tokenizer tokenizer(vocab);
  std::mt19937 random(12);
  for (int round = 0; round < 3000; ++round) {
    const std::string text = random_text(vocab, random, 1 + random() % 12);
    std::vector<Segment> plain, mixed;
    for (size_t at = 0; at < text.size();) {
      const size_t length = std::min<size_t>(1 + random() % 8, text.size() - at);
      plain.push_back({std::string_view(text).substr(at, length), false});
      mixed.push_back({plain.back().text, random() % 2 == 0});
      at += length;
    }
    const Ids ids = tokenizer.encode(plain, false);
    CHECK(!has_control(vocab, ids));
    CHECK_EQ(shown(ids), shown(tokenizer.encode(text, false)));

    // At most as many control tokens as the trusted segments hold, each alone.
    const auto count = [&](const Ids& of) {
      return std::ranges::count_if(of, [&](int32_t id) { return has_control(vocab, {id}); });
    };
    std::ptrdiff_t allowed = 0;
    for (const Segment& segment : mixed)
      if (segment.special) allowed += count(tokenizer.encode(segment.text, false, true));
    CHECK_EQ(count(tokenizer.encode(mixed, false)), allowed);
  }
}
