// Speculation: the tokens are those that come without it, fewer steps bring them, and guesses that
// do not pay are not made.
#include "engine/speculation.h"

#include <cmath>

#include "engine/listener.h"
#include "engine/task.h"
#include "model/tiny_llama.h"
#include "support/check.h"

namespace cria::test {
namespace {

std::shared_ptr<Request> request_of(std::vector<int32_t> prompt, Guesses guesses, float temperature,
                                    int max_tokens = 120) {
  auto request = std::make_shared<Request>();
  request->tokens = std::move(prompt);
  request->max_tokens = max_tokens;
  request->guesses = guesses;
  request->sampling.temperature = temperature;
  request->sampling.top_k = 0;
  request->sampling.seed = 11;
  // Of few letters some that were there before come all the time.
  for (int32_t id = 0; id < 300; ++id)
    if (id < 'a' + 3 || id > 'd' + 3) request->sampling.logit_bias.emplace_back(id, -1000.0f);
  return request;
}

/// A prompt that says the same over and over, so that there is always something to look up.
std::vector<int32_t> periodic(int seed, int period, int count) {
  std::vector<int32_t> ids;
  for (int i = 0; i < count; ++i) ids.push_back(3 + (seed * 37 + i % period * 11) % 250);
  return ids;
}

}  // namespace

TEST(acceptance_rates_follow_what_is_seen) {
  AcceptanceRate rate;
  CHECK(std::abs(rate.rate() - 0.5) < 1e-12);
  CHECK(std::abs(rate.tokens(0) - 1) < 1e-12);
  CHECK(std::abs(rate.tokens(2) - 1.75) < 1e-12);
  for (int i = 0; i < 200; ++i) rate.record(4, 4);
  CHECK(rate.rate() > 0.97);
  for (int i = 0; i < 200; ++i) rate.record(0, 4);  // one tested of four
  CHECK(rate.rate() < 0.06);
  for (int i = 0; i < 400; ++i) rate.record(1, 4);  // one right, one wrong
  CHECK(std::abs(rate.rate() - 0.5) < 0.01);
}

TEST(step_costs_are_read_between_what_was_seen) {
  StepCost cost;
  CHECK(std::abs(cost.of(1) - 1) < 1e-12);
  CHECK(std::abs(cost.of(11) - 2) < 1e-12);
  cost.record(1, 20);
  CHECK(std::abs(cost.of(1) - 20) < 1e-12);
  CHECK(std::abs(cost.of(11) - 40) < 1e-12);
  cost.record(5, 60);
  CHECK(std::abs(cost.of(3) - 40) < 1e-12);
  CHECK(std::abs(cost.of(5) - 60) < 1e-12);
  CHECK(cost.of(9) > 60);
  cost.record(1, 1e6);  // an outlier counts as twice as much
  CHECK(std::abs(cost.of(1) - 24) < 1e-12);
  cost.record(0, 1);
  cost.record(1000, 1);
  CHECK(std::abs(cost.of(1) - 24) < 1e-12);
  CHECK(cost.of(1000) > 0);
}

// Greedy and at temperatures, alone and many at once with and without guesses, with pages for
// hardly two of them, and in steps too small for all guesses: the tokens are the same.
TEST(speculation_changes_no_token) {
  LoadOptions small;
  small.context_size = 256;
  small.batch_size = 40;
  Listener plain, guessing, crowded(small);
  int accepted = 0, rejected = 0;
  std::map<int, Heard> want;
  for (int i = 0; i < 12; ++i) {
    const auto prompt = periodic(i, 3 + i, 20 + 9 * i);
    const float temperature = i % 3 == 0 ? 0 : 0.4f * static_cast<float>(i % 3);
    want[i] = plain.ask(request_of(prompt, Guesses::kNone, temperature));
    CHECK_EQ(want[i].end->timings.guessed, 0);
    const Heard got = guessing.ask(request_of(prompt, Guesses::kLookup, temperature));
    CHECK(got.tokens == want[i].tokens);
    CHECK_EQ(got.text, want[i].text);
    CHECK(got.end->reason == want[i].end->reason);
    CHECK_EQ(got.end->usage.completion_tokens, want[i].end->usage.completion_tokens);
    accepted += got.end->timings.accepted;
    rejected += got.end->timings.guessed - got.end->timings.accepted;
  }
  CHECK(accepted > 100);
  CHECK(rejected > 20);
  const Stats stats = guessing.engine->stats(), without = plain.engine->stats();
  CHECK_EQ(static_cast<int>(stats.accepted_tokens), accepted);
  CHECK_EQ(static_cast<int>(stats.guessed_tokens), accepted + rejected);
  CHECK_EQ(stats.generated_tokens, without.generated_tokens);
  CHECK_EQ(stats.computed_tokens, without.computed_tokens);
  CHECK_EQ(stats.steps + static_cast<uint64_t>(accepted), without.steps);

  std::map<int, int32_t> ids;
  for (int i = 0; i < 12; ++i) {
    const float temperature = i % 3 == 0 ? 0 : 0.4f * static_cast<float>(i % 3);
    ids[i] = crowded.post(request_of(periodic(i, 3 + i, 20 + 9 * i),
                                     i % 4 == 3 ? Guesses::kNone : Guesses::kLookup, temperature));
  }
  for (int i = 0; i < 12; ++i) CHECK(crowded.wait(ids[i]).tokens == want[i].tokens);
  CHECK(crowded.engine->stats().accepted_tokens > 0);
}

// What ends a text in the midst of right guesses ends it there: a stop text, a banned one, a limit.
TEST(guesses_stop_where_the_text_does) {
  Listener plain, guessing;
  const auto prompt = periodic(5, 4, 60);
  const Heard free = plain.ask(request_of(prompt, Guesses::kNone, 0));
  for (const size_t at : {10, 11, 12, 13, 40}) {
    if (at + 6 > free.text.size()) continue;
    for (const bool banned : {false, true}) {
      const auto make = [&](Guesses guesses) {
        auto request = request_of(prompt, guesses, 0);
        (banned ? request->banned : request->stop).push_back(free.text.substr(at, 6));
        return request;
      };
      const Heard want = plain.ask(make(Guesses::kNone)),
                  got = guessing.ask(make(Guesses::kLookup));
      CHECK_EQ(got.text, want.text);
      CHECK(got.tokens == want.tokens);
      CHECK(got.end->reason == want.end->reason);
    }
  }
  for (int most = 1; most < 20; ++most) {
    const Heard got = guessing.ask(request_of(prompt, Guesses::kLookup, 0, most));
    CHECK_EQ(got.tokens.size(), static_cast<size_t>(most));
    CHECK(std::equal(got.tokens.begin(), got.tokens.end(), free.tokens.begin()));
  }
  // Until the context is full.
  const Heard want = plain.ask(request_of(prompt, Guesses::kNone, 0, 0));
  const Heard got = guessing.ask(request_of(prompt, Guesses::kLookup, 0, 0));
  CHECK(got.tokens == want.tokens);
}

// A conversation that ended while guesses were computed goes on as if there had been none.
TEST(guesses_leave_nothing_in_the_cache) {
  Listener plain, guessing;
  std::vector<int32_t> prompt = periodic(2, 5, 40);
  for (int turn = 0; turn < 4; ++turn) {
    const auto make = [&](Guesses guesses) {
      auto request = request_of(prompt, guesses, 0, 17 + turn);
      request->sequence = 1;
      return request;
    };
    const Heard want = plain.ask(make(Guesses::kNone)), got = guessing.ask(make(Guesses::kLookup));
    CHECK(got.tokens == want.tokens);
    CHECK_EQ(got.end->usage.cached_tokens, want.end->usage.cached_tokens);
    prompt.insert(prompt.end(), want.tokens.begin(), want.tokens.end());
    prompt.push_back(7);
  }
}

// Log-probabilities are those of each token's own row.
TEST(guessed_tokens_have_their_own_logprobs) {
  Listener plain, guessing;
  const auto make = [&](Guesses guesses) {
    auto request = request_of(periodic(1, 4, 50), guesses, 0);
    request->logprobs = 2;
    return request;
  };
  const Heard want = plain.ask(make(Guesses::kNone)), got = guessing.ask(make(Guesses::kLookup));
  CHECK(got.end->timings.accepted > 0);
  CHECK_EQ(got.logprobs.size(), want.logprobs.size());
  for (size_t i = 0; i < got.logprobs.size(); ++i) {
    CHECK_EQ(got.logprobs[i].id, want.logprobs[i].id);
    CHECK_EQ(got.logprobs[i].logprob, want.logprobs[i].logprob);
    CHECK_EQ(got.logprobs[i].top.size(), size_t{2});
  }
}

// With guesses that are always wrong, all but a few chances are left; with right ones, most taken.
TEST(speculation_turns_itself_down) {
  const Listener listener;
  for (const bool right : {false, true}) {
    std::vector<int32_t> prompt = periodic(3, 6, 60);
    auto request = request_of(prompt, Guesses::kLookup, 0, 0);
    Task task(request, prompt, *listener.engine->model().tokenizer);
    Speculator speculator;
    int made = 0, late = 0;
    std::vector<Task*> running = {&task};
    for (int turn = 0; turn < 1000; ++turn) {
      task.kv.cached = static_cast<int>(task.tokens.size()) - 1;
      speculator.propose(running, 32, 1 << 20);
      const auto guesses = static_cast<int>(task.guessed.size());
      made += guesses;
      if (turn >= 500) late += guesses;
      if (guesses > 0) task.speculation->learn(right ? guesses : 0, guesses);
      speculator.record_step(1 + guesses, 10 + 1.5 * guesses);
      // The text goes on in its period, whatever was guessed.
      task.tokens.push_back(task.tokens[task.tokens.size() - 6]);
    }
    if (right)
      CHECK(late > 500 * 8);
    else
      CHECK(late <= 4);
    CHECK(made > 0);
  }
}

}  // namespace cria::test
