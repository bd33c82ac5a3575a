#include "cpu/products.h"

#include <algorithm>
#include <cstring>

#include "backend/checks.h"
#include "cpu/activations.h"
#include "cpu/memory.h"
#include "cpu/panels.h"
#include "cpu/parallel.h"

namespace cria::cpu {
namespace {

/// Rows that a range of work is counted in: a panel.
constexpr int64_t kUnit = kPanelRows;
/// Tokens that are multiplied at a time, and floats for their outputs: 512 tokens × 128 rows. With
/// 512 inputs of 512 tokens in 8 bits they fill half of a second-level cache of 1 MB, so
/// activations are read from there for all rows of a range.
constexpr int64_t kTokens = 512;
constexpr int64_t kOutputs = kTokens * 4 * kUnit;
/// Multiplications below which a product is not worth waking threads for (about 1 µs of work).
constexpr int64_t kSmallProduct = 1 << 16;

int64_t units(const Projection& p) {
  return (p.weight.rows + kUnit - 1) / kUnit;
}

int64_t inner_products(const Projection& p) {
  return p.gate ? 2 : 1;
}

int64_t round_up(int64_t bytes) {
  return (bytes + 63) / 64 * 64;
}

/// Bytes of a thread's own memory.
int64_t thread_bytes(int64_t max_cols) {
  return round_up(max_cols * 4) + kOutputs * 4;
}

}  // namespace

size_t Products::scratch_bytes(int64_t tokens, int64_t max_cols) const {
  if (tokens < 0 || max_cols < 0)
    fail(ErrorCode::kBadArgument, "scratch for ", tokens, " tokens of ", max_cols, " columns");
  int64_t row = 0;
  for (Activation form : kAllActivations) row += activation_bytes(form, max_cols);
  return static_cast<size_t>(tokens * row + pool_.threads() * thread_bytes(max_cols));
}

void Products::reserve(int64_t tokens, int64_t max_cols) {
  scratch_ = map_memory(scratch_bytes(tokens, max_cols));
  reserved_tokens_ = tokens;
  reserved_cols_ = max_cols;
}

float* Products::row_of(int thread) const {
  return reinterpret_cast<float*>(static_cast<std::byte*>(scratch_->data()) +
                                  thread * thread_bytes(reserved_cols_));
}

float* Products::outputs_of(int thread) const {
  return row_of(thread) + round_up(reserved_cols_ * 4) / 4;
}

/// Row t of what is multiplied: the matrix's own, or computed to `out`.
const float* Products::compute_row(const Input& input, int64_t t, float* out) const {
  const float* x = input.x.row(t);
  if (input.norm) {
    kernels_.rmsnorm(x, input.norm, input.epsilon, input.x.cols, out);
    return out;
  }
  return x;
}

Products::Prepared Products::prepare(const Input& input, std::span<const Projection> products) {
  const int64_t cols = input.x.cols;
  bool wanted[kActivations] = {};
  const auto want = [&](const Weight& w) {
    wanted[static_cast<int>(kernels_.matmul[static_cast<uint32_t>(w.type)].input)] = true;
  };
  for (const Projection& p : products) {
    want(p.weight);
    if (p.gate) want(*p.gate);
  }
  Prepared prepared;
  std::byte* next =
      static_cast<std::byte*>(scratch_->data()) + pool_.threads() * thread_bytes(reserved_cols_);
  std::byte* rows[kActivations] = {};
  for (Activation form : kAllActivations) {
    const int i = static_cast<int>(form);
    rows[i] = next;
    prepared.rows[i] = next;
    prepared.stride[i] = activation_bytes(form, cols);
    next += reserved_tokens_ * activation_bytes(form, reserved_cols_);
  }
  for_ranges(pool_, input.x.rows, input.x.rows, [&](int thread, int64_t begin, int64_t end) {
    const auto at = [&](Activation form, int64_t t) {
      const int i = static_cast<int>(form);
      return rows[i] + t * prepared.stride[i];
    };
    for (int64_t t = begin; t < end; ++t) {
      const bool floats = wanted[static_cast<int>(Activation::kF32)];
      float* out = floats ? reinterpret_cast<float*>(at(Activation::kF32, t)) : row_of(thread);
      const float* row = compute_row(input, t, out);
      if (floats && row != out) std::memcpy(out, row, static_cast<size_t>(cols) * sizeof(float));
      if (wanted[static_cast<int>(Activation::kQ8_32)])
        kernels_.quantize_q8_32(row, cols, at(Activation::kQ8_32, t));
      if (wanted[static_cast<int>(Activation::kQ8_256)])
        kernels_.quantize_q8_256(row, cols, at(Activation::kQ8_256, t));
    }
  });
  return prepared;
}

/// Rows [first, first + rows) of one product for all tokens; `first` is a multiple of kUnit.
void Products::compute(const Prepared& input, const Projection& p, int64_t first, int64_t rows,
                       int thread, int64_t tokens) const {
  const int64_t stride = (rows + kUnit - 1) / kUnit * kUnit;
  float* sums = outputs_of(thread);
  for (int64_t t0 = 0; t0 < tokens; t0 += kTokens) {
    const int64_t count = std::min(kTokens, tokens - t0);
    float* gates = p.gate ? sums + count * stride : nullptr;
    multiply(input, p.weight, first, rows, t0, count, sums, stride);
    if (gates) multiply(input, *p.gate, first, rows, t0, count, gates, stride);
    for (int64_t t = 0; t < count; ++t)
      store(p, first, rows, t0 + t, sums + t * stride, gates ? gates + t * stride : nullptr);
  }
}

/// Tokens [t0, t0 + tokens) times rows [first, first + rows) of a weight, to out[tokens × stride].
void Products::multiply(const Prepared& input, const Weight& w, int64_t first, int64_t rows,
                        int64_t t0, int64_t tokens, float* out, int64_t stride) const {
  const Matmul& kernel = kernels_.matmul[static_cast<uint32_t>(w.type)];
  const auto form = static_cast<size_t>(kernel.input);
  const auto* data = static_cast<const std::byte*>(w.data);
  const int64_t x_stride = input.stride[form];
  const std::byte* x = input.rows[form] + t0 * x_stride;
  if (w.packed) {
    const int64_t bytes = panel_bytes(w.type, w.cols);
    kernel.panels({data + first / kPanelRows * bytes, bytes, stride / kPanelRows, w.cols, x,
                   x_stride, tokens, out, stride});
  } else {
    const int64_t bytes = row_bytes(w.type, w.cols);
    kernel.rows({data + first * bytes, bytes, rows, w.cols, x, x_stride, tokens, out, stride});
  }
}

/// Takes a token's finished outputs from a thread's own memory to where they belong.
void Products::store(const Projection& p, int64_t first, int64_t rows, int64_t t, float* sums,
                     float* gates) const {
  float* out = p.out.row(t) + first;
  if (gates) {
    if (p.bias) kernels_.add(sums, p.bias + first, rows);
    if (p.gate_bias) kernels_.add(gates, p.gate_bias + first, rows);
    kernels_.silu_mul(gates, sums, rows, out);
    return;
  }
  if (p.accumulate) {
    kernels_.add(out, sums, rows);
  } else {
    std::memcpy(out, sums, static_cast<size_t>(rows) * sizeof(float));
  }
  if (p.bias) kernels_.add(out, p.bias + first, rows);
}

void Products::project(const Input& input, std::span<const Projection> products) {
  const Matrix& x = input.x;
  int64_t total = 0, outputs = 0, widest = 1;
  for (const Projection& p : products) {
    check_projection(x, p);
    total += units(p);
    outputs += p.weight.rows * inner_products(p);
    widest = std::max(widest, inner_products(p));
  }
  if (x.rows == 0 || total == 0) return;
  check_reserved(x, reserved_tokens_, reserved_cols_);
  const Prepared prepared = prepare(input, products);

  // The units of all products, one after the other, are one range of work.
  const auto work = [&](int thread, int64_t begin, int64_t end) {
    for (const Projection& p : products) {  // begin and end are relative to its first unit
      const int64_t stop = std::min(end, units(p));
      if (begin < stop) {
        const int64_t first = begin * kUnit, rows = std::min(stop * kUnit, p.weight.rows) - first;
        compute(prepared, p, first, rows, thread, x.rows);
      }
      begin = std::max<int64_t>(begin - units(p), 0);
      end -= units(p);
      if (end <= 0) break;
    }
  };
  const int64_t most = kOutputs / (kUnit * std::min(x.rows, kTokens) * widest);
  if (outputs * x.cols * x.rows < kSmallProduct) {
    for (int64_t i = 0; i < total; i += most) work(0, i, std::min(i + most, total));
  } else {
    for_ranges(pool_, total, most, work);
  }
}

}  // namespace cria::cpu
