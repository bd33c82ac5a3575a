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
  TextStream stream(tokenizer, stop, trim_start);
  Streamed out;
  for (const char byte : bytes) {
    std::string part;
    out.stopped = stream.push(static_cast<unsigned char>(byte) + 3, part);
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

}  // namespace cria::test
