// F4. The paged key/value cache of one rank (Kwon et al. 2023, PagedAttention §4): pages of
// kPageTokens positions, one pool for all sequences. What is inside a page is the backend's affair,
// and which page belongs to whom the engine's (engine/page_pool.h).
#pragma once

#include <cstdint>
#include <memory>

#include "backend/backend.h"

namespace cria {

/// What a cache holds.
struct KvShape {
  KvType type = KvType::kF16;
  int layers = 0;
  int kv_heads = 0;
  int head_width = 0;
};

class KvCache {
 public:
  /// Throws kOutOfMemory with the size. Pages never written take no physical memory where the
  /// system commits lazily.
  KvCache(Backend& backend, const KvShape& shape, int pages);

  int pages() const { return pages_; }
  LayerKv layer(int index) const;

  // One page of all layers and heads, [layer][G] one after the other on the host: `page_bytes`.
  // The inside is the backend's own, so it means something only to one like it.
  void read_page(Backend& backend, int32_t page, std::byte* out) const;
  void write_page(Backend& backend, int32_t page, const std::byte* from) const;
  void copy_page(Backend& backend, int32_t from, int32_t to) const;
  uint64_t page_bytes() const {
    return static_cast<uint64_t>(page_bytes_) * static_cast<uint64_t>(shape_.layers) *
           static_cast<uint64_t>(shape_.kv_heads);
  }

  /// Of all layers and heads. Throws what `Backend::kv_page_bytes` throws.
  static uint64_t bytes_per_page(const Backend& backend, const KvShape& shape) {
    return static_cast<uint64_t>(shape.layers) * static_cast<uint64_t>(shape.kv_heads) *
           static_cast<uint64_t>(backend.kv_page_bytes(shape.type, shape.head_width));
  }
  /// Pages that hold `tokens` positions.
  static int pages_for(int64_t tokens) {
    return static_cast<int>((tokens + kPageTokens - 1) / kPageTokens);
  }

 private:
  std::byte* place(int64_t part, int32_t page) const;

  KvShape shape_;
  int pages_;
  int64_t page_bytes_;                    // of one layer and head
  std::unique_ptr<DeviceMemory> memory_;  // [layer][G][page]
};

}  // namespace cria
