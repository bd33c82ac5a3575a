// F3, device. Causal attention of many rows of a sequence at once, after FlashAttention-2 (Dao
// 2023): out[t, h] = softmax(scale · q[t, h] · K[0 … pos(t)]ᵀ) · V with an online softmax, page
// after page.
//
// A tile is 64 queries: ⌊64 / M⌋ consecutive tokens of a slice times the M = H/G query heads that
// share a KV head, 16 to a warp. A page of keys and values goes through shared memory for all of
// them, the next one on its way meanwhile; fragments are read from there as attention_tile.h has
// them, 16 bytes at a time. Codes are made halves, scaled, on the way. A query goes through its
// pages from the first on, whatever the tile: its result does not depend on how a prompt is cut.
//
// Shapes: q, out [T × H·K] f32, cache as in kv.h. Grid (tiles, G · ⌈K / 128⌉), 4 warps; `tiles` is
// the most that so many rows can make, and those that are not there end at once. A block has 128
// elements of the result of wider heads. Bytes moved: queries and results once, and for each tile
// the keys and values before its end, mostly from L2.
#include "cuda/device/attention_prefill.h"

#include "cuda/device/attention_tile.h"

namespace cria::cuda {
namespace {

constexpr int kWarps = 4, kThreads = kWarps * kWarp;
constexpr int kQueries = kWarps * kTileQueries;
constexpr int kPartElements = 128;

/// Some consecutive tokens of a slice.
struct Tile {
  int slice;  // -1: there is no such tile
  int first, tokens;
};

/// Tile number `index` of the batch, by a scan over its slices. The later tokens of a slice, which
/// have more to read, come first.
__device__ Tile find_tile(const CriaCudaStep& step, int index, int tile_tokens) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int base = 0; base < step.slices; base += kWarp) {
    const int slice = base + lane, count = slice < step.slices ? step.slice[slice].count : 0;
    const int own = count > kFewRows ? ceil_div(count, tile_tokens) : 0;
    int until = own;  // tiles of this slice and those before, from `base` on
    for (unsigned distance = 1; distance < kWarp; distance *= 2) {
      const int below = __shfl_up_sync(kAllLanes, until, distance);
      if (lane >= static_cast<int>(distance)) until += below;
    }
    const unsigned beyond = __ballot_sync(kAllLanes, until > index);
    if (beyond == 0) {
      index -= __shfl_sync(kAllLanes, until, kWarp - 1);
      continue;
    }
    const int found = __ffs(static_cast<int>(beyond)) - 1;
    const int tile = __shfl_sync(kAllLanes, until, found) - 1 - index;
    const int rows = __shfl_sync(kAllLanes, count, found), first = tile * tile_tokens;
    return {base + found, first, min(tile_tokens, rows - first)};
  }
  return {-1, 0, 0};
}

template <int kType, int kWidth>
struct Kernel {
  static constexpr int kGroups = ceil_div(kWidth, 32);
  static constexpr int kPart = kWidth < kPartElements ? kWidth : kPartElements;
  /// Halves of a row of keys: an odd multiple of 64 bytes, so that two rows are in other banks.
  static constexpr int kKeyRow = kGroups % 2 == 0 ? 32 * kGroups + 32 : 32 * kGroups;
  static constexpr int kStages = kType == kKvF16 ? 2 : 1;

  struct Stage {
    alignas(16) uint16_t keys[kPageTokens][kKeyRow];
    alignas(16) uint16_t values[kWidth][kPageTokens];
  };
  struct Memory {
    Stage stage[kStages];
    alignas(16) uint8_t codes[kType == kKvF16 ? 16 : kv_layout(kType, kWidth).bytes];
  };

  /// Elements beyond the width, which no copy writes.
  static __device__ __forceinline__ void clear_padding(Memory& memory) {
    constexpr int kPadding = 32 * kGroups - kWidth;
    if constexpr (kPadding > 0)
      for (int i = static_cast<int>(threadIdx.x); i < kStages * kPageTokens * kPadding;
           i += kThreads) {
        const int row = i / kPadding;
        memory.stage[row / kPageTokens].keys[row % kPageTokens][kWidth + i % kPadding] = 0;
      }
  }

