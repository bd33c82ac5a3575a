// The engine's thread: requests in, updates out, and every way a request can end.
#include "engine/engine.h"

#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>

#include "base/temp_folder.h"
#include "model/tiny_llama.h"
#include "support/check.h"

namespace cria::test {
namespace {

constexpr uint64_t kPlenty = uint64_t{1} << 40;

/// Collects updates and lets a test wait for the end of a request.
class Collector final : public UpdateSink {
 public:
  struct Result {
    std::string text;
    std::vector<int32_t> tokens;
    std::optional<End> end;
  };

  void publish(std::vector<Update> updates) noexcept override {
    const std::lock_guard lock(mutex_);
    for (Update& update : updates) {
      Result& result = results_[update.request];
      result.text += update.text;
      result.tokens.insert(result.tokens.end(), update.tokens.begin(), update.tokens.end());
      if (update.end) result.end = std::move(update.end);
    }
    changed_.notify_all();
  }

  Result wait_for_end(int32_t request) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return results_[request].end.has_value(); });
    return results_[request];
  }
  void wait_for_tokens(int32_t request, size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
      return results_[request].tokens.size() >= count || results_[request].end.has_value();
    });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int32_t, Result> results_;
};

class Rig {
 public:
  explicit Rig(LoadOptions options = {}, TinyShape shape = {}, size_t max_queue = SIZE_MAX) {
    options.device.threads = 2;
    const TinyLlama tiny(shape);
    engine = std::make_unique<Engine>(LoadedModel::load(
                                          tiny.file().write(folder_ / "tiny.gguf"), options,
                                          [](uint64_t, uint64_t) { return true; }, kPlenty),
                                      sink, max_queue);
  }

  std::shared_ptr<Request> post(int32_t id, std::vector<int32_t> prompt, int max_tokens,
                                uint32_t sequence = 0, float temperature = 0,
                                const std::string& cache_key = {}) {
    auto request = std::make_shared<Request>();
    request->id = id;
    request->tokens = std::move(prompt);
    request->max_tokens = max_tokens;
    request->sequence = sequence;
    request->sampling.temperature = temperature;
    request->cache_key = cache_key;
    request->sampling.logit_bias = {{2, -100.0f}};  // no early end of text
    engine->post(request);
    return request;
  }
  Collector::Result ask(int32_t id, std::vector<int32_t> prompt, int max_tokens,
                        uint32_t sequence = 0, float temperature = 0,
                        const std::string& cache_key = {}) {
    post(id, std::move(prompt), max_tokens, sequence, temperature, cache_key);
    return sink.wait_for_end(id);
  }

  TempFolder folder_;
  Collector sink;
  std::unique_ptr<Engine> engine;
};

/// Of a text that is cancelled before it is at its end, however late this thread is woken for that.
const TinyShape kEndless = {.context = 1 << 16};

ErrorCode error_of(const Collector::Result& result) {
  CHECK(result.end->reason == FinishReason::kError);
  return result.end->error ? result.end->error->code() : ErrorCode::kBackend;
}

std::vector<int32_t> prompt_of(int seed, int count) {
  std::vector<int32_t> ids;
  for (int i = 0; i < count; ++i) ids.push_back(3 + (seed * 37 + i * 11) % 250);
  return ids;
}

}  // namespace

TEST(engine_generates_and_counts) {
  Rig rig;
  const auto result = rig.ask(1, {1, 50, 60}, 5);
  CHECK(result.end->reason == FinishReason::kLength);
  CHECK_EQ(result.tokens.size(), size_t{5});
  CHECK_EQ(result.end->usage.prompt_tokens, 3);
  CHECK_EQ(result.end->usage.completion_tokens, 5);
  CHECK_EQ(result.end->usage.cached_tokens, 0);
}

TEST(engine_fills_the_context_and_says_length) {
  Rig rig;
  const auto result = rig.ask(1, {1, 50}, 0);
  CHECK(result.end->reason == FinishReason::kLength);
  CHECK_EQ(result.end->usage.prompt_tokens + result.end->usage.completion_tokens, 256);
}

