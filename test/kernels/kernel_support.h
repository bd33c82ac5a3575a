// Shared by the kernel tests: the tables of this machine, seeded data, and products in every weight
// type with their references.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/half.h"
#include "cpu/activations.h"
#include "cpu/select.h"
#include "guarded.h"
#include "quant/blocks.h"
#include "quant/codec.h"
#include "support/check.h"

/// CHECK with words of its own: which table, type and shape failed.
#define CHECK_SAY(condition, ...) \
  ((condition) ? (void)0          \
               : cria::test::report(__FILE__, __LINE__, cria::cat(#condition, ": ", __VA_ARGS__)))

namespace cria::test {

using cpu::Activation;
using cpu::Kernels;
using cpu::MatmulArgs;
using cpu::Table;

/// The tables this machine runs, the scalar one last.
inline std::vector<Table> supported_tables() {
  std::vector<Table> tables;
  for (const Table& table : cpu::all_tables())
    if (table.supported) tables.push_back(table);
  return tables;
}
inline const Kernels& scalar_kernels() {
  return *cpu::select_table("scalar").kernels;
}

inline constexpr DType kAllTypes[] = {DType::kF32,  DType::kF16,    DType::kBF16,  DType::kQ4_0,
                                      DType::kQ4_1, DType::kQ5_0,   DType::kQ5_1,  DType::kQ8_0,
                                      DType::kQ2_K, DType::kQ3_K,   DType::kQ4_K,  DType::kQ5_K,
                                      DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS};

inline bool same_bits(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

/// Normal variates and integers from one seed.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  float normal() { return normal_(engine_); }
  /// Uniform in [low, high].
  int64_t integer(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine_);
  }
  template <class Floats>
  void fill_normal(Floats& floats) {
    for (float& x : floats) x = normal();
  }

 private:
  std::mt19937_64 engine_;
  std::normal_distribution<float> normal_;
};

/// Sets the scale (and, where the block has one, the minimum's scale) of every block of a row.
template <class Block>
void set_scales(std::byte* row, int64_t bytes, uint16_t d, uint16_t m) {
  for (int64_t at = 0; at < bytes; at += static_cast<int64_t>(sizeof(Block))) {
    auto* block = reinterpret_cast<Block*>(row + at);
    block->d = d;
    if constexpr (requires { block->m; }) block->m = m;
    if constexpr (requires { block->dmin; }) block->dmin = m;
  }
}

inline void set_scales(DType type, std::byte* row, int64_t bytes, uint16_t d, uint16_t m) {
  switch (type) {
    case DType::kQ4_0:
      return set_scales<BlockQ4_0>(row, bytes, d, m);
    case DType::kQ4_1:
      return set_scales<BlockQ4_1>(row, bytes, d, m);
    case DType::kQ5_0:
      return set_scales<BlockQ5_0>(row, bytes, d, m);
    case DType::kQ5_1:
      return set_scales<BlockQ5_1>(row, bytes, d, m);
    case DType::kQ8_0:
      return set_scales<BlockQ8_0>(row, bytes, d, m);
    case DType::kIQ4_NL:
      return set_scales<BlockIQ4_NL>(row, bytes, d, m);
    case DType::kQ2_K:
      return set_scales<BlockQ2_K>(row, bytes, d, m);
    case DType::kQ3_K:
      return set_scales<BlockQ3_K>(row, bytes, d, m);
    case DType::kQ4_K:
      return set_scales<BlockQ4_K>(row, bytes, d, m);
    case DType::kQ5_K:
      return set_scales<BlockQ5_K>(row, bytes, d, m);
    case DType::kQ6_K:
      return set_scales<BlockQ6_K>(row, bytes, d, m);
    case DType::kIQ4_XS:
      return set_scales<BlockIQ4_XS>(row, bytes, d, m);
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
      return;  // no blocks
  }
}

/// A product out[T×N] = x[T×K] · w[N×K]ᵀ in guarded memory.
struct Product {
  DType type;
  int64_t rows, cols, tokens;  // N, K, T
  Guarded<std::byte> weights;
  Guarded<float> x;

  Product(DType dtype, int64_t n, int64_t k, int64_t t, Edge edge)
      : type(dtype),
        rows(n),
        cols(k),
        tokens(t),
        weights(n * cria::row_bytes(dtype, k), edge),
        x(t * k, edge) {}

  int64_t row_bytes() const { return cria::row_bytes(type, cols); }
  std::string say() const {
    return cat(dtype_info(type).name, " N=", rows, " K=", cols, " T=", tokens, " ");
  }

  /// Weights from normal variates through the encoder.
  void encode_normal(Random& random) {
    std::vector<float> row(static_cast<size_t>(cols));
    for (int64_t r = 0; r < rows; ++r) {
      random.fill_normal(row);
      quantize_row(type, row.data(), weights.data() + r * row_bytes(), cols);
    }
  }
  /// Blocks of random bits under the given scales; floats are normal variates.
  void random_bits(Random& random, uint16_t d, uint16_t m) {
    if (dtype_info(type).block_weights == 1) return encode_normal(random);
    for (std::byte& b : weights) b = static_cast<std::byte>(random.integer(0, 255));
    set_scales(type, weights.data(), weights.size(), d, m);
  }

  std::vector<float> decoded_row(int64_t r) const {
    std::vector<float> row(static_cast<size_t>(cols));
    dequantize_row(type, weights.data() + r * row_bytes(), row.data(), cols);
    return row;
  }

  /// Tokens [t0, t1) × rows [r0, r1), as the kernels of `k` compute them: [t1−t0][r1−r0].
  std::vector<float> run(const Kernels& k, int64_t t0, int64_t t1, int64_t r0, int64_t r1,
                         Edge edge = Edge::kEnd) const {
    const cpu::Matmul& matmul = k.matmul[static_cast<uint32_t>(type)];
    const int64_t count = t1 - t0, n = r1 - r0;
    const int64_t stride = cpu::activation_bytes(matmul.input, cols);
    Guarded<std::byte> prepared(count * stride, edge);
    for (int64_t t = 0; t < count; ++t) {
      const float* from = x.data() + (t0 + t) * cols;
      std::byte* to = prepared.data() + t * stride;
      if (matmul.input == Activation::kF32) std::memcpy(to, from, static_cast<size_t>(cols) * 4);
      if (matmul.input == Activation::kQ8_32) k.quantize_q8_32(from, cols, to);
      if (matmul.input == Activation::kQ8_256) k.quantize_q8_256(from, cols, to);
    }
    Guarded<float> out(count * n, edge);
    MatmulArgs args;
    args.weights = weights.data() + r0 * row_bytes();
    args.row_bytes = row_bytes();
    args.rows = n;
    args.cols = cols;
    args.x = prepared.data();
    args.x_stride = stride;
    args.tokens = count;
    args.out = out.data();
    args.out_stride = n;
    matmul.rows(args);
    return {out.begin(), out.end()};
  }
  std::vector<float> run(const Kernels& k, Edge edge = Edge::kEnd) const {
    return run(k, 0, tokens, 0, rows, edge);
  }
};

}  // namespace cria::test
