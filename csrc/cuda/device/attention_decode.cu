// F3, device. Attention of single rows (decode) over the paged cache, flash-decoding style (Dao et
// al. 2023): out[h] = softmax(scale · q[h] · Kᵀ) · V, a split of the positions to a block, the
// query heads of one KV head as the rows of one matrix tile.
//
// Shapes: q, out [T × H·K] f32, cache as in kv.h. Grid (splits, G · ⌈(H/G) / 16⌉ · ⌈K / 128⌉, T), 4
// warps, each with every fourth page of the split. The results of a head wider than 128 elements do
// not fit into registers beside the rest: a block has 128 of them, and all of the scores. Bytes
// moved: the split's keys and values once, past L1, as 16-byte loads of fragments straight into
// registers (attention_tile.h): nothing of the cache passes through shared memory. A stretch of 64
// elements is in flight while the one before is computed on: 4 KB a warp, some 50 KB a
// multiprocessor, where 25 to 40 cover the latency.
#include "cuda/device/attention_decode.h"

#include "cuda/device/attention_tile.h"

namespace cria::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kMostRows = kDecodeHeads;
constexpr int kPartElements = 128;  // of a head's result that a block has

template <int kType, int kWidth>
struct Kernel {
  static constexpr int kGroups = ceil_div(kWidth, 32);
  /// Groups of 32 elements that are loaded at once, in turns into two sets of registers.
  static constexpr int kStretch = kGroups == 1 || (kType == kKvQ8_0 && kWidth > 128) ? 1 : 2;
  static constexpr int kStretches = ceil_div(kGroups, kStretch);
  static constexpr int kPart = kWidth < kPartElements ? kWidth : kPartElements;  // of the result
  static constexpr int kValueStretches = ceil_div(kPart, 32 * kStretch);
  static_assert((kStretches + kValueStretches) % 2 == 0, "every page begins with the same set");
  using Softmax = cuda::Softmax<kPart>;
  static constexpr int kWords = kType == kKvF16 ? 4 : 2;  // of a lane's 8 elements
  static constexpr int kBytes = kType == kKvF16 ? 2 : 1;
  static constexpr int kQueryRow =
      kGroups * 32 + 32;  // halves: rows of a quarter warp in other banks

  struct Memory {
    uint16_t q[kMostRows][kQueryRow];
    float most[kWarps][kMostRows], sum[kWarps][kMostRows];
    float o[kWarps][kMostRows][33];
  };

  /// What is in flight: keys or values of a stretch, and their scales.
  struct Loaded {
    uint32_t words[kStretch * 4][kWords];
    uint4 scales[kStretch];
  };

  static __device__ __forceinline__ void load_words(uint32_t (&words)[kWords],
                                                    const uint8_t* from) {
    if constexpr (kType == kKvF16) {
      const uint4 x = load_once(reinterpret_cast<const uint4*>(from));
      words[0] = x.x, words[1] = x.y, words[2] = x.z, words[3] = x.w;
    } else {
      const uint2 x = load_once(reinterpret_cast<const uint2*>(from));
      words[0] = x.x, words[1] = x.y;
    }
  }

  static __device__ __forceinline__ void load_scales(Loaded& out, const uint8_t* scales,
                                                     int stretch, int t) {
    if constexpr (kType == kKvQ8_0) {
#pragma unroll
      for (int i = 0; i < kStretch; ++i) {
        const int group = stretch * kStretch + i;
        if (group < kGroups)
          out.scales[i] =
              load_once(reinterpret_cast<const uint4*>(scales + (group * kPageTokens + 8 * t) * 2));
      }
    }
  }

  static __device__ __forceinline__ void load_keys(Loaded& out, const uint8_t* page, int stretch,
                                                   int lane) {
    const int t = lane % 4;
#pragma unroll
    for (int i = 0; i < kStretch; ++i)
#pragma unroll
      for (int j = 0; j < kTileColumns; ++j) {
        const int element = (stretch * kStretch + i) * 32 + 8 * t;
        uint32_t(&words)[kWords] = out.words[4 * i + j];
        if (element < kWidth) {
          load_words(words, page + (key_position(lane, j) * kWidth + element) * kBytes);
        } else {
#pragma unroll
          for (int w = 0; w < kWords; ++w) words[w] = 0;
        }
      }
    load_scales(out, page + kv_layout(kType, kWidth).key_scales, stretch, t);
  }

