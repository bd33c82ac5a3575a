#include "engine/request.h"

#include <cmath>
#include <limits>

namespace cria {
namespace {

// NaN fails every comparison, so a range written as "not inside" refuses it.
void check_range(const char* name, double value, double min, double max) {
  if (!(value >= min && value <= max))
    fail(ErrorCode::kBadArgument, name, ": expected a number from ", min, " to ", max, ", got ",
         value);
}

constexpr double kMost = 1e6;  // far beyond any useful temperature or penalty

}  // namespace

void check_sampling(const Sampling& s, int vocab_size) {
  check_range("temperature", s.temperature, 0, kMost);
  check_range("topK", s.top_k, 0, std::numeric_limits<int>::max());
  check_range("topP", s.top_p, std::numeric_limits<float>::denorm_min(), 1);
  check_range("minP", s.min_p, 0, 1);
  check_range("typicalP", s.typical_p, std::numeric_limits<float>::denorm_min(), 1);
  check_range("repeatPenalty", s.repeat_penalty, 1e-6, kMost);
  check_range("repeatWindow", s.repeat_window, 0, std::numeric_limits<int>::max());
  check_range("presencePenalty", s.presence_penalty, -2, 2);
  check_range("frequencyPenalty", s.frequency_penalty, -2, 2);
  for (const auto& [id, value] : s.logit_bias) {
    if (id < 0 || id >= vocab_size)
      fail(ErrorCode::kBadArgument, "logitBias: expected token ids from 0 to ", vocab_size - 1,
           ", got ", id);
    if (std::isnan(value) || value == std::numeric_limits<float>::infinity())
      fail(ErrorCode::kBadArgument, "logitBias: expected a finite number or -Infinity for token ",
           id, ", got ", value);
  }
}

}  // namespace cria
