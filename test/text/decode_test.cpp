// Decoding and the tokenizer's small questions; round trips; what a hostile vocabulary may hold.
#include <algorithm>
#include <cmath>
#include <limits>

#include "text/fixtures.h"

using namespace cria;
using namespace cria::test;
using text::Tokenizer;

namespace {

std::string repaired(std::string_view bytes) {
  std::string out;
  text::Utf8Stream stream;
  stream.push(bytes, out);
  stream.flush(out);
  return out;
}

/// Decodes one id at a time; whatever has come out so far must be whole code points.
std::string streamed(const Tokenizer& tokenizer, const Ids& ids, bool special) {
  text::StreamDecoder decoder(tokenizer, special);
  std::string out;
  for (const int32_t id : ids) {
    decoder.push(id, out);
    CHECK(is_utf8(out));
  }
  decoder.flush(out);
  return out;
}

void round_trips(const Vocab& vocab, uint32_t seed) {
  const Tokenizer tokenizer(vocab);
  std::mt19937 random(seed);
  for (int round = 0; round < 500; ++round) {
    const std::string text = random_unicode(random, random() % 60);
    const Ids ids = tokenizer.encode(text, random() % 2 == 0);
    CHECK_EQ(tokenizer.decode(ids), text);
    CHECK(text.size() <= ids.size() * tokenizer.max_piece_bytes());

    // Bytes that are no text come back as U+FFFD, and never as anything that is no UTF-8.
    std::string noise = random_text(vocab, random, random() % 20);
    while (noise.find("▁") != std::string::npos) noise.erase(noise.find("▁"), 1);
    CHECK_EQ(tokenizer.decode(tokenizer.encode(noise, true)), repaired(noise));

    Ids any;
    for (size_t i = random() % 30; i > 0; --i)
      any.push_back(static_cast<int32_t>(random() % vocab.pieces.size()));
    CHECK(is_utf8(tokenizer.decode(any)));
    CHECK(is_utf8(tokenizer.decode(any, true)));
    for (const bool special : {false, true})
      CHECK_EQ(streamed(tokenizer, any, special), tokenizer.decode(any, special));
  }
}

}  // namespace

TEST(decode_round_trips_small) {
  round_trips(without_user_defined(small_vocab()), 21);
}
TEST(decode_round_trips_stories) {
  round_trips(shared_vocab("models/stories260k-f32.gguf"), 22);
}
TEST(decode_round_trips_demo) {
  round_trips(shared_vocab("models/cria-demo-q8_0.gguf"), 23);
}
TEST(decode_round_trips_llama2) {
  round_trips(shared_vocab("vocab/llama2-spm.gguf"), 24);
}

TEST(decode_each_type) {
  Vocab vocab = small_vocab();
  const int32_t unused = add_piece(vocab, "▁spare", PieceType::kUnused);
  const int32_t marked = add_piece(vocab, "▁▁", PieceType::kUserDefined);
  const Tokenizer tokenizer(vocab);
  const int32_t a = tokenizer.id_of("▁a").value();
  CHECK_EQ(tokenizer.bytes_of(a), " a");
  CHECK_EQ(tokenizer.bytes_of(3 + 0xE2), "\xE2");
  CHECK_EQ(tokenizer.bytes_of(2), "");
  CHECK_EQ(tokenizer.bytes_of(2, true), "</s>");
  CHECK_EQ(tokenizer.bytes_of(0, true), "<unk>");
  CHECK_EQ(tokenizer.bytes_of(unused), "");
  CHECK_EQ(tokenizer.bytes_of(unused, true), "▁spare");
  // User-defined pieces are matched in the text as it is, so they are given back as they are.
  CHECK_EQ(tokenizer.bytes_of(marked), "▁▁");
  CHECK_EQ(tokenizer.decode(tokenizer.encode("a▁▁", false)), "a▁▁");
  CHECK_EQ(tokenizer.decode(Ids{1, a, unused, a, 2}), "a a");
  CHECK_EQ(tokenizer.decode(Ids{1, a, a, 2}, true), "<s>a a</s>");
  CHECK_EQ(tokenizer.decode(Ids{3 + 0xE2, 3 + 0x82, a}), "\xEF\xBF\xBD a");
  CHECK_EQ(tokenizer.decode(Ids{3 + ' ', a}), "  a");
  CHECK_EQ(tokenizer.decode(Ids{}), "");
}

TEST(decode_refuses_ids_out_of_range) {
  const Tokenizer tokenizer(small_vocab());
  const int32_t size = tokenizer.size();
  for (const int32_t id :
       {-1, size, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()}) {
    CHECK_THROWS(ErrorCode::kBadArgument, tokenizer.decode(Ids{1, id}), "expected 0 to");
    CHECK_THROWS(ErrorCode::kBadArgument, tokenizer.bytes_of(id), "token id");
    CHECK_THROWS(ErrorCode::kBadArgument, tokenizer.is_end_of_generation(id), "token id");
  }
}

