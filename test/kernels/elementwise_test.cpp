// Norm, rotation and elementwise kernels of every table against references in double.
#include "kernel_support.h"

namespace cria::test {
namespace {

/// Lengths around the vector widths, and those of small models.
constexpr int64_t kLengths[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 172, 2048};

/// Distance of `got` from `exact` in units of the last place of a float of that size.
double ulps(float got, double exact) {
  if (std::isinf(got) && std::isinf(static_cast<float>(exact))) return 0;
  const int exponent = std::max(std::ilogb(exact == 0 ? 0x1p-149 : exact), -126);
  return std::fabs(double{got} - exact) / std::ldexp(1.0, exponent - 23);
}

}  // namespace

TEST(exp_is_within_two_ulps) {
  // 25 floats in every 0.01 of the range where the result is neither 0 nor infinite.
  std::vector<float> points;
  for (float x = -103.5f; x < 88.7f; x += 0.0004f) points.push_back(x);
  Guarded<float> x(static_cast<int64_t>(points.size()), Edge::kEnd), y(x.size(), Edge::kEnd);
  std::copy(points.begin(), points.end(), x.begin());
  for (const Table& table : supported_tables()) {
    table.kernels->exp(x.data(), x.size(), y.data());
    double worst = 0;
    for (int64_t i = 0; i < x.size(); ++i)
      worst = std::max(worst, ulps(y[i], std::exp(double{x[i]})));
    CHECK_SAY(worst <= 2, table.variant, " worst ", worst, " ulp");
  }
}

TEST(exp_of_special_values) {
  const float in[] = {-INFINITY, INFINITY, 0.0f, -0.0f, -1000.0f, 1000.0f, -104.0f, 89.0f, 88.0f};
  const float out[] = {0.0f, INFINITY, 1.0f, 1.0f, 0.0f, INFINITY, 0.0f, INFINITY, -1.0f};
  for (const Table& table : supported_tables()) {
    for (size_t i = 0; i < std::size(in); ++i) {
      float y = -5;
      table.kernels->exp(in + i, 1, &y);
      if (out[i] >= 0) CHECK_SAY(y == out[i], table.variant, " exp(", in[i], ") = ", y);
    }
    for (float nan : {std::nanf(""), -std::nanf("")}) {
      float y = 0;
      table.kernels->exp(&nan, 1, &y);
      CHECK_SAY(std::isnan(y), table.variant);
    }
  }
}

TEST(rmsnorm_matches_double) {
  Random random(30);
  for (int64_t n : kLengths) {
    for (Edge edge : {Edge::kStart, Edge::kEnd}) {
      Guarded<float> x(n, edge), weight(n, edge), out(n, edge);
      random.fill_normal(x);
      random.fill_normal(weight);
      double squares = 0;
      for (float v : x) squares += double{v} * double{v};
      const double scale = 1 / std::sqrt(squares / static_cast<double>(n) + 1e-5);
      for (const Table& table : supported_tables()) {
        table.kernels->rmsnorm(x.data(), weight.data(), 1e-5f, n, out.data());
        double worst = 0;
        for (int64_t i = 0; i < n; ++i) {
          const double exact = double{x[i]} * scale * double{weight[i]};
          worst = std::max(worst, std::fabs(double{out[i]} - exact) / std::fabs(exact));
        }
        CHECK_SAY(worst < 1e-6, table.variant, " n=", n, " relative error ", worst);
      }
    }
  }
}

TEST(rmsnorm_in_place_zero_and_nan) {
  Random random(31);
  for (const Table& table : supported_tables()) {
    Guarded<float> x(100, Edge::kEnd), weight(100, Edge::kEnd), out(100, Edge::kEnd);
    random.fill_normal(x);
    random.fill_normal(weight);
    table.kernels->rmsnorm(x.data(), weight.data(), 1e-6f, 100, out.data());
    table.kernels->rmsnorm(x.data(), weight.data(), 1e-6f, 100, x.data());
    for (int64_t i = 0; i < 100; ++i) CHECK_SAY(same_bits(x[i], out[i]), table.variant);
    std::fill(x.begin(), x.end(), 0.0f);
    table.kernels->rmsnorm(x.data(), weight.data(), 1e-6f, 100, out.data());
    for (float v : out) CHECK_SAY(v == 0, table.variant);
    x[99] = std::nanf("");
    table.kernels->rmsnorm(x.data(), weight.data(), 1e-6f, 100, out.data());
    for (float v : out) CHECK_SAY(std::isnan(v), table.variant);
  }
}

TEST(silu_mul_matches_double) {
  Random random(32);
  for (int64_t n : kLengths) {
    Guarded<float> gate(n, Edge::kEnd), up(n, Edge::kEnd), x(n, Edge::kEnd), in(n, Edge::kEnd);
    random.fill_normal(x);
    random.fill_normal(up);
    for (float& v : x) v *= 10;
    x[n / 2] = -200;  // exp(200) overflows: the result is −0
    for (const Table& table : supported_tables()) {
      table.kernels->silu_mul(x.data(), up.data(), n, gate.data());
      std::copy(x.begin(), x.end(), in.begin());
      table.kernels->silu_mul(in.data(), up.data(), n, in.data());
      CHECK_SAY(std::equal(gate.begin(), gate.end(), in.begin()), table.variant, " in place");
      for (int64_t i = 0; i < n; ++i) {
        const double exact = double{x[i]} / (1 + std::exp(-double{x[i]})) * double{up[i]};
        CHECK_SAY(std::fabs(double{gate[i]} - exact) <= 1e-6 * std::fabs(exact) + 1e-38,
                  table.variant, " n=", n, " ", gate[i], " for ", exact);
      }
    }
  }
}

TEST(silu_mul_and_add_propagate_nan_to_one_element) {
  for (const Table& table : supported_tables()) {
    Guarded<float> x(37, Edge::kEnd), y(37, Edge::kEnd);
    std::fill(x.begin(), x.end(), 1.0f);
    std::fill(y.begin(), y.end(), 2.0f);
    x[35] = std::nanf("");
    table.kernels->silu_mul(x.data(), y.data(), 37, x.data());
    for (int64_t i = 0; i < 37; ++i) CHECK_SAY(std::isnan(x[i]) == (i == 35), table.variant);
    table.kernels->add(x.data(), y.data(), 37);
    for (int64_t i = 0; i < 37; ++i) CHECK_SAY(std::isnan(x[i]) == (i == 35), table.variant);
  }
}

TEST(add_is_the_float_sum) {
  Random random(33);
  for (int64_t n : kLengths) {
    for (const Table& table : supported_tables()) {
      Guarded<float> x(n, Edge::kStart), y(n, Edge::kStart), before(n, Edge::kStart);
      random.fill_normal(x);
      random.fill_normal(y);
      std::copy(x.begin(), x.end(), before.begin());
      table.kernels->add(x.data(), y.data(), n);
      for (int64_t i = 0; i < n; ++i)
        CHECK_SAY(same_bits(x[i], before[i] + y[i]), table.variant, " n=", n);
    }
  }
}

namespace {

struct RopeCase {
  int heads, width, pairs;
};
constexpr RopeCase kRopes[] = {{1, 2, 1},    {3, 8, 4},     {2, 10, 5},   {4, 64, 32},
                               {2, 80, 40},  {2, 96, 32},   {1, 100, 50}, {3, 128, 64},
                               {2, 128, 20}, {1, 256, 128}, {2, 64, 0},   {2, 48, 3}};

struct Rotation {
  Guarded<float> angles, x;
  std::vector<double> exact;
  cpu::RopeArgs args;

