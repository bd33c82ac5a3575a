// F4. The network's weights: one table says each one's name in the file, its shape and its role in
// tensor parallelism; loading, shape checks and memory estimates all read that table.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "gguf/gguf.h"
#include "model/config.h"

namespace cria {

/// How a weight is shared out over the ranks of a tensor-parallel model (Shoeybi et al. 2019,
/// Megatron-LM §3): a column-split layer divides its outputs, a row-split layer its inputs (and its
/// results are summed), a replicated weight stands whole on every rank.
enum class Role : uint8_t { kColumnSplit, kRowSplit, kReplicated };

/// A bias or norm weight: f32 in backend memory, null where the file has none.
using Vector = const float*;

struct LayerWeights {
  Vector attn_norm = nullptr;  // [D]
  Weight query, key, value;    // [H·K × D], [G·K × D], [G·K × D]
  Vector query_bias = nullptr, key_bias = nullptr, value_bias = nullptr;
  Weight attn_output;                 // [D × H·K]
  Vector attn_output_bias = nullptr;  // [D]
  Vector ffn_norm = nullptr;          // [D]
  Weight gate, up;                    // [F × D]
  Vector gate_bias = nullptr, up_bias = nullptr;
  Weight down;                 // [D × F]
  Vector down_bias = nullptr;  // [D]
};

struct ModelWeights {
  Weight token_embedding;  // [V × D]
  std::vector<LayerWeights> layers;
  Vector output_norm = nullptr;  // [D]
  Weight output;  // [V × D]; the embedding itself where the file has no output.weight
  std::vector<float> rope_factors;         // [pairs], or empty
  std::unique_ptr<DeviceMemory> vectors;   // what every `Vector` points into
  std::unique_ptr<DeviceMemory> matrices;  // what every packed `Weight` points into
};

/// One weight that a file of this configuration has to or may hold.
struct WeightSpec {
  std::string name;  // "blk.3.attn_q.weight"
  int64_t rows = 1;  // N (1: a vector)
  int64_t cols = 0;  // K
  Role role = Role::kReplicated;
  bool required = true;
  int layer = -1;                                // -1: not of a layer
  Weight LayerWeights::*layer_matrix = nullptr;  // where it goes: one of these four
  Vector LayerWeights::*layer_vector = nullptr;
  Weight ModelWeights::*matrix = nullptr;
  Vector ModelWeights::*vector = nullptr;

  bool is_vector() const { return layer_vector || vector; }
};

/// The table, written out for every layer.
std::vector<WeightSpec> weight_specs(const Config& config);

/// Holds the file's tensors against the table, before anything is allocated: a missing or wrongly
/// shaped weight is kBadGguf (with both shapes), a type without kernels or a weight the table does
/// not know is kUnsupported, by name.
void check_weights(const gguf::File& file, const Config& config);

/// How matrices are held.
enum class WeightForm : uint8_t {
  kPacked,  // in the backend's own form, in its memory
  kMapped,  // as they lie in the file, on the system's own pages of it
};

/// Bytes of the weights as the backend holds them; of mapped ones, those of the file.
uint64_t weight_bytes(const gguf::File& file, const Config& config, const Backend& backend,
                      WeightForm form);

/// Called while weights are read, with bytes of the file done and in all; returning false stops.
using LoadProgress = std::function<bool(uint64_t loaded, uint64_t total)>;

/// Imports every weight. `file` must have passed `check_weights` and outlive the result. Throws
/// kAborted where `progress` said to stop, kFile where the file was cut short meanwhile.
ModelWeights load_weights(const gguf::File& file, const Config& config, Backend& backend,
                          WeightForm form, const LoadProgress& progress);

}  // namespace cria
