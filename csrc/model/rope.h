// F4. Rotary position embedding: the angle of every pair at every position.
#pragma once

#include <span>
#include <vector>

#include "model/config.h"

namespace cria {

class Rope {
 public:
  /// `factors`: the tensor rope_freqs.weight [pairs] that Llama 3.1 files carry (each frequency is
  /// divided by its factor), or empty.
  Rope(const RopeConfig& config, std::span<const float> factors);

  int pairs() const { return static_cast<int>(frequencies_.size()); }
  /// Cosine and sine of each pair at `position`, interleaved: out[pairs × 2].
  void angles(int position, float* out) const;

 private:
  std::vector<double> frequencies_;  // radians per token, after scaling
  double magnitude_ = 1;             // YaRN's attention temperature
};

}  // namespace cria