  /// Elements of the part that begins at `from`.
  static __device__ __forceinline__ void load_values(Loaded& out, const uint8_t* page, int from,
                                                     int stretch, int lane) {
    const uint8_t* values = page + kv_layout(kType, kWidth).values + from * kPageTokens * kBytes;
#pragma unroll
    for (int n = 0; n < kStretch * 4; ++n) {
      const int tile = stretch * kStretch * 4 + n, element = 8 * tile + lane / 4;
      if (8 * tile < kPart)
        load_words(out.words[n], values + (element * kPageTokens + 8 * (lane % 4)) * kBytes);
    }
    const uint8_t* scales = page + kv_layout(kType, kWidth).value_scales;
    load_scales(out, scales + from / kKvGroup * kPageTokens * 2, stretch, lane % 4);
  }

  /// Scores of a stretch of elements. Codes are multiplied as they are, and their scales, one for
  /// each position, with the sums.
  static __device__ __forceinline__ void add_stretch(Scores& scores, const Loaded& keys,
                                                     const Memory& memory, int stretch, int lane) {
    const int g = lane / 4, t = lane % 4;
#pragma unroll
    for (int i = 0; i < kStretch; ++i) {
      const int group = stretch * kStretch + i;
      if (group >= kGroups) break;
      const uint4 upper = *reinterpret_cast<const uint4*>(&memory.q[g][32 * group + 8 * t]);
      const uint4 lower = *reinterpret_cast<const uint4*>(&memory.q[g + 8][32 * group + 8 * t]);
      const uint32_t a[4] = {upper.x, upper.y, upper.z, upper.w},
                     b[4] = {lower.x, lower.y, lower.z, lower.w};
#pragma unroll
      for (int j = 0; j < kTileColumns; ++j) {
        if constexpr (kType == kKvF16) {
          add_scores(scores[j], a, b, keys.words[4 * i + j]);
        } else {
          uint32_t key[4];
          codes_to_f16(keys.words[4 * i + j][0], key[0], key[1]);
          codes_to_f16(keys.words[4 * i + j][1], key[2], key[3]);
          float sums[4] = {};
          add_scores(sums, a, b, key);
          const float2 scale = unpack_f16(word(keys.scales[i], j));
          scores[j][0] = fmaf(sums[0], scale.x, scores[j][0]);
          scores[j][1] = fmaf(sums[1], scale.y, scores[j][1]);
          scores[j][2] = fmaf(sums[2], scale.x, scores[j][2]);
          scores[j][3] = fmaf(sums[3], scale.y, scores[j][3]);
        }
      }
    }
  }

  static __device__ __forceinline__ void add_value_stretch(Softmax& softmax, const Weights& weights,
                                                           const uint32_t (&mask)[4],
                                                           const Loaded& values, int stretch) {
#pragma unroll
    for (int n = 0; n < kStretch * 4; ++n) {
      const int tile = stretch * kStretch * 4 + n;
      if (8 * tile >= kPart) break;
      uint32_t value[4];
      if constexpr (kType == kKvF16) {
#pragma unroll
        for (int w = 0; w < 4; ++w) value[w] = values.words[n][w] & mask[w];
      } else {
        codes_to_f16(values.words[n][0], value[0], value[1]);
        codes_to_f16(values.words[n][1], value[2], value[3]);
#pragma unroll
        for (int w = 0; w < 4; ++w)
          value[w] = mul_f16x2(value[w], word(values.scales[n / 4], w)) & mask[w];
      }
      add_values(softmax.o[tile], weights, value);
    }
  }

  static __device__ __forceinline__ uint32_t word(const uint4& four, int i) {
    return i == 0 ? four.x : i == 1 ? four.y : i == 2 ? four.z : four.w;
  }