  Rotation(const RopeCase& c, Random& random, Edge edge)
      : angles(2 * c.pairs, edge), x(int64_t{c.heads} * c.width, edge) {
    random.fill_normal(x);
    for (int i = 0; i < c.pairs; ++i) {
      const double angle = double{random.normal()} * 100;
      angles[2 * i] = static_cast<float>(std::cos(angle));
      angles[2 * i + 1] = static_cast<float>(std::sin(angle));
    }
    exact.assign(x.begin(), x.end());
    for (int h = 0; h < c.heads; ++h) {
      for (int i = 0; i < c.pairs; ++i) {
        const auto at = static_cast<size_t>(h * c.width + 2 * i);
        const double x0 = exact[at], x1 = exact[at + 1];
        const double cosine = angles[2 * i], sine = angles[2 * i + 1];
        exact[at] = x0 * cosine - x1 * sine;
        exact[at + 1] = x0 * sine + x1 * cosine;
      }
    }
    args = {angles.data(), c.pairs, c.heads, c.width};
  }
};

}  // namespace

TEST(rope_rotates_in_place) {
  Random random(34);
  for (const RopeCase& c : kRopes) {
    for (const Table& table : supported_tables()) {
      Rotation r(c, random, Edge::kEnd);
      table.kernels->rope(r.args, r.x.data());
      for (int64_t i = 0; i < r.x.size(); ++i) {
        const double error = std::fabs(double{r.x[i]} - r.exact[static_cast<size_t>(i)]);
        CHECK_SAY(error < 1e-6, table.variant, " width ", c.width, " pairs ", c.pairs, " at ", i);
        if (i % c.width >= 2 * c.pairs) CHECK_SAY(error == 0, table.variant, " must stay, ", i);
      }
    }
  }
}

// Keys are stored as they come out of it, and what is stored has the same bits in every table.
TEST(rope_has_the_same_bits_in_every_table) {
  Random random(35);
  for (const RopeCase& c : kRopes) {
    Rotation r(c, random, Edge::kStart);
    const std::vector<float> before(r.x.begin(), r.x.end());
    scalar_kernels().rope(r.args, r.x.data());
    const std::vector<float> expected(r.x.begin(), r.x.end());
    for (const Table& table : supported_tables()) {
      std::copy(before.begin(), before.end(), r.x.begin());
      table.kernels->rope(r.args, r.x.data());
      for (int64_t i = 0; i < r.x.size(); ++i)
        CHECK_SAY(same_bits(r.x[i], expected[static_cast<size_t>(i)]), table.variant, " width ",
                  c.width, " pairs ", c.pairs, " at ", i);
    }
  }
}

}  // namespace cria::test
