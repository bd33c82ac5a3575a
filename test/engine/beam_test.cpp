// Beam search: what it finds is what a plain search finds that computes every text from the start,
// in any batch, and its pages come back.
#include "engine/beam.h"

#include <cmath>
#include <random>
#include <set>
#include <thread>

#include "engine/listener.h"
#include "engine/task.h"
#include "model/tiny_llama.h"
#include "support/check.h"

namespace cria::test {
namespace {

constexpr int32_t kEnd = 2;

/// Logits after a text, in one plain forward pass.
class Plain {
 public:
  explicit Plain(const TinyShape& shape = {}) {
    const TempFolder folder;
    model_ = LoadedModel::load(
        TinyLlama(shape).file().write(folder / "tiny.gguf"), {},
        [](uint64_t, uint64_t) { return true; }, uint64_t{1} << 40);
    for (int32_t page = 0; page < model_->plan.pages; ++page) pages_.push_back(page);
  }
  std::vector<float> logits(const std::vector<int32_t>& ids) {
    std::vector<float> out(static_cast<size_t>(model_->config.vocab));
    Slice slice;
    slice.count = static_cast<int>(ids.size());
    slice.pages = pages_.data();
    const std::vector<int64_t> rows = {slice.count - 1};
    model_->transformer.forward({ids, {&slice, 1}, rows}, out.data());
    return out;
  }
  const text::Tokenizer& tokenizer() const { return *model_->tokenizer; }
  std::shared_ptr<const text::Tokenizer> shared() const { return model_->tokenizer; }

