// F3. Attention of a tile (cpu/attention.h has the mathematics), written once for the instruction
// sets: each includes this with its own vector `V`. Both halves of it are small products
// (cpu/attention_products.h).
//
// Many queries (prefill) have a page's keys and values turned into f32 first, once for all rows;
// few (decode) read them straight from the cache. Internal linkage, as in cpu/activations.h.
#pragma once

#include "cpu/attention_products.h"

namespace cria::cpu {
namespace {

constexpr int kDirectQueries = 8;  // tiles of up to so many read the cache without a copy in f32
constexpr float kLog2E = 0x1.715476p+0f;

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
      float* part =
          a_.partials + r / a_.heads * a_.partial_row + r % a_.heads * partial_floats(a_.width);
      fold<V>(part, w_.most[r], sum(r), w_.out + r * padded_, a_.width, true);
    }
  }

 private:
  using Vec = typename V::Vec;
  static constexpr int kRows = V::kRows;
  static constexpr int kColumns = 2 * V::kLanes;
  static_assert(kPageTokens % kColumns == 0 && kKvGroup % kColumns == 0);

  static int least(int a, int b) { return a < b ? a : b; }
  const std::byte* page(int position) const {
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
    end_ = a_.partials ? end : length_;
    for (int r = first_query(begin); r < queries_; ++r) {
      w_.most[r] = -__builtin_inff();
      V::store(w_.sums + r * V::kLanes, V::zero());
      for (int i = 0; i < padded_; i += V::kLanes) V::store(w_.out + r * padded_ + i, V::zero());
    }
    for (int tile = begin; tile < end; tile += kTilePositions) {
      const int stop = least(tile + kTilePositions, length_);
      for (int base = tile; base < stop; base += kPageTokens) {
        if (a_.type == KvType::kF16) {
          score_f16(base, w_.scores + (base - tile));
        } else {
          score_q8_0(base, w_.scores + (base - tile));
        }
      }
      weigh(tile);
      for (int base = tile; base < stop; base += kPageTokens) {
        if (a_.type == KvType::kF16) {
          add_f16(base, w_.scores + (base - tile));
        } else {
          add_q8_0(base, w_.scores + (base - tile));
        }
      }
    }
  }

  /// While scores of a page are computed its values come, and with its values the keys of the page
  /// a stretch further on: either is used after half a stretch of other work. `steps` fetches ask
  /// for half a page.
  Ahead values_of(int base, int64_t steps) const {
    return {page(base) + layout_.values, layout_.values / steps};
  }
  Ahead next_keys(int base, int64_t steps) const {
    const int next = base + kTilePositions;
    return {page(next < end_ ? next : base), layout_.values / steps};
  }

  /// Calls body(first row, rows, ahead) for every register tile with a query that attends to
  /// `base`.
  template <class Body>
  void for_rows(int base, const Ahead& ahead, const Body& body) const {
    const int first = first_query(base) / kRows * kRows;
    for (int r = first; r < queries_; r += kRows)
      body(r, least(kRows, queries_ - r), ahead.only(r == first));  // it fetches for all
  }

  /// n values in f16 to f32, and zeros up to the next whole vector.
  static void convert(const uint16_t* from, int n, float* to) {
    int i = 0;
    for (; i + V::kLanes <= n; i += V::kLanes) V::store(to + i, V::halves(from + i));
    if (i < n) V::store(to + i, V::halves(from + i, n - i));
  }

  // Scores of the page at `base`, to scores[r · kTilePositions + 0 … 31]. Those of positions that a
  // query does not attend to are left undefined.

  void score_f16(int base, float* scores) {
    const auto* keys = reinterpret_cast<const uint16_t*>(page(base));
    for (int k = 0; k < a_.width; k += AttentionWorkspace::kSlab) {
      const int n = least(a_.width - k, AttentionWorkspace::kSlab);
      const uint16_t* slab = keys + k * kPageTokens;
      if (!direct_) convert(slab, n * kPageTokens, w_.page);
      for_rows(base, values_of(base, a_.width).from(k), [&](int r, int rows, const Ahead& ahead) {
        const float* q = w_.q + r * a_.width + k * kRows;
        float* c = scores + r * kTilePositions;
        if (direct_) {
          multiply<V, FromF16<V>, 1, kRows>(
              rows, {q, slab, kPageTokens, n, c, kTilePositions, kPageTokens, k == 0, ahead});
        } else {
          multiply<V, FromF32<V>, 1, kRows>(
              rows, {q, w_.page, kPageTokens, n, c, kTilePositions, kPageTokens, k == 0, ahead});
        }
      });
    }
  }

  void score_q8_0(int base, float* scores) {
    const std::byte* keys = page(base);
    const auto* scales = reinterpret_cast<const uint16_t*>(keys + layout_.key_scales);
    const int groups = a_.width / kKvGroup;
    for_rows(base, values_of(base, a_.width / 2), [&](int r, int rows, const Ahead& ahead) {
      const QueryCodes q{reinterpret_cast<const QueryCode*>(w_.query_codes) + r * a_.width,
                         w_.query_scales + r * groups, w_.query_starts + r * groups};
      for (int p = 0; p < kPageTokens; p += kColumns)
        score<V>(rows, q, groups, keys + 4 * p, scales + p, scores + r * kTilePositions + p,
                 kTilePositions, ahead);
    });
  }

  /// Scores to weights for the stretch at `tile`, and o to the new m. Rows that see as much of it
  /// go together: their chains of operations are long, and fill each other's waits.
  void weigh(int tile) {
    int r = first_query(tile);
    while (r < queries_) {
      const int n = visible(r, tile, kTilePositions);
      if (r + 4 <= queries_ && visible(r + 3, tile, kTilePositions) == n) {
        weigh_rows<4>(r, n);
        r += 4;
      } else {
        weigh_rows<1>(r++, n);
      }
    }
  }

  /// Rows [r, r + kCount), which see the first n ≥ 1 positions.
  template <int kCount>
  void weigh_rows(int r, int n) {
    float* scores = w_.scores + r * kTilePositions;
    const int full = n / V::kLanes * V::kLanes, left = n - full;
    Vec top[kCount], now[kCount], shrink[kCount], sums[kCount];
    for (int i = 0; i < kCount; ++i) {
      top[i] = V::all(-__builtin_inff());
      if (left > 0)
        top[i] =
            V::keep_first(V::load(scores + i * kTilePositions + full), left, -__builtin_inff());
    }
    for (int p = 0; p < full; p += V::kLanes)
      for (int i = 0; i < kCount; ++i)
        top[i] = V::larger(top[i], V::load(scores + i * kTilePositions + p));
    for (int i = 0; i < kCount; ++i) {
      const Vec before = V::all(w_.most[r + i]);
      now[i] = V::larger(V::all(V::most(top[i])), before);
      shrink[i] = V::exp2(V::sub(before, now[i]));
      w_.most[r + i] = V::lane0(now[i]);
      sums[i] = V::mul(V::load(w_.sums + (r + i) * V::kLanes), shrink[i]);
    }
    for (int p = 0; p < full; p += V::kLanes) {
      for (int i = 0; i < kCount; ++i) {
        float* at = scores + i * kTilePositions + p;
        const Vec weights = V::exp2(V::sub(V::load(at), now[i]));
        V::store(at, weights);
        sums[i] = V::add(sums[i], weights);
      }
    }
    for (int i = 0; i < kCount; ++i) {
      if (left > 0) {
        float* at = scores + i * kTilePositions + full;
        const Vec weights = V::exp2(V::sub(V::load(at), now[i]));
        V::store(at, weights);
        sums[i] = V::add(sums[i], V::keep_first(weights, left, 0));
      }
      V::store(w_.sums + (r + i) * V::kLanes, sums[i]);
    }
    for (int i = 0; i < kCount; ++i) {
      float* out = w_.out + (r + i) * padded_;
      for (int k = 0; k < padded_; k += V::kLanes)
        V::store(out + k, V::mul(V::load(out + k), shrink[i]));
    }
  }

  /// o[r] += Σ_p w[r][p] · values[p] over the positions of the page that each row attends to, for
  /// kColumns columns. Rows of a register tile may see one position more each (the diagonal):
  ///
  ///   row 0   ▒▒▒▒▒            a step takes the rows from r on to where row r ends; in all other
  ///   row 1   ▒▒▒▒▒▒           pages and for the heads of one token there is one step
  ///   row 2   ▒▒▒▒▒▒▒
  template <class From, int kRowStep>
  void add_columns(int base, int r, int rows, Product<From> x) const {
    const Product<From> all = x;
    int done = 0;
    for (int i = 0; i < rows; ++i) {
      const int end = visible(r + i, base, kPageTokens);
      if (end == done) continue;
      x.a = all.a + i * kRowStep + done;
      x.b = all.b + done * all.b_stride;
      x.c = all.c + i * all.c_stride;
      x.n = end - done;
      x.ahead = all.ahead.from(done);
      multiply<V, From, kRowStep, 1>(rows - i, x);
      done = end;
    }
  }

  void add_f16(int base, const float* weights) {
    const auto* values = reinterpret_cast<const uint16_t*>(page(base) + layout_.values);
    const int count = visible(queries_ - 1, base, kPageTokens);
    for (int k = 0; k < a_.width; k += AttentionWorkspace::kSlab) {
      const int n = least(a_.width - k, AttentionWorkspace::kSlab);
      const int stride = (n + kColumns - 1) / kColumns * kColumns;
      if (!direct_)
        for (int p = 0; p < count; ++p) convert(values + p * a_.width + k, n, w_.page + p * stride);
      for_rows(base, next_keys(base, a_.width).from(k), [&](int r, int rows, const Ahead& ahead) {
        const float* w = weights + r * kTilePositions;
        float* out = w_.out + r * padded_ + k;
        if (direct_) {
          add_columns<FromF16<V>, kTilePositions>(
              base, r, rows, {w, values + k, a_.width, 0, out, padded_, stride, false, ahead});
        } else {
          add_columns<FromF32<V>, kTilePositions>(
              base, r, rows, {w, w_.page, stride, 0, out, padded_, stride, false, ahead});
        }
      });
    }
  }

  /// The weights take the scales in: w · (scale · code) = (w · scale) · code.
  void add_q8_0(int base, const float* weights) {
    const auto* values = reinterpret_cast<const int8_t*>(page(base) + layout_.values);
    const auto* scales = reinterpret_cast<const uint16_t*>(page(base) + layout_.value_scales);
    const int count = visible(queries_ - 1, base, kPageTokens);
    for (int k = 0; k < a_.width; k += kKvGroup, scales += kPageTokens) {
      if (!direct_)
        for (int p = 0; p < count; ++p)
          for (int i = 0; i < kKvGroup; i += V::kLanes)
            V::store(w_.page + p * kKvGroup + i, V::bytes(values + p * a_.width + k + i));
      for_rows(base, next_keys(base, a_.width).from(k), [&](int r, int rows, const Ahead& ahead) {
        for (int i = 0; i < rows; ++i)
          for (int p = 0; p < kPageTokens; p += V::kLanes)
            V::store(
                w_.folded + i * kPageTokens + p,
                V::mul(V::load(weights + (r + i) * kTilePositions + p), V::halves(scales + p)));
        float* out = w_.out + r * padded_ + k;
        if (direct_) {
          add_columns<FromI8<V>, kPageTokens>(
              base, r, rows,
              {w_.folded, values + k, a_.width, 0, out, padded_, kKvGroup, false, ahead});
        } else {
          add_columns<FromF32<V>, kPageTokens>(
              base, r, rows,
              {w_.folded, w_.page, kKvGroup, 0, out, padded_, kKvGroup, false, ahead});
        }
      });
    }
  }

  const AttentionArgs& a_;
  AttentionWorkspace& w_;
  const KvLayout layout_;
  const int queries_, length_, padded_;
  const bool direct_;
  int end_ = 0;  // of what this call reads
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
