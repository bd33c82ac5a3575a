// Byte-level BPE with the words of Llama 3: against naive references, and its tables.
#include "text/naive_bpe.h"
#include "text/pretokenizer.h"
#include "text/unicode.h"

using namespace cria;
using namespace cria::test;
using text::CodeClass;
using text::Tokenizer;

namespace {

/// A byte-level vocabulary trained on nothing: random merges of what there is already.
Vocab random_vocab(std::mt19937& random, size_t merges) {
  Vocab vocab;
  vocab.algorithm = text::Algorithm::kByteBpe;
  vocab.add_space_prefix = false;
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    std::string spelt;
    text::append_spelt({&c, 1}, spelt);
    add_piece(vocab, spelt, PieceType::kNormal);
  }
  // The bytes that the alphabet has, so that merges apply.
  std::vector<std::string> parts;
  for (const Letter& letter : kAlphabet) {
    for (const char* c = letter.bytes; *c; ++c) text::append_spelt({c, 1}, parts.emplace_back());
  }
  while (vocab.merges.size() < merges) {
    const std::string left = parts[random() % parts.size()], right = parts[random() % parts.size()];
    const std::string merge = left + " " + right;
    if (std::ranges::count(vocab.pieces, left + right) > 0) continue;
    vocab.merges.push_back(merge);
    add_piece(vocab, left + right, PieceType::kNormal);
    parts.push_back(left + right);
  }
  vocab.bos = add_piece(vocab, "<|begin_of_text|>", PieceType::kControl);
  vocab.eos = add_piece(vocab, "<|eot_id|>", PieceType::kControl);
  vocab.scores.clear();
  return vocab;
}

Letters random_letters(std::mt19937& random, size_t most) {
  Letters letters;
  for (size_t left = random() % (most + 1); left > 0; --left)
    letters.push_back(kAlphabet[random() % std::size(kAlphabet)]);
  return letters;
}

std::string joined(const Letters& letters) {
  std::string out;
  for (const Letter& letter : letters) out += letter.bytes;
  return out;
}

std::string words_of(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t bytes = text::llama3_word(text);
    out += cat("[", text.substr(0, bytes), "]");
    text.remove_prefix(bytes);
  }
  return out;
}

}  // namespace

TEST(bpe_words_like_naive) {
  std::mt19937 random(41);
  for (int round = 0; round < 20000; ++round) {
    const Letters letters = random_letters(random, 12);
    std::string expected;
    for (const std::string& word : naive_words(letters)) expected += "[" + word + "]";
    CHECK_EQ(words_of(joined(letters)), expected);
  }
}

TEST(bpe_words_by_hand) {
  CHECK_EQ(words_of("Hello, world!"), "[Hello][,][ world][!]");
  CHECK_EQ(words_of("I'm we'LL 'tis don't"), "[I]['m][ we]['LL][ '][tis][ don]['t]");
  CHECK_EQ(words_of("1234567 8"), "[123][456][7][ ][8]");
  CHECK_EQ(words_of("a   b\n\n  c  "), "[a][  ][ b][\n\n][ ][ c][  ]");
  CHECK_EQ(words_of("f(x) {\r\n\tg();\n}"), "[f][(x][)][ {\r\n][\tg][();\n][}]");
}

TEST(bpe_merges_like_naive) {
  std::mt19937 random(42);
  for (int round = 0; round < 60; ++round) {
    const Vocab vocab = random_vocab(random, random() % 120);
    const Tokenizer tokenizer(vocab);
    for (int i = 0; i < 30; ++i) {
      const Letters letters = random_letters(random, 25);
      Ids expected;
      for (const std::string& word : naive_words(letters)) {
        const Ids ids = naive_merges(vocab, word);
        expected.insert(expected.end(), ids.begin(), ids.end());
      }
      const std::string text = joined(letters);
      const Ids ids = tokenizer.encode(text, false);
      CHECK_EQ(shown(ids), shown(expected));
      std::string bytes;
      for (const int32_t id : ids) bytes += tokenizer.bytes_of(id);
      CHECK_EQ(bytes, text);
      CHECK(text.size() <= ids.size() * tokenizer.max_piece_bytes());
    }
  }
}

