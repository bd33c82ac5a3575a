// F4. The numbers that describe a Llama network, read from a file's metadata and checked.
#pragma once

#include <cstdint>
#include <string>

#include "gguf/gguf.h"

namespace cria {

/// How RoPE's frequencies are stretched beyond the context the network was trained with.
enum class RopeScaling : uint8_t {
  kNone,
  kLinear,  // positions divided by `factor` (Chen et al. 2023, Position Interpolation)
  kYarn,    // by parts of the spectrum (Peng et al. 2023, YaRN)
};

struct RopeConfig {
  int pairs = 0;        // rotated pairs per head: rope.dimension_count / 2
  double base = 10000;  // rope.freq_base
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1;            // rope.scaling.factor
  double original_context = 0;  // YaRN: the context before stretching
  double attention_factor = 1;  // YaRN: further scale of cosine and sine
};

struct Config {
  std::string architecture;  // "llama"
  std::string name;          // general.name, may be empty
  int layers = 0;
  int width = 0;         // D
  int heads = 0;         // H
  int kv_heads = 0;      // G
  int head_width = 0;    // K
  int feed_forward = 0;  // F
  int vocab = 0;         // V
  int trained_context = 0;
  float rms_epsilon = 1e-5f;
  RopeConfig rope;

  int query_width() const { return heads * head_width; }
  int kv_width() const { return kv_heads * head_width; }
};

/// Throws kUnsupported for another architecture or a variant Cria does not compute, kBadGguf for a
/// missing, mistyped or contradictory value (with key, expected and got).
Config read_config(const gguf::File& file);

}  // namespace cria
