// Products in every weight type, on every table: against the scalar table on the same quantized
// activations, against exact integers, and against a product in double of the decoded weights and
// the original activations.
#include "kernel_support.h"

namespace cria::test {
namespace {

constexpr uint16_t kOne = 0x3c00;   // f16 1
constexpr uint16_t kTiny = 0x0001;  // the least f16, 2^-24
constexpr uint16_t kSubnormal = 0x03ff;
constexpr uint16_t kLargest = 0x7bff;  // 65504
constexpr uint16_t kSmall = 0x211f;    // 0.01

bool plain_floats(DType type) {
  return dtype_info(type).block_weights == 1;
}

/// Σ_k |w|·|x|, plus what the minimums contribute before they cancel: the bound of rounding errors
/// is relative to it.
double magnitude(const Product& p, const std::vector<float>& w, int64_t t) {
  const bool has_minimum = p.type == DType::kQ4_1 || p.type == DType::kQ5_1 ||
                           p.type == DType::kQ2_K || p.type == DType::kQ4_K ||
                           p.type == DType::kQ5_K;
  const size_t block = dtype_info(p.type).block_weights;
  double sum = 0;
  for (size_t first = 0; first < w.size(); first += block) {
    double most = 0;
    for (size_t k = first; k < first + block; ++k) most = std::max(most, std::fabs(double{w[k]}));
    for (size_t k = first; k < first + block; ++k) {
      const double weight = has_minimum ? most : std::fabs(double{w[k]});
      sum += weight * std::fabs(double{p.x[t * p.cols + static_cast<int64_t>(k)]});
    }
  }
  return sum;
}

/// Every table against the scalar one.
void check_against_scalar(const Product& p, Edge edge) {
  const std::vector<float> expected = p.run(scalar_kernels(), edge);
  for (const Table& table : supported_tables()) {
    const std::vector<float> got = p.run(*table.kernels, edge);
    double worst = 0;
    for (int64_t r = 0; r < p.rows; ++r) {
      const std::vector<float> w = p.decoded_row(r);
      for (int64_t t = 0; t < p.tokens; ++t) {
        const auto i = static_cast<size_t>(t * p.rows + r);
        const double error = std::fabs(double{got[i]} - double{expected[i]});
        const double bound = magnitude(p, w, t);
        if (!(error <= 1e-6 * bound)) worst = std::max(worst, bound > 0 ? error / bound : INFINITY);
        if (!std::isfinite(got[i])) worst = INFINITY;
      }
    }
    CHECK_SAY(worst <= 1e-6, table.variant, " ", p.say(), "worst error ", worst, " of Σ|terms|");
  }
}

/// Shapes that meet every tile width, odd block counts, and rows shorter than a vector.
std::vector<int64_t> columns_of(DType type) {
  const int64_t block = dtype_info(type).block_weights;
  if (block == 1) return {1, 7, 8, 15, 16, 17, 31, 33, 40, 64, 100, 172};
  if (block == 32) return {32, 64, 96, 160, 544};
  return {256, 512, 768};
}

}  // namespace

TEST(matmul_all_types_match_scalar) {
  Random random(1);
  const int64_t tokens[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 17};
  size_t turn = 0;
  for (DType type : kAllTypes) {
    for (int64_t k : columns_of(type)) {
      for (int64_t n : {int64_t{1}, int64_t{3}, int64_t{17}, random.integer(1, 130)}) {
        const Edge edge = turn % 2 ? Edge::kEnd : Edge::kStart;
        Product p(type, n, k, tokens[turn++ % std::size(tokens)], edge);
        p.encode_normal(random);
        random.fill_normal(p.x);
        check_against_scalar(p, edge);
      }
    }
  }
}

TEST(matmul_random_bits_and_extreme_scales_match_scalar) {
  Random random(2);
  for (DType type : kAllTypes) {
    const int64_t block = dtype_info(type).block_weights;
    for (uint16_t d : {kSmall, kTiny, kSubnormal, kLargest, uint16_t{0}, uint16_t{0x8001}}) {
      for (uint16_t m : {d, kSmall}) {
        Product p(type, 9, block * 3, 5, Edge::kEnd);
        p.random_bits(random, d, m);
        random.fill_normal(p.x);
        check_against_scalar(p, Edge::kEnd);
      }
    }
  }
}

TEST(matmul_extreme_codes_do_not_saturate) {
  Random random(3);
  for (DType type : kAllTypes) {
    if (plain_floats(type)) continue;
    const int64_t block = dtype_info(type).block_weights;
    // 0x80 is −128 in Q8_0; 0x00 and 0xff are the ends of every smaller code.
    for (int fill : {0x00, 0x0f, 0x7f, 0x80, 0x81, 0xf0, 0xff}) {
      Product p(type, 2, block * 3, 3, Edge::kEnd);
      for (std::byte& b : p.weights) b = static_cast<std::byte>(fill);
      set_scales(type, p.weights.data(), p.weights.size(), kOne, kOne);
      for (int64_t i = 0; i < p.x.size(); ++i) {  // all codes +127, all −127, alternating
        const int64_t token = i / p.cols;
        p.x[i] = token == 0 ? 127.0f : token == 1 ? -127.0f : i % 2 ? 127.0f : -127.0f;
      }
      check_against_scalar(p, Edge::kEnd);
    }
  }
}

// With scales of 1 and activations that are integers with ±127 in each group, every product and sum
// is an integer below 2^24: the result must be exact on every table.
TEST(matmul_block_sums_are_exact_integers) {
  Random random(4);
  for (DType type : kAllTypes) {
    if (plain_floats(type)) continue;
    for (int blocks : {1, 2, 3}) {
      Product p(type, 33, blocks * int64_t{dtype_info(type).block_weights}, 5, Edge::kStart);
      p.random_bits(random, kOne, kOne);
      for (int64_t i = 0; i < p.x.size(); ++i)
        p.x[i] = i % 32 == 0 ? 127.0f : static_cast<float>(random.integer(-127, 127));
      for (const Table& table : supported_tables()) {
        const std::vector<float> got = p.run(*table.kernels);
        int64_t wrong = 0;
        for (int64_t r = 0; r < p.rows; ++r) {
          const std::vector<float> w = p.decoded_row(r);
          for (int64_t t = 0; t < p.tokens; ++t) {
            double exact = 0;
            for (int64_t k = 0; k < p.cols; ++k)
              exact += double{w[static_cast<size_t>(k)]} * double{p.x[t * p.cols + k]};
            wrong += double{got[static_cast<size_t>(t * p.rows + r)]} != exact;
          }
        }
        CHECK_SAY(wrong == 0, table.variant, " ", p.say(), wrong, " sums are not exact");
      }
    }
  }
}

TEST(matmul_zero_weights_give_zero) {
  Random random(5);
  for (DType type : kAllTypes) {
    const int64_t k = dtype_info(type).block_weights * int64_t{3};
    Product p(type, 5, k, 5, Edge::kEnd);
    const std::vector<float> zeros(static_cast<size_t>(k));
    for (int64_t r = 0; r < p.rows; ++r)
      quantize_row(type, zeros.data(), p.weights.data() + r * p.row_bytes(), k);
    random.fill_normal(p.x);
    for (const Table& table : supported_tables())
      for (float y : p.run(*table.kernels)) CHECK_SAY(y == 0, table.variant, " ", p.say(), y);
  }
}

TEST(matmul_zero_activations_give_zero) {
  Random random(6);
  for (DType type : kAllTypes) {
    Product p(type, 5, dtype_info(type).block_weights * int64_t{3}, 5, Edge::kEnd);
    p.encode_normal(random);
    for (const Table& table : supported_tables())
      for (float y : p.run(*table.kernels)) CHECK_SAY(y == 0, table.variant, " ", p.say(), y);
  }
}

// The promise of batch invariance: same bits for any neighbours, tile and range of rows.
TEST(matmul_columns_and_rows_alone_have_the_same_bits) {
  Random random(7);
  for (DType type : kAllTypes) {
    const int64_t k = plain_floats(type) ? 172 : dtype_info(type).block_weights * int64_t{5};
    Product p(type, 37, k, 9, Edge::kEnd);
    p.encode_normal(random);
    random.fill_normal(p.x);
    for (const Table& table : supported_tables()) {
      const std::vector<float> all = p.run(*table.kernels);
      int64_t wrong = 0;
      for (int64_t t0 = 0; t0 < p.tokens; ++t0) {
        for (int64_t t1 = t0 + 1; t1 <= p.tokens; ++t1) {
          const int64_t r0 = random.integer(0, p.rows - 1), r1 = random.integer(r0 + 1, p.rows);
          const std::vector<float> part = p.run(*table.kernels, t0, t1, r0, r1);
          for (int64_t t = t0; t < t1; ++t)
            for (int64_t r = r0; r < r1; ++r)
              wrong += !same_bits(all[static_cast<size_t>(t * p.rows + r)],
                                  part[static_cast<size_t>((t - t0) * (r1 - r0) + r - r0)]);
        }
      }
      CHECK_SAY(wrong == 0, table.variant, " ", p.say(), wrong, " elements depend on the batch");
    }
  }
}

namespace {

/// Σ (got − exact)² / Σ exact² against decoded weights × original activations in double.
double normalised_error(const Product& p, const Kernels& kernels) {
  const std::vector<float> got = p.run(kernels);
  double error = 0, power = 0;
  for (int64_t r = 0; r < p.rows; ++r) {
    const std::vector<float> w = p.decoded_row(r);
    for (int64_t t = 0; t < p.tokens; ++t) {
      double exact = 0;
      for (int64_t k = 0; k < p.cols; ++k)
        exact += double{w[static_cast<size_t>(k)]} * double{p.x[t * p.cols + k]};
      const double difference = double{got[static_cast<size_t>(t * p.rows + r)]} - exact;
      error += difference * difference;
      power += exact * exact;
    }
  }
  return error / power;
}

}  // namespace

TEST(matmul_error_against_double_is_bounded) {
  Random random(8);
  for (DType type : kAllTypes) {
    Product p(type, 65, 2048, 4, Edge::kEnd);
    p.encode_normal(random);
    random.fill_normal(p.x);
    for (const Table& table : supported_tables()) {
      const double error = normalised_error(p, *table.kernels);
      CHECK_SAY(error <= (plain_floats(type) ? 1e-12 : 1e-4), table.variant, " ", p.say(), error);
    }
    // Hard: heavy tails, as the cube of a normal variate (kurtosis 46).
    for (float& x : p.x) x = x * x * x;
    for (const Table& table : supported_tables()) {
      const double error = normalised_error(p, *table.kernels);
      CHECK_SAY(error <= (plain_floats(type) ? 1e-12 : 5e-4), table.variant, " ", p.say(), error);
    }
  }
}

TEST(matmul_one_huge_outlier_stays_in_its_token) {
  Random random(9);
  for (DType type : kAllTypes) {
    Product p(type, 7, 512, 6, Edge::kEnd);
    p.encode_normal(random);
    random.fill_normal(p.x);
    Product clean(type, 7, 512, 6, Edge::kEnd);
    std::copy(p.weights.begin(), p.weights.end(), clean.weights.begin());
    std::copy(p.x.begin(), p.x.end(), clean.x.begin());
    p.x[2 * p.cols + 300] = 1e30f;
    check_against_scalar(p, Edge::kEnd);
    for (const Table& table : supported_tables()) {
      const std::vector<float> with = p.run(*table.kernels), without = clean.run(*table.kernels);
      for (int64_t i = 0; i < p.tokens * p.rows; ++i) {
        const auto j = static_cast<size_t>(i);
        if (i / p.rows != 2) CHECK_SAY(same_bits(with[j], without[j]), table.variant, " ", p.say());
      }
    }
  }
}

TEST(matmul_propagates_nan_and_infinity) {
  Random random(10);
  for (DType type : kAllTypes) {
    for (float bad : {std::nanf(""), -std::nanf("1"), INFINITY, -INFINITY}) {
      Product p(type, 7, 512, 6, Edge::kEnd);
      p.encode_normal(random);
      random.fill_normal(p.x);
      p.x[3 * p.cols + 77] = bad;
      for (const Table& table : supported_tables()) {
        const std::vector<float> got = p.run(*table.kernels);
        for (int64_t i = 0; i < p.tokens * p.rows; ++i) {
          const bool finite = std::isfinite(got[static_cast<size_t>(i)]);
          CHECK_SAY(finite == (i / p.rows != 3), table.variant, " ", p.say(), "input ", bad);
        }
      }
    }
  }
}

}  // namespace cria::test
