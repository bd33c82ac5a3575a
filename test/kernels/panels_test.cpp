// Packed weights: the layout there and back, and their products on every table against the scalar
// table, against exact integers, and against themselves in other batches.
#include "cpu/panels.h"

#include "kernel_support.h"

namespace cria::test {
namespace {

constexpr uint16_t kOne = 0x3c00;  // f16 1

bool plain_floats(DType type) {
  return dtype_info(type).block_weights == 1;
}

/// The weights of a product as panels, in guarded memory.
struct Panels : Guarded<std::byte> {
  Panels(const Product& p, Edge edge) : Guarded(cpu::packed_bytes(p.type, p.rows, p.cols), edge) {
    const int64_t bytes = cpu::panel_bytes(p.type, p.cols);
    for (int64_t r = 0; r < p.rows; r += cpu::kPanelRows)
      cpu::pack_panel(p.type, p.weights.data() + r * p.row_bytes(),
                      std::min(cpu::kPanelRows, p.rows - r), p.cols,
                      data() + r / cpu::kPanelRows * bytes);
  }
};

/// Tokens [t0, t1) × panels [p0, p1): [t1 − t0][32·(p1 − p0)].
std::vector<float> run(const Product& p, const Panels& panels, const Kernels& k, int64_t t0,
                       int64_t t1, int64_t p0, int64_t p1) {
  const cpu::Matmul& matmul = k.matmul[static_cast<uint32_t>(p.type)];
  const int64_t stride = cpu::activation_bytes(matmul.input, p.cols);
  Guarded<std::byte> prepared((t1 - t0) * stride, Edge::kEnd);
  for (int64_t t = t0; t < t1; ++t) {
    const float* from = p.x.data() + t * p.cols;
    std::byte* to = prepared.data() + (t - t0) * stride;
    if (matmul.input == Activation::kF32) std::memcpy(to, from, static_cast<size_t>(p.cols) * 4);
    if (matmul.input == Activation::kQ8_32) k.quantize_q8_32(from, p.cols, to);
    if (matmul.input == Activation::kQ8_256) k.quantize_q8_256(from, p.cols, to);
  }
  const int64_t rows = (p1 - p0) * cpu::kPanelRows;
  Guarded<float> out((t1 - t0) * rows, Edge::kEnd);
  cpu::PanelArgs args;
  args.panel_bytes = cpu::panel_bytes(p.type, p.cols);
  args.weights = panels.data() + p0 * args.panel_bytes;
  args.panels = p1 - p0;
  args.cols = p.cols;
  args.x = prepared.data();
  args.x_stride = stride;
  args.tokens = t1 - t0;
  args.out = out.data();
  args.out_stride = rows;
  matmul.panels(args);
  return {out.begin(), out.end()};
}
std::vector<float> run(const Product& p, const Panels& panels, const Kernels& k) {
  return run(p, panels, k, 0, p.tokens, 0, cpu::panel_count(p.rows));
}

/// Σ_k (|w| and what a minimum adds before it cancels) · |x|
double magnitude(const std::vector<float>& w, int64_t block, const float* x) {
  double sum = 0;
  for (size_t first = 0; first < w.size(); first += static_cast<size_t>(block)) {
    double most = 0;
    const size_t last = std::min(w.size(), first + static_cast<size_t>(block));
    for (size_t k = first; k < last; ++k) most = std::max(most, std::fabs(double{w[k]}));
    for (size_t k = first; k < last; ++k) sum += most * std::fabs(double{x[k]});
  }
  return sum;
}

/// Every table against the scalar one, which is held against the file's form.
void check_against_scalar(const Product& p, Edge edge) {
  const Panels panels(p, edge);
  const std::vector<float> expected = p.run(scalar_kernels());
  const int64_t padded = cpu::panel_count(p.rows) * cpu::kPanelRows;
  for (const Table& table : supported_tables()) {
    const std::vector<float> got = run(p, panels, *table.kernels);
    double worst = 0;
    for (int64_t r = 0; r < p.rows; ++r) {
      const std::vector<float> w = p.decoded_row(r);
      for (int64_t t = 0; t < p.tokens; ++t) {
        const double want = expected[static_cast<size_t>(t * p.rows + r)];
        const double error = std::fabs(double{got[static_cast<size_t>(t * padded + r)]} - want);
        const double bound =
            magnitude(w, dtype_info(p.type).block_weights, p.x.data() + t * p.cols);
        if (!(error <= 1e-6 * bound)) worst = std::max(worst, bound > 0 ? error / bound : INFINITY);
      }
    }
    CHECK_SAY(worst <= 1e-6, table.variant, " ", p.say(), "worst error ", worst, " of Σ|terms|");
    for (int64_t t = 0; t < p.tokens; ++t)
      for (int64_t r = p.rows; r < padded; ++r)
        CHECK_SAY(got[static_cast<size_t>(t * padded + r)] == 0, table.variant, " ", p.say(),
                  "row ", r, " is padding and not 0");
  }
}

/// Columns that meet odd blocks, the ends of a tile's 512 inputs, and rows of no full vector.
std::vector<int64_t> columns_of(DType type) {
  const int64_t block = dtype_info(type).block_weights;
  if (block == 1) return {1, 7, 33, 172, 512, 513, 1100};
  if (block == 32) return {32, 96, 512, 544, 1056};
  return {256, 512, 768, 1280};
}

}  // namespace

TEST(panels_give_back_the_files_bits) {
  Random random(1);
  for (DType type : kAllTypes) {
    for (int64_t n : {1, 15, 31, 32, 33}) {
      const int64_t k = dtype_info(type).block_weights * int64_t{5};
      Product p(type, n, k, 1, Edge::kEnd);
      for (std::byte& b : p.weights) b = static_cast<std::byte>(random.integer(0, 255));
      const Panels panels(p, Edge::kEnd);
      const int64_t block = dtype_info(type).block_weights;
      for (int64_t r = 0; r < n; ++r) {
        for (int64_t first : {int64_t{0}, 2 * block}) {
          std::vector<std::byte> row(static_cast<size_t>(row_bytes(type, k - first)));
          const std::byte* panel = panels.data() + r / cpu::kPanelRows * cpu::panel_bytes(type, k);
          cpu::unpack_row(type, panel, r % cpu::kPanelRows, first, k - first, row.data());
          const std::byte* want = p.weights.data() + r * p.row_bytes() + row_bytes(type, first);
          CHECK_SAY(std::memcmp(row.data(), want, row.size()) == 0, p.say(), "row ", r, " from ",
                    first);
        }
      }
    }
  }
}

TEST(panels_take_the_files_bits_per_weight) {
  for (DType type : kAllTypes) {
    const double file = static_cast<double>(row_bytes(type, 4096)) * 64;
    const double packed = static_cast<double>(cpu::packed_bytes(type, 64, 4096));
    const bool widened = type == DType::kQ3_K || type == DType::kIQ4_XS;
    CHECK_SAY(packed == file || (widened && packed < file * 1.04), dtype_info(type).name, " ",
              packed / file);
    CHECK_EQ(cpu::panel_bytes(type, dtype_info(type).block_weights * int64_t{3}) % 64, int64_t{0});
  }
}

TEST(panel_products_match_scalar) {
  Random random(2);
  const int64_t tokens[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 17};
  size_t turn = 0;
  for (DType type : kAllTypes) {
    for (int64_t k : columns_of(type)) {
      for (int64_t n : {int64_t{1}, int64_t{17}, int64_t{64}, random.integer(1, 130)}) {
        const Edge edge = turn % 2 ? Edge::kEnd : Edge::kStart;
        Product p(type, n, k, tokens[turn++ % std::size(tokens)], edge);
        p.encode_normal(random);
        random.fill_normal(p.x);
        check_against_scalar(p, edge);
      }
    }
  }
}

TEST(panel_products_of_random_bits_and_extreme_scales_match_scalar) {
  Random random(3);
  for (DType type : kAllTypes) {
    const int64_t block = dtype_info(type).block_weights;
    for (uint16_t d : {uint16_t{0x211f}, uint16_t{1}, uint16_t{0x03ff}, uint16_t{0x7bff},
                       uint16_t{0}, uint16_t{0x8001}}) {
      for (int64_t t : {1, 11}) {
        Product p(type, 9, block * 3, t, Edge::kEnd);
        p.random_bits(random, d, d);
        random.fill_normal(p.x);
        check_against_scalar(p, Edge::kEnd);
      }
    }
  }
}

TEST(panel_products_with_extreme_codes_do_not_saturate) {
  for (DType type : kAllTypes) {
    if (plain_floats(type)) continue;
    const int64_t block = dtype_info(type).block_weights;
    for (int fill : {0x00, 0x0f, 0x7f, 0x80, 0x81, 0xf0, 0xff}) {
      Product p(type, 2, block * 3, 12, Edge::kEnd);
      for (std::byte& b : p.weights) b = static_cast<std::byte>(fill);
      set_scales(type, p.weights.data(), p.weights.size(), kOne, kOne);
      for (int64_t i = 0; i < p.x.size(); ++i) {  // all codes +127, all −127, alternating
        const int64_t way = i / p.cols % 3;
        p.x[i] = way == 0 ? 127.0f : way == 1 ? -127.0f : i % 2 ? 127.0f : -127.0f;
      }
      check_against_scalar(p, Edge::kEnd);
    }
  }
}

// With scales of 1 and activations that are integers with ±127 in each group, every product and sum
// is an integer below 2^24: the result must be exact on every table.
TEST(panel_products_are_exact_in_integers) {
  Random random(4);
  for (DType type : kAllTypes) {
    if (plain_floats(type)) continue;
    for (int64_t tokens : {1, 5, 14}) {
      Product p(type, 33, 3 * int64_t{dtype_info(type).block_weights}, tokens, Edge::kStart);
      p.random_bits(random, kOne, kOne);
      for (int64_t i = 0; i < p.x.size(); ++i)
        p.x[i] = i % 32 == 0 ? 127.0f : static_cast<float>(random.integer(-127, 127));
      const Panels panels(p, Edge::kEnd);
      const int64_t padded = cpu::panel_count(p.rows) * cpu::kPanelRows;
      for (const Table& table : supported_tables()) {
        const std::vector<float> got = run(p, panels, *table.kernels);
        int64_t wrong = 0;
        for (int64_t r = 0; r < p.rows; ++r) {
          const std::vector<float> w = p.decoded_row(r);
          for (int64_t t = 0; t < p.tokens; ++t) {
            double exact = 0;
            for (int64_t k = 0; k < p.cols; ++k)
              exact += double{w[static_cast<size_t>(k)]} * double{p.x[t * p.cols + k]};
            wrong += double{got[static_cast<size_t>(t * padded + r)]} != exact;
          }
        }
        CHECK_SAY(wrong == 0, table.variant, " ", p.say(), wrong, " sums are not exact");
      }
    }
  }
}

// An output has the same bits in any batch and any range of panels.
TEST(panel_products_do_not_depend_on_the_batch) {
  Random random(5);
  for (DType type : kAllTypes) {
    const int64_t k = plain_floats(type) ? 1100 : 768;
    Product p(type, 100, k, 41, Edge::kEnd);
    p.encode_normal(random);
    random.fill_normal(p.x);
    const Panels panels(p, Edge::kEnd);
    const int64_t count = cpu::panel_count(p.rows), padded = count * cpu::kPanelRows;
    for (const Table& table : supported_tables()) {
      const std::vector<float> whole = run(p, panels, *table.kernels);
      for (int64_t width : {1, 2, 3, 4, 5, 7, 8, 9, 12, 23}) {
        int64_t wrong = 0;
        for (int64_t t = 0; t < p.tokens; t += width) {
          const int64_t end = std::min(t + width, p.tokens), p0 = t % 2 == 0 ? 0 : 1;
          const std::vector<float> part = run(p, panels, *table.kernels, t, end, p0, count - p0);
          const int64_t rows = (count - 2 * p0) * cpu::kPanelRows;
          for (int64_t i = t; i < end; ++i)
            for (int64_t r = 0; r < rows; ++r)
              wrong +=
                  !same_bits(part[static_cast<size_t>((i - t) * rows + r)],
                             whole[static_cast<size_t>(i * padded + p0 * cpu::kPanelRows + r)]);
        }
        CHECK_SAY(wrong == 0, table.variant, " ", p.say(), wrong, " differ in batches of ", width);
      }
    }
  }
}

TEST(panel_products_carry_nan_and_infinity_of_their_token_alone) {
  Random random(6);
  for (DType type : kAllTypes) {
    const int64_t k = dtype_info(type).block_weights * int64_t{3};
    for (float bad : {NAN, INFINITY, -INFINITY}) {
      Product p(type, 5, k, 10, Edge::kEnd);
      p.encode_normal(random);
      random.fill_normal(p.x);
      p.x[4 * k + k / 2] = bad;
      const Panels panels(p, Edge::kEnd);
      const int64_t padded = cpu::panel_count(p.rows) * cpu::kPanelRows;
      for (const Table& table : supported_tables()) {
        const std::vector<float> got = run(p, panels, *table.kernels);
        for (int64_t t = 0; t < p.tokens; ++t)
          for (int64_t r = 0; r < p.rows; ++r)
            CHECK_SAY(std::isfinite(got[static_cast<size_t>(t * padded + r)]) == (t != 4),
                      table.variant, " ", p.say(), "token ", t);
      }
    }
  }
}

}  // namespace cria::test
