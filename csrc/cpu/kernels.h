// F3. The table of kernels: what an instruction set has to provide, and the form of its arguments.
// Kernels trust their arguments (backend.cpp has checked them), know nothing of threads and never
// throw. Pointers need no alignment beyond that of their element, except weights, which need none.
//
// Shape letters as in backend/backend.h: T tokens · N outputs · K inputs.
//
// Every table keeps two promises. (1) An element of a result is computed by one fixed sequence of
// operations, which depends on K and the values alone: not on T, nor on the element's place in a
// range or tile. (2) Quantized activations have the same bits in every table.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/attention.h"
#include "quant/dtype.h"

namespace cria::cpu {

/// The form in which a weight type wants its input; layouts in cpu/activations.h.
enum class Activation : uint8_t {
  kF32,     // the row itself
  kQ8_32,   // 8-bit codes in groups of 32
  kQ8_256,  // 8-bit codes in groups of 256
};
inline constexpr int kActivations = 3;
inline constexpr Activation kAllActivations[] = {Activation::kF32, Activation::kQ8_32,
                                                 Activation::kQ8_256};

/// out[t][n] = Σ_k weights[n][k] · x[t][k] for a range of rows n and all tokens t.
struct MatmulArgs {
  const std::byte* weights = nullptr;  // the first row of the range
  int64_t row_bytes = 0;               // from one row to the next
  int64_t rows = 0;                    // rows in the range
  int64_t cols = 0;                    // K, a multiple of the type's block
  const std::byte* x = nullptr;        // T rows in the form the kernel wants
  int64_t x_stride = 0;                // bytes from one token to the next
  int64_t tokens = 0;                  // T
  float* out = nullptr;                // out[0][first row of the range]
  int64_t out_stride = 0;              // floats from one token to the next
};

/// The same product of packed weights (cpu/panels.h), for a range of panels and all tokens.
struct PanelArgs {
  const std::byte* weights = nullptr;  // the first panel, at a multiple of 64
  int64_t panel_bytes = 0;             // from one panel to the next
  int64_t panels = 0;
  int64_t cols = 0;              // K
  const std::byte* x = nullptr;  // T rows in the form the kernel wants
  int64_t x_stride = 0;          // bytes from one token to the next
  int64_t tokens = 0;            // T
  float* out = nullptr;          // [T × 32·panels]
  int64_t out_stride = 0;        // floats from one token to the next
};

/// The kernels of one weight type: for weights as they lie in the file, and for packed ones.
struct Matmul {
  Activation input = Activation::kF32;
  void (*rows)(const MatmulArgs& args) = nullptr;  // null: the type is not computed
  void (*panels)(const PanelArgs& args) = nullptr;
};

/// Rotates the heads of one token (Su et al. 2021, RoFormer §3.4.2): pair i of a head, its elements
/// 2i and 2i+1, turns by the angle whose cosine and sine are angles[2i] and angles[2i+1]. Elements
/// from 2·pairs on stay as they are.
struct RopeArgs {
  const float* angles = nullptr;  // [pairs × 2]
  int pairs = 0;                  // 0: no rotation
  int heads = 0;
  int width = 0;
};

/// What the machine can do at most with a table's instructions, for `cria bench kernels`.
struct Ceilings {
  /// A product's innermost instructions over and over, on factors of 1: products of bytes into
  /// int32 sums, and fused multiply-adds of floats. Both give the operations done, two a product,
  /// as their sums counted them; 0 ≤ iterations ≤ kMostCeilingIterations.
  int64_t (*dot)(int64_t iterations) = nullptr;
  int64_t (*fma)(int64_t iterations) = nullptr;
  /// Reads memory `times` times: every 8-byte word of it, ORed together. `bytes` is a multiple of
  /// 512. With `prefetch` it asks for lines 4 KB ahead, which some machines need for their full
  /// speed.
  uint64_t (*read)(const std::byte* p, int64_t bytes, int64_t times, bool prefetch) = nullptr;
};
/// Floats count exactly up to 2^24.
inline constexpr int64_t kMostCeilingIterations = 1 << 24;

struct Kernels {
  /// By weight type.
  Matmul matmul[kDTypeTableSize];

  /// x[K] to the form kQ8_32 or kQ8_256 at `out` (activation_bytes(form, K)). A group with a NaN or
  /// an infinity gets the scale NaN, so that it shows in every output it takes part in.
  void (*quantize_q8_32)(const float* x, int64_t cols, std::byte* out);
  void (*quantize_q8_256)(const float* x, int64_t cols, std::byte* out);

  /// out = x / sqrt(mean(x²) + eps) · weight, each [n]; x may be out.
  void (*rmsnorm)(const float* x, const float* weight, float eps, int64_t n, float* out);
  /// Rotates x[heads × width] in place.
  void (*rope)(const RopeArgs& rope, float* x);
  /// Stores a token's keys and values, to the same bits in every table. In kQ8_0 a group with a NaN
  /// or an infinity gets the scale NaN.
  void (*store_kv)(const KvStoreArgs& args);
  /// Attention of a tile, and the merging of its splits (cpu/attention.h).
  void (*attention)(const AttentionArgs& args);
  void (*merge_splits)(const MergeArgs& args);
  /// out = gate / (1 + exp(−gate)) · up, each [n]; out may be gate.
  void (*silu_mul)(const float* gate, const float* up, int64_t n, float* out);
  /// x += y, each [n].
  void (*add)(float* x, const float* y, int64_t n);
  /// out = exp(x), each [n]. The exponential that silu_mul uses, for its test.
  void (*exp)(const float* x, int64_t n, float* out);

  Ceilings ceilings;
};

}  // namespace cria::cpu
