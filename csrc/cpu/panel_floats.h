// F3. Products of packed float weights (cpu/panels.h) with f32 activations, for any instruction
// set. As in cpu/panel_product.h, an output gets the same operations in the same order in every
// tile:
//
//   out = Σ_s Σ_k w_k · x_k      fused multiply-adds over the 512 inputs k of a stretch s,
//   stretches
//                                summed one after the other
//
// (Short stretches keep rounding errors from growing with K.) A register tile is kVectors vectors
// of rows × kColumns columns: 2 × 8 where there are many columns, so that a weight is widened once
// for eight uses; with one column 4 × 1, to have chains enough for the latency of a multiply-add.
#pragma once

#include "cpu/kernels.h"
#include "cpu/panel_product.h"

namespace cria::cpu {
namespace {

/// Vectors of rows from a panel on, inputs [first, first + count).
template <class V, DType kType, int kVectors, int kColumns>
void multiply_floats(const std::byte* panel, int64_t panel_stride, const Columns& x, int64_t first,
                     int64_t count, float* out, int64_t out_stride) {
  using Floats = typename V::Floats;
  constexpr int64_t kBytes = kType == DType::kF32 ? 4 : 2;
  constexpr int kParts = kPanelRows / V::kCount;
  const std::byte* row[kVectors];
  for (int v = 0; v < kVectors; ++v)
    row[v] =
        panel + v / kParts * panel_stride + (first * kPanelRows + v % kParts * V::kCount) * kBytes;
  const std::byte* column[kColumns];
  Floats sum[kVectors][kColumns];
  for (int c = 0; c < kColumns; ++c) {
    column[c] = x.column(c) + 4 * first;
    for (int v = 0; v < kVectors; ++v) sum[v][c] = V::zeros();
  }
  for (int64_t k = 0; k < count; ++k) {
    Floats w[kVectors];
    for (int v = 0; v < kVectors; ++v)
      w[v] = V::template weights<kType>(row[v] + k * kPanelRows * kBytes);
    for (int c = 0; c < kColumns; ++c) {
      const Floats a = V::broadcast(column[c] + 4 * k);
      for (int v = 0; v < kVectors; ++v) sum[v][c] = V::fma(w[v], a, sum[v][c]);
    }
  }
  for (int c = 0; c < kColumns; ++c)
    for (int v = 0; v < kVectors; ++v) {
      float* to = out + c * out_stride + v * V::kCount;
      const Floats total = first == 0 ? V::zeros() : V::load_floats(to);
      V::store_floats(to, V::add(total, sum[v][c]));
    }
}

/// All panels, kVectors vectors at a time, for up to V::kFloatColumns columns from `t` on.
template <class V, DType kType, int kVectors, int kColumns>
void float_panels(const PanelArgs& a, int64_t t, int64_t first, int64_t count) {
  constexpr int64_t kRows = kVectors * V::kCount;
  const Columns x{a.x + t * a.x_stride, a.x_stride, a.cols};
  int64_t row = 0;
  const auto weights = [&] {
    constexpr int64_t kBytes = kType == DType::kF32 ? 4 : 2;
    return a.weights + row / kPanelRows * a.panel_bytes + row % kPanelRows * kBytes;
  };
  for (; row + kRows <= a.panels * kPanelRows; row += kRows)
    multiply_floats<V, kType, kVectors, kColumns>(weights(), a.panel_bytes, x, first, count,
                                                  a.out + t * a.out_stride + row, a.out_stride);
  if constexpr (kVectors > kTileVectors) {
    // What is left of the panels is a multiple of kTileVectors vectors.
    for (; row < a.panels * kPanelRows; row += kTileVectors * V::kCount)
      multiply_floats<V, kType, kTileVectors, kColumns>(
          weights(), a.panel_bytes, x, first, count, a.out + t * a.out_stride + row, a.out_stride);
  }
}

template <class V, DType kType>
void multiply_float_panels(const PanelArgs& a) {
  for (int64_t first = 0; first < a.cols; first += kTileInputs) {
    const int64_t left = a.cols - first, count = left < kTileInputs ? left : kTileInputs;
    for (int64_t t = 0; t < a.tokens; t += V::kFloatColumns) {
      const int64_t columns = a.tokens - t < V::kFloatColumns ? a.tokens - t : V::kFloatColumns;
      with_columns<V::kFloatColumns>(columns, [&]<int kColumns>() {
        constexpr int kVectors = kColumns <= 2 ? 2 * kTileVectors : kTileVectors;
        float_panels<V, kType, kVectors, kColumns>(a, t, first, count);
      });
    }
  }
}

}  // namespace
}  // namespace cria::cpu
