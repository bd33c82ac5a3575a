// DRY: the breakers, and its repetitions against a plain search.
#include "sampling/dry.h"

#include <cmath>

#include "sampling/reference.h"
#include "support/check.h"

namespace cria::test {
namespace {

/// Tokens are letters from 'a' on; 24 is a line's end, 25 a token without text, 26 "ab".
std::string_view bytes_of(int32_t id) {
  static const std::string letters = "abcdefghijklmnopqrstuvwx";
  if (id == 24) return "\n";
  if (id == 25) return "";
  if (id == 26) return "ab";
  return std::string_view(letters).substr(static_cast<size_t>(id), 1);
}

std::vector<float> penalties_of(const Sampling& s, const std::vector<int32_t>& history,
                                TokenBytes bytes = bytes_of) {
  std::vector<float> logits(30, 0.0f);
  Candidates candidates;
  candidates.reset(logits);
  Dry(s, std::move(bytes)).penalize(candidates, history);
  for (float& logit : logits) logit = 0 - logit;
  return logits;
}

Sampling dry() {
  Sampling s;
  s.dry_multiplier = 2;
  s.dry_base = 3;
  return s;
}

}  // namespace

TEST(dry_penalizes_what_prolongs_a_repetition) {
  // a b c d … a b c: a fourth token d would prolong a repetition of 3: 2 · 3^(3 - 2).
  const auto penalty = penalties_of(dry(), {0, 1, 2, 3, 9, 0, 1, 2});
  for (size_t id = 0; id < penalty.size(); ++id) CHECK_EQ(penalty[id], id == 3 ? 6.0f : 0.0f);
  Sampling longer = dry();
  longer.dry_allowed_length = 4;
  CHECK_EQ(penalties_of(longer, {0, 1, 2, 3, 9, 0, 1, 2})[3], 0.0f);
  Sampling near = dry();
  near.dry_window = 7;  // the first a is out of sight: a repetition of 2
  CHECK_EQ(penalties_of(near, {0, 1, 2, 3, 9, 0, 1, 2})[3], 2.0f);
}

TEST(dry_stops_at_breakers) {
  // … b [\n] c d … b [\n] c: only c repeats since the line's end.
  CHECK_EQ(penalties_of(dry(), {1, 24, 2, 3, 9, 1, 24, 2})[3], 0.0f);
  CHECK_EQ(penalties_of(dry(), {1, 24, 2, 3, 4, 9, 1, 24, 2, 3})[4], 2.0f);
  // The breaker itself is not penalized, nor a token without text.
  CHECK_EQ(penalties_of(dry(), {1, 2, 3, 24, 9, 1, 2, 3})[24], 0.0f);
  CHECK_EQ(penalties_of(dry(), {1, 2, 3, 25, 9, 1, 2, 3})[25], 0.0f);
  CHECK_EQ(penalties_of(dry(), {1, 2, 3, 4, 9, 1, 2, 3})[4], 6.0f);
  Sampling none = dry();
  none.dry_breakers = {};
  CHECK_EQ(penalties_of(none, {1, 24, 2, 3, 9, 1, 24, 2})[3], 6.0f);
}

TEST(dry_finds_a_breaker_that_spans_tokens) {
  Sampling s = dry();
  s.dry_breakers = {"abc"};
  // "ab" then c: the breaker ends in c, which cuts.
  CHECK_EQ(penalties_of(s, {26, 2, 3, 4, 9, 26, 2, 3})[4], 0.0f);
  CHECK_EQ(penalties_of(s, {26, 5, 3, 4, 9, 26, 5, 3})[4], 6.0f);
  CHECK_EQ(penalties_of(s, {0, 1, 2, 3, 4, 9, 0, 1, 2, 3})[4], 0.0f);
}

TEST(dry_never_reaches_infinity) {
  Sampling s = dry();
  s.dry_base = 1000;
  const std::vector<int32_t> history(4000, 5);
  CHECK_EQ(penalties_of(s, history)[5], 1e6f);
}

TEST(dry_is_a_plain_search) {
  std::mt19937 random(9);
  for (int round = 0; round < 2000; ++round) {
    Sampling s = dry();
    s.dry_allowed_length = static_cast<int>(1 + random() % 4);
    s.dry_base = 1.25f;
    std::vector<int32_t> history(random() % 60);
    const uint32_t few = 1 + random() % 3;
    for (int32_t& id : history) id = random() % 12 == 0 ? 24 : static_cast<int32_t>(random() % few);
    const auto found = plain_repetitions(history, [&](size_t at) { return history[at] == 24; });
    const auto penalty = penalties_of(s, history);
    for (int32_t id = 0; id < 30; ++id) {
      const auto at = found.find(id);
      const int n = at == found.end() ? 0 : at->second;
      const double want =
          n < s.dry_allowed_length ? 0 : 2 * std::pow(1.25, n - s.dry_allowed_length);
      const float got = penalty[static_cast<size_t>(id)];
      CHECK(std::abs(got - want) <= 1e-5 * want);
    }
  }
}

// Called token by token as the text grows, with some taken back, it says what it says afresh.
TEST(dry_keeps_up_with_the_text) {
  std::mt19937 random(2);
  const Sampling s = dry();
  Dry growing(s, bytes_of);
  std::vector<int32_t> history;
  for (int i = 0; i < 500; ++i) {
    if (random() % 6 == 0 && history.size() > 5) {
      history.resize(history.size() - random() % 5);
      growing.rewind(history.size());
    }
    history.push_back(random() % 10 == 0 ? 24 : static_cast<int32_t>(random() % 2));
    std::vector<float> logits(30, 0.0f);
    Candidates candidates;
    candidates.reset(logits);
    growing.penalize(candidates, history);
    const auto fresh = penalties_of(s, history);
    for (size_t id = 0; id < fresh.size(); ++id) CHECK_EQ(0 - logits[id], fresh[id]);
  }
}

}  // namespace cria::test
