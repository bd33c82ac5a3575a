// F5. One request on its way through the engine.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/measurement.h"
#include "engine/request.h"
#include "engine/sampler.h"
#include "engine/text_stream.h"

namespace cria {

using Clock = std::chrono::steady_clock;

struct Task {
  Task(std::shared_ptr<Request> from, std::vector<int32_t> prompt, const text::Tokenizer& tokenizer)
      : request(std::move(from)),
        tokens(std::move(prompt)),
        prompt_tokens(static_cast<int>(tokens.size())),
        sampler(request->sampling),
        text(tokenizer, request->stop, request->trim_start) {}

  /// Tokens whose keys and values are not in the cache yet.
  int pending() const { return static_cast<int>(tokens.size()) - cached; }
  int completion_tokens() const { return static_cast<int>(tokens.size()) - prompt_tokens; }

  /// How many tokens at most may come from a cache; the last one is always computed, for its logits
  /// are wanted.
  int reusable() const {
    const auto all = static_cast<int>(tokens.size());
    return std::min(all - 1, measurement ? measurement->first_needed(all) : all);
  }

  std::shared_ptr<Request> request;
  std::vector<int32_t> tokens;  // prompt, then what was drawn
  int prompt_tokens;
  int cached = 0;              // tokens[0, cached) are in the cache …
  std::vector<int32_t> pages;  // … in these pages
  int reused = 0;              // of the prompt, taken over from the conversation
  uint64_t drawn = 0;
  Sampler sampler;
  TextStream text;
  std::unique_ptr<Measurement> measurement;  // null for a generation
  Clock::time_point started{};               // first prefill step
  Clock::time_point first_token{};
};

}  // namespace cria
