// F3. Products of packed quantized weights (cpu/panels.h) with 8-bit activations, for any
// instruction set. The arithmetic is written once, in `multiply_blocks`: for one column or six,
// from the panels themselves or from weights unpacked to bytes beforehand, an output gets the same
// operations in the same order. That is what makes results independent of the batch.
//
//   in blocks of 32       out = Σ_b  d·dx · Σ_i w_i·a_i   (+ m · dx·Σ_i a_i)
//   in super-blocks       out = Σ_S dx · (Σ_j d·s_j · Σ_i w_i·a_i  −  dmin · Σ_j m_j · Σ_i a_i)
//
// Sums over i and over m_j are exact in integers; the others are fused multiply-adds along K.
// Codes w are unsigned (a dot-product instruction wants one unsigned side); where they have a zero
// point 2^z, the integer sum starts at −2^z·Σ a_i instead of at 0 (V::start).
//
// A register tile of 2 vectors of rows × 6 columns on AVX-512:
//
//              a0   a1   a2   a3   a4   a5      broadcast quads of the columns, from memory
//        ┌────┬────┬────┬────┬────┬────┬────┐
//     w0 │    │ s00│ s01│ s02│ s03│ s04│ s05│   12 integer sums: as many chains as 2 dot products
//     w1 │    │ s10│ s11│ s12│ s13│ s14│ s15│   a cycle with up to 6 cycles of latency ask for
//        └────┴────┴────┴────┴────┴────┴────┘
//   and 12 float sums beside them, 2 of weights, 1 of activations: 27 of 32 registers.
//
// Many columns: 2 vectors of rows × 512 inputs are unpacked to bytes (16 KB, with scales 22: they
// stay in the first cache) and multiplied by all columns, six at a time. Few columns: the unpacking
// would cost more than it saves, and codes are decoded in registers on their way.
#pragma once

#include "cpu/activations.h"
#include "cpu/kernels.h"
#include "cpu/panel_formats.h"

namespace cria::cpu {
namespace {

/// Inputs that are unpacked at a time: a multiple of a super-block.
constexpr int64_t kTileInputs = 512;
/// Vectors of rows in a tile.
constexpr int kTileVectors = 2;

/// Rows of a tile unpacked: codes as bytes, scales as floats.
template <class V, class K>
class UnpackedWeights {
 public:
  static constexpr int64_t kGroupInputs = K::kSuper ? 256 : 32, kBlocks = kGroupInputs / 32;

  class Group {
   public:
    explicit Group(const UnpackedWeights* tile, int64_t n) : tile_(tile), n_(n) {}

    struct Block {
      const typename V::Ints (*quads)[kTileVectors];
      int v;
      typename V::Ints operator[](int q) const { return quads[q][v]; }
    };
    Block block(int64_t j, int v) const { return {tile_->codes_[n_ * kBlocks + j], v}; }
    typename V::Floats scale(int64_t j, int v) const { return tile_->scales_[n_ * kSubs + j][v]; }
    typename V::Floats minimum(int v) const { return tile_->minimums_[n_][v]; }
    typename V::Ints minimum_pair(int i, int v) const { return tile_->pairs_[n_ * kPairs + i][v]; }
    typename V::Floats minimum_scale(int v) const { return tile_->minimums_[n_][v]; }

   private:
    const UnpackedWeights* tile_;
    int64_t n_;
  };

  Group group(int64_t n) const { return Group(this, n); }

  template <class Packed>
  void unpack(const Packed& from, int64_t groups) {
    for (int64_t n = 0; n < groups; ++n) {
      const auto group = from.group(n);
      for (int v = 0; v < kTileVectors; ++v) {
        for (int64_t j = 0; j < kBlocks; ++j) {
          const Quads<V> quads = group.block(j, v);
#pragma GCC unroll 8
          for (int q = 0; q < 8; ++q) codes_[n * kBlocks + j][q][v] = quads[q];
        }
        for (int64_t j = 0; j < kSubs; ++j) scales_[n * kSubs + j][v] = group.scale(j, v);
        if constexpr (K::kMinimum && K::kSuper) {
          for (int i = 0; i < kPairs; ++i) pairs_[n * kPairs + i][v] = group.minimum_pair(i, v);
          minimums_[n][v] = group.minimum_scale(v);
        } else if constexpr (K::kMinimum) {
          minimums_[n][v] = group.minimum(v);
        }
      }
    }
  }

