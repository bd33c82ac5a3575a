// F3. Attention of a tile (cpu/attention.h has the mathematics), written once for the instruction
// sets: each includes this with its own vector `V`. Both halves of attention are small products with
// the same register tile of up to V::kRows queries × 2 vectors:
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
// Many queries (prefill) have a page's keys and values turned into f32 first, once for all rows; few
// (decode) read them straight from the cache. Internal linkage, as in cpu/activations.h.
#pragma once

#include "cpu/attention.h"
#include "cpu/kv_layout.h"
#include "cpu/kv_codes.h"
#include <kv_dot.h>

namespace cria::cpu {
namespace {

constexpr int kDirectQueries = 8;  // tiles of up to so many read the cache without a copy in f32
constexpr float kLog2E = 0x1.715476p+0f;

/// What the second factor of a product is stored as.
template <class V>
struct FromF32 {
  using Element = float;
  static typename V::Vec load(const float* p) { return V::load(p); }
};
template <class V>
struct FromF16 {
  using Element = uint16_t;
  static typename V::Vec load(const uint16_t* p) { return V::halves(p); }
};
template <class V>
struct FromI8 {
  using Element = int8_t;
  static typename V::Vec load(const int8_t* p) { return V::bytes(p); }
};

/// c[r][0 … 2L) = (fresh ? 0 : c[r]) + Σ_{j<n} a[r][j] · b[j][0 … 2L) for kRows rows r, with a[r][j]
/// at a[r · kRowStep + j · kStep].
template <class V, class From, int kRowStep, int kStep, int kRows>
void multiply_rows(const float* a, const typename From::Element* b, int64_t b_stride, int64_t n,
                   float* c, int64_t c_stride, bool fresh) {
  typename V::Vec sums[kRows][2];
  for (int r = 0; r < kRows; ++r)
    for (int half = 0; half < 2; ++half)
      sums[r][half] = fresh ? V::zero() : V::load(c + r * c_stride + half * V::kLanes);
  for (int64_t j = 0; j < n; ++j) {
    const typename V::Vec b0 = From::load(b), b1 = From::load(b + V::kLanes);
    for (int r = 0; r < kRows; ++r) {
      const typename V::Vec x = V::all(a[r * kRowStep]);
      sums[r][0] = V::fma(x, b0, sums[r][0]);
      sums[r][1] = V::fma(x, b1, sums[r][1]);
    }
    a += kStep;
    b += b_stride;
  }
  for (int r = 0; r < kRows; ++r)
    for (int half = 0; half < 2; ++half)
      V::store(c + r * c_stride + half * V::kLanes, sums[r][half]);
}

/// The same for 1 … kMost rows.
template <class V, class From, int kRowStep, int kStep, int kMost = V::kRows>
void multiply(int rows, const float* a, const typename From::Element* b, int64_t b_stride,
              int64_t n, float* c, int64_t c_stride, bool fresh) {
  if (rows == kMost)
    return multiply_rows<V, From, kRowStep, kStep, kMost>(a, b, b_stride, n, c, c_stride, fresh);
  if constexpr (kMost > 1)
    multiply<V, From, kRowStep, kStep, kMost - 1>(rows, a, b, b_stride, n, c, c_stride, fresh);
}

/// Queries in kQ8_0's form, laid out for a register tile: [K/4][V::kRows] quads of codes, and for
/// each group of 32, [K/32][V::kRows] scales and first values of the sums.
struct QueryCodes {
  const QueryCode* codes;
  const float* scales;
  const int32_t* starts;
};

/// c[r][0 … 2L) = q[r]·keys for the 2L positions at `keys` and `scales`, where quads and groups are
/// a page apart. The bytes' sums are exact: 32 · 255 · 127 is far from 2^31.
template <class V, int kRows>
void score_rows(const QueryCodes& q, int64_t groups, const std::byte* keys, const uint16_t* scales,
                float* c, int64_t c_stride) {
  typename V::Vec sums[kRows][2];
  for (int r = 0; r < kRows; ++r) sums[r][0] = sums[r][1] = V::zero();
  const QueryCode* codes = q.codes;
  for (int64_t g = 0; g < groups; ++g, scales += kPageTokens) {
    typename V::Ints dots[kRows][2];
    for (int r = 0; r < kRows; ++r) dots[r][0] = dots[r][1] = V::ints(q.starts[g * V::kRows + r]);
    for (int quad = 0; quad < kKvGroup / 4; ++quad) {
      const KeyQuads k0(keys), k1(keys + 4 * V::kLanes);
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
      sums[r][0] = V::fma(V::mul(V::floats(dots[r][0]), s0), s, sums[r][0]);
      sums[r][1] = V::fma(V::mul(V::floats(dots[r][1]), s1), s, sums[r][1]);
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int half = 0; half < 2; ++half)
      V::store(c + r * c_stride + half * V::kLanes, sums[r][half]);
}

template <class V, int kMost = V::kRows>
void score(int rows, const QueryCodes& q, int64_t groups, const std::byte* keys,
           const uint16_t* scales, float* c, int64_t c_stride) {
  if (rows == kMost) return score_rows<V, kMost>(q, groups, keys, scales, c, c_stride);
  if constexpr (kMost > 1) score<V, kMost - 1>(rows, q, groups, keys, scales, c, c_stride);
}

/// total = total + (m, l, o): both to the larger m, then added. `total` is (m, l, o[width]).
template <class V>
void fold(float* total, float most, float sum, const float* out, int width, bool begins) {
  float* o = total + 2;
  if (begins) {
    total[0] = most;
    total[1] = sum;
    for (int i = 0; i < width; i += V::kLanes)
      V::store_first(o + i, V::load_first(out + i, width - i), width - i);
    return;
  }
  const float both = most > total[0] ? most : total[0];
  const typename V::Vec shrinks = V::exp2(V::pair(total[0] - both, most - both));
  const float old = V::lane0(shrinks), fresh = V::lane1(shrinks);
  total[0] = both;
  total[1] = total[1] * old + sum * fresh;
  for (int i = 0; i < width; i += V::kLanes) {
    const typename V::Vec added = V::mul(V::load_first(out + i, width - i), V::all(fresh));
    const typename V::Vec kept = V::load_first(o + i, width - i);
    V::store_first(o + i, V::fma(kept, V::all(old), added), width - i);
  }
}

/// out = o / l.
template <class V>
void finish(const float* total, int width, float* out) {
  for (int i = 0; i < width; i += V::kLanes) {
    const typename V::Vec o = V::load_first(total + 2 + i, width - i);
    V::store_first(out + i, V::div(o, V::all(total[1])), width - i);
  }
}

template <class V>
void merge(const MergeArgs& a) {
  for (int s = 0; s < a.count; ++s) {
    const float* part = a.partials + s * a.stride;
    fold<V>(a.total, part[0], part[1], part + 2, a.width, a.begins && s == 0);
  }
  if (a.out) finish<V>(a.total, a.width, a.out);
}

template <class V>
class AttentionTile {
 public:
  explicit AttentionTile(const AttentionArgs& args)
      : a_(args),
        w_(*args.workspace),
        layout_(kv_layout(args.type, args.width)),
        queries_(args.tokens * args.heads),
        length_(args.past + args.tokens),
        padded_((args.width + 31) / 32 * 32),
        direct_(queries_ <= kDirectQueries && args.width % kColumns == 0) {
    for (int r = 0; r < queries_; ++r) lengths_[r] = a_.past + r / a_.heads + 1;
    prepare_queries();
  }

  /// Every split, one after the other, to `out`.
  void run() {
    const int64_t step = partial_floats(a_.width);
    for (int begin = 0; begin < length_; begin += kSplitPositions) {
      attend(begin);
      for (int r = first_query(begin); r < queries_; ++r)
        fold<V>(w_.total + r * step, w_.most[r], sum(r), w_.out + r * padded_, a_.width,
                begin == 0);
    }
    for (int r = 0; r < queries_; ++r)
      finish<V>(w_.total + r * step, a_.width,
                a_.out + r / a_.heads * a_.row + r % a_.heads * a_.width);
  }

  /// One split, to `partials`.
  void run_split() {
    const int begin = a_.split * kSplitPositions;
    attend(begin);
    for (int r = first_query(begin); r < queries_; ++r) {
      float* part = a_.partials + r / a_.heads * a_.partial_row +
                    r % a_.heads * partial_floats(a_.width);
      fold<V>(part, w_.most[r], sum(r), w_.out + r * padded_, a_.width, true);
    }
  }

 private:
  using Vec = typename V::Vec;
  static constexpr int kRows = V::kRows;
  static constexpr int kColumns = 2 * V::kLanes;
  static_assert(kPageTokens % kColumns == 0 && kKvGroup % kColumns == 0);

  static int least(int a, int b) { return a < b ? a : b; }
  const std::byte* part(int position) const {
    return a_.pages + a_.page_table[position / kPageTokens] * a_.page_bytes;
  }
  /// The first query that attends to `position`.
  int first_query(int position) const {
    return position < a_.past ? 0 : (position - a_.past) * a_.heads;
  }
  /// Positions of a stretch from `begin` that query r attends to, of `most`.
  int visible(int r, int begin, int most) const {
    const int count = lengths_[r] - begin;
    return count < 0 ? 0 : least(count, most);
  }
  float sum(int r) const { return V::sum(V::load(w_.sums + r * V::kLanes)); }

  /// Queries times scale / ln 2, so that weights are powers of 2; in tiles of kRows, as products
  /// take them: [tile][K][kRows].
  void prepare_queries() {
    const float scale = a_.scale * kLog2E;
    for (int r = 0; r < queries_; ++r) {
      const float* from = a_.q + r / a_.heads * a_.row + r % a_.heads * a_.width;
      if (a_.type == KvType::kQ8_0) {
        prepare_codes(from, scale, r);
        continue;
      }
      float* to = w_.q + r / kRows * kRows * a_.width + r % kRows;
      for (int i = 0; i < a_.width; ++i) to[i * kRows] = from[i] * scale;
    }
  }

  void prepare_codes(const float* from, float scale, int r) {
    const int tile = r / kRows * kRows, row = r % kRows;
    QueryCode* codes = reinterpret_cast<QueryCode*>(w_.query_codes) + tile * a_.width;
    for (int g = 0; g < a_.width / kKvGroup; ++g) {
      int8_t plain[kKvGroup];
      const int at = tile * (a_.width / kKvGroup) + g * kRows + row;
      w_.query_scales[at] = code_group(from + g * kKvGroup, plain) * scale;
      int32_t total = 0;
      for (const int8_t code : plain) total += code;
      w_.query_starts[at] = -kKeyOffset * total;
      for (int quad = 0; quad < kKvGroup / 4; ++quad)
        store_quad(plain + 4 * quad, codes + 4 * ((g * (kKvGroup / 4) + quad) * kRows + row));
    }
  }

  /// (m, l, o) of the split that begins at `begin`, for every query that reaches it.
  void attend(int begin) {
    const int end = least(begin + kSplitPositions, length_);
    for (int r = first_query(begin); r < queries_; ++r) {
      w_.most[r] = -__builtin_inff();
      V::store(w_.sums + r * V::kLanes, V::zero());
      for (int i = 0; i < padded_; i += V::kLanes) V::store(w_.out + r * padded_ + i, V::zero());
    }
    for (int tile = begin; tile < end; tile += kTilePositions) {
      const int stop = least(tile + kTilePositions, length_);
      for (int base = tile; base < stop; base += kPageTokens) {
        if (direct_) prefetch(base, layout_.values, layout_.bytes);
        if (a_.type == KvType::kF16) {
          score_f16(base, w_.scores + (base - tile));
        } else {
          score_q8_0(base, w_.scores + (base - tile));
        }
      }
      for (int r = first_query(tile); r < queries_; ++r)
        weigh(r, visible(r, tile, kTilePositions));
      for (int base = tile; base < stop; base += kPageTokens) {
        if (direct_ && base + kTilePositions < length_)
          prefetch(base + kTilePositions, 0, layout_.values);
        if (a_.type == KvType::kF16) {
          add_f16(base, w_.scores + (base - tile));
        } else {
          add_q8_0(base, w_.scores + (base - tile));
        }
      }
    }
  }

  /// Asks for bytes [from, to) of a part, about as early as half a tile of work before their use.
  void prefetch(int position, int64_t from, int64_t to) const {
    const std::byte* at = part(position);
    for (int64_t i = from; i < to; i += 64) __builtin_prefetch(at + i, 0, 2);
  }

  /// Calls body(first row, rows) for every register tile with a query that attends to `base`.
  template <class Body>
  void for_rows(int base, const Body& body) const {
    for (int r = first_query(base) / kRows * kRows; r < queries_; r += kRows)
      body(r, least(kRows, queries_ - r));
  }

  // Scores of the page at `base`, to scores[r · kTilePositions + 0 … 31]. Those of positions that a
  // query does not attend to are left undefined.

  void score_f16(int base, float* scores) {
    const auto* keys = reinterpret_cast<const uint16_t*>(part(base));
    for (int k = 0; k < a_.width; k += AttentionWorkspace::kSlab) {
      const int n = least(a_.width - k, AttentionWorkspace::kSlab);
      const uint16_t* slab = keys + k * kPageTokens;
      if (!direct_)
        for (int i = 0; i < n * kPageTokens; i += V::kLanes)
          V::store(w_.page + i, V::halves(slab + i));
      for_rows(base, [&](int r, int rows) {
        const float* q = w_.q + r * a_.width + k * kRows;
        float* c = scores + r * kTilePositions;
        for (int p = 0; p < kPageTokens; p += kColumns) {
          if (direct_) {
            multiply<V, FromF16<V>, 1, kRows>(rows, q, slab + p, kPageTokens, n, c + p,
                                              kTilePositions, k == 0);
          } else {
            multiply<V, FromF32<V>, 1, kRows>(rows, q, w_.page + p, kPageTokens, n, c + p,
                                              kTilePositions, k == 0);
          }
        }
      });
    }
  }

  void score_q8_0(int base, float* scores) {
    const std::byte* keys = part(base);
    const auto* scales = reinterpret_cast<const uint16_t*>(keys + layout_.key_scales);
    const int groups = a_.width / kKvGroup;
    for_rows(base, [&](int r, int rows) {
      const QueryCodes q{reinterpret_cast<const QueryCode*>(w_.query_codes) + r * a_.width,
                         w_.query_scales + r * groups, w_.query_starts + r * groups};
      for (int p = 0; p < kPageTokens; p += kColumns)
        score<V>(rows, q, groups, keys + 4 * p, scales + p, scores + r * kTilePositions + p,
                 kTilePositions);
    });
  }

  /// Scores to weights for the first n ≥ 1 positions of the tile, and o to the new m.
  void weigh(int r, int n) {
    float* scores = w_.scores + r * kTilePositions;
    const int full = n / V::kLanes * V::kLanes;
    Vec top = V::all(-__builtin_inff());
    for (int i = 0; i < full; i += V::kLanes) top = V::larger(top, V::load(scores + i));
    if (full < n)
      top = V::larger(top, V::keep_first(V::load(scores + full), n - full, -__builtin_inff()));
    const float tallest = V::most(top);
    const float most = tallest > w_.most[r] ? tallest : w_.most[r];
    const Vec shrink = V::exp2(V::all(w_.most[r] - most)), now = V::all(most);
    Vec sums = V::mul(V::load(w_.sums + r * V::kLanes), shrink);
    for (int i = 0; i < full; i += V::kLanes) {
      const Vec weights = V::exp2(V::sub(V::load(scores + i), now));
      V::store(scores + i, weights);
      sums = V::add(sums, weights);
    }
    if (full < n) {
      const Vec weights = V::exp2(V::sub(V::load(scores + full), now));
      V::store(scores + full, weights);
      sums = V::add(sums, V::keep_first(weights, n - full, 0));
    }
    V::store(w_.sums + r * V::kLanes, sums);
    w_.most[r] = most;
    float* out = w_.out + r * padded_;
    for (int i = 0; i < padded_; i += V::kLanes)
      V::store(out + i, V::mul(V::load(out + i), shrink));
  }

  /// o[r] += Σ_p w[r][p] · values[p] over the positions of the page that each row attends to, for
  /// kColumns columns. Rows of a register tile may see one position more each (the diagonal):
  ///
  ///   row 0   ▒▒▒▒▒            a step takes the rows from r on to where row r ends; in all other
  ///   row 1   ▒▒▒▒▒▒           pages and for the heads of one token there is one step
  ///   row 2   ▒▒▒▒▒▒▒
  template <class From, int kRowStep>
  void add_columns(int base, int r, int rows, const float* weights,
                   const typename From::Element* values, int64_t stride, float* out) const {
    int done = 0;
    for (int i = 0; i < rows; ++i) {
      const int end = visible(r + i, base, kPageTokens);
      if (end == done) continue;
      multiply<V, From, kRowStep, 1>(rows - i, weights + i * kRowStep + done,
                                     values + done * stride, stride, end - done,
                                     out + i * padded_, padded_, false);
      done = end;
    }
  }

  void add_f16(int base, const float* weights) {
    const auto* values = reinterpret_cast<const uint16_t*>(part(base) + layout_.values);
    const int count = visible(queries_ - 1, base, kPageTokens);
    for (int k = 0; k < a_.width; k += AttentionWorkspace::kSlab) {
      const int n = least(a_.width - k, AttentionWorkspace::kSlab);
      const int stride = (n + kColumns - 1) / kColumns * kColumns;
      if (!direct_)
        for (int p = 0; p < count; ++p)
          for (int i = 0; i < n; i += V::kLanes)
            V::store(w_.page + p * stride + i, V::halves(values + p * a_.width + k + i, n - i));
      for_rows(base, [&](int r, int rows) {
        const float* w = weights + r * kTilePositions;
        float* out = w_.out + r * padded_ + k;
        for (int i = 0; i < n; i += kColumns) {
          if (direct_) {
            add_columns<FromF16<V>, kTilePositions>(base, r, rows, w, values + k + i, a_.width,
                                                    out + i);
          } else {
            add_columns<FromF32<V>, kTilePositions>(base, r, rows, w, w_.page + i, stride, out + i);
          }
        }
      });
    }
  }

  /// The weights take the scales in: w · (scale · code) = (w · scale) · code.
  void add_q8_0(int base, const float* weights) {
    const auto* values = reinterpret_cast<const int8_t*>(part(base) + layout_.values);
    const auto* scales = reinterpret_cast<const uint16_t*>(part(base) + layout_.value_scales);
    const int count = visible(queries_ - 1, base, kPageTokens);
    for (int k = 0; k < a_.width; k += kKvGroup, scales += kPageTokens) {
      if (!direct_)
        for (int p = 0; p < count; ++p)
          for (int i = 0; i < kKvGroup; i += V::kLanes)
            V::store(w_.page + p * kKvGroup + i, V::bytes(values + p * a_.width + k + i));
      for_rows(base, [&](int r, int rows) {
        for (int i = 0; i < rows; ++i)
          for (int p = 0; p < kPageTokens; p += V::kLanes)
            V::store(w_.folded + i * kPageTokens + p,
                     V::mul(V::load(weights + (r + i) * kTilePositions + p), V::halves(scales + p)));
        float* out = w_.out + r * padded_ + k;
        for (int i = 0; i < kKvGroup; i += kColumns) {
          if (direct_) {
            add_columns<FromI8<V>, kPageTokens>(base, r, rows, w_.folded, values + k + i, a_.width,
                                                out + i);
          } else {
            add_columns<FromF32<V>, kPageTokens>(base, r, rows, w_.folded, w_.page + i, kKvGroup,
                                                 out + i);
          }
        }
      });
    }
  }

  const AttentionArgs& a_;
  AttentionWorkspace& w_;
  const KvLayout layout_;
  const int queries_, length_, padded_;
  const bool direct_;
  int lengths_[kTileQueries];
};

template <class V>
void attend(const AttentionArgs& args) {
  AttentionTile<V> tile(args);
  if (args.partials) {
    tile.run_split();
  } else {
    tile.run();
  }
}

}  // namespace
}  // namespace cria::cpu