 private:
  std::unique_ptr<LoadedModel> model_;
  std::vector<int32_t> pages_;
};

struct Text {
  std::vector<int32_t> ids;  // without the prompt
  double total = 0, score = 0;
};

/// The search as its definition reads: all continuations of all beams in one list.
std::vector<Text> search(Plain& plain, const Request& request) {
  std::vector<Text> beams = {{}}, ended;
  const auto count = static_cast<size_t>(request.beams);
  const auto score = [&](double total, size_t length) {
    return total / std::pow(static_cast<double>(length), request.length_penalty);
  };
  for (int length = 1;; ++length) {
    struct Choice {
      size_t beam;
      int32_t id;
      double total;
    };
    std::vector<Choice> all;
    for (size_t b = 0; b < beams.size(); ++b) {
      std::vector<int32_t> ids = request.tokens;
      ids.insert(ids.end(), beams[b].ids.begin(), beams[b].ids.end());
      std::vector<float> logits = plain.logits(ids);
      for (const auto& [id, bias] : request.sampling.logit_bias)
        logits[static_cast<size_t>(id)] += bias;
      double sum = 0;
      for (const float logit : logits) sum += std::exp(double{logit});
      std::vector<bool> may(logits.size(), true);
      if (request.grammar) {
        grammar::Matcher matcher(request.grammar);
        for (const int32_t id : beams[b].ids) matcher.take(id);
        const grammar::TokenMask& mask = matcher.allowed();
        for (size_t id = 0; id < may.size(); ++id) may[id] = mask[static_cast<int32_t>(id)];
      }
      for (size_t id = 0; id < logits.size(); ++id)
        if (may[id])
          all.push_back(
              {b, static_cast<int32_t>(id), beams[b].total + double{logits[id]} - std::log(sum)});
    }
    std::ranges::stable_sort(all,
                             [](const Choice& a, const Choice& b) { return a.total > b.total; });
    std::vector<Text> next;
    for (size_t i = 0; i < all.size() && i < 2 * count && next.size() < count; ++i) {
      Text text = beams[all[i].beam];
      text.total = all[i].total;
      text.score = score(text.total, static_cast<size_t>(length));
      if (all[i].id == kEnd) {
        if (i < count) ended.push_back(text);
        continue;
      }
      text.ids.push_back(all[i].id);
      bool over = length >= request.max_tokens;
      if (request.grammar) {
        grammar::Matcher matcher(request.grammar);
        for (const int32_t id : text.ids) matcher.take(id);
        over = over || matcher.finished();
      }
      (over ? ended : next).push_back(text);
    }
    std::ranges::stable_sort(ended, [](const Text& a, const Text& b) { return a.score > b.score; });
    if (ended.size() > count) ended.resize(count);
    if (next.empty()) return ended;
    if (ended.size() == count &&
        score(next[0].total, static_cast<size_t>(length)) <= ended.back().score)
      return ended;
    beams = next;
  }
}

std::shared_ptr<Request> request_of(int seed, int length, int beams, int max_tokens,
                                    double penalty = 1) {
  auto request = std::make_shared<Request>();
  for (int i = 0; i < length; ++i) request->tokens.push_back(3 + (seed * 37 + i * 11) % 250);
  request->beams = beams;
  request->length_penalty = penalty;
  request->max_tokens = max_tokens;
  return request;
}

void check_same(const Heard& heard, const std::vector<Text>& want) {
  CHECK(!heard.end->error);
  const std::vector<BeamText>& got = heard.end->beams;
  CHECK_EQ(got.size(), want.size());
  for (size_t i = 0; i < std::min(got.size(), want.size()); ++i) {
    CHECK(got[i].tokens == want[i].ids);
    CHECK(std::abs(got[i].score - want[i].score) < 1e-4);
  }
  if (want.empty()) return;
  CHECK(heard.tokens == want[0].ids);
  CHECK_EQ(heard.end->usage.completion_tokens, static_cast<int>(want[0].ids.size()));
}

LoadOptions roomy() {
  LoadOptions options;
  options.sequences = 8;
  return options;
}

}  // namespace

TEST(beam_scores_and_endings) {
  BeamSearch search(2, 2);
  CHECK(std::abs(search.score(-8, 2) + 2) < 1e-12);
  CHECK(search.may_improve(-1e9, 1));
  const auto ending = [](double score) {
    BeamEnding one;
    one.text.score = score;
    return one;
  };
  search.end(ending(-3));
  CHECK(search.may_improve(-1e9, 1));
  search.end(ending(-1));
  search.end(ending(-2));  // the worst goes
  CHECK(!search.may_improve(-8, 2));
  CHECK(search.may_improve(-7.9, 2));
  const auto endings = search.take_endings();
  CHECK_EQ(endings.size(), size_t{2});
  CHECK_EQ(endings[0].text.score, -1.0);
  CHECK_EQ(endings[1].text.score, -2.0);
}

TEST(beam_choices_are_ordered_and_ties_settled) {
  const BeamSearch search(2, 1);
  std::vector<float> logits = {1, 3, 3, -std::numeric_limits<float>::infinity(), 2, 0};
  const double all = log_sum_exp(logits);
  const auto offers = search.offer(7, -1, logits, all);
  CHECK_EQ(offers.size(), size_t{4});
  const int32_t want[] = {1, 2, 4, 0};
  for (size_t i = 0; i < 4; ++i) {
    CHECK_EQ(offers[i].id, want[i]);
    CHECK_EQ(offers[i].beam, size_t{7});
  }
  CHECK(std::abs(offers[0].total - (-1 + 3 - all)) < 1e-12);
  const auto best = search.best({{1, 5, -2}, {0, 5, -2}, {0, 4, -2}, {0, 9, -1}, {1, 1, -9}});
  CHECK_EQ(best.size(), size_t{4});
  CHECK_EQ(best[0].id, 9);
  CHECK_EQ(best[1].id, 4);
  CHECK_EQ(best[2].beam, size_t{0});
  CHECK_EQ(best[3].beam, size_t{1});
}

TEST(beams_are_those_of_a_plain_search) {
  Plain plain;
  Listener listener(roomy());
  for (int i = 0; i < 12; ++i) {
    auto request = request_of(i, 1 + 13 * i, 2 + i % 5, 5 + 3 * (i % 4), 0.5 * (i % 4));
    if (i % 2) request->sampling.logit_bias = {{kEnd, 3}, {40 + i, -5}};  // ends come up
    check_same(listener.ask(request), search(plain, *request));
  }
}

TEST(beams_keep_to_a_grammar) {
  Plain plain;
  Listener listener(roomy());
  for (int i = 0; i < 6; ++i) {
    const auto make = [i](std::shared_ptr<const text::Tokenizer> tokenizer) {
      auto request = request_of(i, 9 + i, 3, 12);
      grammar::Compiler compiler(std::move(tokenizer));
      request->grammar = compiler.compile(grammar::Syntax::kRegex, "[0-9]{2}-(ab|cd|e){1,4}");
      return request;
    };
    const auto reference = make(plain.shared());
    const Heard heard = listener.ask(make(listener.engine->model().tokenizer));
    check_same(heard, search(plain, *reference));
    for (const BeamText& text : heard.end->beams) CHECK(text.grammar_complete.has_value());
  }
}

// Beside others that sample, guess and search, with a small budget of tokens and few pages.
TEST(beams_are_the_same_in_any_batch) {
  LoadOptions small;
  small.batch_size = 40;
  small.sequences = 2;
  Listener alone(roomy()), crowded(small);
  const auto make = [](int i) {
    auto request = i % 2 ? request_of(i, 5 + 9 * i, 0, 20) : request_of(i, 5 + 9 * i, 3, 16);
    request->sampling.seed = 5;
    if (i % 2) request->guesses = Guesses::kAll;
    if (i % 4 == 0) request->logprobs = 2;
    return request;
  };
  std::map<int, int32_t> ids;
  for (int i = 0; i < 14; ++i) ids[i] = crowded.post(make(i));
  for (int i = 0; i < 14; ++i) {
    const Heard want = alone.ask(make(i)), got = crowded.wait(ids[i]);
    CHECK(!want.end->error);
    CHECK(!got.end->error);
    CHECK(got.tokens == want.tokens);
    CHECK_EQ(got.text, want.text);
    CHECK_EQ(got.end->beams.size(), want.end->beams.size());
    CHECK_EQ(got.logprobs.size(), want.logprobs.size());
    if (i % 4 == 0) CHECK_EQ(got.logprobs.size(), got.tokens.size());
  }
}

TEST(log_probabilities_of_beams_make_their_score) {
  Listener listener(roomy());
  auto request = request_of(3, 8, 4, 10, 0);
  request->logprobs = 1;
  const Heard heard = listener.ask(request);
  double sum = 0;
  for (const TokenLogprob& token : heard.logprobs) sum += token.logprob;
  CHECK_EQ(heard.logprobs.size(), heard.tokens.size());
  CHECK(std::abs(sum - heard.end->beams[0].score) < 1e-4);  // all ten: nothing ended before
}

TEST(beams_end_with_stop_texts) {
  Listener listener(roomy());
  const Heard free = listener.ask(request_of(2, 8, 3, 24));
  auto request = request_of(2, 8, 3, 24);
  request->stop.push_back(free.text.substr(4, 3));
  const Heard stopped = listener.ask(request);
  for (const BeamText& text : stopped.end->beams)
    CHECK(text.text.find(request->stop[0]) == std::string::npos);
}

TEST(beams_pages_come_back) {
  Listener listener(roomy());
  const auto given = [&] {
    const Stats stats = listener.engine->stats();
    return stats.free_pages + stats.cached_pages;
  };
  const int all = given();
  const TinyShape shape;
  for (int turn = 0; turn < 4; ++turn) {
    auto request = request_of(turn, 40, 4, 0);
    request->sampling.logit_bias = {{kEnd, -1000}};
    const int32_t id = listener.post(request);
    if (turn % 2) {
      while (listener.engine->stats().generated_tokens == 0) std::this_thread::yield();
      listener.engine->cancel(*request);
    }
    const Heard heard = listener.wait(id);
    CHECK(!heard.end->error);
    CHECK_EQ(given(), all);
    CHECK_EQ(listener.engine->stats().running, 0);
  }
}

// Paused, cancelled and stopped at any time, among others of all kinds, with few pages: what is not
// ended is the same, and every page comes back.
TEST(beams_are_paused_and_cancelled) {
  LoadOptions small;
  small.batch_size = 24;
  small.sequences = 2;
  const WithDraft draft({}, small);
  Listener alone(roomy());
  const auto make = [](int i) {
    auto request = request_of(i % 5, 6 + 7 * (i % 5), i % 3 ? 0 : 2 + i % 4, 12);
    request->sampling.seed = static_cast<uint64_t>(i);
    request->guesses = i % 2 ? Guesses::kAll : Guesses::kNone;
    return request;
  };
  std::map<int, std::vector<int32_t>> want;
  for (int i = 0; i < 30; ++i) want[i] = alone.ask(make(i)).tokens;
  for (const uint32_t seed : {1u, 2u, 3u}) {
    std::mt19937 random(seed);
    Listener crowded(draft.options);
    std::map<int, int32_t> ids;
    std::map<int, std::shared_ptr<Request>> requests;
    std::set<int> cancelled;
    for (int i = 0; i < 30; ++i) {
      requests[i] = make(i);
      ids[i] = crowded.post(requests[i]);
      const int other = static_cast<int>(random() % static_cast<uint32_t>(i + 1));
      switch (random() % 4) {
        case 0:
          crowded.engine->pause(*requests[other]);
          break;
        case 1:
          crowded.engine->resume(*requests[other]);
          break;
        case 2:
          if (random() % 3 > 0) break;
          crowded.engine->cancel(*requests[other]);
          cancelled.insert(other);
          break;
        default:
          std::this_thread::yield();
      }
    }
    for (const auto& [i, request] : requests) crowded.engine->resume(*request);
    for (const auto& [i, id] : ids) {
      const Heard heard = crowded.wait(id);
      CHECK(!heard.end->error);
      if (!cancelled.contains(i)) CHECK(heard.tokens == want[i]);
    }
    const Stats stats = crowded.engine->stats();
    CHECK_EQ(stats.free_pages + stats.cached_pages, stats.pages);
    CHECK_EQ(stats.running + stats.paused + stats.queued, 0);
  }
}

TEST(a_search_ends_with_its_engine) {
  Listener listener(roomy());
  auto request = request_of(1, 8, 4, 0);
  request->sampling.logit_bias = {{kEnd, -1000}};
  const int32_t id = listener.post(request);
  while (listener.engine->stats().generated_tokens == 0) std::this_thread::yield();
  listener.engine->stop();
  const Heard heard = listener.wait(id);
  if (heard.end->error) CHECK(heard.end->error->code() == ErrorCode::kDisposed);
}

// Beams that need more pages than there are are told so, and the next request is served.
TEST(beams_without_room_are_an_error) {
  LoadOptions small;
  small.context_size = 64;  // two pages, and a third is wanted for each beam
  Listener listener(small);
  const Heard heard = listener.ask(request_of(1, 40, 4, 8));
  CHECK(heard.end->error.has_value());
  if (heard.end->error) {
    CHECK(heard.end->error->code() == ErrorCode::kOutOfMemory);
    CHECK(std::string(heard.end->error->what()).find("beams: ") == 0);
  }
  CHECK_EQ(listener.ask(request_of(2, 10, 0, 5)).tokens.size(), size_t{5});
}

}  // namespace cria::test