TEST(engine_refuses_bad_requests_and_serves_the_next) {
  Rig rig;
  CHECK(error_of(rig.ask(1, prompt_of(1, 256), 1)) == ErrorCode::kContextOverflow);
  CHECK(error_of(rig.ask(2, {1, 300}, 1)) == ErrorCode::kBadArgument);
  CHECK(error_of(rig.ask(3, {1, -1}, 1)) == ErrorCode::kBadArgument);
  CHECK(error_of(rig.ask(4, {1}, 1, 0, -1)) == ErrorCode::kBadArgument);

  auto huge = std::make_shared<Request>();
  huge->id = 5;
  huge->segments.push_back({std::string(size_t{1} << 20, 'a'), false});
  rig.engine->post(huge);
  CHECK(error_of(rig.sink.wait_for_end(5)) == ErrorCode::kContextOverflow);

  auto stop = std::make_shared<Request>();
  stop->id = 6;
  stop->tokens = {1};
  stop->stop = {""};
  rig.engine->post(stop);
  CHECK(error_of(rig.sink.wait_for_end(6)) == ErrorCode::kBadArgument);

  CHECK_EQ(rig.ask(7, {1, 2}, 3).tokens.size(), size_t{3});
}

// Many at once, with pages for hardly two of them: each gets the tokens that it gets alone.
TEST(engine_batches_equal_singles_under_pressure) {
  LoadOptions options;
  options.context_size = 128;
  options.batch_size = 48;
  Rig rig(options);
  std::map<int32_t, std::vector<int32_t>> alone;
  for (const int id : {1, 2, 3, 4, 5, 6})
    alone[id] = rig.ask(id, prompt_of(id, 15 * id), 30, 0, id % 2 ? 0.0f : 0.9f).tokens;
  for (const int id : {1, 2, 3, 4, 5, 6})
    rig.post(id + 100, prompt_of(id, 15 * id), 30, 0, id % 2 ? 0.0f : 0.9f);
  for (const int id : {1, 2, 3, 4, 5, 6})
    CHECK(rig.sink.wait_for_end(id + 100).tokens == alone[id]);
}

// Steps of fewer tokens than there are requests, and pages for hardly two: where the one whose turn
// it is has to give way, another has it.
TEST(engine_goes_on_in_the_smallest_steps) {
  for (const int batch : {1, 2, 3}) {
    LoadOptions options;
    options.context_size = 96;
    options.batch_size = batch;
    Rig rig(options);
    for (int id = 1; id <= 10; ++id) rig.post(id, prompt_of(id, 3 + 5 * id), 40);
    for (int id = 1; id <= 10; ++id) CHECK_EQ(rig.sink.wait_for_end(id).tokens.size(), size_t{40});
  }
}

TEST(engine_keeps_a_conversations_cache) {
  Rig rig;
  std::vector<int32_t> prompt = prompt_of(1, 40);
  const auto first = rig.ask(1, prompt, 10, 7);
  prompt.insert(prompt.end(), first.tokens.begin(), first.tokens.end());
  prompt.push_back(77);
  const auto second = rig.ask(2, prompt, 10, 7);
  // The last token drawn was never computed.
  CHECK_EQ(second.end->usage.cached_tokens, 49);
  const auto apart = rig.ask(3, prompt, 10, 0, 0, "another");
  CHECK_EQ(apart.end->usage.cached_tokens, 0);
  CHECK(second.tokens == apart.tokens);
  CHECK_EQ(rig.ask(4, prompt, 10).end->usage.cached_tokens, 50);  // also without the conversation
}

TEST(engine_cancels_before_during_and_after) {
  Rig rig({}, kEndless);
  const auto running = rig.post(1, {1, 50}, 0);
  rig.sink.wait_for_tokens(1, 3);
  rig.engine->cancel(*running);
  const auto during = rig.sink.wait_for_end(1);
  CHECK(during.end->reason == FinishReason::kAbort);
  CHECK_EQ(static_cast<int>(during.tokens.size()), during.end->usage.completion_tokens);

  auto early = std::make_shared<Request>();
  early->id = 2;
  early->tokens = {1, 50};
  rig.engine->cancel(*early);
  rig.engine->post(early);
  const auto before = rig.sink.wait_for_end(2);
  CHECK(before.end->reason == FinishReason::kAbort);
  CHECK(before.tokens.empty());

  rig.engine->cancel(*running);  // long over
  CHECK_EQ(rig.ask(3, {1}, 2).tokens.size(), size_t{2});
}

