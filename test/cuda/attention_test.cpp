// Attention of decode and prefill against a softmax in f64, around page, split and tile edges; and
// the same bits for a row whatever is computed beside it.
#include <cmath>
#include <string>

#include "cuda/device/attention_splits.h"
#include "cuda/device/ops.h"
#include "step_rig.h"
#include "support/check.h"

namespace cria::test_cuda {
namespace {

struct Heads {
  int type, heads, kv_heads, width;
};

std::string say(const Heads& s) {
  return cat(s.type == cuda::kKvF16 ? "f16" : "q8_0", " heads ", s.heads, " of ", s.kv_heads,
             " width ", s.width, " ");
}

/// A batch with its cache and queries; queries and keys are big enough that some weights stand out.
class Rig {
 public:
  Rig(const Heads& s, const std::vector<Count>& counts, int rows, unsigned seed)
      : shape(s),
        random(seed),
        step(device, counts, rows, random),
        cache(device, s.type, s.kv_heads, s.width, step.pages()),
        q(device, normal_values(static_cast<size_t>(rows * s.heads * s.width), random, 2)),
        out(device, q.size()) {
    std::normal_distribution<float> normal;
    for (int slice = 0; slice < static_cast<int>(step.slices().size()); ++slice)
      for (int g = 0; g < s.kv_heads; ++g) fill(slice, g, normal);
    // As the fast kernels round them; the any-width kernel takes them as they are.
    for (size_t i = 0; i < q.size(); ++i) q.data()[i] = f16_to_f32(f32_to_f16(q.data()[i]));
  }

  void run(bool prefill, int most_tokens = 0) {
    CriaCudaAttention a = arguments(prefill, most_tokens);
    DeviceArray<uint8_t> scratch(
        device, cuda::attention_scratch(device.cuda(), a.rows, int64_t{a.heads} * shape.width));
    a.scratch = scratch.data();
    CHECK_EQ(cuda::attention(device.cuda(), &a), 0);
    CHECK_EQ(device.wait(), "");
  }

  const float* row(int row) const { return out.data() + int64_t{row} * shape.heads * shape.width; }
  std::vector<float> row_values(int r) const {
    return {row(r), row(r) + shape.heads * shape.width};
  }
  /// Squared error against squared values, over all rows with a token.
  double error() const {
    double wrong = 0, all = 0;
    for (int r = 0; r < step.alive(); ++r)
      for (int h = 0; h < shape.heads; ++h) {
        const std::vector<double> expected = reference(r, h);
        for (int i = 0; i < shape.width; ++i) {
          const double x = expected[static_cast<size_t>(i)], got = row(r)[h * shape.width + i];
          wrong += std::isfinite(got) ? (got - x) * (got - x) : 1e30;
          all += x * x;
        }
      }
    return wrong / all;
  }

  Heads shape;
  std::mt19937 random;
  Device device;
  StepRig step;
  KvRig cache;
  DeviceArray<float> q, out;

 private:
  void fill(int slice, int g, std::normal_distribution<float>& normal) {
    const CriaCudaSlice& s = step.slices()[static_cast<size_t>(slice)];
    for (int p = 0; p < s.past + s.count; ++p)
      for (int i = 0; i < shape.width; ++i) {
        const float scale = 0.01f + 0.001f * static_cast<float>((p + i / 32) % 7);
        for (const bool key : {true, false}) {
          const float x = normal(random);
          cache.set(key, step.page_of(slice, p), g, p, i, std::min(std::max(x, -1.2f), 1.2f),
                    scale);
        }
      }
  }

  CriaCudaAttention arguments(bool prefill, int most_tokens) const {
    CriaCudaAttention a{};
    a.step = step.step();
    a.q = q.data();
    a.out = out.data();
    a.rows = step.rows();
    a.heads = shape.heads;
    a.scale = 1 / std::sqrt(static_cast<float>(shape.width));
    a.prefill = prefill;
    a.most_tokens = std::max(most_tokens, step.longest());
    a.kv = cache.kv();
    return a;
  }

