// Embeddings and scores: what the reference computes, the same bits whatever else runs.
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>

#include "base/temp_folder.h"
#include "engine/engine.h"
#include "model/reference.h"
#include "support/check.h"

namespace cria::test {
namespace {

constexpr uint64_t kPlenty = uint64_t{1} << 40;

/// What is asked for.
struct Wanted {
  Purpose purpose;
  Pooling pooling = Pooling::kMean;
  bool normalize = true;
  int from = 1;
  uint32_t sequence = 0;
};

class Rig final : public UpdateSink {
 public:
  explicit Rig(LoadOptions options = {}, const TinyLlama& tiny = TinyLlama({})) {
    options.device.threads = 2;
    auto model = LoadedModel::load(
        tiny.file().write(folder_ / "tiny.gguf"), options, [](uint64_t, uint64_t) { return true; },
        kPlenty);
    engine_ = std::make_unique<Engine>(std::move(model), *this);
  }
  explicit Rig(std::unique_ptr<LoadedModel> model)
      : engine_(std::make_unique<Engine>(std::move(model), *this)) {}
  ~Rig() override { engine_.reset(); }

  Engine& engine() { return *engine_; }

  std::shared_ptr<Request> post(int32_t id, const Wanted& what, std::vector<int32_t> ids) {
    auto request = std::make_shared<Request>();
    request->id = id;
    request->tokens = std::move(ids);
    request->purpose = what.purpose;
    request->pooling = what.pooling;
    request->normalize = what.normalize;
    request->score_from = what.from;
    request->sequence = what.sequence;
    request->max_tokens = 20;
    request->sampling.logit_bias = {{2, -100.0f}};  // no early end of text
    engine_->post(request);
    return request;
  }

  /// The last update of a request; its tokens are those of a measurement.
  Update wait(int32_t id) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ends_.contains(id); });
    return ends_[id];
  }
  Update ask(int32_t id, const Wanted& what, std::vector<int32_t> ids) {
    post(id, what, std::move(ids));
    return wait(id);
  }

  void publish(std::vector<Update> updates) noexcept override {
    const std::lock_guard lock(mutex_);
    for (Update& update : updates) {
      const int32_t id = update.request;
      if (update.end) ends_[id] = std::move(update);
    }
    changed_.notify_all();
  }

 private:
  TempFolder folder_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int32_t, Update> ends_;
  std::unique_ptr<Engine> engine_;
};

ErrorCode error_of(const Update& update) {
  CHECK(update.end->reason == FinishReason::kError);
  return update.end->error ? update.end->error->code() : ErrorCode::kBackend;
}

void check_near(double got, double want, double bound) {
  if (!(std::abs(got - want) < bound)) report(__FILE__, __LINE__, cat(got, " is not near ", want));
}

/// Σ(a − b)² / Σb², as the tests of forward() have it; f16 keys and values leave ~1e-6 of states.
void check_near(const std::vector<float>& got, const Reference::Row& want) {
  CHECK_EQ(got.size(), want.size());
  double error = 0, energy = 0;
  for (size_t i = 0; i < std::min(got.size(), want.size()); ++i) {
    error += (got[i] - want[i]) * (got[i] - want[i]);
    energy += want[i] * want[i];
  }
  if (!(error < 1e-5 * energy))
    report(__FILE__, __LINE__, cat("normalised error ", error / energy));
}

std::vector<int32_t> text_of(int seed, int count) {
  std::vector<int32_t> ids;
  for (int i = 0; i < count; ++i) ids.push_back(3 + (seed * 37 + i * 11) % 250);
  return ids;
}

std::vector<float> from_index(const std::vector<float>& values, int first) {
  return {values.begin() + first, values.end()};
}

double log_softmax(const Reference::Row& logits, int32_t id) {
  double sum = 0;
  for (const double logit : logits) sum += std::exp(logit);
  return logits[static_cast<size_t>(id)] - std::log(sum);
}

Reference::Row pool(const std::vector<Reference::Row>& states, Pooling pooling, bool normalize) {
  Reference::Row out = states.back();
  if (pooling == Pooling::kMean) {
    out.assign(out.size(), 0);
    for (const auto& state : states)
      for (size_t d = 0; d < out.size(); ++d)
        out[d] += state[d] / static_cast<double>(states.size());
  }
  double squares = 0;
  for (const double value : out) squares += value * value;
  for (double& value : out)
    if (normalize) value /= std::sqrt(squares);
  return out;
}

constexpr Wanted kText{.purpose = Purpose::kGenerate};
constexpr Wanted kScore{.purpose = Purpose::kScore};

Wanted score_from(int from, uint32_t sequence = 0) {
  return {.purpose = Purpose::kScore, .from = from, .sequence = sequence};
}

}  // namespace

TEST(log_probability_is_exact_for_large_logits) {
  const std::vector<float> logits = {1000, 1001, -5000, 999};
  const double sum = std::exp(-1.0) + 1 + std::exp(-2.0);
  check_near(log_probability(logits, 1), -std::log(sum), 1e-12);
  check_near(log_probability(logits, 0), -1 - std::log(sum), 1e-12);
  check_near(log_probability(logits, 2), -6001 - std::log(sum), 1e-9);
  double total = 0;
  for (int32_t id = 0; id < 4; ++id) total += std::exp(log_probability(logits, id));
  check_near(total, 1, 1e-12);
  CHECK(!std::isfinite(log_probability(std::vector<float>{1, std::nanf("")}, 0)));
}

