// The merging: against a naive reference, on random and adversarial texts, and its amount of work.
#include <algorithm>

#include "text/fixtures.h"
#include "text/naive_spm.h"
#include "text/spm.h"

using namespace cria;
using namespace cria::test;
using text::Tokenizer;

namespace {

void compare_with_naive(const Vocab& vocab, uint32_t seed, int rounds) {
  const Tokenizer tokenizer(vocab);
  const NaiveSpm naive(vocab);
  std::mt19937 random(seed);
  for (int round = 0; round < rounds; ++round) {
    const std::string text = random_text(vocab, random, random() % 40);
    CHECK_EQ(shown(tokenizer.encode(text, false)), shown(naive.encode(text)));
  }
}

std::string repeat(std::string_view unit, size_t bytes) {
  std::string out;
  while (out.size() < bytes) out += unit;
  return out;
}

}  // namespace

TEST(merge_small_like_naive) {
  compare_with_naive(without_user_defined(small_vocab()), 1, 4000);
}
TEST(merge_without_bytes_like_naive) {
  compare_with_naive(without_user_defined(small_vocab(false)), 2, 4000);
}
TEST(merge_stories_like_naive) {
  compare_with_naive(shared_vocab("models/stories260k-f32.gguf"), 3, 400);
}
TEST(merge_demo_like_naive) {
  compare_with_naive(shared_vocab("models/cria-demo-q8_0.gguf"), 4, 400);
}
TEST(merge_llama2_like_naive) {
  compare_with_naive(shared_vocab("vocab/llama2-spm.gguf"), 5, 400);
}

// Vocabularies of two letters, where pieces overlap in every way and scores tie: each a new chance
// for an order of merges to go wrong.
TEST(merge_random_vocabularies_like_naive) {
  std::mt19937 random(6);
  for (int round = 0; round < 300; ++round) {
    Vocab vocab = empty_vocab();
    for (int i = 0; i < 25; ++i) {
      std::string piece;
      for (size_t length = 1 + random() % 5; length > 0; --length)
        piece += random() % 8 == 0 ? "▁" : random() % 2 == 0 ? "a" : "é";
      add_piece(vocab, piece, PieceType::kNormal, static_cast<float>(random() % 5));
    }
    const Tokenizer tokenizer(vocab);
    const NaiveSpm naive(vocab);
    for (int i = 0; i < 20; ++i) {
      std::string text;
      for (size_t length = random() % 30; length > 0; --length)
        text += random() % 8 == 0 ? " " : random() % 2 == 0 ? "a" : "é";
      CHECK_EQ(shown(tokenizer.encode(text, false)), shown(naive.encode(text)));
    }
  }
}

TEST(merge_prefers_score_then_left) {
  Vocab vocab = empty_vocab();
  vocab.add_space_prefix = false;
  const int32_t ab = add_piece(vocab, "ab", PieceType::kNormal, -1);
  const int32_t bc = add_piece(vocab, "bc", PieceType::kNormal, -1);
  const int32_t cd = add_piece(vocab, "cd", PieceType::kNormal, 0);
  const Tokenizer tokenizer(vocab);
  const int32_t byte0 = 3;
  CHECK_EQ(shown(tokenizer.encode("abc", false)), shown({ab, byte0 + 'c'}));
  CHECK_EQ(shown(tokenizer.encode("bcd", false)), shown({byte0 + 'b', cd}));
  CHECK_EQ(shown(tokenizer.encode("abcd", false)), shown({ab, cd}));
  CHECK_EQ(shown(tokenizer.encode("zbcz", false)), shown({byte0 + 'z', bc, byte0 + 'z'}));
}

TEST(merge_work_is_linear) {
  Vocab vocab = small_vocab();
  vocab.add_space_prefix = false;
  const text::Spm spm(vocab);
  std::mt19937 random(8);
  std::string letters;
  while (letters.size() < 1'000'000) letters += "abcde"[random() % 5];
  for (const std::string& text :
       {repeat("a", 1'000'000), repeat("▁", 1'000'000), repeat("\n", 1'000'000),
        repeat("ab", 1'000'000), repeat("a\n", 1'000'000), repeat("\xE2", 1'000'000),
        repeat("zzz", 1'000'000), letters}) {
    Ids ids;
    const size_t queued = spm.encode(text, ids);
    CHECK(queued <= 3 * text.size());
    CHECK(ids.size() <= text.size());
    CHECK(!ids.empty());
  }
}

TEST(merge_a_megabyte_of_llama2) {
  const Tokenizer tokenizer(shared_vocab("vocab/llama2-spm.gguf"));
  std::mt19937 random(9);
  const std::string story = read_file(shared_file("models/stories260k.greedy.txt"));
  for (const std::string& text :
       {repeat(story, 1'000'000), repeat("a", 1'000'000), repeat(" ", 1'000'000),
        repeat("\n", 1'000'000), repeat("a ", 1'000'000), repeat("=-", 1'000'000),
        random_unicode(random, 300'000)}) {
    CHECK(tokenizer.decode(tokenizer.encode(text, true)) == text);
  }
}

TEST(merge_duplicates_first_id_wins) {
  Vocab vocab = empty_vocab();
  vocab.add_space_prefix = false;
  const int32_t first = add_piece(vocab, "ab", PieceType::kNormal, -5);
  add_piece(vocab, "ab", PieceType::kNormal, 5);
  add_piece(vocab, "</s>", PieceType::kControl);
  add_piece(vocab, "<0x61>", PieceType::kByte);
  const Tokenizer tokenizer(vocab);
  CHECK_EQ(shown(tokenizer.encode("aab", false)), shown({3 + 'a', first}));
  CHECK_EQ(shown(tokenizer.encode("</s>", false, true)), shown({2}));
  CHECK_EQ(tokenizer.id_of("ab").value(), first);
}

TEST(merge_leaves_other_types_alone) {
  // Only normal pieces come of merging, however the text spells the others.
  Vocab vocab = empty_vocab();
  vocab.add_space_prefix = false;
  for (const char* piece : {"<", "/", "s", ">", "</", "s>", "a"})
    add_piece(vocab, piece, PieceType::kNormal);
  add_piece(vocab, "aa", PieceType::kUnused, 10);
  const Tokenizer tokenizer(vocab);
  for (const char* text : {"</s>", "<unk>", "aaa", "<0x41>"}) {
    const Ids ids = tokenizer.encode(text, false);
    CHECK_EQ(tokenizer.decode(ids), text);
    for (const int32_t id : ids) {
      const PieceType type = vocab.types[static_cast<size_t>(id)];
      CHECK(type == PieceType::kNormal || type == PieceType::kByte);
    }
  }
}