  std::vector<double> reference(int r, int h) const {
    const int slice = step.slice_of(r), length = step.position_of(r) + 1;
    const int g = h / (shape.heads / shape.kv_heads);
    const double scale = 1 / std::sqrt(static_cast<double>(shape.width));
    const float* query = q.data() + (int64_t{r} * shape.heads + h) * shape.width;
    std::vector<double> weights, result(static_cast<size_t>(shape.width));
    double most = -HUGE_VAL, sum = 0;
    for (int p = 0; p < length; ++p) {
      double dot = 0;
      for (int i = 0; i < shape.width; ++i)
        dot += double{query[i]} * cache.key(step.page_of(slice, p), g, p, i);
      weights.push_back(dot * scale);
      most = std::max(most, weights.back());
    }
    for (double& weight : weights) sum += weight = std::exp(weight - most);
    for (int p = 0; p < length; ++p)
      for (int i = 0; i < shape.width; ++i)
        result[static_cast<size_t>(i)] +=
            weights[static_cast<size_t>(p)] / sum * cache.value(step.page_of(slice, p), g, p, i);
    return result;
  }
};

constexpr double kError = 1e-6;

void check(const Heads& s, const std::vector<Count>& counts, int rows, bool prefill,
           unsigned seed) {
  Rig rig(s, counts, rows, seed);
  rig.run(prefill);
  const double error = rig.error();
  if (!(error < kError)) std::printf("  %serror %g\n", say(s).c_str(), error);
  CHECK(error < kError);
  for (int row = rig.step.alive(); row < rows; ++row)  // finite, for what is computed from it
    for (int i = 0; i < s.heads * s.width; ++i) CHECK(std::isfinite(rig.row(row)[i]));
}

const std::vector<Heads> kFast = {
    {cuda::kKvF16, 4, 1, 32},    {cuda::kKvF16, 8, 2, 64},   {cuda::kKvF16, 3, 3, 80},
    {cuda::kKvF16, 6, 2, 96},    {cuda::kKvF16, 8, 1, 128},  {cuda::kKvF16, 10, 1, 256},
    {cuda::kKvQ8_0, 3, 1, 32},   {cuda::kKvQ8_0, 4, 2, 64},  {cuda::kKvQ8_0, 5, 1, 96},
    {cuda::kKvQ8_0, 16, 2, 128}, {cuda::kKvQ8_0, 2, 1, 256}, {cuda::kKvF16, 20, 1, 64}};
const std::vector<Heads> kAny = {{cuda::kKvF16, 4, 2, 8},    {cuda::kKvF16, 2, 1, 2},
                                 {cuda::kKvF16, 3, 1, 100},  {cuda::kKvF16, 2, 2, 1024},
                                 {cuda::kKvQ8_0, 4, 2, 160}, {cuda::kKvQ8_0, 1, 1, 512}};

/// Single rows around pages and splits: 128 positions are one split, from 129 on there are two.
const std::vector<Count> kDecode = {{1, 0},   {1, 30},  {1, 31},  {1, 32},  {1, 126},
                                    {1, 127}, {1, 128}, {1, 255}, {1, 400}, {1, 700}};

TEST(decode_of_fast_widths) {
  unsigned seed = 1;
  for (const Heads& s : kFast) check(s, kDecode, 12, false, seed++);
}

TEST(decode_of_any_width) {
  unsigned seed = 100;
  for (const Heads& s : kAny) check(s, kDecode, 11, false, seed++);
}

TEST(decode_of_more_rows_than_find_room_for_partial_results) {
  std::vector<Count> counts;
  for (int i = 0; i < 37; ++i) counts.push_back({1, 5 * i + 60});
  check({cuda::kKvF16, 2, 1, 32}, counts, 40, false, 1);
  check({cuda::kKvF16, 2, 1, 2}, counts, 40, false, 2);
}

/// Slices of all lengths, around tiles and pages, before and after cached ones.
const std::vector<Count> kMixed = {{9, 0}, {1, 40}, {70, 0}, {8, 3}, {33, 31}, {17, 200}, {1, 300}};

TEST(prefill_of_fast_widths) {
  unsigned seed = 200;
  for (const Heads& s : kFast) check(s, kMixed, 145, true, seed++);
  check({cuda::kKvF16, 4, 1, 64}, {{300, 0}}, 300, true, seed++);
  check({cuda::kKvQ8_0, 4, 4, 32}, {{129, 65}}, 129, true, seed++);
}

TEST(prefill_of_any_width) {
  unsigned seed = 300;
  for (const Heads& s : kAny) check(s, {{9, 0}, {1, 40}, {40, 20}}, 52, true, seed++);
  check({cuda::kKvF16, 130, 2, 32}, {{9, 0}, {12, 40}}, 22, true, seed++);  // too many for a tile
}

TEST(prefill_finds_its_tiles_among_many_slices) {
  std::vector<Count> counts;
  for (int i = 0; i < 75; ++i) counts.push_back({1 + i * 7 % 13, i % 40});
  int rows = 0;
  for (const Count& c : counts) rows += c.count;
  check({cuda::kKvF16, 2, 1, 32}, counts, rows, true, 5);
}

TEST(the_cut_of_a_sequence_covers_it) {
  for (int most = 1; most <= cuda::kMostSplits; ++most)
    for (int length = 1; length < 6000; length += 1 + length / 50) {
      const int tokens = cuda::split_tokens(length, most);
      CHECK_EQ(tokens % cuda::kPageTokens, 0);
      CHECK(tokens > 0 && cuda::ceil_div(length, tokens) <= most);
      CHECK(cuda::ceil_div(length, tokens) <= cuda::ceil_div(length, cuda::kLeastSplit));
    }
}

/// The last `count` rows of a slice of `counts`, computed again without the others: the same cache,
/// queries and bits.
void check_alone(const Heads& s, const std::vector<Count>& counts, bool prefill, size_t slice,
                 int count) {
  const Count whole = counts[slice];
  const int skipped = whole.count - count;
  Rig together(s, counts, 150, 9);
  Rig alone(s, {{count, whole.past + skipped}}, 72, 10);
  const CriaCudaSlice& from = together.step.slices()[slice];
  for (int p = 0; p < from.past + from.count; ++p)
    for (int g = 0; g < s.kv_heads; ++g)
      for (int i = 0; i < s.width; ++i)
        for (const bool key : {true, false}) {
          const int source = together.step.page_of(static_cast<int>(slice), p);
          const double x =
              key ? together.cache.key(source, g, p, i) : together.cache.value(source, g, p, i);
          const float scale = 0.01f + 0.001f * static_cast<float>((p + i / 32) % 7);
          alone.cache.set(key, alone.step.page_of(0, p), g, p, i, static_cast<float>(x),
                          f16_to_f32(f32_to_f16(scale)));
        }
  const int64_t floats = int64_t{s.heads} * s.width;
  std::copy_n(together.q.data() + (from.first_row + skipped) * floats, count * floats,
              alone.q.data());
  together.run(prefill, 5000);
  alone.run(count > 1);
  for (int r = 0; r < count; ++r)
    CHECK(together.row_values(from.first_row + skipped + r) == alone.row_values(r));
}

TEST(a_row_does_not_depend_on_the_rows_beside_it) {
  for (const Heads& s : {Heads{cuda::kKvF16, 4, 1, 64}, Heads{cuda::kKvQ8_0, 2, 1, 32},
                         Heads{cuda::kKvF16, 2, 1, 8}}) {
    check_alone(s, kDecode, false, 8, 1);
    check_alone(s, kDecode, false, 3, 1);
    check_alone(s, kMixed, true, 6, 1);  // decode beside prompts
    check_alone(s, kMixed, true, 4, 33);
  }
}

TEST(a_row_does_not_depend_on_how_its_prompt_was_cut) {
  for (const Heads& s : {Heads{cuda::kKvF16, 4, 1, 64}, Heads{cuda::kKvQ8_0, 2, 1, 32}}) {
    check_alone(s, kMixed, true, 2, 37);
    check_alone(s, kMixed, true, 4, 9);
  }
}

}  // namespace
}  // namespace cria::test_cuda