// A copied page, a shared one and a computed one hold the same bits, in either kind of cache.
TEST(engine_cached_prefixes_change_no_token) {
  for (const KvType type : {KvType::kF16, KvType::kQ8_0}) {
    LoadOptions options;
    options.kv_type = type;
    options.sequences = 4;
    Rig rig(options, {.width = 128});
    const std::vector<int32_t> stem = prompt_of(3, 90);
    for (const int shared : {8, 31, 32, 33, 63, 64, 75, 90}) {
      std::vector<int32_t> prompt(stem.begin(), stem.begin() + shared);
      for (int i = 0; i < 20; ++i) prompt.push_back(3 + (shared + i * 5) % 200);
      const auto alone = rig.ask(shared, prompt, 12, 0, 0.9f, cat("alone ", shared));
      CHECK_EQ(alone.end->usage.cached_tokens, 0);
      rig.ask(1000 + shared, stem, 1, 0, 0, "cached");
      const auto cached = rig.ask(2000 + shared, prompt, 12, 0, 0.9f, "cached");
      CHECK(cached.end->usage.cached_tokens >= shared / kPageTokens * kPageTokens);
      CHECK(cached.end->usage.cached_tokens > 0);
      CHECK(cached.tokens == alone.tokens);
    }
  }
}

TEST(engine_takes_conversations_from_one_engine_to_another) {
  Rig rig, other;
  CHECK_EQ(rig.engine->model().identity.fingerprint, other.engine->model().identity.fingerprint);
  CHECK(rig.engine->model().identity.fingerprint !=
        Rig({}, {.seed = 2}).engine->model().identity.fingerprint);
  std::vector<int32_t> prompt = prompt_of(1, 40);
  const auto first = rig.ask(1, prompt, 10, 7);
  prompt.insert(prompt.end(), first.tokens.begin(), first.tokens.end());
  prompt.push_back(77);
  CHECK_EQ(rig.engine->snapshot(8).get().state_tokens, 0);
  rig.engine->fork_sequence(7, 8);
  Snapshot snapshot = rig.engine->snapshot(8).get();
  CHECK_EQ(snapshot.state_tokens, 49);
  CHECK_EQ(snapshot.tokens.size(), size_t{49});
  CHECK_EQ(snapshot.pages.size(), 2 * rig.engine->model().identity.page_bytes);
  const auto here = rig.ask(2, prompt, 10, 7);
  other.engine->restore(1, std::move(snapshot));
  const auto there = other.ask(1, prompt, 10, 1);
  CHECK_EQ(there.end->usage.cached_tokens, 49);
  CHECK(there.tokens == here.tokens);

  rig.engine->stop();
  try {
    rig.engine->snapshot(7).get();
    CHECK(false);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kDisposed);
  }
}

TEST(engine_ends_what_is_past_its_deadline) {
  Rig rig({}, kEndless);
  auto late = std::make_shared<Request>();
  late->id = 1;
  late->tokens = {1, 50};
  late->timeout_ms = 1;
  late->sampling.logit_bias = {{2, -100.0f}};
  rig.engine->post(late);  // 65,000 tokens take longer than that
  CHECK(error_of(rig.sink.wait_for_end(1)) == ErrorCode::kTimeout);
  CHECK_EQ(rig.ask(2, {1, 2}, 3).tokens.size(), size_t{3});
}

TEST(engine_refuses_what_its_queue_has_no_place_for) {
  LoadOptions options;
  options.context_size = 64;
  Rig rig(options, {}, 1);
  std::vector<std::shared_ptr<Request>> running;
  running.push_back(rig.post(1, prompt_of(1, 40), 0));  // two pages of two
  rig.sink.wait_for_tokens(1, 1);
  rig.post(2, prompt_of(2, 40), 1);
  rig.post(3, prompt_of(3, 40), 1);
  // The first may have ended meanwhile, and then there is room for one more.
  const auto refused = rig.sink.wait_for_end(3);
  if (refused.end->error) CHECK(refused.end->error->code() == ErrorCode::kQueueFull);
  CHECK(!rig.sink.wait_for_end(2).end->error);
}