  /// Begins to copy a page; `stage`: of f16.
  static __device__ __forceinline__ void copy_page(Memory& memory, int stage, const uint8_t* page) {
    const int thread = static_cast<int>(threadIdx.x);
    if constexpr (kType == kKvF16) {
      constexpr int kInRow = kWidth / 8, kCopies = kPageTokens * kInRow;
      const auto* from = reinterpret_cast<const uint4*>(page);
      for (int i = thread; i < kCopies; i += kThreads)
        cp_async<16>(&memory.stage[stage].keys[i / kInRow][i % kInRow * 8], from + i);
      for (int i = thread; i < kCopies; i += kThreads)
        cp_async<16>(&memory.stage[stage].values[0][0] + 8 * i, from + kCopies + i);
    } else {
      constexpr int kCopies = kv_layout(kType, kWidth).bytes / 16;
      for (int i = thread; i < kCopies; i += kThreads)
        cp_async<16>(memory.codes + 16 * i, page + 16 * i);
    }
    cp_async_commit();
  }

  /// Eight codes times a scale each.
  static __device__ __forceinline__ uint4 scaled(uint2 codes, uint4 scales) {
    uint4 out;
    codes_to_f16(codes.x, out.x, out.y);
    codes_to_f16(codes.y, out.z, out.w);
    return make_uint4(mul_f16x2(out.x, scales.x), mul_f16x2(out.y, scales.y),
                      mul_f16x2(out.z, scales.z), mul_f16x2(out.w, scales.w));
  }

  /// The page's codes to halves.
  static __device__ __forceinline__ void decode_page(Memory& memory) {
    constexpr KvLayout kLayout = kv_layout(kType, kWidth);
    const uint8_t* codes = memory.codes;
    Stage& stage = memory.stage[0];
    for (int i = static_cast<int>(threadIdx.x); i < kPageTokens * kWidth / 8; i += kThreads) {
      const int position = i / (kWidth / 8), element = i % (kWidth / 8) * 8;
      const uint32_t scale = reinterpret_cast<const uint16_t*>(
          codes + kLayout.key_scales)[element / kKvGroup * kPageTokens + position];
      const uint32_t pair = scale | scale << 16;
      *reinterpret_cast<uint4*>(&stage.keys[position][element]) =
          scaled(reinterpret_cast<const uint2*>(codes)[i], make_uint4(pair, pair, pair, pair));
    }
    for (int i = static_cast<int>(threadIdx.x); i < kPageTokens * kWidth / 8; i += kThreads) {
      const int element = i / (kPageTokens / 8), position = i % (kPageTokens / 8) * 8;
      const auto* scales = reinterpret_cast<const uint16_t*>(codes + kLayout.value_scales) +
                           element / kKvGroup * kPageTokens + position;
      *reinterpret_cast<uint4*>(&stage.values[element][position]) =
          scaled(reinterpret_cast<const uint2*>(codes + kLayout.values)[i],
                 *reinterpret_cast<const uint4*>(scales));
    }
  }

  /// A lane's queries: of rows g and g + 8 of its warp.
  struct Queries {
    uint32_t rows[2][kGroups][4];
  };
  static __device__ __forceinline__ void load_queries(uint32_t (&out)[kGroups][4], const float* q,
                                                      int t) {
#pragma unroll
    for (int i = 0; i < kGroups; ++i) {
      const int element = 32 * i + 8 * t;
      float4 low = make_float4(0, 0, 0, 0), high = low;
      if (q && element < kWidth) {
        low = *reinterpret_cast<const float4*>(q + element);
        high = *reinterpret_cast<const float4*>(q + element + 4);
      }
      out[i][0] = pack_f16(low.x, low.y);
      out[i][1] = pack_f16(low.z, low.w);
      out[i][2] = pack_f16(high.x, high.y);
      out[i][3] = pack_f16(high.z, high.w);
    }
  }

