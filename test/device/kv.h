// Sequences of random queries, keys and values, driven through rope_store_kv and attention in
// steps.
#pragma once

#include <span>

#include "device/device.h"

namespace cria::test {

class KvDrive {
 public:
  static constexpr int kHeads = 4, kKvHeads = 2, kWidth = 32, kPairs = 16;

  /// `most`: tokens that each sequence may come to have. Matrices have `spare` rows beyond.
  KvDrive(Backend& backend, std::vector<int> most, uint32_t seed, int64_t spare = 0,
          KvType type = KvType::kF16)
      : backend_(backend), random_(seed), spare_(spare), past_(most.size()) {
    int pages = 0;
    for (const int tokens : most) {
      tables_.emplace_back();
      for (int p = 0; p * kPageTokens < tokens; ++p) tables_.back().push_back(pages++ % kPages);
    }
    kv_.page_bytes = backend.kv_page_bytes(type, kWidth);
    kv_.type = type;
    kv_.head_bytes = kPages * kv_.page_bytes;
    memory_ = backend.allocate(static_cast<size_t>(kKvHeads * kv_.head_bytes));
    kv_.pages = static_cast<std::byte*>(memory_->data());
    kv_.kv_heads = kKvHeads;
    kv_.head_width = kWidth;
    matrices_ = std::make_unique<Matrices>(backend, spare);
  }

  /// So many tokens of a sequence are taken for cached.
  void skip(size_t sequence, int tokens) { past_[sequence] = tokens; }

  /// In each step the next `counts[s]` tokens of each sequence s; what attention gave, of all
  /// steps.
  Floats run(const std::vector<std::vector<int>>& steps) {
    Floats all;
    for (const std::vector<int>& counts : steps) {
      const Floats out = step(counts);
      all.insert(all.end(), out.begin(), out.end());
    }
    return all;
  }

 private:
  static constexpr int kPages = 48, kRows = 32;
  struct Matrices {
    Matrices(Backend& b, int64_t spare)
        : q(b, kRows, kHeads * kWidth, spare),
          k(b, kRows, kKvHeads * kWidth, spare),
          v(b, kRows, kKvHeads * kWidth, spare),
          out(b, kRows, kHeads * kWidth, spare),
          angles(b, kRows + spare, kPairs * 2) {}
    OnDevice q, k, v, out, angles;
  };

  Floats step(const std::vector<int>& counts) {
    std::vector<Slice> batch;
    Floats angles;
    int64_t rows = 0;
    for (size_t s = 0; s < counts.size(); ++s) {
      batch.push_back({rows, counts[s], past_[s], tables_[s].data()});
      rows += counts[s];
      for (int t = 0; t < counts[s]; ++t, ++past_[s])
        for (int i = 0; i < kPairs; ++i) {
          const float angle = static_cast<float>(past_[s]) / static_cast<float>(i + 1);
          angles.push_back(std::cos(angle));
          angles.push_back(std::sin(angle));
        }
    }
    const auto part = [&](OnDevice& whole) {
      OnDevice& device = whole;
      const Floats values = normal(random_, rows * device.matrix.cols);
      if (rows > 0) device.put(values);
      Matrix m = device.matrix.first_rows(rows);
      m.spare = std::min(m.spare, spare_);
      return m;
    };
    Matrices& m = *matrices_;
    const Matrix q = part(m.q), k = part(m.k), v = part(m.v), out = m.out.matrix.first_rows(rows);
    if (rows > 0) m.angles.put(angles);
    backend_.rope_store_kv(batch, {m.angles.matrix.data, kPairs}, q, k, v, kv_);
    backend_.attention(batch, q, kv_, 0.2f, out);
    Floats result(static_cast<size_t>(rows * out.cols));
    backend_.download(result.data(), out.data, result.size() * sizeof(float));
    return result;
  }

  Backend& backend_;
  std::mt19937 random_;
  int64_t spare_;
  std::vector<int> past_;
  std::vector<std::vector<int32_t>> tables_;
  std::unique_ptr<DeviceMemory> memory_;
  LayerKv kv_;
  std::unique_ptr<Matrices> matrices_;
};

}  // namespace cria::test
