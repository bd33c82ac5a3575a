// F5. One request on its way through the engine.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/beam.h"
#include "engine/constraint.h"
#include "engine/measurement.h"
#include "engine/paged_cache.h"
#include "engine/request.h"
#include "engine/speculation.h"
#include "engine/text_stream.h"
#include "sampling/sampler.h"

namespace cria {

using Clock = std::chrono::steady_clock;

struct Task {
  Task(std::shared_ptr<Request> from, std::vector<int32_t> prompt, const text::Tokenizer& tokenizer)
      : request(std::move(from)),
        tokens(std::move(prompt)),
        prompt_tokens(static_cast<int>(tokens.size())),
        sampler(request->sampling, [&tokenizer](int32_t id) { return tokenizer.bytes_of(id); }),
        text(tokenizer, request->stop, request->banned, request->trim_start && !request->grammar),
        told(request->purpose == Purpose::kGenerate ? tokens.size() : 0) {
    if (request->grammar) constraint.emplace(request->grammar, request->trim_start);
    if (request->purpose != Purpose::kGenerate) return;
    if (request->beams > 0) {
      group = std::make_unique<BeamGroup>(*request);
      beam = std::make_unique<Beam>();
    } else if (request->guesses != Guesses::kNone) {
      speculation = std::make_unique<Speculation>();
    }
  }

  /// A beam that goes on where `from`, its search's prompt or another beam, is.
  explicit Task(Task& from)
      : request(from.request),
        tokens(from.tokens),
        prompt_tokens(from.prompt_tokens),
        rank(from.rank),
        serial(from.serial),
        served(from.served),
        drawn(1),
        sampler(request->sampling),
        text(from.text),
        told(from.told),
        logprobs(from.logprobs),
        constraint(from.constraint),
        started(from.started),
        beam(std::make_unique<Beam>()),
        lead(&from.whole()) {
    beam->total = from.beam->total;
    beam->text = from.beam->text;
  }

  /// What the request's caller knows of: of a beam, its search.
  Task& whole() { return lead ? *lead : *this; }

  /// Tokens whose keys and values are not in the cache yet.
  int pending() const { return static_cast<int>(tokens.size()) - kv.cached; }
  int completion_tokens() const { return static_cast<int>(tokens.size()) - prompt_tokens; }
  bool generating() const { return pending() == 1; }
  /// Waits for other beams of its search.
  bool idle() const { return pending() == 0; }
  bool past_deadline(Clock::time_point now) const {
    return request->timeout_ms > 0 &&
           now - request->posted >= std::chrono::milliseconds(request->timeout_ms);
  }

  /// The tokens that may come from a cache; the last one is always computed, for its logits are
  /// wanted.
  std::span<const int32_t> reusable() const {
    const auto all = static_cast<int>(tokens.size());
    const int most = std::min(all - 1, measurement ? measurement->first_needed(all) : all);
    return std::span(tokens).first(static_cast<size_t>(std::max(0, most)));
  }

  /// The one place where drawn tokens are taken back: all from `size` on. What is a function of
  /// them is as it was before the first of them was drawn.
  void rewind(size_t size) {
    tokens.resize(size);
    sampler.rewind(size);
    if (speculation) speculation->lookup.rewind(size);
    if (constraint)
      constraint->rewind(std::span(tokens).subspan(static_cast<size_t>(prompt_tokens)));
    if (!logprobs.empty()) logprobs.resize(size - told);
  }

  /// Moves what was not told yet to an update, but for the last `held` tokens.
  void tell(Update& update, size_t held) {
    const auto certain = static_cast<std::ptrdiff_t>(tokens.size() - held);
    update.tokens.assign(tokens.begin() + static_cast<std::ptrdiff_t>(told),
                         tokens.begin() + certain);
    if (!logprobs.empty()) {
      const auto end = logprobs.begin() + certain - static_cast<std::ptrdiff_t>(told);
      update.logprobs.assign(std::make_move_iterator(logprobs.begin()),
                             std::make_move_iterator(end));
      logprobs.erase(logprobs.begin(), end);
    }
    told = static_cast<size_t>(certain);
  }

  std::shared_ptr<Request> request;
  std::vector<int32_t> tokens;  // prompt, then what was drawn
  int prompt_tokens;
  PageTable kv;            // closed while it waits
  int reused = 0;          // of the prompt, found in the prefix cache
  bool sent_back = false;  // lost its place once, and was computed again
  bool paused = false;     // takes no part in steps
  int64_t rank = 0;        // lower ones come first …
  uint64_t serial = 0;     // … among equals, who came first
  uint64_t served = 0;     // when a step last had it, in turns of all tasks
  uint64_t drawn = 0;
  Sampler sampler;
  TextStream text;
  size_t told;                           // tokens that the caller has heard of
  std::vector<TokenLogprob> logprobs;    // of the tokens from there on, where wanted
  int taken_back = 0;                    // times in a row, without the caller hearing of a token
  std::optional<Constraint> constraint;  // of a request with a grammar
  bool cut = false;                      // by a stop text
  std::unique_ptr<Speculation> speculation;  // null: no guesses
  std::vector<int32_t> guessed;              // computed behind the last token in the coming step
  std::unique_ptr<Measurement> measurement;  // null for a generation
  Clock::time_point started{};               // first prefill step
  Clock::time_point first_token{};
  std::unique_ptr<BeamGroup> group;  // of a beam search's prompt, which stands for all of it
  std::unique_ptr<Beam> beam;        // of that, and of each beam
  Task* lead = nullptr;              // of a beam: its search's prompt
};

}  // namespace cria