TEST(measurements_are_what_the_reference_computes) {
  const TinyLlama tiny({});
  const Reference reference(tiny);
  LoadOptions options;
  options.batch_size = 40;  // two steps, and more rows than logits are read of at once
  Rig rig(options, tiny);
  const std::vector<int32_t> ids = text_of(3, 70);
  const auto logits = reference.logits(ids), states = reference.states(ids);

  const Update score = rig.ask(1, kScore, ids);
  CHECK(score.end->reason == FinishReason::kStop);
  CHECK(score.tokens == ids);
  CHECK_EQ(score.end->usage.prompt_tokens, 70);
  CHECK_EQ(score.end->usage.completion_tokens, 0);
  CHECK_EQ(score.values.size(), size_t{69});
  Reference::Row want;
  for (size_t i = 0; i < score.values.size(); ++i)
    want.push_back(log_softmax(logits[i], ids[i + 1]));
  check_near(score.values, want);
  CHECK(rig.ask(2, score_from(60), ids).values == from_index(score.values, 59));
  CHECK(rig.ask(3, score_from(70), ids).values.empty());

  int id = 4;
  for (const Pooling pooling : {Pooling::kMean, Pooling::kLast})
    for (const bool normalize : {false, true}) {
      const Update got = rig.ask(
          id++, {.purpose = Purpose::kEmbed, .pooling = pooling, .normalize = normalize}, ids);
      check_near(got.values, pool(states, pooling, normalize));
    }
}

// Alone, or among generations under pressure of pages: the same bits. Also as long as the context.
TEST(measurements_are_the_same_whatever_else_runs) {
  LoadOptions options;
  options.context_size = 128;
  options.batch_size = 48;
  Rig rig(options);
  const Wanted kinds[] = {kScore,
                          {.purpose = Purpose::kEmbed},
                          {.purpose = Purpose::kEmbed, .pooling = Pooling::kLast}};
  std::map<int, std::vector<float>> alone;
  const auto text = [](int id) { return text_of(id, 128 - 13 * (id - 1)); };
  for (int id = 1; id <= 9; ++id) alone[id] = rig.ask(id, kinds[id % 3], text(id)).values;
  for (int id = 1; id <= 9; ++id) {
    rig.post(id + 100, kText, text_of(id, 10 * id));
    rig.post(id + 200, kinds[id % 3], text(id));
  }
  for (int id = 1; id <= 9; ++id) {
    CHECK_EQ(rig.wait(id + 100).end->usage.completion_tokens, 20);
    CHECK(rig.wait(id + 200).values == alone[id]);
  }
}

// What a conversation left in the cache brings no states along.
TEST(measurements_of_a_cached_text_compute_what_they_need) {
  Rig rig;
  const std::vector<int32_t> ids = text_of(1, 60);
  const auto fresh = rig.ask(1, kScore, ids).values;
  const Wanted talk{.purpose = Purpose::kGenerate, .sequence = 9};
  rig.ask(2, talk, ids);
  const Update all = rig.ask(3, score_from(1, 9), ids);
  CHECK_EQ(all.end->usage.cached_tokens, 0);
  CHECK(all.values == fresh);
  rig.ask(4, talk, ids);
  const Update tail = rig.ask(5, score_from(50, 9), ids);
  CHECK_EQ(tail.end->usage.cached_tokens, 49);
  CHECK(tail.values == from_index(fresh, 49));
}

TEST(measurements_are_refused_with_a_reason) {
  Rig rig;
  CHECK(error_of(rig.ask(1, kScore, text_of(1, 257))) == ErrorCode::kContextOverflow);
  CHECK_EQ(rig.ask(2, kScore, text_of(1, 256)).values.size(), size_t{255});
  int id = 3;
  for (const int from : {0, -1, 11})
    CHECK(error_of(rig.ask(id++, score_from(from), text_of(1, 10))) == ErrorCode::kBadArgument);
  CHECK(error_of(rig.ask(id++, {.purpose = Purpose::kEmbed}, {1, 300})) == ErrorCode::kBadArgument);
}

TEST(measurements_are_cancelled) {
  Rig rig;
  std::vector<std::shared_ptr<Request>> posted;
  for (int id = 0; id < 30; ++id) posted.push_back(rig.post(id, kScore, text_of(id, 250)));
  for (const auto& request : posted) rig.engine().cancel(*request);
  for (int id = 0; id < 30; ++id) {
    const Update update = rig.wait(id);
    CHECK_EQ(update.values.empty(), update.end->reason == FinishReason::kAbort);
  }
  CHECK(rig.wait(29).end->reason == FinishReason::kAbort);
  CHECK_EQ(rig.ask(100, kScore, text_of(1, 3)).values.size(), size_t{2});
}

TEST(measurements_report_numbers_that_are_none) {
  const TinyLlama tiny({});  // a norm weight of NaN makes every state and every logit NaN
  Bytes bytes = tiny.file().bytes();
  const gguf::File parsed = gguf::File::parse(bytes);
  const auto at = static_cast<size_t>(parsed.find_tensor("output_norm.weight")->offset);
  const float nan = std::nanf("");
  std::memcpy(bytes.data() + at, &nan, sizeof nan);
  TempFolder folder;
  Rig rig(LoadedModel::load(
      folder.write("nan.gguf", bytes), {}, [](uint64_t, uint64_t) { return true; }, kPlenty));
  CHECK(error_of(rig.ask(1, kScore, {1, 2})) == ErrorCode::kBackend);
  CHECK(error_of(rig.ask(2, {.purpose = Purpose::kEmbed}, {1, 2})) == ErrorCode::kBackend);
}

}  // namespace cria::test
