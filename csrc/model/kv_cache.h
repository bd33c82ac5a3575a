// F4. The paged key/value cache of one rank (Kwon et al. 2023, PagedAttention §4): f16 pages of
// kPageTokens positions, one pool for all sequences. Which page belongs to whom is the engine's
// affair (engine/page_pool.h).
#pragma once

#include <cstdint>
#include <memory>

#include "backend/backend.h"

namespace cria {

class KvCache {
 public:
  /// Throws kOutOfMemory with the size. Pages never written take no physical memory where the
  /// system commits lazily.
  KvCache(Backend& backend, int layers, int kv_heads, int head_width, int pages);

  int pages() const { return pages_; }
  LayerKv layer(int index) const;

  static uint64_t bytes_per_page(int layers, int kv_heads, int head_width) {
    return uint64_t{2} * sizeof(uint16_t) * static_cast<uint64_t>(layers) *
           static_cast<uint64_t>(kv_heads) * kPageTokens * static_cast<uint64_t>(head_width);
  }
  /// Pages that hold `tokens` positions.
  static int pages_for(int64_t tokens) {
    return static_cast<int>((tokens + kPageTokens - 1) / kPageTokens);
  }

 private:
  int kv_heads_, head_width_, pages_;
  std::unique_ptr<DeviceMemory> memory_;  // [layer][keys, values][page][G][P][K]
};

}  // namespace cria