  /// A page of the stage: `limit`, `lower_limit`: its positions that rows g and g + 8 may see;
  /// `stored`: those that have been stored at all.
  static __device__ __forceinline__ void add(const Stage& stage, const Queries& queries, int from,
                                             float scale, int limit, int lower_limit, int stored,
                                             int lane, Softmax<kPart>& softmax) {
    const int t = lane % 4;
    Scores scores = {};
#pragma unroll
    for (int i = 0; i < kGroups; ++i)
#pragma unroll
      for (int j = 0; j < kTileColumns; ++j) {
        const uint4 four =
            *reinterpret_cast<const uint4*>(&stage.keys[key_position(lane, j)][32 * i + 8 * t]);
        const uint32_t key[4] = {four.x, four.y, four.z, four.w};
        add_scores(scores[j], queries.rows[0][i], queries.rows[1][i], key);
      }
    Weights weights;
    uint32_t mask[4];
    add_page(softmax, scores, scale, limit, lower_limit, t, weights);
    value_mask(stored, t, mask);
#pragma unroll
    for (int n = 0; n < kPart / 8; ++n) {
      const uint4 four =
          *reinterpret_cast<const uint4*>(&stage.values[from + 8 * n + lane / 4][8 * t]);
      const uint32_t value[4] = {four.x & mask[0], four.y & mask[1], four.z & mask[2],
                                 four.w & mask[3]};
      add_values(softmax.o[n], weights, value);
    }
  }
};

/// One query of a lane: its token in the slice, and where it is in q and out.
struct Query {
  int token;   // that of the tile's last for rows beyond it
  int64_t at;  // -1: there is none
};
__device__ __forceinline__ Query find_query(const CriaCudaAttention& a, const Tile& tile,
                                            int kv_head, int row) {
  const int group_heads = a.heads / a.kv.kv_heads, token = row / group_heads;
  if (token >= tile.tokens) return {tile.first + tile.tokens - 1, -1};
  const int64_t first = a.step->slice[tile.slice].first_row;
  const int64_t head = kv_head * group_heads + row % group_heads;
  return {tile.first + token, ((first + tile.first + token) * a.heads + head) * a.kv.head_width};
}

template <int kType, int kWidth>
__global__ void __launch_bounds__(kThreads, 2) prefill_kernel(CriaCudaAttention a) {
  using K = Kernel<kType, kWidth>;
  constexpr int kParts = kWidth / K::kPart;
  const int group_heads = a.heads / a.kv.kv_heads;
  const Tile tile = find_tile(*a.step, static_cast<int>(blockIdx.x), kQueries / group_heads);
  if (tile.slice < 0) return;
  auto& memory = *dynamic_shared<typename K::Memory>();
  const int kv_head = static_cast<int>(blockIdx.y) / kParts,
            from = static_cast<int>(blockIdx.y) % kParts * K::kPart;
  const int warp = static_cast<int>(threadIdx.x) / kWarp,
            lane = static_cast<int>(threadIdx.x) % kWarp, g = lane / 4, t = lane % 4;
  const CriaCudaSlice slice = a.step->slice[tile.slice];
  const int stored = slice.past + slice.count;
  const int pages = ceil_div(slice.past + tile.first + tile.tokens, kPageTokens);
  K::clear_padding(memory);
  const KvPages kv_pages(a.kv, *a.step, tile.slice, kv_head);
  K::copy_page(memory, 0, kv_pages[0]);

  const Query upper = find_query(a, tile, kv_head, kTileQueries * warp + g),
              lower = find_query(a, tile, kv_head, kTileQueries * warp + g + 8);
  typename K::Queries queries;
  K::load_queries(queries.rows[0], upper.at < 0 ? nullptr : a.q + upper.at, t);
  K::load_queries(queries.rows[1], lower.at < 0 ? nullptr : a.q + lower.at, t);
  const int last_row = min(kTileQueries * warp + kTileQueries, tile.tokens * group_heads) - 1;
  const int last_token = tile.first + last_row / group_heads;  // of this warp
  const bool idle = kTileQueries * warp > last_row;

  Softmax<K::kPart> softmax;
  const float scale = a.scale * kLog2E;
  for (int page = 0; page < pages; ++page) {
    cp_async_wait<0>();
    __syncthreads();  // the page is there, and all are done with the one before
    if constexpr (kType == kKvQ8_0) {
      K::decode_page(memory);
      __syncthreads();  // its codes may be overwritten
    }
    if (page + 1 < pages) K::copy_page(memory, (page + 1) % K::kStages, kv_pages[page + 1]);
    const int begin = page * kPageTokens;
    if (idle || begin > slice.past + last_token) continue;
    K::add(memory.stage[page % K::kStages], queries, from, scale,
           slice.past + upper.token + 1 - begin, slice.past + lower.token + 1 - begin,
           stored - begin, lane, softmax);
  }

#pragma unroll
  for (int row = 0; row < 2; ++row) {
    const float sum = lanes_sum<4>(softmax.sum[row]);
    const int64_t at = row == 0 ? upper.at : lower.at;
    if (at < 0) continue;
#pragma unroll
    for (int n = 0; n < K::kPart / 8; ++n)
      *reinterpret_cast<float2*>(a.out + at + from + 8 * n + 2 * t) =
          make_float2(softmax.o[n][2 * row] / sum, softmax.o[n][2 * row + 1] / sum);
  }
}

