// What a request hears of its tokens: banned texts, log-probabilities, and samples of one prompt.
#include <cmath>
#include <map>
#include <set>

#include "engine/listener.h"
#include "support/check.h"

namespace cria::test {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

std::vector<int32_t> prompt_of(int seed, int count) {
  std::vector<int32_t> ids;
  for (int i = 0; i < count; ++i) ids.push_back(3 + (seed * 37 + i * 11) % 250);
  return ids;
}

/// Draws the bytes a, b and c alone, so that short texts come all the time.
std::shared_ptr<Request> letters(std::vector<int32_t> prompt, int max_tokens,
                                 float temperature = 0) {
  auto request = std::make_shared<Request>();
  request->tokens = std::move(prompt);
  request->max_tokens = max_tokens;
  request->sampling.temperature = temperature;
  request->sampling.top_k = 0;
  for (int32_t id = 0; id < 300; ++id)
    if (id < 'a' + 3 || id > 'c' + 3) request->sampling.logit_bias.emplace_back(id, kNever);
  return request;
}

/// Banned texts as they are defined, a request of one token at a time; empty where nothing is left.
std::string plain_banned(Listener& rig, const std::vector<int32_t>& prompt, size_t count,
                         const std::vector<std::string>& banned) {
  std::string text;
  std::map<size_t, std::set<char>> ruled_out;
  while (text.size() < count) {
    std::vector<int32_t> tokens = prompt;
    for (const char c : text) tokens.push_back(c + 3);
    auto request = letters(tokens, 1);
    for (const char c : ruled_out[text.size()])
      request->sampling.logit_bias.emplace_back(c + 3, kNever);
    const Heard heard = rig.ask(request);
    if (heard.end->reason == FinishReason::kError) return {};
    text += heard.text;
    size_t at = std::string::npos;
    for (const std::string& one : banned) at = std::min(at, text.find(one));
    if (at == std::string::npos) continue;
    ruled_out.erase(ruled_out.upper_bound(at), ruled_out.end());
    ruled_out[at].insert(text[at]);
    text.resize(at);
  }
  return text;
}

}  // namespace

// Lengths that put what is taken back on both sides of the pages' ends, 32 tokens each.
TEST(engine_draws_no_banned_text) {
  Listener rig, plain;
  int written = 0;
  for (const int length : {3, 29, 30, 31, 32, 33, 63}) {
    const auto prompt = prompt_of(length, length);
    const std::string free = rig.ask(letters(prompt, 40)).text;
    // What the model wants to write, from several places.
    const std::vector<std::string> banned = {free.substr(0, 3), free.substr(20, 4), "ca"};
    auto request = letters(prompt, 40);
    request->banned = banned;
    const std::string want = plain_banned(plain, prompt, 40, banned);
    const Heard heard = rig.ask(request);
    CHECK((heard.end->reason == FinishReason::kError) == want.empty());
    if (want.empty()) continue;  // the texts left nothing to write
    ++written;
    CHECK(heard.end->reason == FinishReason::kLength);
    CHECK_EQ(heard.tokens.size(), size_t{40});
    CHECK_EQ(heard.end->usage.completion_tokens, 40);
    for (const std::string& text : banned) CHECK(heard.text.find(text) == std::string::npos);
    CHECK_EQ(heard.text, want);
    std::string decoded;
    for (const int32_t id : heard.tokens) decoded += static_cast<char>(id - 3);
    CHECK_EQ(decoded, heard.text);
  }
  CHECK(written >= 4);
}

