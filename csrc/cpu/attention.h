// F3. What the attention kernels are given, and how attention is cut.
//
// A tile is some consecutive tokens of one sequence times the query heads of one KV head: M queries
// that share one pass over keys and values (flash attention: Dao et al. 2022). Per query, with m
// the largest score so far and l the sum of weights so far (Milakov & Gimelshein 2018), each
// stretch of kTilePositions positions gives
//
//   s_p = scale · q·k_p      m' = max(m, max s_p)      w_p = exp(s_p − m')
//   l   = l · exp(m − m') + Σ w_p                      o = o · exp(m − m') + Σ w_p · v_p
//
// That runs over a split of kSplitPositions positions and leaves (m, l, o), which is folded into
// the (m, l, o) of all splits before by the same rule; at the end out = o / l. Stretches and splits
// begin at multiples of their size, whatever is computed beside them, so a query's operations
// depend on its own position alone. Two cuts are therefore free: how many queries share a tile, and
// whether one thread takes all splits of a tile (`attention`), or several take one each
// (`partials`) and `merge_splits` folds them in order.
#pragma once

#include <cstdint>

#include "backend/backend.h"

namespace cria::cpu {

inline constexpr int kTilePositions = 128;
inline constexpr int kSplitPositions = 512;
static_assert(kTilePositions % kPageTokens == 0 && kSplitPositions % kTilePositions == 0);

/// The most queries of a tile. 64 make what is prepared once per tile (keys and values in f32) a
/// few percent of the work, and their scores fill 32 KB.
inline constexpr int kTileQueries = 64;
/// The most elements of a tile's queries together: wide heads come in smaller tiles.
inline constexpr int kTileElements = 8192;
static_assert(kTileElements >= 8 * kMaxHeadWidth);

constexpr int tile_queries(int width) {
  const int padded = (width + 31) / 32 * 32;
  const int fit = kTileElements / padded / 8 * 8;  // in whole register tiles
  return fit < kTileQueries ? fit : kTileQueries;
}

/// A query's (m, l, o) in memory: m, l, then o[K]. m is in units of the table's own.
constexpr int64_t partial_floats(int width) {
  return width + 2;
}

/// A tile of 1 … tile_queries(width) queries. Query (t, h) attends to positions 0 … past + t.
struct AttentionArgs {
  KvType type = KvType::kF16;
  const float* q = nullptr;             // [tokens][heads × width]
  int64_t row = 0;                      // floats from one token to the next, in q and out
  const std::byte* pages = nullptr;     // this KV head's (cpu/kv_layout.h)
  int64_t page_bytes = 0;               // from one page to the next
  const int32_t* page_table = nullptr;  // position p lies in page page_table[p / kPageTokens]
  int past = 0;
  int tokens = 0;
  int heads = 0;
  int width = 0;  // K: even, and a multiple of 32 in kQ8_0
  float scale = 0;
  struct AttentionWorkspace* workspace = nullptr;
  float* out = nullptr;  // [tokens][heads × width]

  /// Not null: only the split `split` is computed, and the query (t, h) that reaches it leaves its
  /// (m, l, o) at partials + t · partial_row + h · partial_floats(width); `out` is not written.
  float* partials = nullptr;
  int64_t partial_row = 0;
  int split = 0;
};

/// Folds `count` ≥ 1 consecutive splits of one query into `total`, which they begin or go on from.
struct MergeArgs {
  const float* partials = nullptr;  // of the first split
  int64_t stride = 0;               // floats from one split to the next
  int count = 0;
  int width = 0;
  float* total = nullptr;  // [partial_floats(width)]
  bool begins = false;     // `total` has no value yet
  float* out = nullptr;    // [width], where these are the last splits; else null
};

/// The keys and values of one token on their way to a page.
struct KvStoreArgs {
  KvType type = KvType::kF16;
  const float* keys = nullptr;  // [heads × width], rotated
  const float* values = nullptr;
  int heads = 0;  // G
  int width = 0;
  std::byte* page = nullptr;  // of the first KV head
  int64_t head_bytes = 0;     // from there to the next head's
  int position = 0;           // in the page
};

/// Working memory of one thread, for tiles of every shape.
struct AttentionWorkspace {
  static constexpr int kSlab = 256;  // elements of a head whose page is in f32 at a time
  static constexpr int kGroups = kTileElements / 32;

  alignas(64) float q[kTileElements];             // scaled queries, one after the other
  float out[kTileElements];                       // o of the current split, rows padded
  float scores[kTileQueries * kTilePositions];    // then weights
  float page[kSlab * kPageTokens];                // keys or values of a page
  float most[kTileQueries];                       // m of the current split
  float sums[kTileQueries * 16];                  // l, lane by lane
  float total[kTileElements + 2 * kTileQueries];  // (m, l, o) of the splits before
  // For kQ8_0: queries as codes with scales, and Σ codes · −128 as a dot product's first value.
  float query_scales[kGroups];
  int32_t query_starts[kGroups];
  int16_t query_codes[kTileElements];
  float folded[8 * kPageTokens];  // weights times scales
};

}  // namespace cria::cpu
