// F5. Times the network alone: prefill and decode as llama-bench defines them, without tokenizer,
// sampler or engine thread.
#pragma once

#include <functional>

#include "engine/loaded_model.h"

namespace cria {

/// One thing to time. Exactly one of `prompt` and `generate` is above 0.
struct BenchmarkCase {
  int prompt = 0;    // tokens of a prompt, computed in steps of the model's batch size (pp)
  int generate = 0;  // tokens computed one after the other, each with its logits (tg)
  int depth = 0;     // tokens already in the cache, computed before the clock starts
};

/// Gets the seconds of each repetition as it ends.
using BenchmarkTold = std::function<void(double seconds)>;

/// Runs the case `repetitions` times after one untimed run. The tokens are random; their values do
/// not change the work. Throws kBadArgument for counts out of range, kContextOverflow where depth
/// and tokens do not fit in the model's context, kAborted once `stopped` (asked between layers)
/// says so.
void run_benchmark(LoadedModel& model, const BenchmarkCase& work, int repetitions,
                   const BenchmarkTold& told, const std::function<bool()>& stopped);

}  // namespace cria
