// F3. The two small products that attention consists of, for any instruction set (`V`), with the
// same register tile of up to V::kRows queries × 2 vectors:
//
//   scores   c[query][position] = Σ_k q[query][k] · keys[k][position]          keys transposed
//   values   o[query][k]       += Σ_p w[query][p] · values[p][k]
//
//                      b[j][0…]        b[j][L…]         one load each, shared by all rows
//        a[0][j]     sums[0][0]       sums[0][1]
//        a[1][j]     sums[1][0]       sums[1][1]        a broadcast feeds two multiply-adds
//          …             …                …
//
// 8 rows of AVX-512 take 16 sums, 2 loads and a broadcast of 32 registers; 4 rows of AVX2 take 8 of
// 16. 8 independent sums at least cover 4 cycles' latency on two ports. Every sum runs along j in
// order, so neither rows nor calls (a sum may stop and go on) leave a trace in it.
//
// Internal linkage, as in cpu/activations.h.
#pragma once

#include <kv_dot.h>

#include "cpu/attention.h"
#include "cpu/kv_codes.h"
#include "cpu/kv_layout.h"

namespace cria::cpu {
namespace {

/// What to fetch into the second-level cache while a product is under way, a line every step.
/// Memory gives its bandwidth only to loads that are asked for early, and in an even stream.
struct Ahead {
  const std::byte* at = nullptr;
  int64_t step = 0;  // bytes

  void fetch(int64_t i) const { __builtin_prefetch(at + i * step, 0, 2); }
  Ahead from(int64_t i) const { return {at + i * step, step}; }
  /// The first of several products over the same positions fetches for all; the step of the others
  /// is 0, and where they fetch nonetheless, it is one line again and again.
  Ahead only(bool leads) const { return leads ? *this : Ahead{at, 0}; }
};

/// What the second factor of a product is stored as.
template <class V>
struct FromF32 {
  using Element = float;
  static constexpr bool kFromCache = false;
  static typename V::Vec load(const float* p) { return V::load(p); }
};
template <class V>
struct FromF16 {
  using Element = uint16_t;
  static constexpr bool kFromCache = true;
  static typename V::Vec load(const uint16_t* p) { return V::halves(p); }
};
template <class V>
struct FromI8 {
  using Element = int8_t;
  static constexpr bool kFromCache = true;
  static typename V::Vec load(const int8_t* p) { return V::bytes(p); }
};

/// A product: c[r][0 … columns) = (fresh ? 0 : c[r]) + Σ_{j<n} a[r][j] · b[j][0 … columns).
template <class From>
struct Product {
  const float* a;  // a[r][j] at a[r · kRowStep + j · kStep]
  const typename From::Element* b;
  int64_t b_stride;
  int n;
  float* c;
  int64_t c_stride;
  int columns;  // a multiple of two vectors
  bool fresh;
  Ahead ahead;  // a line for each step of each two vectors
};

/// Columns [first, first + kVectors · L) of kRows rows.
template <class V, class From, int kRowStep, int kStep, int kRows, int kVectors, bool kFetches>
void multiply_tile(const Product<From>& x, int first) {
  typename V::Vec sums[kRows][kVectors];
  float* c = x.c + first;
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors; ++v)
      sums[r][v] = x.fresh ? V::zero() : V::load(c + r * x.c_stride + v * V::kLanes);
  const float* a = x.a;
  const typename From::Element* b = x.b + first;
  const Ahead ahead = x.ahead.from(first / (2 * V::kLanes) * x.n);
  const int64_t b_stride = x.b_stride;
  const int n = x.n;
  for (int j = 0; j < n; ++j) {
    typename V::Vec row[kVectors];
    for (int v = 0; v < kVectors; ++v) row[v] = From::load(b + v * V::kLanes);
    if constexpr (kFetches)
      for (int v = 0; v < kVectors / 2; ++v) ahead.fetch(v * n + j);
    for (int r = 0; r < kRows; ++r) {
      const typename V::Vec factor = V::all(a[r * kRowStep]);
      for (int v = 0; v < kVectors; ++v) sums[r][v] = V::fma(factor, row[v], sums[r][v]);
    }
    a += kStep;
    b += b_stride;
  }
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors; ++v) V::store(c + r * x.c_stride + v * V::kLanes, sums[r][v]);
}

