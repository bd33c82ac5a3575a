// F3. Weights on their way from a file to the device's packed form:
//
//   file ──Blocks::copy──▶ pinned ──upload──▶ staging ──pack_weight──▶ packed
//
// a range of rows at a time, in two lanes that take turns, so that one range is read from the file
// while the one before it is copied and packed.
#pragma once

#include <memory>

#include "cuda/device.h"

namespace cria::cuda {

class WeightLoader {
 public:
  explicit WeightLoader(std::shared_ptr<Device> device) : device_(std::move(device)) {}
  ~WeightLoader();

  /// Packs [rows × cols] to `packed`, weight_bytes of it. Returns before the device is through.
  void pack(DType type, int64_t rows, int64_t cols, const Blocks& blocks, void* packed);
  /// Gives the staging memory back, once the device is through.
  void finish();

  /// Device memory that it takes at most for rows of up to `most_row_bytes` bytes of a file.
  static size_t staging_bytes(size_t most_row_bytes);

 private:
  void reserve(size_t bytes);

  static constexpr int kLanes = 2, kFirstMark = 0;

  std::shared_ptr<Device> device_;
  std::unique_ptr<CudaMemory> staging_;  // of both lanes
  std::unique_ptr<PinnedMemory> pinned_;
  size_t lane_bytes_ = 0;
  bool busy_[kLanes] = {};
};

}  // namespace cria::cuda
