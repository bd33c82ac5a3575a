// F5. A model in memory: the file, its tokenizer, weights, cache and network, and what they cost.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "engine/registry.h"
#include "engine/session_file.h"
#include "gguf/gguf.h"
#include "model/config.h"
#include "model/kv_cache.h"
#include "model/transformer.h"
#include "model/weights.h"
#include "text/tokenizer.h"

namespace cria {

struct LoadOptions {
  DeviceOptions device;
  int64_t context_size = 0;  // tokens a sequence may hold; 0: the model's own, bounded by memory
  int64_t batch_size = 0;    // most tokens of a step; 0: kDefaultBatch
  int64_t sequences = 0;     // full contexts the cache has room for; 0: one
  WeightForm weights = WeightForm::kPacked;
  KvType kv_type = KvType::kF16;
  size_t max_queue = SIZE_MAX;  // requests that may wait
  bool time_steps = true;       // false: guesses do not depend on what steps take, for tests
  std::filesystem::path draft;  // a smaller model of the same vocabulary that guesses; empty: none
};

inline constexpr int kDefaultBatch = 512;
/// Most requests computed at once.
inline constexpr int kMaxRunning = 32;
/// Most tokens of a step of a draft model: it catches up with a prompt in chunks of this size.
inline constexpr int kDraftBatch = 128;

/// What loading would take, worked out from the header alone.
struct MemoryPlan {
  uint64_t weight_bytes = 0;
  uint64_t kv_bytes = 0;
  uint64_t scratch_bytes = 0;
  uint64_t draft_bytes = 0;  // all of a draft model
  int context_size = 0;
  int pages = 0;
  KvType kv_type = KvType::kF16;
  BatchLimits limits;

  /// On a GPU all of it is the device's; the little that a host needs beside is not counted.
  uint64_t total() const { return weight_bytes + kv_bytes + scratch_bytes + draft_bytes; }
};

/// Throws kBadArgument for an option out of range, and what the checks of model/ throw.
/// `available`: bytes that may be taken; only bounds the default context.
MemoryPlan plan_memory(const gguf::File& file, const Config& config, const Backend& backend,
                       const LoadOptions& options, uint64_t available);

/// The cache that a network wants.
KvShape kv_shape(const Config& config, KvType type);

/// Bytes of a cache of so many pages. Throws kOutOfMemory where no machine could hold them: a
/// header may claim any shape.
uint64_t cache_bytes(const Backend& backend, const KvShape& shape, int64_t pages);

class LoadedModel {
 public:
  /// Reads header, tokenizer and weights. Throws kOutOfMemory with needed and available bytes of
  /// the device before anything large is allocated, kNoDevice with the reason, kAborted where
  /// `progress` said to stop, kBadArgument for a draft of another vocabulary. A draft is loaded
  /// first, and `progress` told of it likewise.
  static std::unique_ptr<LoadedModel> load(const std::filesystem::path& path,
                                           const LoadOptions& options, const LoadProgress& progress,
                                           uint64_t available);

  const gguf::File file;
  const Config config;
  const std::shared_ptr<const text::Tokenizer> tokenizer;  // shared with who outlives the model
  const std::string device;                                // "cpu", "cuda:0"
  const std::string kernels;                               // "avx512_vnni", "CUDA 9.0, NVIDIA H100"
  const int threads;
  const std::unique_ptr<Backend> backend;
  const MemoryPlan plan;
  const bool time_steps;
  const ModelWeights weights;
  const KvCache cache;
  const ModelIdentity identity;
  const std::unique_ptr<Communicator> comm;
  Transformer transformer;
  const std::unique_ptr<LoadedModel> draft;  // null: none

 private:
  struct Parts;
  explicit LoadedModel(Parts parts);
};

/// The header's config, its shapes checked against the tensors.
Config read_checked_config(const gguf::File& file);

}  // namespace cria
