// Stop strings and code points that span tokens.
#include "engine/text_stream.h"

#include <algorithm>
#include <random>

#include "support/check.h"

namespace cria::test {
namespace {

/// A vocabulary of the 256 bytes: token n + 3 is byte n.
text::Tokenizer byte_tokenizer() {
  text::Vocab vocab;
  vocab.pieces = {"<unk>", "<s>", "</s>"};
  vocab.types = {text::PieceType::kUnknown, text::PieceType::kControl, text::PieceType::kControl};
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    vocab.pieces.push_back(name);
    vocab.types.push_back(text::PieceType::kByte);
  }
  vocab.scores.assign(vocab.pieces.size(), 0);
  vocab.unknown = 0;
  vocab.bos = 1;
  vocab.eos = 2;
  return text::Tokenizer(vocab);
}

struct Streamed {
  std::string text;
  std::vector<std::string> parts;
  bool stopped = false;
};

Streamed stream(const std::string& bytes, const std::vector<std::string>& stop,
                bool trim_start = false) {
  const text::Tokenizer tokenizer = byte_tokenizer();
  const std::vector<std::string> none;
  TextStream stream(tokenizer, stop, none, trim_start);
  Streamed out;
  for (const char byte : bytes) {
    std::string part;
    out.stopped = stream.push(static_cast<unsigned char>(byte) + 3, part).stopped;
    out.parts.push_back(part);
    out.text += part;
    if (out.stopped) return out;
  }
  std::string part;
  stream.flush(part);
  out.text += part;
  return out;
}

}  // namespace

TEST(text_ends_before_the_stop_string) {
  const Streamed out = stream("one two END three", {"END"});
  CHECK_EQ(out.text, "one two ");
  CHECK(out.stopped);
}

TEST(what_may_begin_a_stop_string_is_held_and_given_back) {
  const Streamed out = stream("an ENormous ENd", {"END"});
  CHECK_EQ(out.text, "an ENormous ENd");
  CHECK(!out.stopped);
  CHECK_EQ(out.parts[3], "");                            // E
  CHECK_EQ(out.parts[5], "ENo");                         // o: it was none
  CHECK_EQ(stream("half EN", {"END"}).text, "half EN");  // held at the end
}

TEST(overlapping_beginnings) {
  CHECK_EQ(stream("aaab!", {"aab"}).text, "a");
  CHECK_EQ(stream("xabababc", {"ababc"}).text, "xab");
}

TEST(the_first_of_several_stop_strings) {
  CHECK_EQ(stream("abcdef", {"ef", "cd"}).text, "ab");
  CHECK_EQ(stream("abcdef", {"bcdx", "cd"}).text, "ab");
}

TEST(no_half_code_point_comes_out) {
  const std::string text = "g\xC3\xBCnstig \xF0\x9F\xA6\x99 \xE2\x82\xAC";
  const Streamed out = stream(text, {"\xE2\x82\xAC!"});
  CHECK_EQ(out.text, text);
  for (const std::string& part : out.parts)
    for (size_t i = 0; i < part.size(); ++i) {
      const bool first = (static_cast<unsigned char>(part[i]) & 0xC0) != 0x80;
      if (i == 0) CHECK(first);
    }
  CHECK_EQ(out.parts[1], "");
  CHECK_EQ(out.parts[2], "\xC3\xBC");
}

TEST(a_cut_code_point_becomes_a_replacement) {
  CHECK_EQ(stream("a\xF0\x9F", {}).text, "a\xEF\xBF\xBD");
}

TEST(white_space_is_trimmed_from_the_front_only) {
  CHECK_EQ(stream(" \n Hello world ", {}, true).text, "Hello world ");
  CHECK_EQ(stream("  ", {}, true).text, "");
  CHECK_EQ(stream(" a", {}, false).text, " a");
}

