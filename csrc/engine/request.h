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

namespace cria {

/// How the next token is drawn. The steps run in this order: logit bias, repetition, presence and
/// frequency penalties, then (unless temperature is 0, which takes the most likely token) top-k,
/// typical, top-p, min-p, temperature.
struct Sampling {
  float temperature = 0.8f;     // ≥ 0; 0: greedy
  int top_k = 40;               // keep the k likeliest; 0: off (Fan et al. 2018)
  float top_p = 0.95f;          // (0, 1]; 1: off (Holtzman et al. 2020, nucleus sampling)
  float min_p = 0.05f;          // [0, 1]; 0: off (Nguyen et al. 2024)
  float typical_p = 1;          // (0, 1]; 1: off (Meister et al. 2023, locally typical sampling)
  float repeat_penalty = 1;     // > 0; 1: off (Keskar et al. 2019, CTRL §4.1)
  int repeat_window = 64;       // tokens the three penalties look back on; 0: none
  float presence_penalty = 0;   // [-2, 2], taken off once a token has occurred
  float frequency_penalty = 0;  // [-2, 2], taken off for every occurrence
  uint64_t seed = 0;
  std::vector<std::pair<int32_t, float>> logit_bias;  // (id, added); -infinity bans
};

struct PromptSegment {
  std::string text;
  bool special = false;  // whether control tokens spelt in the text count as such
};

/// Throws kBadArgument, naming the value, where a field is out of its range.
void check_sampling(const Sampling& sampling, int vocab_size);

/// What a request wants of its prompt: a text that continues it, or figures (engine/measurement.h).
enum class Purpose : uint8_t { kGenerate, kEmbed, kScore };
enum class Pooling : uint8_t { kMean, kLast };

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
  std::vector<std::string> stop;  // texts that end the generation and are left out of it
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
};

struct End {
  FinishReason reason = FinishReason::kStop;
  Usage usage;
  Timings timings;
  std::optional<Error> error;            // for kError
  std::optional<bool> grammar_complete;  // with a grammar: whether the text is a whole one of it
};

/// What one step brought for one request. The last update of a request has `end`.
struct Update {
  int32_t request = 0;
  std::string text;  // whole code points
  std::vector<int32_t> tokens;
  std::optional<End> end;
  std::vector<float> values = {};  // with the end: an embedding, or a log-probability per token
};

/// Takes the updates of a step. Called on the engine's thread; must not block or throw.
class UpdateSink {
 public:
  virtual ~UpdateSink() = default;
  virtual void publish(std::vector<Update> updates) noexcept = 0;
};

}  // namespace cria
