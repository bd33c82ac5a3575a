// F3. Attention over a batch: which tiles it is cut into (cpu/attention.h) and which thread
// computes what. No cut changes a bit of the result.
//
//   prefill   many tiles: each is one piece of work with all its splits. The tile of a sequence's
//             last tokens has the longest way back, so pieces go out longest first.
//   decode    a tile for each sequence and KV head. Where these are too few to keep all threads
//             busy and the context is long, a piece is one split of a tile; it leaves partial
//             results in `partials_`, which are then folded in the splits' order. Where `partials_`
//             has no room for all splits at a time, they go in waves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "base/thread_pool.h"
#include "cpu/kernels.h"

namespace cria::cpu {

class AttentionPlan {
 public:
  AttentionPlan(const Kernels& kernels, ThreadPool& pool) : kernels_(kernels), pool_(pool) {}

  size_t scratch_bytes(int64_t max_cols) const;
  void reserve(int64_t tokens, int64_t max_cols);

  // The operations of `Backend` of these names.
  static int64_t page_bytes(KvType type, int head_width);
  void rope_store(std::span<const Slice> batch, RopeAngles angles, Matrix q, Matrix k, Matrix v,
                  const LayerKv& kv);
  void attend(std::span<const Slice> batch, Matrix q, const LayerKv& kv, float scale, Matrix out);

 private:
  /// Some consecutive tokens of a slice, and the query heads of each KV head that it takes.
  struct Tile {
    const Slice* slice;
    int first;  // token of the slice
    int count;
    int head = 0;  // of the heads that share a KV head
    int heads = 0;

    int past() const { return slice->past + first; }
    int length() const { return past() + count; }
    int64_t row() const { return slice->first_row + first; }
  };
  struct Call {
    Matrix q;
    const LayerKv& kv;
    float scale;
    Matrix out;
    int group;  // query heads of a KV head

    int64_t heads() const { return int64_t{group} * kv.kv_heads; }
  };

  void cut_at_pages(std::span<const Slice> batch);
  void cut_tiles(std::span<const Slice> batch, int group, int head_width);
  AttentionArgs arguments(const Call& call, const Tile& tile, int64_t g, int thread) const;
  int splits_at_once(const Call& call) const;
  void attend_splits(const Call& call, int at_once);
  void merge(const Call& call, const Tile& tile, int64_t g, int first, int at_once) const;
  /// Place of a query's (m, l, o): slot 0 has what is folded already, slot 1 + i the wave's split
  /// i.
  float* partial(const Call& call, int64_t slot, int64_t row, int64_t head) const;

  const Kernels& kernels_;
  ThreadPool& pool_;
  std::unique_ptr<DeviceMemory> workspaces_;  // AttentionWorkspace of each thread
  std::unique_ptr<DeviceMemory> partials_;
  std::vector<Tile> tiles_;  // of the operation under way
};

}  // namespace cria::cpu
