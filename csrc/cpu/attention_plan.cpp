#include "cpu/attention_plan.h"

#include <algorithm>

#include "backend/checks.h"
#include "cpu/kv_layout.h"
#include "cpu/memory.h"
#include "cpu/parallel.h"

namespace cria::cpu {
namespace {

/// Tiles per thread from which on a tile's splits stay on one thread: enough to even out.
constexpr int64_t kTilesPerThread = 4;
/// Floats of `partials_` for each column of the widest input. A token takes H·(K + 2) a split,
/// which is no more than twice that, so 64 have room for 31 splits (16k positions) of a sequence at
/// once.
constexpr int64_t kPartialsPerColumn = 64;

/// Query heads of a KV head, checked.
int group_heads(const char* op, const Matrix& q, const LayerKv& kv) {
  return cria::group_heads(op, q, kv, AttentionPlan::page_bytes(kv.type, kv.head_width));
}

int splits_of(int length) {
  return (length + kSplitPositions - 1) / kSplitPositions;
}

}  // namespace

size_t AttentionPlan::scratch_bytes(int64_t max_cols) const {
  return static_cast<size_t>(pool_.threads()) * sizeof(AttentionWorkspace) +
         static_cast<size_t>(kPartialsPerColumn * max_cols) * sizeof(float);
}

void AttentionPlan::reserve(int64_t tokens, int64_t max_cols) {
  const auto threads = static_cast<size_t>(pool_.threads());
  workspaces_ = map_memory(threads * sizeof(AttentionWorkspace));
  partials_ = map_memory(static_cast<size_t>(kPartialsPerColumn * max_cols) * sizeof(float));
  tiles_.reserve(static_cast<size_t>(tokens));
}

int64_t AttentionPlan::page_bytes(KvType type, int head_width) {
  check_kv_width(type, head_width);
  return kv_layout(type, head_width).bytes;
}

/// Tiles of tokens that share a page. One thread writes them, since the keys of neighbouring
/// positions share cache lines.
void AttentionPlan::cut_at_pages(std::span<const Slice> batch) {
  tiles_.clear();
  for (const Slice& slice : batch) {
    for (int t = 0; t < slice.count;) {
      const int left = kPageTokens - (slice.past + t) % kPageTokens;
      const int count = std::min(left, slice.count - t);
      tiles_.push_back({&slice, t, count});
      t += count;
    }
  }
}

void AttentionPlan::rope_store(std::span<const Slice> batch, RopeAngles angles, Matrix q, Matrix k,
                               Matrix v, const LayerKv& kv) {
  check_batch("rope_store_kv", batch, q);
  const int heads = group_heads("rope_store_kv", q, kv) * kv.kv_heads;
  check_rope(angles, q, k, v, kv);
  cut_at_pages(batch);
  for_each(pool_, static_cast<int64_t>(tiles_.size()), [&](int, int64_t i) {
    const Tile& tile = tiles_[static_cast<size_t>(i)];
    KvStoreArgs store;
    store.type = kv.type;
    store.heads = kv.kv_heads;
    store.width = kv.head_width;
    store.head_bytes = kv.head_bytes;
    store.page = kv.pages + tile.slice->pages[tile.past() / kPageTokens] * kv.page_bytes;
    for (int t = 0; t < tile.count; ++t) {
      const int64_t row = tile.row() + t;
      RopeArgs rope{angles.cos_sin + row * 2 * angles.pairs, angles.pairs, heads, kv.head_width};
      kernels_.rope(rope, q.row(row));
      rope.heads = kv.kv_heads;
      kernels_.rope(rope, k.row(row));
      store.keys = k.row(row);
      store.values = v.row(row);
      store.position = (tile.past() + t) % kPageTokens;
      kernels_.store_kv(store);
    }
  });
}

/// As many tokens as a tile has room for with all heads of a group, or a group's heads in parts.
void AttentionPlan::cut_tiles(std::span<const Slice> batch, int group, int head_width) {
  tiles_.clear();
  const int room = tile_queries(head_width);
  const int heads = std::min(group, room), tokens = room / heads;
  for (const Slice& slice : batch)
    for (int t = 0; t < slice.count; t += tokens)
      for (int head = 0; head < group; head += heads)
        tiles_.push_back(
            {&slice, t, std::min(tokens, slice.count - t), head, std::min(heads, group - head)});
  std::sort(tiles_.begin(), tiles_.end(),
            [](const Tile& a, const Tile& b) { return a.length() > b.length(); });
}

AttentionArgs AttentionPlan::arguments(const Call& call, const Tile& tile, int64_t g,
                                       int thread) const {
  const LayerKv& kv = call.kv;
  const int64_t column = (g * call.group + tile.head) * kv.head_width;
  AttentionArgs args;
  args.type = kv.type;
  args.q = call.q.row(tile.row()) + column;
  args.row = call.q.cols;
  args.pages = kv.pages + g * kv.head_bytes;
  args.page_bytes = kv.page_bytes;
  args.page_table = tile.slice->pages;
  args.past = tile.past();
  args.tokens = tile.count;
  args.heads = tile.heads;
  args.width = kv.head_width;
  args.scale = call.scale;
  args.workspace = static_cast<AttentionWorkspace*>(workspaces_->data()) + thread;
  args.out = call.out.row(tile.row()) + column;
  return args;
}

void AttentionPlan::attend(std::span<const Slice> batch, Matrix q, const LayerKv& kv, float scale,
                           Matrix out) {
  check_batch("attention", batch, q);
  check_same("attention", "q", q, "out", out);
  const Call call{q, kv, scale, out, group_heads("attention", q, kv)};
  if (!workspaces_) fail(ErrorCode::kBadArgument, "attention: call reserve first");
  cut_tiles(batch, call.group, kv.head_width);
  if (const int at_once = splits_at_once(call); at_once > 1) return attend_splits(call, at_once);
  for_each(pool_, static_cast<int64_t>(tiles_.size()) * kv.kv_heads, [&](int thread, int64_t i) {
    const Tile& tile = tiles_[static_cast<size_t>(i / kv.kv_heads)];
    kernels_.attention(arguments(call, tile, i % kv.kv_heads, thread));
  });
}

/// How many splits of every tile to have under way at once; 1 or less: a tile is not shared out.
int AttentionPlan::splits_at_once(const Call& call) const {
  const int64_t pieces = static_cast<int64_t>(tiles_.size()) * call.kv.kv_heads;
  if (pieces == 0 || pool_.threads() == 1 || pieces >= kTilesPerThread * pool_.threads()) return 1;
  const int64_t slot = call.q.rows * call.heads() * partial_floats(call.kv.head_width);
  const int64_t slots = static_cast<int64_t>(partials_->bytes() / sizeof(float)) / slot;
  return static_cast<int>(std::min<int64_t>(slots - 1, splits_of(tiles_.front().length())));
}

float* AttentionPlan::partial(const Call& call, int64_t slot, int64_t row, int64_t head) const {
  const int64_t query = (slot * call.q.rows + row) * call.heads() + head;
  return static_cast<float*>(partials_->data()) + query * partial_floats(call.kv.head_width);
}

void AttentionPlan::attend_splits(const Call& call, int at_once) {
  const int64_t pieces = static_cast<int64_t>(tiles_.size()) * call.kv.kv_heads;
  const int longest = splits_of(tiles_.front().length());
  for (int first = 0; first < longest; first += at_once) {
    const int count = std::min(at_once, longest - first);
    for_each(pool_, pieces * count, [&](int thread, int64_t i) {
      const int slot = static_cast<int>(i / pieces);
      const Tile& tile = tiles_[static_cast<size_t>(i % pieces / call.kv.kv_heads)];
      if (first + slot >= splits_of(tile.length())) return;
      const int64_t g = i % call.kv.kv_heads;
      AttentionArgs args = arguments(call, tile, g, thread);
      args.split = first + slot;
      args.partials = partial(call, slot + 1, tile.row(), g * call.group + tile.head);
      args.partial_row = call.heads() * partial_floats(call.kv.head_width);
      kernels_.attention(args);
    });
    for_each(pool_, pieces, [&](int, int64_t i) {
      merge(call, tiles_[static_cast<size_t>(i / call.kv.kv_heads)], i % call.kv.kv_heads, first,
            at_once);
    });
  }
}

/// Folds the wave's splits, from `first` on, into what came before, for every query of a tile.
void AttentionPlan::merge(const Call& call, const Tile& tile, int64_t g, int first,
                          int at_once) const {
  for (int t = 0; t < tile.count; ++t) {
    const int splits = splits_of(tile.past() + t + 1);
    if (first >= splits) continue;
    for (int h = 0; h < tile.heads; ++h) {
      const int64_t row = tile.row() + t, head = g * call.group + tile.head + h;
      MergeArgs args;
      args.partials = partial(call, 1, row, head);
      args.stride = partial(call, 2, row, head) - args.partials;
      args.count = std::min(at_once, splits - first);
      args.width = call.kv.head_width;
      args.total = partial(call, 0, row, head);
      args.begins = first == 0;
      if (first + args.count == splits) args.out = call.out.row(row) + head * args.width;
      kernels_.merge_splits(args);
    }
  }
}

}  // namespace cria::cpu