struct Prefill {
  void (*kernel)(CriaCudaAttention) = nullptr;
  size_t shared_bytes = 0;
};
template <int kType, int kWidth>
constexpr Prefill prefill_of() {
  return {prefill_kernel<kType, kWidth>, sizeof(typename Kernel<kType, kWidth>::Memory)};
}

Prefill find_kernel(int type, int width) {
  if (type == kKvF16) {
    switch (width) {
      case 32:
        return prefill_of<kKvF16, 32>();
      case 64:
        return prefill_of<kKvF16, 64>();
      case 80:
        return prefill_of<kKvF16, 80>();
      case 96:
        return prefill_of<kKvF16, 96>();
      case 128:
        return prefill_of<kKvF16, 128>();
      case 256:
        return prefill_of<kKvF16, 256>();
      default:
        return {};
    }
  }
  switch (width) {
    case 32:
      return prefill_of<kKvQ8_0, 32>();
    case 64:
      return prefill_of<kKvQ8_0, 64>();
    case 96:
      return prefill_of<kKvQ8_0, 96>();
    case 128:
      return prefill_of<kKvQ8_0, 128>();
    case 256:
      return prefill_of<kKvQ8_0, 256>();
    default:
      return {};
  }
}

}  // namespace

bool has_prefill_kernel(const CriaCuda& cuda, const CriaCudaAttention& a) {
  const Prefill found = find_kernel(a.kv.type, a.kv.head_width);
  return found.kernel && found.shared_bytes <= cuda.most_shared_bytes &&
         a.heads / a.kv.kv_heads <= kQueries;
}

int launch_prefill(CriaCuda* cuda, const CriaCudaAttention& a) {
  const Prefill found = find_kernel(a.kv.type, a.kv.head_width);
  const int tokens = kQueries / (a.heads / a.kv.kv_heads);
  // A slice makes a tile for each `tokens` of its rows and one more, and has more than kFewRows.
  const int64_t tiles = a.rows / tokens + a.rows / (kFewRows + 1);
  if (tiles == 0) return 0;
  const int parts = ceil_div(a.kv.head_width, kPartElements);
  const dim3 grid(static_cast<unsigned>(tiles), static_cast<unsigned>(a.kv.kv_heads * parts));
  if (const int status = allow_shared(found.kernel, found.shared_bytes)) return status;
  return launch(found.kernel, grid, kThreads, found.shared_bytes, cuda->stream, a);
}

}  // namespace cria::cuda
