// F1. How the next token is drawn: the options of every sampler, and their order. What each of them
// does, with its formula and source, is at the head of its file.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace cria {

/// One link of the chain that logits go through, named in kStageNames.
enum class Stage : uint8_t {
  kBias,
  kPenalties,
  kDry,
  kTopNSigma,
  kTopK,
  kTypicalP,
  kTopP,
  kMinP,
  kXtc,
  kTemperature,
};

/// In the default order.
inline constexpr std::array<std::string_view, 10> kStageNames = {
    "bias",     "penalties", "dry",  "topNSigma", "topK",
    "typicalP", "topP",      "minP", "xtc",       "temperature"};

/// All stages, as kStageNames has them.
std::vector<Stage> default_order();

std::optional<Stage> stage_of(std::string_view name);

enum class Mirostat : uint8_t { kOff, kV1, kV2 };

/// The chain runs in `order`; a stage that is not in it does nothing. Temperature 0 takes the
/// likeliest token after the bias, penalties and DRY of the chain, and nothing else of it acts.
/// Mirostat takes the place of all other stages but those and the temperature, and comes last.
struct Sampling {
  std::vector<Stage> order = default_order();
  std::vector<std::pair<int32_t, float>> logit_bias;  // (id, added); -infinity bans

  float repeat_penalty = 1;     // > 0; 1: off
  int repeat_window = 64;       // tokens the three penalties look back on; 0: none
  float presence_penalty = 0;   // [-2, 2], taken off once a token has occurred
  float frequency_penalty = 0;  // [-2, 2], taken off for every occurrence

  float dry_multiplier = 0;    // ≥ 0; 0: off
  float dry_base = 1.75f;      // ≥ 1
  int dry_allowed_length = 2;  // ≥ 1, tokens that may be repeated freely
  int dry_window = 0;          // tokens looked back on; 0: all
  std::vector<std::string> dry_breakers = {"\n", ":", "\"", "*"};

  float top_n_sigma = 0;  // ≥ 0; 0: off
  int top_k = 40;         // 0: off
  float typical_p = 1;    // (0, 1]; 1: off
  float top_p = 0.95f;    // (0, 1]; 1: off
  float min_p = 0.05f;    // [0, 1]; 0: off

  float xtc_probability = 0;   // [0, 1]; 0: off
  float xtc_threshold = 0.1f;  // [0, 1]

  float temperature = 0.8f;    // ≥ 0; 0: greedy
  float dynamic_range = 0;     // ≥ 0; 0: the temperature stays as it is
  float dynamic_exponent = 1;  // ≥ 0

  Mirostat mirostat = Mirostat::kOff;
  float mirostat_tau = 5;     // > 0, bits
  float mirostat_eta = 0.1f;  // (0, 1]

  uint64_t seed = 0;
};

/// Throws kBadArgument, naming the value, where a field is out of its range.
void check_sampling(const Sampling& sampling, int vocab_size);

}  // namespace cria