  /// The warp's pages of the split: keys and values by turns in two sets of registers, the next
  /// stretch on its way while this one is computed on.
  static __device__ __forceinline__ void attend(const DecodeArgs& args, const Split& split,
                                                int kv_head, int from, const Memory& memory,
                                                int warp, int lane, Softmax& softmax) {
    const CriaCudaAttention& a = args.a;
    const int last = ceil_div(split.end, kPageTokens), t = lane % 4;
    int at = split.begin / kPageTokens + warp;
    if (at >= last) return;
    const float scale = a.scale * kLog2E;
    const KvPages pages(a.kv, *a.step, split.place.slice, kv_head);
    const uint8_t* page = pages[at];
    Loaded loaded[2];
    load_keys(loaded[0], page, 0, lane);
    for (; at < last; at += kWarps) {
      const uint8_t* next = at + kWarps < last ? pages[at + kWarps] : page;
      Scores scores = {};
#pragma unroll 2  // not more: the loads would all go ahead, and take registers
      for (int s = 0; s < kStretches; ++s) {
        Loaded& coming = loaded[(s + 1) % 2];
        if (s + 1 < kStretches) {
          load_keys(coming, page, s + 1, lane);
        } else {
          load_values(coming, page, from, 0, lane);
        }
        add_stretch(scores, loaded[s % 2], memory, s, lane);
      }
      const int end = split.end - at * kPageTokens;
      Weights weights;
      uint32_t mask[4];
      add_page(softmax, scores, scale, end, end, t, weights);
      value_mask(end, t, mask);
#pragma unroll
      for (int s = 0; s < kValueStretches; ++s) {
        Loaded& coming = loaded[(kStretches + s + 1) % 2];
        if (s + 1 < kValueStretches) {
          load_values(coming, page, from, s + 1, lane);
        } else {
          load_keys(coming, next, 0, lane);
        }
        add_value_stretch(softmax, weights, mask, loaded[(kStretches + s) % 2], s);
      }
      page = next;
    }
  }

  /// The queries as halves; rows beyond `count` are zero, as are elements beyond the width.
  static __device__ __forceinline__ void load_queries(Memory& memory, const float* q, int count) {
    for (int i = static_cast<int>(threadIdx.x); i < kMostRows * kQueryRow; i += kWarps * kWarp) {
      const int row = i / kQueryRow, element = i % kQueryRow;
      const bool valid = row < count && element < kWidth;
      memory.q[row][element] = float_to_f16(valid ? q[row * kWidth + element] : 0.0f);
    }
  }

  /// The warps' softmaxes into one, warp after warp, and to memory: 32 elements at a time.
  static __device__ __forceinline__ void merge(const DecodeArgs& args, const Split& split, int head,
                                               int count, int from, Memory& memory, int warp,
                                               int lane, Softmax& softmax) {
    const int g = lane / 4, t = lane % 4;
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      const float sum = lanes_sum<4>(softmax.sum[row]);
      if (t == 0) memory.most[warp][g + 8 * row] = softmax.most[row];
      if (t == 0) memory.sum[warp][g + 8 * row] = sum;
    }
    __syncthreads();
    float share[2];  // of this warp's weights
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      float most = memory.most[0][g + 8 * row];
      for (int w = 1; w < kWarps; ++w) most = fmaxf(most, memory.most[w][g + 8 * row]);
      share[row] = fast_exp2(softmax.most[row] - most);
    }
#pragma unroll
    for (int group = 0; group < ceil_div(kPart, 32); ++group) {
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        if (32 * group + 8 * n >= kPart) break;
#pragma unroll
        for (int i = 0; i < 4; ++i)
          memory.o[warp][g + 8 * (i / 2)][8 * n + 2 * t + i % 2] =
              softmax.o[4 * group + n][i] * share[i / 2];
      }
      __syncthreads();
      const int element = 32 * group + lane;
      for (int row = warp; row < count; row += kWarps)
        if (element < kPart) put(args, split, head + row, from + element, memory, row, lane);
      __syncthreads();
    }
  }

  static __device__ __forceinline__ void put(const DecodeArgs& args, const Split& split, int head,
                                             int element, const Memory& memory, int row, int lane) {
    float most = memory.most[0][row], sum = 0, o = 0;
    for (int w = 1; w < kWarps; ++w) most = fmaxf(most, memory.most[w][row]);
    for (int w = 0; w < kWarps; ++w) {
      sum += memory.sum[w][row] * fast_exp2(memory.most[w][row] - most);
      o += memory.o[w][row][lane];
    }
    if (split.only) {
      args.a.out[(split.row * args.a.heads + head) * kWidth + element] = o / sum;
      return;
    }
    const int64_t at =
        args.partials.at(split.row - args.first_row, static_cast<int>(blockIdx.x), head);
    args.partials.o[at * kWidth + element] = o;
    if (element == 0) args.partials.ends[at] = make_float2(most, sum);
  }
};

