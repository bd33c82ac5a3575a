// Activations to 8 bits: the same bits on every table, and the meaning of those bits.
#include "kernel_support.h"

namespace cria::test {
namespace {

constexpr Activation kForms[] = {Activation::kQ8_32, Activation::kQ8_256};

std::vector<std::byte> quantize(const Kernels& k, Activation form, const Guarded<float>& x,
                                Edge edge) {
  Guarded<std::byte> out(cpu::activation_bytes(form, x.size()), edge);
  (form == Activation::kQ8_32 ? k.quantize_q8_32 : k.quantize_q8_256)(x.data(), x.size(),
                                                                      out.data());
  return {out.begin(), out.end()};
}

/// The largest float in place of random data at some positions, and so on: named inputs.
std::vector<std::pair<std::string, void (*)(Guarded<float>&, Random&)>> inputs() {
  using Row = Guarded<float>;
  return {
      {"normal", [](Row& x, Random& r) { r.fill_normal(x); }},
      {"zero", [](Row& x, Random&) { std::fill(x.begin(), x.end(), 0.0f); }},
      {"negative zero", [](Row& x, Random&) { std::fill(x.begin(), x.end(), -0.0f); }},
      {"ties",
       [](Row& x, Random& r) {
         for (float& v : x) v = static_cast<float>(r.integer(-253, 253)) / 2;
         for (int64_t i = 0; i < x.size(); i += 32) x[i] = 127;  // scale 1: halves are ties
       }},
      {"subnormal",
       [](Row& x, Random& r) {
         for (float& v : x) v = r.normal() * 1e-39f;
       }},
      {"around 2^-120",
       [](Row& x, Random& r) {
         for (float& v : x) v = r.normal() * 0x1p-121f;
       }},
      {"largest",
       [](Row& x, Random& r) {
         for (float& v : x) v = r.normal() > 0 ? 0x1.fffffep127f : -0x1.fffffep127f;
       }},
      {"one outlier",
       [](Row& x, Random& r) {
         r.fill_normal(x);
         x[x.size() / 2] = -3e38f;
       }},
      {"NaN",
       [](Row& x, Random& r) {
         r.fill_normal(x);
         x[x.size() - 1] = std::nanf("");
       }},
      {"infinity",
       [](Row& x, Random& r) {
         r.fill_normal(x);
         x[1] = -INFINITY;
       }},
  };
}

}  // namespace

TEST(quantize_gives_the_same_bits_on_every_table) {
  Random random(20);
  for (const auto& [name, fill] : inputs()) {
    for (int64_t cols : {256, 512, 1280}) {
      for (Edge edge : {Edge::kStart, Edge::kEnd}) {
        Guarded<float> x(cols, edge);
        fill(x, random);
        for (Activation form : kForms) {
          const std::vector<std::byte> expected = quantize(scalar_kernels(), form, x, edge);
          for (const Table& table : supported_tables())
            CHECK_SAY(quantize(*table.kernels, form, x, edge) == expected, table.variant, " ", name,
                      " K=", cols, " form ", static_cast<int>(form));
        }
      }
    }
  }
  for (int64_t cols : {32, 96, 160}) {  // short rows of the smaller groups
    Guarded<float> x(cols, Edge::kEnd);
    random.fill_normal(x);
    const std::vector<std::byte> expected =
        quantize(scalar_kernels(), Activation::kQ8_32, x, Edge::kEnd);
    for (const Table& table : supported_tables())
      CHECK(quantize(*table.kernels, Activation::kQ8_32, x, Edge::kEnd) == expected);
  }
}

TEST(quantize_codes_are_nearest_and_symmetrical) {
  Random random(21);
  Guarded<float> x(1024, Edge::kEnd);
  random.fill_normal(x);
  const auto bytes = quantize(scalar_kernels(), Activation::kQ8_32, x, Edge::kEnd);
  const cpu::Q8Read32 row(bytes.data(), x.size());
  for (int64_t g = 0; g < x.size() / 32; ++g) {
    int sum = 0, most = 0;
    for (int64_t i = 32 * g; i < 32 * g + 32; ++i) {
      sum += row.codes[i];
      most = std::max(most, std::abs(int{row.codes[i]}));
      CHECK(std::fabs(row.codes[i] * row.scales[g] - x[i]) <= 0.5001f * row.scales[g]);
    }
    CHECK_EQ(most, 127);
    CHECK_EQ(row.sums[g], row.scales[g] * static_cast<float>(sum));
  }
  for (float& v : x) v = -v;
  const auto mirrored = quantize(scalar_kernels(), Activation::kQ8_32, x, Edge::kEnd);
  const cpu::Q8Read32 other(mirrored.data(), x.size());
  for (int64_t i = 0; i < x.size(); ++i) CHECK_EQ(int{other.codes[i]}, -int{row.codes[i]});
}

TEST(quantize_sums_of_sixteen) {
  Random random(22);
  Guarded<float> x(768, Edge::kEnd);
  random.fill_normal(x);
  const auto bytes = quantize(scalar_kernels(), Activation::kQ8_256, x, Edge::kEnd);
  const cpu::Q8Read256 row(bytes.data(), x.size());
  for (int64_t s = 0; s < x.size() / 16; ++s) {
    int sum = 0;
    for (int64_t i = 16 * s; i < 16 * s + 16; ++i) sum += row.codes[i];
    CHECK_EQ(int{row.sums[s]}, sum);
  }
}

TEST(quantize_zero_and_bad_groups) {
  for (const Table& table : supported_tables()) {
    Guarded<float> x(64, Edge::kEnd);
    x[40] = std::nanf("");
    const auto bytes = quantize(*table.kernels, Activation::kQ8_32, x, Edge::kEnd);
    const cpu::Q8Read32 row(bytes.data(), x.size());
    CHECK_EQ(row.scales[0], 0.0f);
    CHECK_EQ(row.sums[0], 0.0f);
    CHECK(std::isnan(row.scales[1]));
    CHECK(std::isnan(row.sums[1]));
    for (int i = 0; i < 64; ++i) CHECK_EQ(int{row.codes[i]}, 0);
  }
}

}  // namespace cria::test
