// F5. Requests that want no text but figures of one that is given: an embedding, or how likely each
// of its tokens is. They are tasks like any other; this is what they gather step by step.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/request.h"
#include "model/transformer.h"

namespace cria {

/// The rows of one task in a step that was just computed, and where to get more of them.
struct Measured {
  const Slice& slice;
  std::span<const int32_t> tokens;  // all of the task
  Transformer& transformer;
  std::span<float> logits;  // [rows × V] to work in, as many rows as fit
  int vocab;
  const std::function<bool()>& unwanted;  // asked now and then: nobody waits any more
};

class Measurement {
 public:
  virtual ~Measurement() = default;

  /// Takes in the step's rows in order. What was taken in before, because the request was sent back
  /// to the queue and is computed again, is skipped: it was the same bits. Throws kBackend where
  /// the network gives no numbers.
  virtual void take(const Measured& rows) = 0;
  /// After the last token, once.
  virtual std::vector<float> result() = 0;
  /// The first position that has to be computed: keys and values found in a cache come without the
  /// states that are wanted from here on.
  virtual int first_needed(int tokens) const = 0;
};

/// Null for a generation. `width`: of the network's states.
std::unique_ptr<Measurement> make_measurement(const Request& request, int width);

/// Throws kBadArgument where the request cannot be measured on so many tokens.
void check_measurement(const Request& request, int tokens);

/// log softmax(logits)[id] in f64; NaN where a logit is no number.
double log_probability(std::span<const float> logits, int32_t id);

}  // namespace cria