template <int kType, int kWidth>
__global__ void __launch_bounds__(kWarps* kWarp, 2) decode_kernel(DecodeArgs args) {
  using K = Kernel<kType, kWidth>;
  constexpr int kParts = kWidth / K::kPart;
  const int group_heads = args.a.heads / args.a.kv.kv_heads;
  const int tiles = ceil_div(group_heads, kDecodeHeads),
            job = static_cast<int>(blockIdx.y) / kParts;
  const int kv_head = job / tiles, first = job % tiles * kDecodeHeads;
  const int from = static_cast<int>(blockIdx.y) % kParts * K::kPart;
  const int head = kv_head * group_heads + first, count = min(group_heads - first, kDecodeHeads);
  const int warp = static_cast<int>(threadIdx.x) / kWarp,
            lane = static_cast<int>(threadIdx.x) % kWarp;
  const Split split = find_split(args);
  const int64_t row = (split.row * args.a.heads + head) * kWidth;
  if (split.place.slice < 0 && blockIdx.x == 0 && from == 0)
    for (int i = static_cast<int>(threadIdx.x); i < count * kWidth; i += kWarps * kWarp)
      args.a.out[row + i] = 0;
  if (split.begin >= split.end) return;
  typename K::Memory& memory = shared<typename K::Memory>();
  K::load_queries(memory, args.a.q + row, count);
  __syncthreads();
  typename K::Softmax softmax;
  K::attend(args, split, kv_head, from, memory, warp, lane, softmax);
  K::merge(args, split, head, count, from, memory, warp, lane, softmax);
}

using Decode = void (*)(DecodeArgs);

Decode find_kernel(int type, int width) {
  if (type == kKvF16) {
    switch (width) {
      case 32:
        return decode_kernel<kKvF16, 32>;
      case 64:
        return decode_kernel<kKvF16, 64>;
      case 80:
        return decode_kernel<kKvF16, 80>;
      case 96:
        return decode_kernel<kKvF16, 96>;
      case 128:
        return decode_kernel<kKvF16, 128>;
      case 256:
        return decode_kernel<kKvF16, 256>;
      default:
        return nullptr;
    }
  }
  switch (width) {
    case 32:
      return decode_kernel<kKvQ8_0, 32>;
    case 64:
      return decode_kernel<kKvQ8_0, 64>;
    case 96:
      return decode_kernel<kKvQ8_0, 96>;
    case 128:
      return decode_kernel<kKvQ8_0, 128>;
    case 256:
      return decode_kernel<kKvQ8_0, 256>;
    default:
      return nullptr;
  }
}

}  // namespace

bool has_decode_kernel(int type, int width) {
  return find_kernel(type, width) != nullptr;
}

int launch_decode(CriaCuda* cuda, const DecodeArgs& args, int splits, int rows) {
  const int tiles = ceil_div(args.a.heads / args.a.kv.kv_heads, kDecodeHeads);
  const int parts = ceil_div(args.a.kv.head_width, kPartElements);
  const dim3 grid(static_cast<unsigned>(splits),
                  static_cast<unsigned>(args.a.kv.kv_heads * tiles * parts),
                  static_cast<unsigned>(rows));
  return launch(find_kernel(args.a.kv.type, args.a.kv.head_width), grid, kWarps * kWarp, 0,
                cuda->stream, args);
}

}  // namespace cria::cuda
