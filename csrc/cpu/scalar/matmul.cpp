// F3, scalar. Products with every weight type: the specification. A weight is what quant/codec.h
// says, an activation what cpu/activations.h says, and their products are added in double.
#include <algorithm>

#include "cpu/activations.h"
#include "cpu/panels.h"
#include "cpu/table.h"
#include "quant/codec.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

constexpr int64_t kChunk = 256;  // weights decoded at a time; a multiple of every block
constexpr int64_t kColumns = 8;  // tokens that share one decoding

/// Σ w[i] · code[i] · scale over groups of `group` values. A NaN scale counts even where the codes
/// are 0: it stands for an input that was not finite.
double dot_codes(const float* w, const int8_t* codes, const float* scales, int64_t group,
                 int64_t n) {
  double sum = 0;
  for (int64_t first = 0; first < n; first += group) {
    double part = 0;
    for (int64_t i = first; i < std::min(first + group, n); ++i) part += double{w[i]} * codes[i];
    sum += part * double{scales[first / group]};
  }
  return sum;
}

/// Σ w[i] · x[first + i] over n weights, x being a row of `cols` values in the form `input`.
double dot(Activation input, const float* w, const std::byte* x, int64_t cols, int64_t first,
           int64_t n) {
  switch (input) {
    case Activation::kQ8_32: {
      const Q8Read32 row(x, cols);
      return dot_codes(w, row.codes + first, row.scales + first / 32, 32, n);
    }
    case Activation::kQ8_256: {
      const Q8Read256 row(x, cols);
      return dot_codes(w, row.codes + first, row.scales + first / 256, 256, n);
    }
    case Activation::kF32:
      break;
  }
  const float* row = reinterpret_cast<const float*>(x) + first;
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += double{w[i]} * double{row[i]};
  return sum;
}

/// Rows × tokens of `a`, a MatmulArgs or PanelArgs; decode(r, first, n, w) gives n weights of row
/// r.
template <class Args, class Decode>
void multiply(Activation input, const Args& a, int64_t rows, const Decode& decode) {
  float w[kChunk];
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t t = 0; t < a.tokens; t += kColumns) {
      const int64_t columns = std::min(kColumns, a.tokens - t);
      double sums[kColumns] = {};
      for (int64_t first = 0; first < a.cols; first += kChunk) {
        const int64_t n = std::min(kChunk, a.cols - first);
        decode(r, first, n, w);
        for (int64_t c = 0; c < columns; ++c)
          sums[c] += dot(input, w, a.x + (t + c) * a.x_stride, a.cols, first, n);
      }
      for (int64_t c = 0; c < columns; ++c)
        a.out[(t + c) * a.out_stride + r] = static_cast<float>(sums[c]);
    }
  }
}

void matmul(DType type, Activation input, const MatmulArgs& a) {
  multiply(input, a, a.rows, [&](int64_t r, int64_t first, int64_t n, float* w) {
    dequantize_row(type, a.weights + r * a.row_bytes + row_bytes(type, first), w, n);
  });
}

/// Packed weights are unpacked to what the file had, so both forms give the same bits here.
void panels(DType type, Activation input, const PanelArgs& a) {
  multiply(input, a, a.panels * kPanelRows, [&](int64_t r, int64_t first, int64_t n, float* w) {
    std::byte blocks[kChunk * sizeof(float)];
    const std::byte* panel = a.weights + r / kPanelRows * a.panel_bytes;
    unpack_row(type, panel, r % kPanelRows, first, n, blocks);
    dequantize_row(type, blocks, w, n);
  });
}

}  // namespace

void matmul_f32(const MatmulArgs& args) {
  matmul(DType::kF32, Activation::kF32, args);
}
void panels_f32(const PanelArgs& args) {
  panels(DType::kF32, Activation::kF32, args);
}
void matmul_f16(const MatmulArgs& args) {
  matmul(DType::kF16, Activation::kF32, args);
}
void panels_f16(const PanelArgs& args) {
  panels(DType::kF16, Activation::kF32, args);
}
void matmul_bf16(const MatmulArgs& args) {
  matmul(DType::kBF16, Activation::kF32, args);
}
void panels_bf16(const PanelArgs& args) {
  panels(DType::kBF16, Activation::kF32, args);
}
void matmul_q4_0(const MatmulArgs& args) {
  matmul(DType::kQ4_0, Activation::kQ8_32, args);
}
void panels_q4_0(const PanelArgs& args) {
  panels(DType::kQ4_0, Activation::kQ8_32, args);
}
void matmul_q4_1(const MatmulArgs& args) {
  matmul(DType::kQ4_1, Activation::kQ8_32, args);
}
void panels_q4_1(const PanelArgs& args) {
  panels(DType::kQ4_1, Activation::kQ8_32, args);
}
void matmul_q5_0(const MatmulArgs& args) {
  matmul(DType::kQ5_0, Activation::kQ8_32, args);
}
void panels_q5_0(const PanelArgs& args) {
  panels(DType::kQ5_0, Activation::kQ8_32, args);
}
void matmul_q5_1(const MatmulArgs& args) {
  matmul(DType::kQ5_1, Activation::kQ8_32, args);
}
void panels_q5_1(const PanelArgs& args) {
  panels(DType::kQ5_1, Activation::kQ8_32, args);
}
void matmul_q8_0(const MatmulArgs& args) {
  matmul(DType::kQ8_0, Activation::kQ8_32, args);
}
void panels_q8_0(const PanelArgs& args) {
  panels(DType::kQ8_0, Activation::kQ8_32, args);
}
void matmul_iq4_nl(const MatmulArgs& args) {
  matmul(DType::kIQ4_NL, Activation::kQ8_32, args);
}
void panels_iq4_nl(const PanelArgs& args) {
  panels(DType::kIQ4_NL, Activation::kQ8_32, args);
}
void matmul_q2_k(const MatmulArgs& args) {
  matmul(DType::kQ2_K, Activation::kQ8_256, args);
}
void panels_q2_k(const PanelArgs& args) {
  panels(DType::kQ2_K, Activation::kQ8_256, args);
}
void matmul_q3_k(const MatmulArgs& args) {
  matmul(DType::kQ3_K, Activation::kQ8_256, args);
}
void panels_q3_k(const PanelArgs& args) {
  panels(DType::kQ3_K, Activation::kQ8_256, args);
}
void matmul_q4_k(const MatmulArgs& args) {
  matmul(DType::kQ4_K, Activation::kQ8_256, args);
}
void panels_q4_k(const PanelArgs& args) {
  panels(DType::kQ4_K, Activation::kQ8_256, args);
}
void matmul_q5_k(const MatmulArgs& args) {
  matmul(DType::kQ5_K, Activation::kQ8_256, args);
}
void panels_q5_k(const PanelArgs& args) {
  panels(DType::kQ5_K, Activation::kQ8_256, args);
}
void matmul_q6_k(const MatmulArgs& args) {
  matmul(DType::kQ6_K, Activation::kQ8_256, args);
}
void panels_q6_k(const PanelArgs& args) {
  panels(DType::kQ6_K, Activation::kQ8_256, args);
}
void matmul_iq4_xs(const MatmulArgs& args) {
  matmul(DType::kIQ4_XS, Activation::kQ8_256, args);
}
void panels_iq4_xs(const PanelArgs& args) {
  panels(DType::kIQ4_XS, Activation::kQ8_256, args);
}

}  // namespace cria::cpu::CRIA_TABLE
