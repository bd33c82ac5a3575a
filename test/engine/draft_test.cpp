// A draft model: the tokens are those that come without it, fewer steps bring them where it agrees,
// and its cache gives everything back.
#include "engine/drafter.h"

#include "engine/listener.h"
#include "engine/opened_load.h"
#include "engine/task.h"
#include "model/tiny_llama.h"
#include "support/check.h"

namespace cria::test {
namespace {

const LoadProgress kQuiet = [](uint64_t, uint64_t) { return true; };

TinyShape other() {
  return {.layers = 1, .width = 32, .heads = 2, .kv_heads = 1, .feed_forward = 64, .seed = 5};
}

std::vector<int32_t> prompt_of(int seed, int count) {
  std::vector<int32_t> ids;
  uint32_t state = static_cast<uint32_t>(seed) * 2654435761u + 1;
  for (int i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    ids.push_back(3 + static_cast<int32_t>(state >> 8) % 250);
  }
  return ids;
}

std::shared_ptr<Request> request_of(std::vector<int32_t> prompt, Guesses guesses, float temperature,
                                    int max_tokens = 60) {
  auto request = std::make_shared<Request>();
  request->tokens = std::move(prompt);
  request->max_tokens = max_tokens;
  request->guesses = guesses;
  request->sampling.temperature = temperature;
  request->sampling.seed = 3;
  request->sampling.logit_bias.emplace_back(2, -1000.0f);  // goes on
  return request;
}

std::unique_ptr<LoadedModel> load(const TinyShape& shape, const LoadOptions& options,
                                  uint64_t available = uint64_t{1} << 40) {
  const TempFolder folder;
  return LoadedModel::load(TinyLlama(shape).file().write(folder / "model.gguf"), options, kQuiet,
                           available);
}

}  // namespace

// A draft that is the model itself, and one that agrees only by accident.
TEST(a_draft_changes_no_token) {
  const WithDraft same, unlike(other());
  Listener plain, agreeing(same.options), disagreeing(unlike.options);
  int accepted = 0, wrong = 0;
  for (int i = 0; i < 10; ++i) {
    const auto prompt = prompt_of(i, 5 + 17 * i);
    const float temperature = 0.5f * static_cast<float>(i % 3);
    const Heard want = plain.ask(request_of(prompt, Guesses::kNone, temperature));
    const Heard good = agreeing.ask(request_of(prompt, Guesses::kAll, temperature));
    const Heard bad = disagreeing.ask(request_of(prompt, Guesses::kAll, temperature));
    CHECK(good.tokens == want.tokens);
    CHECK(bad.tokens == want.tokens);
    CHECK_EQ(good.text, want.text);
    accepted += good.end->timings.accepted;
    wrong += bad.end->timings.guessed - bad.end->timings.accepted;
  }
  // The same network by the same numbers: what it finds likely enough to guess is what comes.
  CHECK(accepted > 250);
  CHECK(wrong > 10);
  const uint64_t steps = plain.engine->stats().steps;
  CHECK_EQ(agreeing.engine->stats().steps + static_cast<uint64_t>(accepted), steps);
  CHECK(agreeing.engine->stats().steps < steps * 2 / 3);
}

TEST(a_request_may_leave_the_draft_alone) {
  const WithDraft same;
  Listener listener(same.options);
  for (const Guesses guesses : {Guesses::kNone, Guesses::kLookup}) {
    const Heard heard = listener.ask(request_of(prompt_of(1, 8), guesses, 0, 4));
    CHECK_EQ(heard.end->timings.guessed, 0);
  }
  Listener plain;  // nor need there be one
  CHECK_EQ(plain.ask(request_of(prompt_of(1, 8), Guesses::kAll, 0, 4)).tokens.size(), size_t{4});
}

// Many at once, with pages for hardly two, stops, banned texts and cancellations.
TEST(drafts_mix_with_all_else) {
  LoadOptions small;
  small.context_size = 256;
  small.batch_size = 40;
  const WithDraft same({}, small), unlike(other(), small);
  Listener plain(small);
  for (const LoadOptions& options : {same.options, unlike.options}) {
    Listener crowded(options);
    std::map<int, int32_t> ids;
    std::vector<std::shared_ptr<Request>> strays;
    const auto make = [](int i, Guesses guesses) {
      auto request = request_of(prompt_of(i % 5, 20 + 11 * i), guesses, i % 2 ? 0.7f : 0.0f);
      if (i % 4 == 1) request->banned.push_back("e");
      if (i % 4 == 2) request->stop.push_back("zz");
      if (i % 3 == 0) request->sequence = static_cast<uint32_t>(1 + i);
      return request;
    };
    for (int i = 0; i < 12; ++i) {
      ids[i] = crowded.post(make(i, i % 5 == 4 ? Guesses::kNone : Guesses::kAll));
      strays.push_back(make(i, Guesses::kAll));
      crowded.post(strays.back());
    }
    for (size_t i = 0; i < strays.size(); i += 2) crowded.engine->cancel(*strays[i]);
    for (int i = 0; i < 12; ++i) {
      const Heard want = plain.ask(make(i, Guesses::kNone)), got = crowded.wait(ids[i]);
      CHECK(got.tokens == want.tokens);
      CHECK(got.end->reason == want.end->reason);
    }
  }
}

// Guesses are drawn under the grammar that the tokens are drawn under, and end where the text does.
TEST(a_draft_keeps_to_the_grammar) {
  const WithDraft same;
  Listener plain, listener(same.options);
  int guessed = 0, accepted = 0;
  for (int i = 0; i < 6; ++i) {
    const auto make = [i](Listener& at, Guesses guesses) {
      auto request = request_of(prompt_of(i, 12), guesses, 0.4f * static_cast<float>(i % 3));
      grammar::Compiler compiler(at.engine->model().tokenizer);
      request->grammar = compiler.compile(grammar::Syntax::kRegex, "[0-9]{4}-(red|green){1,9}");
      return request;
    };
    const Heard want = plain.ask(make(plain, Guesses::kNone));
    const Heard got = listener.ask(make(listener, Guesses::kAll));
    CHECK_EQ(got.text, want.text);
    CHECK(got.tokens == want.tokens);
    CHECK(got.end->grammar_complete == want.end->grammar_complete);
    guessed += got.end->timings.guessed;
    accepted += got.end->timings.accepted;
  }
  CHECK(accepted > 100);
  CHECK(4 * accepted > 3 * guessed);  // lookups guess as well, and are wrong at times
}

// A draft of a shorter context guesses as far as that goes.
TEST(a_shorter_draft_stops_early) {
  TinyShape shorter;
  shorter.context = 64;
  const WithDraft draft(shorter);
  Listener plain, listener(draft.options);
  const Heard want = plain.ask(request_of(prompt_of(2, 30), Guesses::kNone, 0, 150));
  const Heard got = listener.ask(request_of(prompt_of(2, 30), Guesses::kAll, 0, 150));
  CHECK(got.tokens == want.tokens);
  CHECK(got.end->timings.accepted > 0);
}

// Guesses that were wrong leave nothing behind: all pages but those of the text come back.
TEST(a_drafters_pages_come_back) {
  const auto model = load({}, {});
  Drafter drafter(*model, 0.1);
  const int all = drafter.free_pages();
  const text::Tokenizer& tokenizer = *model->tokenizer;
  auto request = request_of(prompt_of(1, 100), Guesses::kAll, 0);
  Task task(request, request->tokens, tokenizer), other_task(request, prompt_of(7, 40), tokenizer);
  task.serial = 1;
  other_task.serial = 2;
  std::vector<Task*> both = {&task, &other_task};
  for (int turn = 0; turn < 40; ++turn) {
    drafter.keep_only(both);
    std::vector<Drafter::Order> orders;
    for (Task* one : both) {
      one->guessed.clear();
      orders.push_back({one, 5});
    }
    drafter.draft(orders, 0);
    CHECK_EQ(task.guessed.size(), size_t{5});
    // Some of the guesses come true, and then something else.
    for (Task* one : both) {
      const auto right = static_cast<std::ptrdiff_t>(turn % 6);
      one->tokens.insert(one->tokens.end(), one->guessed.begin(), one->guessed.begin() + right);
      one->tokens.push_back(3 + turn);
    }
    if (turn % 7 == 6) task.tokens.resize(task.tokens.size() - 40);  // taken back, pages of them
    if (turn % 9 == 8) other_task.serial += 2;                       // one ends, another begins
    CHECK(drafter.free_pages() < all);
  }
  drafter.keep_only({});
  CHECK_EQ(drafter.free_pages(), all);
}

TEST(a_draft_needs_the_same_vocabulary) {
  TinyShape larger;
  larger.vocab = 301;
  CHECK_THROWS(ErrorCode::kBadArgument, load({}, WithDraft(larger).options),
               "it has 301 tokens and the model 300");
  const WithDraft missing;
  LoadOptions options = missing.options;
  options.draft = "/nowhere/draft.gguf";
  CHECK_THROWS(ErrorCode::kFile, load({}, options), "draft.gguf");
}

TEST(the_plan_counts_the_draft) {
  const WithDraft draft(other());
  const TempFolder folder;
  const auto path = TinyLlama({}).file().write(folder / "model.gguf");
  const MemoryPlan with = open_load(path, draft.options, uint64_t{1} << 40).model.placed.plan;
  const MemoryPlan without = open_load(path, {}, uint64_t{1} << 40).model.placed.plan;
  CHECK(with.draft_bytes > 0);
  CHECK_EQ(with.total(), without.total() + with.draft_bytes);
  CHECK_EQ(with.draft_bytes, load({}, draft.options)->draft->plan.total());
  CHECK_THROWS(ErrorCode::kOutOfMemory, load({}, draft.options, with.total() - 1), "draft model");
}

}  // namespace cria::test
