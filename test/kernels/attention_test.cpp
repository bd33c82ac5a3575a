// Attention of every table against a softmax in double, around tile, page and split edges; the same
// bits for every cut of the work; and what is stored in the cache.
#include "kv_pages.h"

namespace cria::test {
namespace {

constexpr KvType kTypes[] = {KvType::kF16, KvType::kQ8_0};

/// The last `tokens` tokens of a sequence and the query heads of its middle KV head.
struct Attention {
  static constexpr int kKvHead = 1, kKvHeads = 3;
  int tokens, heads, width;
  int64_t row;  // floats between tokens: other heads lie between
  KvPages kv;
  Guarded<float> q, out;

  Attention(KvType type, int length, int t, int h, int w, Random& random, Edge edge)
      : tokens(t),
        heads(h),
        width(w),
        row(int64_t{h} * w + 6),
        kv(type, length, kKvHeads, w, random, edge),
        q((t - 1) * row + int64_t{h} * w, edge),
        out(q.size(), edge) {
    CHECK(t * h <= cpu::tile_queries(w));
    random.fill_normal(q);
  }

  int past() const { return kv.length - tokens; }
  std::string say() const {
    return cat(name_of(kv.type), " length ", kv.length, " tokens ", tokens, " heads ", heads,
               " width ", width, " ");
  }

  cpu::AttentionArgs arguments(int first, int count, int head, int head_count) {
    static std::vector<cpu::AttentionWorkspace> workspace(1);
    cpu::AttentionArgs args;
    args.type = kv.type;
    args.q = q.data() + first * row + int64_t{head} * width;
    args.row = row;
    args.pages = kv.bytes.data() + kv.head_bytes() * kKvHead;
    args.page_bytes = kv.page_bytes();
    args.page_table = kv.table.data();
    args.past = past() + first;
    args.tokens = count;
    args.heads = head_count;
    args.width = width;
    args.scale = 1 / std::sqrt(static_cast<float>(width));
    args.workspace = workspace.data();
    args.out = out.data() + first * row + int64_t{head} * width;
    return args;
  }
  std::vector<float> result() {
    std::vector<float> all;
    for (int t = 0; t < tokens; ++t)
      all.insert(all.end(), out.data() + t * row, out.data() + t * row + int64_t{heads} * width);
    return all;
  }
  std::vector<float> run(const Kernels& kernels) {
    std::fill(out.begin(), out.end(), 777.0f);
    kernels.attention(arguments(0, tokens, 0, heads));
    for (int t = 0; t + 1 < tokens; ++t)
      for (int64_t i = int64_t{heads} * width; i < row; ++i) CHECK_EQ(out[t * row + i], 777.0f);
    return result();
  }
  /// Each query by itself.
  std::vector<float> run_singly(const Kernels& kernels) {
    for (int t = 0; t < tokens; ++t)
      for (int h = 0; h < heads; ++h) kernels.attention(arguments(t, 1, h, 1));
    return result();
  }
  /// Each split by itself, folded `at_once` at a time.
  std::vector<float> run_splits(const Kernels& kernels, int at_once) {
    const int64_t one = cpu::partial_floats(width);
    const int splits = (kv.length + cpu::kSplitPositions - 1) / cpu::kSplitPositions;
    Guarded<float> partials(splits * tokens * heads * one, Edge::kEnd);
    for (int s = splits - 1; s >= 0; --s) {
      cpu::AttentionArgs args = arguments(0, tokens, 0, heads);
      args.split = s;
      args.partials = partials.data() + s * tokens * heads * one;
      args.partial_row = heads * one;
      kernels.attention(args);
    }
    std::vector<float> total(static_cast<size_t>(one));
    for (int t = 0; t < tokens; ++t) {
      const int own = (past() + t) / cpu::kSplitPositions + 1;
      for (int h = 0; h < heads; ++h) {
        for (int s = 0; s < own; s += at_once) {
          cpu::MergeArgs args;
          args.partials = partials.data() + ((s * tokens + t) * heads + h) * one;
          args.stride = tokens * heads * one;
          args.count = std::min(at_once, own - s);
          args.width = width;
          args.total = total.data();
          args.begins = s == 0;
          if (s + args.count == own) args.out = out.data() + t * row + int64_t{h} * width;
          kernels.merge_splits(args);
        }
      }
    }
    return result();
  }