TEST(engine_stop_ends_every_request) {
  Rig rig({}, kEndless);
  for (const int id : {1, 2, 3}) rig.post(id, {1, 50 + id}, 0);
  rig.sink.wait_for_tokens(1, 2);
  rig.engine->stop();
  rig.post(4, {1}, 1);
  rig.engine.reset();
  for (const int id : {1, 2, 3, 4})
    CHECK(error_of(rig.sink.wait_for_end(id)) == ErrorCode::kDisposed);
}

TEST(engine_fails_requests_when_its_file_is_cut_short) {
  Rig rig;
  CHECK_EQ(rig.ask(1, {1}, 1).tokens.size(), size_t{1});
  std::filesystem::resize_file(rig.folder_ / "tiny.gguf", 4096);
  CHECK(error_of(rig.ask(2, {1, 5}, 5)) == ErrorCode::kFile);
  CHECK(error_of(rig.ask(3, {1, 5}, 5)) == ErrorCode::kFile);
}

TEST(engine_reports_logits_that_are_no_numbers) {
  // A norm weight of NaN makes every logit NaN.
  const TinyLlama tiny({});
  GgufBuilder file = tiny.file();
  Bytes bytes = file.bytes();
  const gguf::File parsed = gguf::File::parse(bytes);
  const auto at = static_cast<size_t>(parsed.find_tensor("output_norm.weight")->offset);
  const float nan = std::nanf("");
  std::memcpy(bytes.data() + at, &nan, sizeof nan);
  TempFolder folder;
  Collector sink;
  Engine engine(
      LoadedModel::load(
          folder.write("nan.gguf", bytes), {}, [](uint64_t, uint64_t) { return true; }, kPlenty),
      sink);
  auto request = std::make_shared<Request>();
  request->id = 1;
  request->tokens = {1, 2};
  engine.post(request);
  CHECK(error_of(sink.wait_for_end(1)) == ErrorCode::kBackend);
}

TEST(engine_counts_what_it_does) {
  Rig rig({}, kEndless);
  rig.ask(1, prompt_of(1, 40), 10, 7);
  std::vector<int32_t> prompt = prompt_of(1, 40);
  prompt.push_back(77);
  rig.ask(2, prompt, 3, 7);
  rig.ask(3, {1, -1}, 1);
  const auto running = rig.post(4, {1, 50}, 0);
  rig.sink.wait_for_tokens(4, 3);
  rig.engine->cancel(*running);
  const int drawn = rig.sink.wait_for_end(4).end->usage.completion_tokens;

  const Stats stats = rig.engine->stats();
  CHECK_EQ(stats.posted, uint64_t{4});
  CHECK_EQ(stats.finished, uint64_t{2});
  CHECK_EQ(stats.failed, uint64_t{1});
  CHECK_EQ(stats.aborted, uint64_t{1});
  CHECK_EQ(stats.running, 0);
  CHECK_EQ(stats.queued, 0);
  CHECK_EQ(stats.prompt_tokens, uint64_t{40 + 41 + 2});
  CHECK_EQ(stats.cached_tokens, uint64_t{40});
  CHECK_EQ(stats.computed_tokens, uint64_t{40 + 1 + 2});
  CHECK_EQ(stats.generated_tokens, uint64_t{10 + 3} + static_cast<uint64_t>(drawn));
  CHECK_EQ(stats.steps, stats.generated_tokens);
  CHECK_EQ(stats.pages, rig.engine->model().plan.pages);
  CHECK_EQ(stats.free_pages + stats.cached_pages, stats.pages);
  // The full page that the first two share, what each has after it, and the cancelled one's.
  CHECK_EQ(stats.cached_pages, 3 + KvCache::pages_for(2 + drawn - 1));
  CHECK(stats.step_ms.p50 > 0);
  CHECK(stats.generated_rate > 0);
}

TEST(engine_posts_from_many_threads) {
  Rig rig;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&rig, t] {
      for (int i = 0; i < 10; ++i) {
        const auto request = rig.post(1000 + t * 10 + i, prompt_of(t, 1 + i), 4);
        if (i % 3 == 0) rig.engine->cancel(*request);
        if (i % 4 == 0) rig.engine->release_sequence(static_cast<uint32_t>(i + 1));
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (int id = 1000; id < 1040; ++id) rig.sink.wait_for_end(id);
}

}  // namespace cria::test