TEST(what_is_banned_does_not_depend_on_who_else_runs) {
  LoadOptions small;
  small.batch_size = 7;
  Listener alone, together(small);
  std::vector<std::string> want;
  const auto make = [](int i) {
    auto request = letters(prompt_of(i, 10 + 5 * i), 50, 1.5f);
    request->banned = {"ab", "bca"};
    request->sampling.seed = static_cast<uint64_t>(i);
    request->sampling.mirostat = static_cast<Mirostat>(i % 3);
    request->sampling.dry_multiplier = 1;
    request->sampling.xtc_probability = 0.3f;
    request->logprobs = 2;
    return request;
  };
  for (int i = 0; i < 8; ++i) want.push_back(alone.ask(make(i)).text);
  std::vector<int32_t> ids;
  for (int i = 0; i < 8; ++i) ids.push_back(together.post(make(i)));
  for (size_t i = 0; i < ids.size(); ++i) {
    const Heard heard = together.wait(ids[i]);
    CHECK_EQ(heard.text, want[i]);
    CHECK_EQ(heard.logprobs.size(), heard.tokens.size());
    for (size_t t = 0; t < heard.tokens.size(); ++t)
      CHECK_EQ(heard.logprobs[t].id, heard.tokens[t]);
  }
}

TEST(a_ban_that_leaves_nothing_is_an_error) {
  Listener rig;
  auto request = letters({1, 50}, 20);
  request->banned = {"a", "b", "c"};
  const Heard heard = rig.ask(request);
  CHECK(heard.end->reason == FinishReason::kError);
  CHECK(heard.end->error->code() == ErrorCode::kBadArgument);
  CHECK_EQ(rig.ask(letters({1, 50}, 5)).tokens.size(), size_t{5});
}

TEST(engine_refuses_texts_and_counts_that_make_no_sense) {
  Listener rig;
  auto empty = letters({1}, 1);
  empty->banned = {""};
  auto many = letters({1}, 1);
  many->logprobs = 21;
  for (const auto& request : {empty, many}) {
    const Heard heard = rig.ask(request);
    CHECK(heard.end->reason == FinishReason::kError);
    CHECK(heard.end->error->code() == ErrorCode::kBadArgument);
  }
}

// The same numbers as a score of the same text.
TEST(logprobs_are_what_a_score_says) {
  Listener rig;
  const auto prompt = prompt_of(2, 12);
  auto request = letters(prompt, 30, 1);
  request->logprobs = 3;
  const Heard heard = rig.ask(request);
  auto score = std::make_shared<Request>();
  score->purpose = Purpose::kScore;
  score->tokens = prompt;
  std::ranges::copy(heard.tokens, std::back_inserter(score->tokens));
  score->score_from = 12;
  const std::vector<float> scores = rig.ask(score).values;
  CHECK_EQ(heard.logprobs.size(), size_t{30});
  CHECK_EQ(scores.size(), size_t{30});
  for (size_t i = 0; i < 30; ++i) {
    const TokenLogprob& token = heard.logprobs[i];
    CHECK(std::abs(token.logprob - double{scores[i]}) < 1e-6);
    CHECK_EQ(token.top.size(), size_t{3});
    // Before the bias: other tokens than the three letters lead.
    CHECK(token.top[0].logprob >= token.top[1].logprob && token.top[0].logprob >= token.logprob);
    CHECK(token.logprob < 0 && std::isfinite(token.logprob));
  }
  CHECK(rig.ask(letters(prompt, 5)).logprobs.empty());
}

// Many samples of one prompt, shorter than a page or not: it is computed once, but for its last
// token.
TEST(samples_of_one_prompt_share_its_prefill) {
  for (const int length : {20, 75}) {
    LoadOptions small;
    small.batch_size = 16;
    small.sequences = 8;
    Listener rig(small), alone;
    std::vector<int32_t> ids;
    const auto make = [&](uint64_t seed) {
      auto request = letters(prompt_of(1, length), 12, 1);
      request->sampling.seed = seed;
      return request;
    };
    for (uint64_t i = 0; i < 12; ++i) ids.push_back(rig.post(make(i)));
    for (size_t i = 0; i < ids.size(); ++i) {
      const Heard heard = rig.wait(ids[i]);
      CHECK_EQ(heard.end->usage.cached_tokens, i == 0 ? 0 : length - 1);
      CHECK_EQ(heard.text, alone.ask(make(i)).text);
    }
  }
}

}  // namespace cria::test
