#include "engine/page_pool.h"

namespace cria {

bool PagePool::grow(std::vector<int32_t>& pages, int count) {
  const int more = count - static_cast<int>(pages.size());
  if (more > free_pages()) return false;
  for (int i = 0; i < more; ++i) {
    pages.push_back(free_.back());
    free_.pop_back();
  }
  return true;
}

void PagePool::shrink(std::vector<int32_t>& pages, int keep) {
  while (static_cast<int>(pages.size()) > keep) {
    free_.push_back(pages.back());
    pages.pop_back();
  }
}

}  // namespace cria
