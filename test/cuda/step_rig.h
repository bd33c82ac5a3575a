// Steps and caches as the kernel tests see them: ragged batches with pages in scattered order, and
// a second description of a page (cuda/device/kv.h has the first).
#pragma once

#include <cmath>
#include <memory>
#include <numeric>
#include <random>

#include "base/half.h"
#include "cuda/device/kv.h"
#include "device_memory.h"

namespace cria::test_cuda {

struct Count {
  int count, past;
};

/// A batch of slices in rows 0, 1, …, in a bucket of `rows`.
class StepRig {
 public:
  StepRig(const Device& device, const std::vector<Count>& counts, int rows, std::mt19937& random)
      : rows_(rows), step_(device, 1) {
    int total = 0;
    for (const Count& c : counts) total += pages_of(c);
    std::vector<int32_t> order(static_cast<size_t>(total));
    std::iota(order.begin(), order.end(), 0);
    std::ranges::shuffle(order, random);
    for (const Count& c : counts) {
      slices_.push_back({alive_, c.count, c.past, static_cast<int32_t>(used_)});
      used_ += pages_of(c);
      for (int i = 0; i < c.count; ++i) of_row_.push_back(static_cast<int32_t>(slices_.size()) - 1);
      alive_ += c.count;
    }
    table_ = order;
    of_row_.resize(static_cast<size_t>(rows), -1);
    slice_ = std::make_unique<DeviceArray<CriaCudaSlice>>(device, slices_);
    slice_of_row_ = std::make_unique<DeviceArray<int32_t>>(device, of_row_);
    pages_ = std::make_unique<DeviceArray<int32_t>>(device, table_);
    CriaCudaStep step{};
    step.alive = alive_;
    step.slices = static_cast<int32_t>(slices_.size());
    step.slice = slice_->data();
    step.slice_of_row = slice_of_row_->data();
    step.pages = pages_->data();
    step_.set({step});
  }

  const CriaCudaStep* step() const { return step_.data(); }
  int rows() const { return rows_; }
  int alive() const { return alive_; }
  int pages() const { return used_; }
  const std::vector<CriaCudaSlice>& slices() const { return slices_; }
  int slice_of(int row) const { return of_row_[static_cast<size_t>(row)]; }
  int position_of(int row) const {
    const CriaCudaSlice& slice = slices_[static_cast<size_t>(slice_of(row))];
    return slice.past + row - slice.first_row;
  }
  int page_of(int slice, int position) const {
    return table_[static_cast<size_t>(slices_[static_cast<size_t>(slice)].first_page +
                                      position / cuda::kPageTokens)];
  }
  int longest() const {
    int most = 0;
    for (const CriaCudaSlice& slice : slices_) most = std::max(most, slice.past + slice.count);
    return most;
  }

 private:
  static int pages_of(const Count& c) {
    return (c.count + c.past + cuda::kPageTokens - 1) / cuda::kPageTokens;
  }

  int rows_, alive_ = 0, used_ = 0;
  std::vector<CriaCudaSlice> slices_;
  std::vector<int32_t> of_row_, table_;
  DeviceArray<CriaCudaStep> step_;
  std::unique_ptr<DeviceArray<CriaCudaSlice>> slice_;
  std::unique_ptr<DeviceArray<int32_t>> slice_of_row_, pages_;
};

/// The cache of one layer, all bits set: what was never stored is NaN, as a scale too.
class KvRig {
 public:
  KvRig(const Device& device, int type, int kv_heads, int width, int pages)
      : type_(type),
        width_(width),
        bytes_(device, static_cast<size_t>(page_bytes() * (pages + 1) * kv_heads)) {
    kv_.pages = bytes_.data();
    kv_.page_bytes = page_bytes();
    kv_.head_bytes = page_bytes() * (pages + 1);
    kv_.type = type;
    kv_.kv_heads = kv_heads;
    kv_.head_width = width;
  }

  const CriaCudaKv& kv() const { return kv_; }
  std::vector<uint8_t> bytes() const { return bytes_.values(); }
  int64_t page_bytes() const { return 2 * half_page(); }

  double key(int page, int head, int position, int i) const {
    const uint8_t* at = bytes_.data() + head * kv_.head_bytes + page * kv_.page_bytes;
    const int place = position % 32 * width_ + i;
    if (type_ == cuda::kKvF16) return half(at, place);
    return half(at + 32 * width_, i / 32 * 32 + position % 32) * static_cast<int8_t>(at[place]);
  }
  double value(int page, int head, int position, int i) const {
    const uint8_t* at = bytes_.data() + head * kv_.head_bytes + page * kv_.page_bytes + half_page();
    const int place = i * 32 + position % 32;
    if (type_ == cuda::kKvF16) return half(at, place);
    return half(at + 32 * width_, i / 32 * 32 + position % 32) * static_cast<int8_t>(at[place]);
  }
  /// Writes a key or a value, as f16 or as a code under a scale of `scale`.
  void set(bool key, int page, int head, int position, int i, float x, float scale) {
    uint8_t* at = bytes_.data() + head * kv_.head_bytes + page * kv_.page_bytes;
    if (!key) at += half_page();
    const int place = key ? position % 32 * width_ + i : i * 32 + position % 32;
    if (type_ == cuda::kKvF16) return set_half(at, place, x);
    at[place] = static_cast<uint8_t>(static_cast<int8_t>(std::lrint(x / scale)));
    set_half(at + 32 * width_, i / 32 * 32 + position % 32, scale);
  }

 private:
  int64_t half_page() const {
    return type_ == cuda::kKvF16 ? 64 * width_ : 32 * width_ + width_ / 32 * 64;
  }
  static double half(const uint8_t* at, int i) {
    return f16_to_f32(static_cast<uint16_t>(at[2 * i] | at[2 * i + 1] << 8));
  }
  static void set_half(uint8_t* at, int i, float x) {
    const uint16_t bits = f32_to_f16(x);
    at[2 * i] = static_cast<uint8_t>(bits);
    at[2 * i + 1] = static_cast<uint8_t>(bits >> 8);
  }

  int type_, width_;
  DeviceArray<uint8_t> bytes_;
  CriaCudaKv kv_{};
};

inline std::vector<float> normal_values(size_t size, std::mt19937& random, float deviation = 1) {
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> out(size);
  for (float& x : out) x = normal(random);
  return out;
}

}  // namespace cria::test_cuda
