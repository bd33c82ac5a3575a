// F5. Which pages of the KV cache are free.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace cria {

class PagePool {
 public:
  explicit PagePool(int pages) {
    free_.reserve(static_cast<size_t>(pages));
    for (int page = pages - 1; page >= 0; --page) free_.push_back(page);
  }

  int free_pages() const { return static_cast<int>(free_.size()); }
  /// Grows `pages` to `count` entries. False, and nothing changed, where too few are free.
  bool grow(std::vector<int32_t>& pages, int count);
  /// Gives back all but the first `keep` pages.
  void shrink(std::vector<int32_t>& pages, int keep);
  void give_back(int32_t page) { free_.push_back(page); }

 private:
  std::vector<int32_t> free_;  // a stack, so that few pages are ever touched
};

}  // namespace cria
