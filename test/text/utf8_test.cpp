// Utf8Stream: whole code points out, one U+FFFD for each maximal subpart, wherever the bytes are
// cut.
#include "text/utf8.h"

#include "text/fixtures.h"

using namespace cria;
using namespace cria::test;
using text::Utf8State;
using text::Utf8Stream;

namespace {

std::string one_shot(std::string_view bytes) {
  Utf8Stream stream;
  std::string out;
  stream.push(bytes, out);
  stream.flush(out);
  return out;
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += byte_piece(static_cast<uint8_t>(c)).substr(3, 2) + " ";
  return out;
}

struct Sample {
  std::string_view bytes;
  std::string_view text;  // R stands for U+FFFD
};

// The last four broken ones are the examples of Unicode 15, tables 3-8 to 3-11.
constexpr Sample kSamples[] = {
    {"", ""},
    {"plain, and longer than one machine word", "plain, and longer than one machine word"},
    {"é日🦙a", "é日🦙a"},
    {"\x7F\xC2\x80\xDF\xBF", "\x7F\xC2\x80\xDF\xBF"},
    {"\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF",
     "\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF"},
    {"\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"},
    {"a\x80z", "aRz"},
    {"\xF4\x90\x80\x80", "RRRR"},
    {"\xE2\x82", "R"},
    {"\xF0\x9F\xA6", "R"},
    {"\xF0\x9F\xA6 \xE2", "R R"},
    {"\xE2\x82\xE2\x82\xAC", "R€"},
    {"\xF0\x9F\xC2\xA9", "R©"},
    {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", "RRRRRRRRA"},
    {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", "RRRRRRRRA"},
    {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", "RRRRRARRB"},
    {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", "RRRRA"},
};

}  // namespace

TEST(utf8_samples_at_every_split) {
  for (const auto& [bytes, text] : kSamples) {
    std::string expected;
    for (const char c : text) expected += c == 'R' ? "\xEF\xBF\xBD" : std::string(1, c);
    CHECK_EQ(hex(one_shot(bytes)), hex(expected));
    for (size_t first = 0; first <= bytes.size(); ++first) {
      for (size_t second = first; second <= bytes.size(); ++second) {
        Utf8Stream stream;
        std::string out;
        stream.push(bytes.substr(0, first), out);
        CHECK(is_utf8(out));
        stream.push(bytes.substr(first, second - first), out);
        CHECK(is_utf8(out));
        stream.push(bytes.substr(second), out);
        stream.flush(out);
        CHECK_EQ(hex(out), hex(expected));
        CHECK(!stream.holding());
      }
    }
  }
}

TEST(utf8_every_code_point) {
  size_t whole = 0;
  for (uint32_t code = 0; code < 0x110000; ++code) {
    std::string bytes;
    append_utf8(code, bytes);
    const text::Utf8Sequence sequence = text::read_utf8(bytes);
    const bool surrogate = code >= 0xD800 && code < 0xE000;
    whole += sequence.state == Utf8State::kWhole && sequence.code == code &&
             sequence.bytes == bytes.size();
    if (surrogate) CHECK(sequence.state == Utf8State::kBroken);
  }
  CHECK_EQ(whole, 0x110000u - 0x800u);
}

TEST(utf8_random_bytes_one_by_one) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    // Few distinct bytes, those that start and continue sequences, so that near misses abound.
    constexpr char kBytes[] = "a\x80\xBF\x9F\xA0\x90\x8F\xC2\xC1\xE0\xED\xE2\xF0\xF4\xF5\xFF";
    for (size_t i = random() % 12; i > 0; --i) bytes += kBytes[random() % (sizeof kBytes - 1)];
    const std::string expected = one_shot(bytes);
    CHECK(is_utf8(expected));
    Utf8Stream stream;
    std::string out;
    for (const char c : bytes) stream.push({&c, 1}, out);
    stream.flush(out);
    CHECK_EQ(hex(out), hex(expected));
  }
}

TEST(utf8_holds_only_what_is_unfinished) {
  Utf8Stream stream;
  std::string out;
  stream.push("a\xF0\x9F\xA6", out);
  CHECK_EQ(out, "a");
  CHECK(stream.holding());
  stream.push("", out);
  CHECK(stream.holding());
  stream.push("\x99!", out);
  CHECK_EQ(out, "a🦙!");
  CHECK(!stream.holding());
  stream.flush(out);
  CHECK_EQ(out, "a🦙!");
}
