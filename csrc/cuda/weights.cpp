#include "cuda/weights.h"

#include <algorithm>
#include <cstring>

namespace cria::cuda {
namespace {

/// Enough for the bus to be at its full speed, and for a range to take longer than its calls.
constexpr size_t kLaneBytes = size_t{8} << 20;

size_t lane_bytes(size_t row_bytes) {
  return std::max(kLaneBytes, row_bytes * kCriaCudaTileRows);
}

}  // namespace

WeightLoader::~WeightLoader() {
  try {
    finish();
  } catch (const Error&) {
    // The device is lost, and what it was about to read with it.
  }
}

size_t WeightLoader::staging_bytes(size_t most_row_bytes) {
  return kLanes * lane_bytes(most_row_bytes);
}

void WeightLoader::reserve(size_t bytes) {
  if (bytes <= lane_bytes_) return;
  finish();
  staging_ = std::make_unique<CudaMemory>(device_, kLanes * bytes);
  pinned_ = std::make_unique<PinnedMemory>(device_, kLanes * bytes);
  lane_bytes_ = bytes;
}

void WeightLoader::pack(DType type, int64_t rows, int64_t cols, const Blocks& blocks,
                        void* packed) {
  const auto row = static_cast<size_t>(row_bytes(type, cols));
  reserve(lane_bytes(row));
  const auto id = static_cast<uint32_t>(type);
  const auto tiles = static_cast<int64_t>(lane_bytes_ / (row * kCriaCudaTileRows));
  const int64_t most = tiles * kCriaCudaTileRows;
  int lane = 0;
  for (int64_t first = 0; first < rows; first += most, lane = (lane + 1) % kLanes) {
    const int64_t count = std::min(most, rows - first);
    const size_t bytes = static_cast<size_t>(count) * row;
    const size_t offset = static_cast<size_t>(lane) * lane_bytes_;
    if (busy_[lane]) device_->call("loading weights", &CriaCudaTable::wait, kFirstMark + lane);
    std::byte* host = pinned_->data() + offset;
    const std::byte* from = blocks.data + static_cast<size_t>(first) * row;
    if (blocks.copy)
      blocks.copy({from, bytes}, host);
    else
      std::memcpy(host, from, bytes);
    std::byte* staged = static_cast<std::byte*>(staging_->data()) + offset;
    busy_[lane] = true;
    device_->call("loading weights", &CriaCudaTable::upload, staged, host, bytes);
    device_->call("loading weights", &CriaCudaTable::pack_weight, id, rows, cols, first, count,
                  staged, packed);
    device_->call("loading weights", &CriaCudaTable::mark, kFirstMark + lane);
  }
}

void WeightLoader::finish() {
  if (!staging_) return;
  device_->synchronize();
  staging_.reset();
  pinned_.reset();
  lane_bytes_ = 0;
  busy_[0] = busy_[1] = false;
}

}  // namespace cria::cuda
