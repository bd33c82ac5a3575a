// F3, device. How decode attention is cut: a row's positions into splits, one block each, that
// leave their softmax in memory, and a kernel that merges them. Where splits begin depends on the
// length of the row's own sequence and on the device, never on what else is computed: that is how a
// row's result is the same bits in every batch.
#pragma once

#include "cuda/device/kv.h"

namespace cria::cuda {

inline constexpr int kLeastSplit = 128;  // tokens: a page for each warp
inline constexpr int kMostSplits = 32;
inline constexpr int kScratchRows = 32;  // that may be between the two kernels at once
/// Rows of a slice up to which each is computed by itself, also in a step with long slices.
inline constexpr int kFewRows = kCriaCudaFewRows;

/// Positions of a split of a sequence, a multiple of a page.
__host__ __device__ constexpr int split_tokens(int length, int most_splits) {
  const int least = ceil_div(length, kLeastSplit);
  return round_up(ceil_div(length, least < most_splits ? least : most_splits), kPageTokens);
}

/// The partial softmax of every (row, split, head): o [K], then the largest score and the sum.
struct Partials {
  float* o;      // [rows][splits][H][K]
  float2* ends;  // [rows][splits][H]
  int splits, heads, width;

  __device__ int64_t at(int64_t row, int split, int head) const {
    return (row * splits + split) * heads + head;
  }
};

/// What every kernel of decode attention is given.
struct DecodeArgs {
  CriaCudaAttention a;
  Partials partials;
  int64_t first_row;  // of those that this launch computes
  int most_splits;

  /// Whether the row is computed here: one that has no token is, as zeros.
  __device__ bool takes(RowPlace place) const {
    return place.slice < 0 || !a.prefill || a.step->slice[place.slice].count <= kFewRows;
  }
};

/// What a block has to do: a split of a row.
struct Split {
  int64_t row;
  RowPlace place;
  int begin, end;  // positions; empty where there is nothing to do
  bool only;       // the row's only split: its result is final
};
__device__ __forceinline__ Split find_split(const DecodeArgs& args) {
  const int64_t row = args.first_row + blockIdx.z;
  const RowPlace place = row_place(*args.a.step, row);
  if (place.slice < 0 || !args.takes(place)) return {row, place, 0, 0, false};
  const int length = place.position + 1, tokens = split_tokens(length, args.most_splits);
  const int begin = static_cast<int>(blockIdx.x) * tokens;
  return {row, place, begin, min(begin + tokens, length), tokens >= length};
}

}  // namespace cria::cuda