 private:
  static constexpr int64_t kGroups = kTileInputs / kGroupInputs, kSubs = kGroupInputs / K::kSub,
                           kPairs = K::kSuper && K::kMinimum ? kSubs / 2 : 0;

  alignas(64) typename V::Ints codes_[kTileInputs / 32][8][kTileVectors];
  typename V::Floats scales_[kGroups * kSubs][kTileVectors];
  typename V::Floats minimums_[kGroups][kTileVectors];
  typename V::Ints pairs_[kPairs > 0 ? kGroups* kPairs : 1][kTileVectors];
};

/// Columns of activations: the first, the distance to the next, and where the parts of one lie.
struct Columns {
  const std::byte* first;
  int64_t stride;
  int64_t cols;

  const std::byte* column(int c) const { return first + c * stride; }
};

/// Quads kFirst … kFirst + kQuads − 1 of a block of all columns, onto the sums.
template <class V, class K, int kVectors, int kColumns, int kFirst, int kQuads, class Block>
void add_quads(const Block (&block)[kVectors], const std::byte* const (&codes)[kColumns],
               int64_t at, typename V::Ints (&sums)[kVectors][kColumns]) {
#pragma GCC unroll 8
  for (int q = kFirst; q < kFirst + kQuads; ++q) {
    typename V::Ints w[kVectors];
    for (int v = 0; v < kVectors; ++v) w[v] = block[v][q];
    for (int c = 0; c < kColumns; ++c) {
      const auto a = V::quad(codes[c] + at + 4 * q);
      for (int v = 0; v < kVectors; ++v)
        sums[v][c] = V::template dot<K::kZero>(sums[v][c], w[v], a);
    }
  }
}

template <class V, int kZero, int kVectors, int kColumns>
void start_sums(const std::byte* const (&x)[kColumns], int64_t at,
                typename V::Ints (&sums)[kVectors][kColumns]) {
  for (int c = 0; c < kColumns; ++c) {
    const auto start = V::template start<kZero>(x[c] + at);
    for (int v = 0; v < kVectors; ++v) sums[v][c] = start;
  }
}

/// Blocks [first, first + count) of the columns times blocks [0, count) of the weights, onto
/// out[c · out_stride + v · V::kCount]; `fresh`: onto zero.
template <class V, class K, int kVectors, int kColumns, class Weights>
void multiply_plain(const Weights& weights, const Columns& x, int64_t first, int64_t count,
                    bool fresh, float* out, int64_t out_stride) {
  using Floats = typename V::Floats;
  const std::byte* column[kColumns];
  Floats total[kVectors][kColumns];
  for (int c = 0; c < kColumns; ++c) {
    column[c] = x.column(c);
    for (int v = 0; v < kVectors; ++v)
      total[v][c] = fresh ? V::zeros() : V::load_floats(out + c * out_stride + v * V::kCount);
  }
  using Layout = Q8Offsets32;
  const int64_t scales_at = Layout::scales(x.cols), sums_at = Layout::sums(x.cols),
                zeros_at = Layout::zeros(x.cols);
  for (int64_t b = 0; b < count; ++b) {
    const int64_t group = 4 * (first + b);
    typename V::Ints sums[kVectors][kColumns];
    start_sums<V, K::kZero>(column, zeros_at + group, sums);
    const auto weight = weights.group(b);
    decltype(weight.block(0, 0)) block[kVectors];
    for (int v = 0; v < kVectors; ++v) block[v] = weight.block(0, v);
    add_quads<V, K, kVectors, kColumns, 0, 8>(block, column, 32 * (first + b), sums);
    for (int v = 0; v < kVectors; ++v) {
      const Floats d = weight.scale(0, v);
      for (int c = 0; c < kColumns; ++c) {
        const Floats scale = V::multiply(d, V::broadcast(column[c] + scales_at + group));
        total[v][c] = V::fma(V::to_floats(sums[v][c]), scale, total[v][c]);
      }
      if constexpr (K::kMinimum) {
        const Floats m = weight.minimum(v);
        for (int c = 0; c < kColumns; ++c)
          total[v][c] = V::fma(m, V::broadcast(column[c] + sums_at + group), total[v][c]);
      }
    }
  }
  for (int c = 0; c < kColumns; ++c)
    for (int v = 0; v < kVectors; ++v)
      V::store_floats(out + c * out_stride + v * V::kCount, total[v][c]);
}

/// part −= dmin · Σ_j m_j · Σ_i a_i of one super-block.
template <class V, class K, int kVectors, int kColumns, class Group>
void take_minimums(const Group& weight, const std::byte* const (&column)[kColumns], int64_t at,
                   typename V::Floats (&part)[kVectors][kColumns]) {
  typename V::Ints sums[kVectors][kColumns];
  for (int v = 0; v < kVectors; ++v)
    for (int c = 0; c < kColumns; ++c) sums[v][c] = V::no_ints();
  constexpr int kPairs = 128 / K::kSub;
#pragma GCC unroll 8
  for (int i = 0; i < kPairs; ++i)
    for (int v = 0; v < kVectors; ++v) {
      const auto pair = weight.minimum_pair(i, v);
      for (int c = 0; c < kColumns; ++c)
        sums[v][c] = V::dot_pairs(sums[v][c], pair, V::quad(column[c] + at + 4 * i));
    }
  for (int v = 0; v < kVectors; ++v) {
    const auto dmin = weight.minimum_scale(v);
    for (int c = 0; c < kColumns; ++c)
      part[v][c] = V::fnma(V::to_floats(sums[v][c]), dmin, part[v][c]);
  }
}

/// The same for super-blocks; `first` and `count` are multiples of 8. The running totals stay in
/// memory: they are touched once for 256 inputs.
template <class V, class K, int kVectors, int kColumns, class Weights>
void multiply_super(const Weights& weights, const Columns& x, int64_t first, int64_t count,
                    bool fresh, float* out, int64_t out_stride) {
  using Floats = typename V::Floats;
  using Layout = Q8Offsets256;
  constexpr int kHalves = 32 / K::kSub;  // sub-blocks of a block
  const std::byte* column[kColumns];
  for (int c = 0; c < kColumns; ++c) column[c] = x.column(c);
  const int64_t scales_at = Layout::scales(x.cols),
                sums_at = Layout::template sums<K::kSub>(x.cols),
                zeros_at = Layout::template zeros<K::kSub>(x.cols);
  for (int64_t super = 0; super < count / 8; ++super) {
    const int64_t at = first / 8 + super;  // super-block of the columns
    const auto weight = weights.group(super);
    Floats part[kVectors][kColumns];
    for (int v = 0; v < kVectors; ++v)
      for (int c = 0; c < kColumns; ++c) part[v][c] = V::zeros();
    for (int64_t j = 0; j < 8; ++j) {
      const int64_t b = 8 * at + j;  // block of the columns
      decltype(weight.block(j, 0)) block[kVectors];
      for (int v = 0; v < kVectors; ++v) block[v] = weight.block(j, v);
      const auto sub_block = [&]<int kHalf>() {
        typename V::Ints sums[kVectors][kColumns];
        start_sums<V, K::kZero>(column, zeros_at + 4 * (b * kHalves + kHalf), sums);
        add_quads<V, K, kVectors, kColumns, kHalf * 4, 8 / kHalves>(block, column, 32 * b, sums);
        for (int v = 0; v < kVectors; ++v) {
          const Floats scale = weight.scale(j * kHalves + kHalf, v);
          for (int c = 0; c < kColumns; ++c)
            part[v][c] = V::fma(V::to_floats(sums[v][c]), scale, part[v][c]);
        }
      };
      sub_block.template operator()<0>();
      if constexpr (kHalves == 2) sub_block.template operator()<1>();
    }
    if constexpr (K::kMinimum)
      take_minimums<V, K>(weight, column, sums_at + 512 / K::kSub * at, part);
    for (int c = 0; c < kColumns; ++c) {
      const Floats dx = V::broadcast(column[c] + scales_at + 4 * at);
      for (int v = 0; v < kVectors; ++v) {
        float* to = out + c * out_stride + v * V::kCount;
        const Floats total = fresh && super == 0 ? V::zeros() : V::load_floats(to);
        V::store_floats(to, V::fma(part[v][c], dx, total));
      }
    }
  }
}

template <class V, class K, int kVectors, int kColumns, class Weights>
void multiply_blocks(const Weights& weights, const Columns& x, int64_t first, int64_t count,
                     bool fresh, float* out, int64_t out_stride) {
  if constexpr (K::kSuper) {
    multiply_super<V, K, kVectors, kColumns>(weights, x, first, count, fresh, out, out_stride);
  } else {
    multiply_plain<V, K, kVectors, kColumns>(weights, x, first, count, fresh, out, out_stride);
  }
}

/// Calls body.operator()<C>() for C = count, 1 ≤ count ≤ kMost.
template <int kMost, class Body>
void with_columns(int64_t count, const Body& body) {
  if constexpr (kMost > 1) {
    if (count < kMost) return with_columns<kMost - 1>(count, body);
  }
  body.template operator()<kMost>();
}

/// Few columns: straight from the panels, in as many passes as registers hold sums for. Where that
/// is more than one, all take a stretch of a panel before the next, which the later ones find in
/// the first-level cache.
template <class V, DType kType>
void multiply_direct(const PanelArgs& a) {
  using K = KindOf<kType>;
  constexpr int64_t kRows = kTileVectors * V::kCount, kGroupBlocks = K::kSuper ? 8 : 1;
  const int64_t passes = (a.tokens + V::kPassColumns - 1) / V::kPassColumns;
  const int64_t columns = (a.tokens + passes - 1) / passes;  // of a pass; the last may have fewer
  const int64_t blocks = a.cols / 32, stretch = passes == 1 ? blocks : kTileInputs / 32;
  for (int64_t row = 0; row < a.panels * kPanelRows; row += kRows) {
    const std::byte* panel = a.weights + row / kPanelRows * a.panel_bytes;
    for (int64_t first = 0; first < blocks; first += stretch) {
      const PackedWeights<V, kType> weights(panel, first / kGroupBlocks, row % kPanelRows);
      const int64_t count = blocks - first < stretch ? blocks - first : stretch;
      for (int64_t t = 0; t < a.tokens; t += columns) {
        const Columns x{a.x + t * a.x_stride, a.x_stride, a.cols};
        const int64_t width = a.tokens - t < columns ? a.tokens - t : columns;
        with_columns<V::kPassColumns>(width, [&]<int kColumns>() {
          multiply_blocks<V, K, kTileVectors, kColumns>(
              weights, x, first, count, first == 0, a.out + t * a.out_stride + row, a.out_stride);
        });
      }
    }
  }
}

/// Many columns: tile by tile of unpacked weights.
template <class V, DType kType>
void multiply_tiled(const PanelArgs& a) {
  using K = KindOf<kType>;
  using Tile = UnpackedWeights<V, K>;
  Tile tile;
  constexpr int64_t kRows = kTileVectors * V::kCount, kBlocks = kTileInputs / 32;
  for (int64_t first = 0; first < a.cols / 32; first += kBlocks) {
    const int64_t left = a.cols / 32 - first, count = left < kBlocks ? left : kBlocks;
    for (int64_t row = 0; row < a.panels * kPanelRows; row += kRows) {
      const std::byte* panel = a.weights + row / kPanelRows * a.panel_bytes;
      tile.unpack(PackedWeights<V, kType>(panel, first / Tile::kBlocks, row % kPanelRows),
                  count / Tile::kBlocks);
      for (int64_t t = 0; t < a.tokens; t += V::kTileColumns) {
        const Columns x{a.x + t * a.x_stride, a.x_stride, a.cols};
        const int64_t columns = a.tokens - t < V::kTileColumns ? a.tokens - t : V::kTileColumns;
        float* out = a.out + t * a.out_stride + row;
        with_columns<V::kTileColumns>(columns, [&]<int kColumns>() {
          multiply_blocks<V, K, kTileVectors, kColumns>(tile, x, first, count, first == 0, out,
                                                        a.out_stride);
        });
      }
    }
  }
}

template <class V, DType kType>
void multiply_panels(const PanelArgs& args) {
  if (args.tokens <= V::kDirectColumns) {
    multiply_direct<V, kType>(args);
  } else {
    multiply_tiled<V, kType>(args);
  }
}

}  // namespace
}  // namespace cria::cpu