// The streamed text is the whole text up to the earliest stop string, whatever the stops.
TEST(random_texts_and_stops) {
  std::mt19937 random(7);
  const auto word = [&](int most) {
    std::string out;
    const int size = 1 + static_cast<int>(random() % static_cast<unsigned>(most));
    for (int i = 0; i < size; ++i) out += static_cast<char>('a' + random() % 2);
    return out;
  };
  for (int round = 0; round < 2000; ++round) {
    const std::string text = word(20);
    const std::vector<std::string> stop = {word(4), word(5)};
    // The text ends where a stop string is first complete.
    size_t cut = std::string::npos;
    for (size_t end = 1; end <= text.size() && cut == std::string::npos; ++end)
      for (const std::string& s : stop) cut = std::min(cut, text.substr(0, end).find(s));
    CHECK_EQ(stream(text, stop).text, text.substr(0, cut));
  }
}

// ---- banned texts -------------------------------------------------------------------------------

namespace {

/// Draws the bytes of `plan` in turn; what is taken back is drawn again as '-'. Gives the text, and
/// checks on the way that what was given out stays.
std::string write(const std::string& plan, const std::vector<std::string>& banned,
                  const std::vector<std::string>& stop = {}, bool trim = false) {
  const text::Tokenizer tokenizer = byte_tokenizer();
  TextStream stream(tokenizer, stop, banned, trim);
  std::string drawn, text;
  size_t certain = 0;
  for (size_t at = 0; at < plan.size(); ++at) {
    drawn += plan[at];
    const auto pushed = stream.push(static_cast<unsigned char>(plan[at]) + 3, text);
    if (pushed.taken_back > 0) {
      drawn.resize(drawn.size() - pushed.taken_back);
      CHECK(drawn.size() >= certain);
      std::string part;
      stream.push('-' + 3, part);
      drawn += '-';
      text += part;
    }
    if (pushed.stopped) return text;
    CHECK(drawn.size() - stream.held_tokens() >= certain);
    certain = drawn.size() - stream.held_tokens();
    // Nothing is given out of a token that may be taken back.
    if (!trim) CHECK(text.size() <= certain);
  }
  stream.flush(text);
  return text;
}

}  // namespace

TEST(a_banned_text_is_taken_back) {
  CHECK_EQ(write("one bad two", {"bad"}), "one - two");
  CHECK_EQ(write("one ba two", {"bad"}), "one ba two");
  CHECK_EQ(write("babad", {"bad"}), "ba-");
  CHECK_EQ(write("xaab", {"aab", "ab"}), "x-");        // the one that begins first
  CHECK_EQ(write("a\xC3\xA9z", {"\xC3\xA9"}), "a-z");  // both bytes of the code point
  CHECK_EQ(write("  bad", {"bad"}, {}, true), "-");
}

TEST(a_stop_text_before_a_banned_one_counts) {
  CHECK_EQ(write("one END bad", {"bad"}, {"END"}), "one ");
  CHECK_EQ(write("one bad", {"bad"}, {"ba"}), "one ");  // stopped before it was complete
  CHECK_EQ(write("one bad END", {"bad"}, {"END"}), "one - ");
  CHECK_EQ(write("badEND", {"badEND"}, {"END"}), "bad");  // the stop text is no part of the text
}

TEST(no_text_has_a_banned_one) {
  std::mt19937 random(8);
  for (int round = 0; round < 2000; ++round) {
    const std::string letters = "ab ";
    const auto word = [&](size_t least, size_t most) {
      std::string out(least + random() % (most - least + 1), 'a');
      for (char& c : out) c = letters[random() % letters.size()];
      return out;
    };
    const std::vector<std::string> banned = {word(1, 4), word(2, 5)};
    const std::string plan = word(0, 60), out = write(plan, banned, {}, round % 2 == 0);
    for (const std::string& text : banned) CHECK(out.find(text) == std::string::npos);
    const bool clean = std::ranges::none_of(
        banned, [&](const std::string& text) { return plan.find(text) != std::string::npos; });
    if (clean && round % 2 == 1) CHECK_EQ(out, plan);
  }
}

}  // namespace cria::test
