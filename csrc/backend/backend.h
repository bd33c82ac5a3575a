// F2. The vocabulary of fused operations that the network is written in, and their shapes. A
// backend (cpu/, cuda/) implements it; model/ knows nothing else of the device.
//
// Shape letters: T tokens in the batch · D model width · H query heads · G key/value heads ·
// K head width · F feed-forward width · V vocabulary · S sequences · P tokens in a KV page.
// Matrices are row-major f32 in the backend's memory. Weights are [N × K]: N outputs, K inputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>

#include "quant/dtype.h"

namespace cria {

/// f32 activations, row-major, in backend memory.
struct Matrix {
  float* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t spare = 0;  // rows after those, which a backend may write garbage to and nobody reads

  float* row(int64_t r) const { return data + r * cols; }
  Matrix first_rows(int64_t n) const { return {data, n, cols, spare + rows - n}; }
};

/// A weight matrix as it lies in a file: where, and how its bytes are copied from there, by any
/// thread. Without `copy` they are read where they lie.
struct Blocks {
  const std::byte* data = nullptr;
  std::function<void(std::span<const std::byte> bytes, std::byte* to)> copy = {};

  Blocks(const std::byte* plain) : data(plain) {}
};

/// A weight matrix in the backend's own form, as `Backend::import_weight` gave it.
struct Weight {
  DType type = DType::kF32;
  int64_t rows = 0;  // N: outputs
  int64_t cols = 0;  // K: inputs
  const void* data = nullptr;
  bool packed = false;  // in the backend's own form, not the file's

  explicit operator bool() const { return data != nullptr; }
};

/// The input [T×K] of `Backend::project`: a matrix, or its norm, which is computed on the way and
/// never written to memory in full precision.
struct Input {
  Matrix x;
  const float* norm = nullptr;  // [K]: rmsnorm(x) = x / sqrt(mean(x²) + epsilon) · norm
  float epsilon = 0;

  Input(Matrix plain) : x(plain) {}
};
/// (Zhang & Sennrich 2019, RMSNorm.)
inline Input normed(Matrix x, const float* weight, float epsilon) {
  Input input(x);
  input.norm = weight;
  input.epsilon = epsilon;
  return input;
}

/// One product of `Backend::project`: out[T×N] = x[T×K] · weight[N×K]ᵀ (+ bias[N]).
struct Projection {
  const Weight& weight;
  const float* bias;        // [N], or null
  Matrix out;               // [T×N]
  bool accumulate = false;  // out += instead of out =
  // With a gate: out = silu(x · gateᵀ (+ gate_bias)) ⊙ (x · weightᵀ (+ bias)), without accumulate.
  const Weight* gate = nullptr;      // [N×K]
  const float* gate_bias = nullptr;  // [N], or null
};
/// (Shazeer 2020, GLU variants: SwiGLU.) What the two products give is multiplied where it is
/// computed; of the widest rows of the network one matrix reaches memory instead of two.
inline Projection gated(const Weight& gate, const float* gate_bias, const Weight& up,
                        const float* up_bias, Matrix out) {
  return {up, up_bias, out, false, &gate, gate_bias};
}

/// Tokens of a KV page.
inline constexpr int kPageTokens = 32;
/// The widest head that attention takes.
inline constexpr int kMaxHeadWidth = 1024;

/// How keys and values are stored: as binary16, or as 8-bit codes with a scale per 32 elements of a
/// head (8.5 bits an element), which asks for head widths of a multiple of 32.
enum class KvType : uint8_t { kF16, kQ8_0 };
/// Elements of a head that share a scale in kQ8_0.
inline constexpr int kKvGroup = 32;

/// The keys and values of one layer: for each KV head, pages whose inside is the backend's own
/// affair. A head's pages lie one after the other, for it is read from page to page: [G][page].
struct LayerKv {
  std::byte* pages = nullptr;
  int64_t page_bytes = 0;  // as `Backend::kv_page_bytes` gives them
  int64_t head_bytes = 0;  // from a KV head's first page to the next head's
  KvType type = KvType::kF16;
  int kv_heads = 0;    // G
  int head_width = 0;  // K
};

/// The rows of one sequence in a ragged batch: `count` new tokens after `past` cached ones.
struct Slice {
  int64_t first_row = 0;  // row of the batch
  int count = 0;          // new tokens
  int past = 0;           // tokens already in the cache; the first new one has this position
  const int32_t* pages = nullptr;  // page table: token position p lives in pages[p / P]
};

/// RoPE angles of each row: cosine and sine of every pair, [T × pairs × 2], interleaved. Heads are
/// rotated as pairs (2i, 2i+1) over the first 2·pairs elements; the rest of a head passes through.
struct RopeAngles {
  const float* cos_sin = nullptr;
  int pairs = 0;
};

/// Backend memory, freed with the object.
class DeviceMemory {
 public:
  virtual ~DeviceMemory() = default;
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 protected:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;

