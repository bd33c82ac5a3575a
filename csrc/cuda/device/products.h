// F3, device. What the product kernels are given, and how they finish a sum.
//
//   prepare  the input's rows, normed: f16 · 2^e, so that a row's largest is near 2^14, and 2^-e
//   gemv     up to 8 rows; a warp for each slab of 16 outputs and segment of K
//   gemm     any number of rows, 64 to a block
//   exact    f32 weights
#pragma once

#include "cuda/device/formats.h"

namespace cria::cuda {

/// The input [rows × 256·tiles] of a product, zero beyond its columns.
struct Input {
  const uint16_t* half;  // null where only f32 weights read it
  const float* exact;    // null where none of those does
  const float* factor;   // [rows]: input = half · factor
  int rows, tiles;
};

enum class Epilogue {
  kStore,  // out = v
  kAdd,    // out += v
  kGate,   // out = silu(gate) · v
  kSilu,   // out = silu(v)
  kTimes,  // out *= v
};

/// A weight's tiles and factors.
struct Packed {
  const uint8_t* tiles;  // null: no gate
  const float* factors;
  const float* bias;  // or null
};

/// One product. All those of a launch have weights of one form.
struct Product {
  Packed weight, gate;
  float* out;  // [rows × outputs]
  int outputs;
  Epilogue epilogue;
  int first_block;  // of its blocks in the launch
};
inline constexpr int kMostProducts = 4;
struct Products {
  int count;
  Product at[kMostProducts];
};

/// Where blocks of the matrix instruction's kernel that share an output leave their sums.
struct Partials {
  float* sums;
  unsigned* arrived;  // [most_split_tiles], 0 between launches
};

/// A block tile of gemm.cu: 64 floats in each of 128 threads.
inline constexpr int kGemmThreads = 128, kGemmSums = 64, kGemmRows = 64;
/// Block tiles of a launch up to which its segments are computed by blocks of their own: fewer do
/// not fill the device.
inline int most_split_tiles(const CriaCuda* cuda) {
  return 2 * cuda->multiprocessors;
}

int prepare(CriaCuda*, const CriaCudaProject&, const Input&, const Partials&);
int gemv(CriaCuda*, Form, const Input&, Products&);
int gemm(CriaCuda*, Form, const Input&, Products&, const Partials&);
int gemm_super(CriaCuda*, Form, const Input&, Products&, const Partials&);
int exact(CriaCuda*, const Input&, Products&);

/// Gives each product its blocks, `blocks(product)` of them, and returns their number.
template <class Blocks>
unsigned number_blocks(Products& products, const Blocks& blocks) {
  int total = 0;
  for (int i = 0; i < products.count; ++i) {
    products.at[i].first_block = total;
    total += blocks(products.at[i]);
  }
  return static_cast<unsigned>(total);
}
__device__ __forceinline__ const Product& product_of_block(const Products& products, int block) {
  int i = products.count - 1;
  while (products.at[i].first_block > block) --i;
  return products.at[i];
}

__device__ __forceinline__ float silu(float x) {
  return x / (1 + expf(-x));
}

/// A sum to its number: times the factors of weight and input, which are powers of two, plus bias.
__device__ __forceinline__ float scaled(const Packed& weight, int output, float factor, float sum) {
  const float value = sum * (weight.factors[output] * factor);
  return weight.bias ? value + weight.bias[output] : value;
}

/// Writes an output of a row, whose input's factor is `factor`.
__device__ __forceinline__ void finish(const Product& product, int64_t row, int output,
                                       float factor, float sum, float gate_sum) {
  const float value = scaled(product.weight, output, factor, sum);
  float& out = product.out[row * product.outputs + output];
  switch (product.epilogue) {
    case Epilogue::kStore:
      out = value;
      return;
    case Epilogue::kAdd:
      out += value;
      return;
    case Epilogue::kGate:
      out = silu(scaled(product.gate, output, factor, gate_sum)) * value;
      return;
    case Epilogue::kSilu:
      out = silu(value);
      return;
    case Epilogue::kTimes:
      out *= value;
      return;
  }
}

}  // namespace cria::cuda