TEST(bpe_special_tokens) {
  std::mt19937 random(43);
  const Vocab vocab = random_vocab(random, 100);
  const Tokenizer tokenizer(vocab);
  const text::Segment segments[] = {
      {"<|begin_of_text|>", true}, {" a<|eot_id|>", false}, {"<|eot_id|>", true}};
  const Ids ids = tokenizer.encode(segments, false);
  CHECK_EQ(ids.front(), vocab.bos);
  CHECK_EQ(ids.back(), vocab.eos);
  CHECK_EQ(std::ranges::count(ids, vocab.eos), 1);
  CHECK_EQ(tokenizer.decode(ids), " a<|eot_id|>");
  for (int round = 0; round < 200; ++round) {
    const std::string text = random_unicode(random, random() % 40);
    CHECK_EQ(tokenizer.decode(tokenizer.encode(text, true)), text);
  }
}

TEST(bpe_long_texts) {
  std::mt19937 random(44);
  const Tokenizer tokenizer(random_vocab(random, 300));
  for (const char* unit : {"a", " ", "\n", "1", "'", " \n", "a ", "é", "!\n "}) {
    std::string text;
    while (text.size() < 300'000) text += unit;
    CHECK(tokenizer.decode(tokenizer.encode(text, false)) == text);
  }
}

TEST(bpe_byte_spelling) {
  std::string spelt, back;
  for (int byte = 0; byte < 256; ++byte) back += static_cast<char>(byte);
  text::append_spelt(back, spelt);
  CHECK(is_utf8(spelt));
  std::string bytes;
  text::append_unspelt(spelt, bytes);
  CHECK(bytes == back);
  spelt.clear();
  text::append_spelt(" \n\xFF!", spelt);
  CHECK_EQ(spelt, "ĠĊÿ!");
  bytes.clear();
  text::append_unspelt("日\xE6 ", bytes);  // no spelling: as it is
  CHECK_EQ(bytes, "日\xE6 ");
}

TEST(bpe_code_classes) {
  for (const Letter& letter : kAlphabet) {
    const text::Utf8Sequence sequence = text::read_utf8(letter.bytes);
    if (sequence.state != text::Utf8State::kWhole) continue;
    const CodeClass expected = letter.type == 'L'   ? CodeClass::kLetter
                               : letter.type == 'N' ? CodeClass::kNumber
                               : letter.type == 'O' ? CodeClass::kOther
                                                    : CodeClass::kSpace;
    CHECK(text::class_of(sequence.code) == expected);
  }
  // The shortcut for ASCII says what the tables say, and the tables are in order.
  for (const auto& ranges : {text::kLetters, text::kNumbers, text::kSpaces}) {
    for (size_t i = 0; i < ranges.size(); ++i) {
      CHECK(ranges[i].first <= ranges[i].last);
      CHECK(i == 0 || ranges[i - 1].last < ranges[i].first);
    }
  }
  const auto within = [](std::span<const text::CodeRange> ranges, uint32_t code) {
    return std::ranges::any_of(
        ranges, [&](const auto& range) { return range.first <= code && code <= range.last; });
  };
  for (uint32_t code = 0; code < 0x3000; ++code) {
    const CodeClass type = text::class_of(code);
    CHECK_EQ(within(text::kLetters, code), type == CodeClass::kLetter);
    CHECK_EQ(within(text::kNumbers, code), type == CodeClass::kNumber);
    CHECK_EQ(within(text::kSpaces, code), type == CodeClass::kSpace);
  }
  CHECK(text::class_of(0x10FFFF) == CodeClass::kOther);
  CHECK(text::class_of(0x110000) == CodeClass::kOther);
}

TEST(bpe_hostile_vocabularies) {
  std::mt19937 random(45);
  const Vocab good = random_vocab(random, 20);
  const auto refused = [&](auto change, const char* part) {
    Vocab vocab = good;
    change(vocab);
    CHECK_THROWS(ErrorCode::kBadGguf, Tokenizer(vocab), part);
  };
  for (const char* merge : {"", "ab", "a b c", " a b"})
    refused([&](Vocab& v) { v.merges[3] = merge; }, "merge 3 is not two pieces");
  for (const char* merge : {"a ", " a", "nope e", "a nope", " "})
    refused([&](Vocab& v) { v.merges[3] = merge; }, "not in the vocabulary");
  refused([](Vocab& v) { v.pieces['x'] = "nothing"; }, "1 bytes are missing");
  refused([](Vocab& v) { v.scores = {1, 2}; }, "scores");
  Vocab unknown = good;
  unknown.pieces['x'] = "nothing";
  unknown.unknown = unknown.eos;
  CHECK_EQ(shown(Tokenizer(unknown).encode("x", false)), shown({unknown.eos}));
}
