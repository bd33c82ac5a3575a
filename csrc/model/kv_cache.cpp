#include "model/kv_cache.h"

namespace cria {

KvCache::KvCache(Backend& backend, const KvShape& shape, int pages)
    : shape_(shape),
      pages_(pages),
      page_bytes_(backend.kv_page_bytes(shape.type, shape.head_width)),
      memory_(backend.allocate(bytes_per_page(backend, shape) * static_cast<uint64_t>(pages))) {}

LayerKv KvCache::layer(int index) const {
  LayerKv kv;
  kv.page_bytes = page_bytes_;
  kv.head_bytes = page_bytes_ * pages_;
  kv.pages = static_cast<std::byte*>(memory_->data()) + kv.head_bytes * shape_.kv_heads * index;
  kv.type = shape_.type;
  kv.kv_heads = shape_.kv_heads;
  kv.head_width = shape_.head_width;
  return kv;
}

}  // namespace cria