TEST(tokenizer_facts) {
  Vocab vocab = small_vocab();
  vocab.end_of_generation = {2, 5};
  Tokenizer tokenizer(vocab);
  CHECK_EQ(tokenizer.size(), static_cast<int32_t>(vocab.pieces.size()));
  CHECK(tokenizer.is_end_of_generation(2) && tokenizer.is_end_of_generation(5));
  CHECK(!tokenizer.is_end_of_generation(1));
  CHECK_EQ(tokenizer.id_of("<s>").value(), 1);
  CHECK(!tokenizer.id_of("absent").has_value());
  CHECK(!tokenizer.id_of("").has_value());
  CHECK_EQ(tokenizer.max_piece_bytes(), std::string("▁▁▁▁").size());
  Tokenizer moved = std::move(tokenizer);
  CHECK_EQ(moved.vocab().bos, 1);
}

TEST(unknown_where_bytes_lack) {
  Vocab vocab = small_vocab(false);
  add_piece(vocab, "<0xC3>", PieceType::kByte);
  const Tokenizer tokenizer(vocab);
  const int32_t mark = tokenizer.id_of("▁").value();
  // é is a piece; ö begins with a byte that has one, but ends with one that has not.
  CHECK_EQ(shown(tokenizer.encode("éö日Z", false)),
           shown({mark, tokenizer.id_of("é").value(), 0, tokenizer.id_of("日").value(), 0}));
  CHECK(tokenizer.max_piece_bytes() >= 4);
}

TEST(hostile_vocabularies_are_refused) {
  const auto refused = [](auto change, const char* part) {
    Vocab vocab = small_vocab();
    change(vocab);
    CHECK_THROWS(ErrorCode::kBadGguf, Tokenizer(vocab), part);
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto size = static_cast<int32_t>(small_vocab().pieces.size());
  refused([](Vocab& v) { v = Vocab{}; }, "0 pieces");
  refused([](Vocab& v) { v.scores.pop_back(); }, "scores");
  refused([](Vocab& v) { v.types.push_back(PieceType::kNormal); }, "types");
  refused([&](Vocab& v) { v.scores[7] = nan; }, "score of piece 7");
  refused([&](Vocab& v) { v.bos = size; }, "beginning-of-text");
  refused([](Vocab& v) { v.eos = -2; }, "end-of-text");
  refused([&](Vocab& v) { v.unknown = size; }, "unknown");
  refused([](Vocab& v) { v.end_of_generation.push_back(-1); }, "end-of-generation");
  refused([&](Vocab& v) { v.end_of_generation.push_back(size); }, "end-of-generation");
  refused([](Vocab& v) { v.types[9] = static_cast<PieceType>(7); }, "type 7");
  refused([](Vocab& v) { v.types[9] = static_cast<PieceType>(0); }, "type 0");
  for (const char* piece : {"<0xZZ>", "<0x1>", "<0x123>", "", "x", "\xFF\x01 <0x00>"})
    refused([&](Vocab& v) { v.pieces[3] = piece; }, "byte piece 3");
  refused([](Vocab& v) { v.unknown = -1, v.pieces[3] = "<0x01>"; }, "255 of 256");
  refused([](Vocab& v) { v.pieces[1].assign(size_t{1} << 25, 'x'); }, "at most");
}

TEST(hostile_vocabularies_that_work) {
  Vocab vocab = small_vocab();
  vocab.unknown = -1;  // never needed: all bytes are there
  for (const PieceType type : {PieceType::kNormal, PieceType::kControl, PieceType::kUserDefined,
                               PieceType::kUnused, PieceType::kUnknown})
    add_piece(vocab, "", type);
  add_piece(vocab, "\xE2\x96", PieceType::kNormal, 5);
  add_piece(vocab, "\x81\xFF", PieceType::kNormal, std::numeric_limits<float>::infinity());
  add_piece(vocab, "a\xE6", PieceType::kNormal, -std::numeric_limits<float>::infinity());
  add_piece(vocab, std::string("\0", 1), PieceType::kControl);
  add_piece(vocab, std::string(1 << 20, 'q'), PieceType::kNormal);
  const Tokenizer tokenizer(vocab);
  std::mt19937 random(31);
  for (int round = 0; round < 300; ++round) {
    std::string text;
    constexpr char kBytes[] = "a\xE2\x96\x81\xE6\xFF\x97 <q";  // with the final zero byte
    for (size_t i = random() % 30; i > 0; --i) text += kBytes[random() % sizeof kBytes];
    const Ids ids = tokenizer.encode(text, false, random() % 2 == 0);
    std::string bytes;
    for (const int32_t id : ids) bytes += tokenizer.bytes_of(id, true);
    CHECK(is_utf8(tokenizer.decode(ids)));
    // No byte is lost: spaces and U+2581 are one, and each run of text has its dummy prefix.
    const auto letters = [](std::string_view of) {
      return std::ranges::count_if(of, [](char c) { return c == 'a' || c == 'q' || c == '<'; });
    };
    CHECK_EQ(letters(bytes), letters(text));
  }
}

TEST(hostile_every_piece_a_tiny_vocabulary) {
  // One piece that is everything at once.
  Vocab vocab;
  vocab.unknown = vocab.bos = vocab.eos = add_piece(vocab, "a", PieceType::kNormal);
  const Tokenizer tokenizer(vocab);
  CHECK_EQ(shown(tokenizer.encode("ab a", true, true)), " 0 0 0 0 0 0");
  CHECK_EQ(tokenizer.decode(Ids{0, 0}), "aa");
}
