#include "model/kv_cache.h"

namespace cria {

KvCache::KvCache(Backend& backend, int layers, int kv_heads, int head_width, int pages)
    : kv_heads_(kv_heads),
      head_width_(head_width),
      pages_(pages),
      memory_(backend.allocate(bytes_per_page(layers, kv_heads, head_width) *
                               static_cast<uint64_t>(pages))) {}

LayerKv KvCache::layer(int index) const {
  LayerKv kv;
  kv.kv_heads = kv_heads_;
  kv.head_width = head_width_;
  const int64_t half = kv.page_stride() * pages_;
  kv.keys = static_cast<uint16_t*>(memory_->data()) + 2 * half * index;
  kv.values = kv.keys + half;
  return kv;
}

}  // namespace cria
