// Attention of every table against a softmax in double, around tile and page edges.
#include "backend/backend.h"
#include "kernel_support.h"

namespace cria::test {
namespace {

/// A cache of `length` positions in pages that lie in scattered order, and the queries of one
/// token.
struct Attention {
  int length, heads, width, kv_heads, g;
  std::vector<int32_t> pages;
  Guarded<uint16_t> keys, values;
  Guarded<float> q, out;

  Attention(int len, int h, int w, Random& random, Edge edge)
      : length(len),
        heads(h),
        width(w),
        kv_heads(3),
        g(1),
        keys(page_count() * page_stride(), edge),
        values(keys.size(), edge),
        q(int64_t{h} * w, edge),
        out(q.size(), edge) {
    for (int i = 0; i < page_count(); ++i) pages.push_back(i);
    for (size_t i = pages.size(); i > 1; --i)
      std::swap(pages[i - 1],
                pages[static_cast<size_t>(random.integer(0, static_cast<int64_t>(i) - 1))]);
    for (uint16_t& x : keys) x = f32_to_f16(random.normal());
    for (uint16_t& x : values) x = f32_to_f16(random.normal());
    random.fill_normal(q);
    // Positions that do not count must not be read into the result.
    for (int p = length; p < page_count() * kPageTokens; ++p)
      for (int i = 0; i < width; ++i) *at(keys, p, i) = *at(values, p, i) = 0x7e00;  // NaN
  }

  int page_count() const { return (length + kPageTokens - 1) / kPageTokens; }
  int64_t page_stride() const { return int64_t{kv_heads} * kPageTokens * width; }
  uint16_t* at(Guarded<uint16_t>& cache, int p, int i) {
    return cache.data() + pages[static_cast<size_t>(p / kPageTokens)] * page_stride() +
           (int64_t{g} * kPageTokens + p % kPageTokens) * width + i;
  }

  std::vector<float> run(const Kernels& kernels) {
    const int64_t offset = int64_t{g} * kPageTokens * width;
    cpu::AttentionArgs args;
    args.q = q.data();
    args.keys = keys.data() + offset;
    args.values = values.data() + offset;
    args.page_stride = page_stride();
    args.pages = pages.data();
    args.length = length;
    args.heads = heads;
    args.width = width;
    args.scale = 1 / std::sqrt(static_cast<float>(width));
    args.out = out.data();
    kernels.attention(args);
    return {out.begin(), out.end()};
  }

  std::vector<double> reference() {
    std::vector<double> result(static_cast<size_t>(q.size()));
    const double scale = 1 / std::sqrt(static_cast<float>(width));
    for (int h = 0; h < heads; ++h) {
      std::vector<double> weights(static_cast<size_t>(length));
      double most = -INFINITY, sum = 0;
      for (int p = 0; p < length; ++p) {
        double score = 0;
        for (int i = 0; i < width; ++i)
          score += double{q[int64_t{h} * width + i]} * double{f16_to_f32(*at(keys, p, i))};
        weights[static_cast<size_t>(p)] = score * scale;
        most = std::max(most, score * scale);
      }
      for (double& w : weights) sum += w = std::exp(w - most);
      for (int p = 0; p < length; ++p)
        for (int i = 0; i < width; ++i)
          result[static_cast<size_t>(h * width + i)] +=
              weights[static_cast<size_t>(p)] / sum * double{f16_to_f32(*at(values, p, i))};
    }
    return result;
  }
};

constexpr int kLengths[] = {1, 2, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 200};

}  // namespace

TEST(attention_matches_double) {
  Random random(40);
  size_t turn = 0;
  for (int length : kLengths) {
    for (int width : {2, 8, 10, 16, 64, 80, 96, 100, 128, 256}) {
      for (int heads : {1, 4, 8}) {
        Attention a(length, heads, width, random, turn++ % 2 ? Edge::kEnd : Edge::kStart);
        const std::vector<double> exact = a.reference();
        for (const Table& table : supported_tables()) {
          const std::vector<float> got = a.run(*table.kernels);
          double worst = 0;
          for (size_t i = 0; i < got.size(); ++i) {
            const double error = std::fabs(double{got[i]} - exact[i]);
            worst = std::isnan(error) ? INFINITY : std::max(worst, error);
          }
          CHECK_SAY(worst < 3e-6, table.variant, " length ", length, " width ", width, " heads ",
                    heads, " error ", worst);
        }
      }
    }
  }
}

TEST(attention_of_many_heads_equals_each_alone) {
  Random random(41);
  for (int heads : {2, 3, 5, 7, 9, 13, 17}) {
    Attention all(75, heads, 24, random, Edge::kEnd);
    for (const Table& table : supported_tables()) {
      const std::vector<float> together = all.run(*table.kernels);
      for (int h = 0; h < heads; ++h) {
        Attention one(75, 1, 24, random, Edge::kEnd);
        one.pages = all.pages;
        std::copy(all.keys.begin(), all.keys.end(), one.keys.begin());
        std::copy(all.values.begin(), all.values.end(), one.values.begin());
        std::copy_n(all.q.data() + h * 24, 24, one.q.data());
        const std::vector<float> alone = one.run(*table.kernels);
        for (size_t i = 0; i < 24; ++i)
          CHECK_SAY(same_bits(alone[i], together[static_cast<size_t>(h) * 24 + i]), table.variant,
                    " heads ", heads, " head ", h);
      }
    }
  }
}

TEST(attention_survives_large_scores) {
  Random random(42);
  Attention a(100, 4, 64, random, Edge::kEnd);
  for (float& x : a.q) x *= 1000;  // scores of thousands: exp alone would overflow
  const std::vector<double> exact = a.reference();
  for (const Table& table : supported_tables()) {
    const std::vector<float> got = a.run(*table.kernels);
    for (size_t i = 0; i < got.size(); ++i)  // an error of 1e-7 of a score of 3000 moves its weight
      CHECK_SAY(std::fabs(double{got[i]} - exact[i]) < 5e-3, table.variant);
  }
}

TEST(attention_propagates_nan) {
  Random random(43);
  for (int bad : {0, 15, 16, 40, 69}) {
    for (bool in_key : {true, false}) {
      Attention a(70, 5, 20, random, Edge::kEnd);
      *a.at(in_key ? a.keys : a.values, bad, 3) = 0x7e00;
      for (const Table& table : supported_tables()) {
        const std::vector<float> got = a.run(*table.kernels);
        for (size_t i = 0; i < got.size(); ++i)
          CHECK_SAY(std::isnan(got[i]) == (in_key || i % 20 == 3), table.variant, " position ",
                    bad);
      }
    }
  }
}

}  // namespace cria::test