  /// Zeroed memory, aligned to 64 bytes at least. Throws kOutOfMemory with the size. Pages the
  /// kernels never touch cost nothing where the system can arrange it.
  virtual std::unique_ptr<DeviceMemory> allocate(size_t bytes) = 0;
  /// Bytes of a weight matrix in the backend's own form, a multiple of 64.
  virtual uint64_t weight_bytes(DType type, int64_t rows, int64_t cols) const = 0;
  /// Whether it computes on weights where they lie in a file (import_weight without memory).
  virtual bool reads_files() const { return true; }
  /// Takes a weight matrix as it lies in the file ([rows × cols] of `type`) into the backend's own
  /// form, at `memory`: weight_bytes of zeroed backend memory, aligned to 64 bytes. Where `memory`
  /// is null the weight is computed on as it lies in the file, more slowly, and the blocks outlive
  /// the backend; a backend that cannot throws kUnsupported.
  virtual Weight import_weight(DType type, int64_t rows, int64_t cols, const Blocks& blocks,
                               void* memory) = 0;
  /// Host to backend and back.
  virtual void upload(void* dst, const void* src, size_t bytes) = 0;
  virtual void download(void* dst, const void* src, size_t bytes) = 0;

  /// Bytes of the backend's own working memory for batches of up to `tokens` over rows of up to
  /// `max_cols` inputs; `reserve` takes it, once, before the first operation.
  virtual size_t scratch_bytes(int64_t tokens, int64_t max_cols) const = 0;
  virtual void reserve(int64_t tokens, int64_t max_cols) = 0;

  /// out[t] = table[ids[t]], dequantized. ids are host memory, each in [0, table.rows).
  virtual void embed(const Weight& table, std::span<const int32_t> ids, Matrix out) = 0;

  /// Several products of one input, which is prepared (normed, quantized) once; all run
  /// behind one barrier. An output may not be part of the input.
  virtual void project(const Input& input, std::span<const Projection> products) = 0;
  void project(const Input& input, std::initializer_list<Projection> products) {
    project(input, std::span<const Projection>(products.begin(), products.size()));
  }

  /// Bytes of a page of one KV head, keys and values, a multiple of 64. Throws kUnsupported for a
  /// head width that the type cannot store, with the remedy.
  virtual int64_t kv_page_bytes(KvType type, int head_width) const = 0;

  /// Rotates q[T×H·K] and k[T×G·K] in place (Su et al. 2021, RoFormer §3.4.2), and stores k and
  /// v[T×G·K] at their positions in the cache.
  virtual void rope_store_kv(std::span<const Slice> batch, RopeAngles angles, Matrix q, Matrix k,
                             Matrix v, const LayerKv& kv) = 0;

  /// Causal grouped-query attention over the cache: out[t,h] = softmax(scale · q[t,h]·Kᵀ) · V with
  /// head h reading KV head h / (H/G). Online softmax in f32 (Milakov & Gimelshein 2018) over tiles
  /// at fixed positions, so that the result does not depend on how the prompt was chunked.
  /// Positions after a query's own are never read into its result.
  virtual void attention(std::span<const Slice> batch, Matrix q, const LayerKv& kv, float scale,
                         Matrix out) = 0;

  /// out[i] = x[rows[i]]. rows are host memory.
  virtual void gather_rows(Matrix x, std::span<const int64_t> rows, Matrix out) = 0;

  /// From one place of the backend's memory to another that does not overlap it.
  virtual void copy(void* dst, const void* src, size_t bytes) = 0;

  /// A step of the network has put all its operations, or was given up (not `finished`): then those
  /// that have not run yet need not, since nobody reads what they give. A backend may hold
  /// operations back until this or a `download`, and runs them in the order they came.
  virtual void end_step(bool finished) { static_cast<void>(finished); }
};

}  // namespace cria
