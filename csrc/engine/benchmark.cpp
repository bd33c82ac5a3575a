#include "engine/benchmark.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "engine/page_pool.h"
#include "sampling/numbers.h"

namespace cria {
namespace {

using Clock = std::chrono::steady_clock;

/// A sequence of random tokens that the network is driven through.
class Drive {
 public:
  Drive(LoadedModel& model, int length, const std::function<bool()>& stopped)
      : model_(model), stopped_(stopped), logits_(static_cast<size_t>(model.config.vocab)) {
    PagePool pool(model.plan.pages);
    pool.grow(pages_, KvCache::pages_for(length));
    const auto vocab = static_cast<uint64_t>(model.config.vocab);
    for (int i = 0; i < length; ++i)
      ids_.push_back(static_cast<int32_t>(random_bits(0, static_cast<uint64_t>(i)) % vocab));
  }

  /// Computes positions [from, to) in steps of at most `step`; logits of each step's last token
  /// only where they are wanted.
  void compute(int from, int to, int step, bool every_logits) {
    for (int past = from; past < to; past += step) {
      const int count = std::min(step, to - past);
      const Slice slice{0, count, past, pages_.data()};
      const int64_t last = count - 1;
      const bool wanted = every_logits || past + count == to;
      const auto ids =
          std::span(ids_).subspan(static_cast<size_t>(past), static_cast<size_t>(count));
      const Batch batch{ids, {&slice, 1}, {&last, wanted ? size_t{1} : size_t{0}}};
      if (!model_.transformer.forward(batch, logits_.data(), stopped_))
        fail(ErrorCode::kAborted, "the benchmark was stopped");
    }
  }

 private:
  LoadedModel& model_;
  const std::function<bool()>& stopped_;
  std::vector<int32_t> pages_, ids_;
  std::vector<float> logits_;
};

void check(const LoadedModel& model, const BenchmarkCase& work, int repetitions) {
  if (work.prompt < 0 || work.generate < 0 || work.depth < 0 || repetitions < 1 ||
      (work.prompt > 0) == (work.generate > 0))
    fail(ErrorCode::kBadArgument, "benchmark: expected a number of prompt tokens or of generated ",
         "tokens, a depth of 0 or more and at least one repetition");
  const int64_t length = int64_t{work.depth} + work.prompt + work.generate;
  if (length > model.plan.context_size)
    fail(ErrorCode::kContextOverflow, "benchmark: ", length,
         " tokens do not fit in the context of ", model.plan.context_size,
         "; ask for fewer tokens, or a larger contextSize");
}

}  // namespace

void run_benchmark(LoadedModel& model, const BenchmarkCase& work, int repetitions,
                   const BenchmarkTold& told, const std::function<bool()>& stopped) {
  check(model, work, repetitions);
  const int length = work.depth + work.prompt + work.generate;
  const int step = model.plan.limits.tokens;
  Drive drive(model, length, stopped);
  drive.compute(0, work.depth, step, false);
  for (int i = 0; i <= repetitions; ++i) {
    const Clock::time_point start = Clock::now();
    drive.compute(work.depth, length, work.prompt > 0 ? step : 1, work.generate > 0);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const bool warm_up = i == 0;
    if (!warm_up) told(seconds);
  }
}

}  // namespace cria