  std::vector<double> reference() {
    std::vector<double> result;
    const double scale = 1 / std::sqrt(static_cast<float>(width));
    for (int n = 0; n < tokens * heads; ++n) {
      const float* from = q.data() + n / heads * row + n % heads * int64_t{width};
      std::vector<double> query(from, from + width), out_row(static_cast<size_t>(width));
      if (kv.type == KvType::kQ8_0) query = coded(from, width, false);
      const int length = past() + n / heads + 1;
      std::vector<double> weights;
      double most = -INFINITY, sum = 0;
      for (int p = 0; p < length; ++p) {
        double score = 0;
        for (int i = 0; i < width; ++i)
          score += query[static_cast<size_t>(i)] * kv.key(p, kKvHead, i);
        weights.push_back(score * scale);
        most = std::max(most, weights.back());
      }
      for (double& w : weights) sum += w = std::exp(w - most);
      for (int p = 0; p < length; ++p)
        for (int i = 0; i < width; ++i)
          out_row[static_cast<size_t>(i)] +=
              weights[static_cast<size_t>(p)] / sum * kv.value(p, kKvHead, i);
      result.insert(result.end(), out_row.begin(), out_row.end());
    }
    return result;
  }

  void hold_to_reference(double bound) {
    const std::vector<double> exact = reference();
    for (const Table& table : supported_tables()) {
      const std::vector<float> got = run(*table.kernels);
      double worst = 0;
      for (size_t i = 0; i < got.size(); ++i) {
        const double error = std::fabs(double{got[i]} - exact[i]);
        worst = std::isnan(error) ? INFINITY : std::max(worst, error);
      }
      CHECK_SAY(worst < bound, table.variant, " ", say(), "error ", worst);
    }
  }
};

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

struct Shape {
  int tokens, heads, width;
};
// Tiles of whole and part register tiles, up to kTileQueries queries; odd groups; wide heads.
constexpr Shape kShapes[] = {{1, 1, 64},  {1, 8, 64},   {8, 8, 64},  {64, 1, 128},
                             {9, 7, 32},  {21, 3, 96},  {5, 1, 64},  {2, 5, 160},
                             {1, 64, 32}, {13, 4, 128}, {8, 1, 992}, {3, 2, 1024}};
constexpr Shape kF16Shapes[] = {{1, 1, 2},   {3, 5, 10}, {8, 8, 16},  {7, 9, 40},  {16, 4, 80},
                                {1, 8, 100}, {2, 3, 6},  {4, 2, 300}, {24, 1, 258}};

}  // namespace

TEST(attention_matches_double_around_edges) {
  Random random(40);
  size_t turn = 0;
  for (const KvType type : kTypes)
    for (const int length : {1,   2,   15,  16,  17,  31,  32,  33,   63,   64,   65,  127,
                             128, 129, 200, 511, 512, 513, 640, 1023, 1024, 1025, 1537})
      for (const auto& [heads, width] : {std::pair{1, 128}, {4, 32}, {8, 64}})
        Attention(type, length, 1, heads, width, random, turn++ % 2 ? Edge::kEnd : Edge::kStart)
            .hold_to_reference(3e-6);
}

TEST(attention_of_tiles_matches_double) {
  Random random(41);
  for (const KvType type : kTypes) {
    for (const Shape& s : kShapes)
      for (const int past : {0, 1, 30, 100, 505})
        Attention(type, past + s.tokens, s.tokens, s.heads, s.width, random, Edge::kEnd)
            .hold_to_reference(s.width > 256 ? 1e-5 : 3e-6);
  }
  for (const Shape& s : kF16Shapes)
    for (const int past : {0, 29, 511})
      Attention(KvType::kF16, past + s.tokens, s.tokens, s.heads, s.width, random, Edge::kEnd)
          .hold_to_reference(3e-6);
}

TEST(attention_has_the_same_bits_for_every_cut) {
  Random random(42);
  const auto hold = [&](KvType type, const Shape& s, int past) {
    Attention a(type, past + s.tokens, s.tokens, s.heads, s.width, random, Edge::kEnd);
    for (const Table& table : supported_tables()) {
      const std::vector<float> whole = a.run(*table.kernels);
      CHECK_SAY(same(a.run_singly(*table.kernels), whole), table.variant, " singly, ", a.say());
      for (const int at_once : {1, 2, 64})
        CHECK_SAY(same(a.run_splits(*table.kernels, at_once), whole), table.variant, " splits ",
                  at_once, ", ", a.say());
    }
  };
  for (const KvType type : kTypes)
    for (const Shape& s : kShapes)
      for (const int past : {0, 120, 500, 1030}) hold(type, s, past);
  for (const Shape& s : kF16Shapes)
    for (const int past : {0, 20, 1020}) hold(KvType::kF16, s, past);
}

TEST(attention_survives_large_scores) {
  Random random(43);
  for (const KvType type : kTypes) {
    Attention a(type, 600, 3, 4, 64, random, Edge::kEnd);
    for (float& x : a.q) x *= 1000;  // scores of thousands: exp alone would overflow
    a.hold_to_reference(5e-3);       // an error of 1e-7 of a score of 3000 moves its weight
  }
}

TEST(attention_propagates_nan_to_those_who_see_it) {
  Random random(44);
  for (const KvType type : kTypes) {
    for (const int bad : {0, 15, 16, 40, 69, 540}) {
      for (const bool in_key : {true, false}) {
        Attention a(type, 550, 550 - 500, 1, 64, random, Edge::kEnd);
        for (const Table& table : supported_tables()) {
          a.kv.store(bad, scalar_kernels());
          const std::vector<float> clean = a.run(*table.kernels);
          float& element =
              (in_key ? a.kv.keys : a.kv.values)[static_cast<size_t>((bad * 3 + 1) * 64 + 35)];
          const float before = element;
          element = bad % 2 ? NAN : INFINITY;
          if (in_key) element = NAN;  // an infinite score may weigh nothing
          a.kv.store(bad, *table.kernels);
          const std::vector<float> got = a.run(*table.kernels);
          for (size_t i = 0; i < got.size(); ++i) {
            const bool sees = bad <= 500 + static_cast<int>(i / 64);
            const bool hit = in_key || (type == KvType::kF16 ? i % 64 == 35 : i % 64 >= 32);
            CHECK_SAY(sees && hit ? !std::isfinite(got[i]) : same_bits(got[i], clean[i]),
                      table.variant, " ", name_of(type), " position ", bad, " at ", i);
          }
          element = before;
        }
      }
    }
  }
}

TEST(attention_keeps_a_bad_query_to_itself) {
  Random random(45);
  for (const KvType type : kTypes) {
    Attention a(type, 600, 8, 8, 64, random, Edge::kEnd);
    for (const Table& table : supported_tables()) {
      const std::vector<float> clean = a.run(*table.kernels);
      for (const float bad : {NAN, INFINITY, -INFINITY}) {
        float& element = a.q[3 * a.row + 2 * 64 + 9];
        const float before = element;
        element = bad;
        const std::vector<float> got = a.run(*table.kernels);
        for (size_t i = 0; i < got.size(); ++i) {
          const bool own = i / 64 == 3 * 8 + 2;
          CHECK_SAY(own ? std::isnan(got[i]) : same_bits(got[i], clean[i]), table.variant, " ",
                    name_of(type), " query ", i / 64, " for ", bad);
        }
        element = before;
      }
    }
  }
}

TEST(store_kv_gives_the_same_bits_in_every_table) {
  Random random(46);
  for (const KvType type : kTypes) {
    for (const int width : {32, 64, 96, 128, 256}) {
      KvPages kv(type, 70, 3, width, random, Edge::kEnd);
      const float special[] = {65519.0f, 65520.0f, -1e30f, 1e-7f, 5.97e-8f, -0.0f, 1e-39f, 3e38f};
      for (size_t i = 0; i < std::size(special); ++i) kv.keys[i] = kv.values[i + 32] = special[i];
      for (size_t i = 0; i < 32; ++i) kv.keys[static_cast<size_t>(3 * width) + i] = 0;
      kv.values[5 * 3 * static_cast<size_t>(width)] = NAN;
      for (int p = 0; p < 70; ++p) kv.store(p, scalar_kernels());
      const std::vector<std::byte> expected(kv.bytes.begin(), kv.bytes.end());
      for (const Table& table : supported_tables()) {
        std::fill(kv.bytes.begin(), kv.bytes.end(), std::byte{0xff});
        for (int p = 69; p >= 0; --p) kv.store(p, *table.kernels);
        CHECK_SAY(std::equal(expected.begin(), expected.end(), kv.bytes.begin()), table.variant,
                  " ", name_of(type), " width ", width);
      }
    }
  }
}

TEST(store_kv_keeps_values) {
  Random random(47);
  for (const KvType type : kTypes) {
    KvPages kv(type, 45, 2, 64, random, Edge::kStart);
    for (int p = 0; p < 45; ++p) {
      for (int g = 0; g < 2; ++g) {
        const float *k = kv.keys.data() + (p * 2 + g) * 64,
                    *v = kv.values.data() + (p * 2 + g) * 64;
        const std::vector<double> coded_k = coded(k, 64, true), coded_v = coded(v, 64, true);
        for (int i = 0; i < 64; ++i) {
          const auto at = static_cast<size_t>(i);
          const bool f16 = type == KvType::kF16;
          CHECK_EQ(kv.key(p, g, i), f16 ? double{f16_to_f32(f32_to_f16(k[i]))} : coded_k[at]);
          CHECK_EQ(kv.value(p, g, i), f16 ? double{f16_to_f32(f32_to_f16(v[i]))} : coded_v[at]);
        }
      }
    }
  }
}

TEST(store_kv_of_what_is_not_finite_is_nan_in_q8_0) {
  Random random(48);
  KvPages kv(KvType::kQ8_0, 3, 1, 64, random, Edge::kEnd);
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    kv.keys[64 + 40] = kv.values[64 + 3] = bad;
    for (const Table& table : supported_tables()) {
      kv.store(1, *table.kernels);
      for (int i = 0; i < 64; ++i) {
        CHECK_EQ(std::isnan(kv.key(1, 0, i)), i >= 32);
        CHECK_EQ(std::isnan(kv.value(1, 0, i)), i < 32);
      }
    }
  }
}

}  // namespace cria::test
