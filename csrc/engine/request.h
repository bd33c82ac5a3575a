// F5. What a caller asks of the engine and what comes back.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "grammar/grammar.h"
#include "sampling/logprobs.h"
#include "sampling/sampling.h"

namespace cria {

struct PromptSegment {
  std::string text;
  bool special = false;  // whether control tokens spelt in the text count as such
};

/// What a request wants of its prompt: a text that continues it, or figures (engine/measurement.h).
enum class Purpose : uint8_t { kGenerate, kEmbed, kScore };
enum class Pooling : uint8_t { kMean, kLast };

/// Where guesses at what follows may come from (engine/speculation.h).
/// kAll: lookups, and the draft model where there is one and they find nothing.
enum class Guesses : uint8_t { kNone, kLookup, kAll };

struct Request {
  int32_t id = 0;  // the caller's name for it
  Purpose purpose = Purpose::kGenerate;
  Pooling pooling = Pooling::kMean;     // of an embedding
  bool normalize = true;                // an embedding to length 1
  int score_from = 1;                   // the first token to score, counted from 0
  std::vector<int32_t> tokens;          // the prompt as ids; or, where empty:
  std::vector<PromptSegment> segments;  // the prompt as text
  bool bos = true;                      // whether a text prompt begins with the vocabulary's BOS
  bool trim_start = false;              // drop white space before the first visible character
  uint32_t sequence = 0;                // conversation that it is a turn of; 0: none
  int max_tokens = 0;                   // 0: until the context is full
  Sampling sampling;
  std::vector<std::string> stop;    // texts that end the generation and are left out of it
  std::vector<std::string> banned;  // texts that never come: their tokens are taken back
  int beams = 0;                    // texts that are followed at once (engine/beam.h); 0: sampled
  double length_penalty = 1;        // of beams
  int logprobs = -1;                // with so many alternatives for each token; -1: not wanted
  Guesses guesses = Guesses::kNone;
  std::shared_ptr<const grammar::Grammar> grammar;  // what the text is held to; null: nothing
  int priority = 0;        // ahead of requests of less that came up to so many turns before
  int64_t timeout_ms = 0;  // from posting; 0: none
  std::string cache_key;   // requests of other keys share no cache with it

  // Set by any thread:
  std::atomic<bool> cancelled{false};
  std::atomic<bool> paused{false};  // nobody reads what is drawn: no more for now
  std::chrono::steady_clock::time_point posted;
};

enum class FinishReason : uint8_t { kStop, kLength, kAbort, kError };

struct Usage {
  int prompt_tokens = 0;
  int cached_tokens = 0;  // of the prompt, found in the prefix cache
  int completion_tokens = 0;
};

struct Timings {
  double queue_ms = 0;    // from posting to the first prefill step
  double prefill_ms = 0;  // until the first token is drawn
  double decode_ms = 0;   // from there to the last
  int guessed = 0;        // tokens that were guessed …
  int accepted = 0;       // … and so many of them right
};

/// One of the texts that a beam search ended with.
struct BeamText {
  std::vector<int32_t> tokens;
  std::string text;
  double score = 0;
  bool stopped = false;  // it ended by itself; else its length was used up
  std::optional<bool> grammar_complete;
};

struct End {
  FinishReason reason = FinishReason::kStop;
  Usage usage;
  Timings timings;
  std::optional<Error> error;            // for kError
  std::optional<bool> grammar_complete;  // with a grammar: whether the text is a whole one of it
  std::vector<BeamText> beams = {};      // of a beam search, best first; the first is the text
};

/// What one step brought for one request. The last update of a request has `end`.
struct Update {
  int32_t request = 0;
  std::string text;  // whole code points
  std::vector<int32_t> tokens;
  std::optional<End> end;
  std::vector<TokenLogprob> logprobs = {};  // of each token, where wanted
  std::vector<float> values = {};  // with the end: an embedding, or a log-probability per token
};

/// Takes the updates of a step. Called on the engine's thread; must not block or throw.
class UpdateSink {
 public:
  virtual ~UpdateSink() = default;
  virtual void publish(std::vector<Update> updates) noexcept = 0;
};

}  // namespace cria