/// For 1 … kMost rows. One or two have too few sums in two vectors, and take four where they can.
template <class V, class From, int kRowStep, int kStep, int kMost = V::kRows>
void multiply(int rows, const Product<From>& x) {
  if (rows == kMost) {
    int first = 0;
    if constexpr (kMost <= 2)
      for (; first + 4 * V::kLanes <= x.columns; first += 4 * V::kLanes)
        multiply_tile<V, From, kRowStep, kStep, kMost, 4, true>(x, first);
    for (; first < x.columns; first += 2 * V::kLanes) {
      if (From::kFromCache || x.ahead.step != 0) {
        multiply_tile<V, From, kRowStep, kStep, kMost, 2, true>(x, first);
      } else if constexpr (!From::kFromCache) {
        multiply_tile<V, From, kRowStep, kStep, kMost, 2, false>(x, first);
      }
    }
    return;
  }
  if constexpr (kMost > 1) multiply<V, From, kRowStep, kStep, kMost - 1>(rows, x);
}

/// Queries in kQ8_0's form, laid out for a register tile: [K/4][V::kRows] quads of codes, and for
/// each group of 32, [K/32][V::kRows] scales and first values of the sums.
struct QueryCodes {
  const QueryCode* codes;
  const float* scales;
  const int32_t* starts;
};

/// c[r][0 … 2L) = q[r]·keys for the 2L positions at `keys` and `scales`, where quads and groups are
/// a page apart. The bytes' sums are exact: 32 · 255 · 127 is far from 2^31. 16 of them leave no
/// room in 32 registers for as many sums in f32, which wait in `c` from group to group.
template <class V, int kRows>
void score_rows(const QueryCodes& q, int64_t groups, const std::byte* keys, const uint16_t* scales,
                float* c, int64_t c_stride, Ahead ahead) {
  const QueryCode* codes = q.codes;
  for (int64_t g = 0; g < groups; ++g, scales += kPageTokens) {
    typename V::Ints dots[kRows][2];
    for (int r = 0; r < kRows; ++r) dots[r][0] = dots[r][1] = V::ints(q.starts[g * V::kRows + r]);
    for (int quad = 0; quad < kKvGroup / 4; ++quad) {
      const KeyQuads k0(keys), k1(keys + 4 * V::kLanes);
      ahead.fetch(2 * (g * (kKvGroup / 4) + quad));
      ahead.fetch(2 * (g * (kKvGroup / 4) + quad) + 1);
      for (int r = 0; r < kRows; ++r) {
        dots[r][0] = add_quads(dots[r][0], k0, codes + 4 * r);
        dots[r][1] = add_quads(dots[r][1], k1, codes + 4 * r);
      }
      keys += 4 * kPageTokens;
      codes += 4 * V::kRows;
    }
    const typename V::Vec s0 = V::halves(scales), s1 = V::halves(scales + V::kLanes);
    for (int r = 0; r < kRows; ++r) {
      const typename V::Vec s = V::all(q.scales[g * V::kRows + r]);
      float *c0 = c + r * c_stride, *c1 = c0 + V::kLanes;
      const typename V::Vec sum0 = g == 0 ? V::zero() : V::load(c0);
      const typename V::Vec sum1 = g == 0 ? V::zero() : V::load(c1);
      V::store(c0, V::fma(V::mul(V::floats(dots[r][0]), s0), s, sum0));
      V::store(c1, V::fma(V::mul(V::floats(dots[r][1]), s1), s, sum1));
    }
  }
}

template <class V, int kMost = V::kRows>
void score(int rows, const QueryCodes& q, int64_t groups, const std::byte* keys,
           const uint16_t* scales, float* c, int64_t c_stride, Ahead ahead) {
  if (rows == kMost) return score_rows<V, kMost>(q, groups, keys, scales, c, c_stride, ahead);
  if constexpr (kMost > 1) score<V, kMost - 1>(rows, q, groups, keys, scales, c, c_stride, ahead);
}

}  // namespace
}  // namespace cria::cpu
