// A Llama network of any shape with random weights, on any backend, without a file: its time and
// memory are those of a real model of that shape.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "model/kv_cache.h"
#include "model/transformer.h"
#include "parallel/comm_single.h"

namespace cria::test {

/// The type of every matrix, or the mix of Q4_K with Q6_K that most files have.
struct WeightMix {
  std::string name;
  DType type;
  bool mixed = false;  // Q6_K for the output, and for half of the values' and down projections

  DType value_type(int layer, int layers) const;
};

class RandomNetwork {
 public:
  RandomNetwork(Backend& backend, const Config& config, const WeightMix& mix, BatchLimits limits,
                int pages);

  Transformer& transformer() { return *transformer_; }

 private:
  Weight matrix(DType type, int rows, int cols);
  const float* vector(int size);
  const std::vector<std::byte>& blocks(DType type, int rows, int cols);
  void fill();

  Backend& backend_;
  const Config config_;
  const WeightMix mix_;
  ModelWeights weights_;
  std::vector<std::unique_ptr<DeviceMemory>> memory_;
  std::map<std::tuple<DType, int, int>, std::vector<std::byte>> blocks_;  // while they are imported
  CommSingle comm_;
  std::unique_ptr<KvCache> cache_;
  std::unique_ptr<Transformer> transformer_;
};

}  // namespace cria::test
