// F4. The Llama network: the only forward pass there is.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/comm.h"
#include "model/config.h"
#include "model/kv_cache.h"
#include "model/rope.h"
#include "model/weights.h"

namespace cria {

/// New tokens of several sequences, one after the other.
struct Batch {
  std::span<const int32_t> ids;         // [T], each in [0, V)
  std::span<const Slice> slices;        // [S], covering the T rows in order
  std::span<const int64_t> logit_rows;  // rows whose next-token logits are wanted
};

/// The most a Transformer is asked for in one call; its working memory is sized for it.
struct BatchLimits {
  int tokens = 0;
  int logit_rows = 0;
};

class Transformer {
 public:
  /// `weights`, `backend`, `comm` and `cache` outlive the object. Throws kOutOfMemory.
  Transformer(const Config& config, const ModelWeights& weights, Backend& backend,
              Communicator& comm, const KvCache& cache, BatchLimits limits);

  /// Writes keys and values of the batch to the cache and the logits asked for to `logits`
  /// [logit_rows × V], host memory. `interrupted` is asked before each layer; where it says yes,
  /// the call returns false and the batch may be computed again. A large batch of a large model
  /// takes many seconds, which nobody should wait for who has cancelled it.
  bool forward(const Batch& batch, float* logits, const std::function<bool()>& interrupted = {});

  // Of the last batch, once forward() is through with it and until the next one.

  /// The logits of further rows: [rows × V], host memory; at most limits.logit_rows at a time.
  void read_logits(std::span<const int64_t> rows, float* logits);
  /// The network's last state of a row, which the logits are made of: the residual stream after
  /// the last norm, [D], host memory.
  void read_state(int64_t row, std::span<float> state);

  /// Bytes of working memory that an object of these limits takes, the backend's included.
  static uint64_t scratch_bytes(const Config& config, const Backend& backend, BatchLimits limits);

 private:
  struct Activations {
    Matrix x;         // [T × D]    residual stream
    Matrix q, k, v;   // [T × H·K], [T × G·K], [T × G·K]
    Matrix attended;  // [T × H·K]
    Matrix hidden;    // [T × F]
    Matrix last;      // [rows × D] residual stream of the rows that want logits
    Matrix logits;    // [rows × V]
    Matrix angles;    // [T × pairs·2]
  };
  /// Points the matrices into `base` (null: only counts) and returns the floats they take.
  static size_t lay_out(const Config& config, BatchLimits limits, float* base, Activations& out);

  Projection add_to_residual(const Weight& weight, Vector bias, Matrix x) const;
  RopeAngles rope_angles(std::span<const Slice> slices);
  void attention_block(const LayerWeights& layer, const LayerKv& kv, std::span<const Slice> slices,
                       RopeAngles angles, const Activations& a);
  void feed_forward_block(const LayerWeights& layer, const Activations& a);

  const Config& config_;
  const ModelWeights& weights_;
  Backend& backend_;
  Communicator& comm_;
  const KvCache& cache_;
  BatchLimits limits_;
  Rope rope_;
  std::unique_ptr<DeviceMemory> memory_;
  Activations all_;  // at their full size
  std::vector<float> host_angles_;
  std::vector<float> host_norm_;  // [D]: the last norm's weight
};

}  // namespace cria
