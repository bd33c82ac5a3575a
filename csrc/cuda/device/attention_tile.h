// F3, device. What a warp computes of attention: 16 queries and the 32 positions of a KV page, by
// the matrix instruction, with f16 operands and sums in f32.
//
// Fragments. Lane l has g = l / 4, t = l % 4 (device/ptx.h). Both products contract over 32
// elements in two instructions; what an instruction calls elements 2t, 2t+1, 2t+8, 2t+9 of lane t
// are here elements 8t … 8t+3 for the first and 8t+4 … 8t+7 for the second, of both operands, so
// that a lane's part of a row is 16 bytes in one piece:
//
//   query   row g and g+8     elements 32i + 8t … + 7     a[0 … 3], b[0 … 3]: pairs of halves
//   key     position π(j, g)  elements 32i + 8t … + 7     [0 … 3]
//   value   element 8n + g    positions 8t … 8t+7         [0 … 3]
//
// The weights of lane t that the second product wants, of positions 8t … 8t+7, are those that the
// first leaves there, when column c of its tile j ∈ 0 … 3 is position
//
//   π(j, c) = 8 (c / 2) + 2j + c mod 2        so that lane t's columns 2t, 2t+1 are 8t+2j, 8t+2j+1
//
// and nothing has to move between lanes.
#pragma once

#include "cuda/device/kv.h"
#include "cuda/device/ptx.h"
#include "cuda/device/warp.h"

namespace cria::cuda {

inline constexpr int kTileQueries = 16, kTileColumns = 4;  // tiles of 8 positions in a page

/// The position of a page that a lane loads for tile j of the scores.
__device__ __forceinline__ int key_position(int lane, int j) {
  const int column = lane / 4;
  return column / 2 * 8 + 2 * j + column % 2;
}

/// 16 queries' online softmax (Milakov & Gimelshein 2018): the largest score, the sum of weights,
/// of which each lane has a part, and the weighted sum of values. [0], o[n][0, 1]: row g; [1],
/// o[n][2, 3]: row g + 8, elements 8n + 2t, 8n + 2t + 1. Scores are in units of log 2.
template <int kElements>
struct Softmax {
  float most[2] = {-INFINITY, -INFINITY};
  float sum[2] = {0, 0};
  float o[kElements / 8][4] = {};
};

using Scores = float[kTileColumns][4];
using Weights = uint32_t[kTileColumns][2];  // pairs of halves, of rows g and g + 8

/// scores += queries · key over 32 elements. `key`: of tile j.
__device__ __forceinline__ void add_scores(float (&scores)[4], const uint32_t (&a)[4],
                                           const uint32_t (&b)[4], const uint32_t (&key)[4]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int i = 2 * half;
    const uint32_t queries[4] = {a[i], b[i], a[i + 1], b[i + 1]}, keys[2] = {key[i], key[i + 1]};
    mma_f16(scores, queries, keys);
  }
}

/// o += weights · values over the page's positions.
__device__ __forceinline__ void add_values(float (&o)[4], const Weights& weights,
                                           const uint32_t (&value)[4]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int j = 2 * half;
    const uint32_t left[4] = {weights[j][0], weights[j][1], weights[j + 1][0], weights[j + 1][1]},
                   right[2] = {value[j], value[j + 1]};
    mma_f16(o, left, right);
  }
}

/// Takes a page's scores into the softmax and makes weights of them. Positions from `limit` (of the
/// page; of rows g and g + 8) on do not count; one at least does in the first page.
template <int kElements>
__device__ __forceinline__ void add_page(Softmax<kElements>& softmax, Scores& scores, float scale,
                                         int limit, int lower_limit, int t, Weights& weights) {
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    const int end = row == 0 ? limit : lower_limit;
    float most = softmax.most[row];
#pragma unroll
    for (int j = 0; j < kTileColumns; ++j)
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        float& score = scores[j][2 * row + c];
        score = 8 * t + 2 * j + c < end ? score * scale : -INFINITY;
        most = fmaxf(most, score);
      }
    most = lanes_max<4>(most);
    const float faded = fast_exp2(softmax.most[row] - most);
    softmax.most[row] = most;
    float sum = softmax.sum[row] * faded;
#pragma unroll
    for (int j = 0; j < kTileColumns; ++j) {
      const float first = fast_exp2(scores[j][2 * row] - most),
                  second = fast_exp2(scores[j][2 * row + 1] - most);
      sum += first + second;
      weights[j][row] = pack_f16(first, second);
    }
    softmax.sum[row] = sum;
#pragma unroll
    for (int n = 0; n < kElements / 8; ++n) {
      softmax.o[n][2 * row] *= faded;
      softmax.o[n][2 * row + 1] *= faded;
    }
  }
}

/// Which halves of a lane's values (positions 8t … 8t+7) lie before `end`: what was never stored
/// may be no number, which a weight of zero would not undo.
__device__ __forceinline__ void value_mask(int end, int t, uint32_t (&mask)[4]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int position = 8 * t + 2 * i;
    mask[i] = position + 1 < end ? 0xffffffffu : position < end ? 0xffffu : 0u;
  }
}

/// Four signed bytes as halves, exactly: 1024 + 128 + code has the code's bits in its fraction.
__device__ __forceinline__ void codes_to_f16(uint32_t codes, uint32_t& low, uint32_t& high) {
  const uint32_t shifted = codes ^ 0x80808080u;
  low = sub_f16x2(__byte_perm(shifted, 0x64646464u, 0x4140), 0x64806480u);
  high = sub_f16x2(__byte_perm(shifted, 0x64646464u, 0x4342), 0x64806480u);
}

/// What turns the model's scale into one for scores in units of log 2.
inline constexpr float kLog2E = 1.4426950408889634f;

}  // namespace cria::cuda
