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

/// Where a page of one layer and head lies; `part` counts layers and heads, [layer][G].
std::byte* KvCache::place(int64_t part, int32_t page) const {
  return static_cast<std::byte*>(memory_->data()) + page_bytes_ * (part * pages_ + page);
}

void KvCache::read_page(Backend& backend, int32_t page, std::byte* out) const {
  for (int64_t part = 0; part < int64_t{shape_.layers} * shape_.kv_heads; ++part)
    backend.download(out + part * page_bytes_, place(part, page), static_cast<size_t>(page_bytes_));
}

void KvCache::write_page(Backend& backend, int32_t page, const std::byte* from) const {
  for (int64_t part = 0; part < int64_t{shape_.layers} * shape_.kv_heads; ++part)
    backend.upload(place(part, page), from + part * page_bytes_, static_cast<size_t>(page_bytes_));
}

void KvCache::copy_page(Backend& backend, int32_t from, int32_t to) const {
  for (int64_t part = 0; part < int64_t{shape_.layers} * shape_.kv_heads; ++part)
    backend.copy(place(part, to), place(part, from), static_cast<size_t>(page_bytes_));
}

}  // namespace cria
