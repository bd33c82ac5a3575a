// F3. The CPU backend: checks the shapes, cuts the work into pieces that the threads take one by
// one, and calls the kernels. A piece never changes what a kernel computes for an element, so the
// results do not depend on how the pieces fall (promise 1 of cpu/kernels.h).
#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>

#include "base/error.h"
#include "base/thread_pool.h"
#include "cpu/activations.h"
#include "cpu/attention_plan.h"
#include "cpu/cpu_backend.h"
#include "cpu/memory.h"
#include "cpu/select.h"
#include "cpu/shapes.h"
#include "quant/codec.h"

namespace cria::cpu {
namespace {

/// Output rows are cut at multiples of this: 16 floats are a cache line, which two threads should
/// not write at the same time, and kernels read their input once per 16 rows.
constexpr int64_t kRowGrain = 16;
/// Pieces per thread in a product: enough that a thread held up by the system leaves little for
/// the others to wait for.
constexpr int64_t kPiecesPerThread = 8;
/// Multiplications below which a product is not worth waking threads for (about 2 µs of work).
constexpr int64_t kSmallProduct = 1 << 16;

void check_projection(const Matrix& x, const Projection& p) {
  if (!p.weight) fail(ErrorCode::kBadArgument, "project: a weight without data, ", shape(p.weight));
  if (p.weight.cols != x.cols) {
    fail(ErrorCode::kBadArgument, "project: the input is ", shape(x), " but the weight is ",
         shape(p.weight), "; it takes ", p.weight.cols, " inputs");
  }
  if (p.out.rows != x.rows || p.out.cols != p.weight.rows) {
    fail(ErrorCode::kBadArgument, "project: the output is ", shape(p.out), " but the input ",
         shape(x), " times the weight ", shape(p.weight), " gives ", shape(x.rows, p.weight.rows));
  }
}

class CpuBackend final : public Backend {
 public:
  CpuBackend(const Kernels& kernels, int threads)
      : kernels_(kernels), pool_(threads), attention_(kernels, pool_) {}

  std::unique_ptr<DeviceMemory> allocate(size_t bytes) override { return map_memory(bytes); }
  void upload(void* dst, const void* src, size_t bytes) override { copy(dst, src, bytes); }
  void download(void* dst, const void* src, size_t bytes) override { copy(dst, src, bytes); }
  Weight import_weight(DType type, int64_t rows, int64_t cols, const std::byte* data) override;
  size_t scratch_bytes(int64_t tokens, int64_t max_cols) const override;
  void reserve(int64_t tokens, int64_t max_cols) override;

  void embed(const Weight& table, std::span<const int32_t> ids, Matrix out) override;
  void rmsnorm(Matrix x, const float* weight, float eps, Matrix out) override;
  void project(Matrix x, std::span<const Projection> products) override;
  int64_t kv_page_bytes(KvType type, int head_width) const override {
    return AttentionPlan::page_bytes(type, head_width);
  }
  void rope_store_kv(std::span<const Slice> batch, RopeAngles angles, Matrix q, Matrix k, Matrix v,
                     const LayerKv& kv) override {
    attention_.rope_store(batch, angles, q, k, v, kv);
  }
  void attention(std::span<const Slice> batch, Matrix q, const LayerKv& kv, float scale,
                 Matrix out) override {
    attention_.attend(batch, q, kv, scale, out);
  }
  void silu_mul(Matrix gate, Matrix up) override;
  void add(Matrix x, Matrix y) override;
  void gather_rows(Matrix x, std::span<const int64_t> rows, Matrix out) override;

 private:
  /// The input of a product in each form it was prepared in.
  struct Prepared {
    const std::byte* rows[kActivations] = {};
    int64_t stride[kActivations] = {};  // bytes
  };

  static void copy(void* dst, const void* src, size_t bytes) {
    if (bytes > 0) std::memcpy(dst, src, bytes);
  }
  const Matmul& matmul(DType type) const { return kernels_.matmul[static_cast<uint32_t>(type)]; }

  /// body(i) for each i in [0, count), on all threads; in order on this one if there is only one.
  template <class Body>
  void for_each(int64_t count, const Body& body) {
    if (count <= 1 || pool_.threads() == 1) {
      for (int64_t i = 0; i < count; ++i) body(i);
      return;
    }
    std::atomic<int64_t> next{0};
    pool_.run([&](int, int) {
      while (true) {
        const int64_t i = next.fetch_add(1, std::memory_order_relaxed);
        if (i >= count) return;
        body(i);
      }
    });
  }

  Prepared prepare(const Matrix& x, std::span<const Projection> products);
  void multiply(const Matrix& x, const Prepared& input, const Projection& p, int64_t first,
                int64_t rows) const;

  const Kernels& kernels_;
  ThreadPool pool_;
  AttentionPlan attention_;
  std::unique_ptr<DeviceMemory> scratch_;  // T rows of each 8-bit form, one form after the other
  int64_t reserved_tokens_ = 0;
  int64_t reserved_cols_ = 0;
};

Weight CpuBackend::import_weight(DType type, int64_t rows, int64_t cols, const std::byte* data) {
  const auto id = static_cast<uint32_t>(type);
  if (id >= kDTypeTableSize || !kernels_.matmul[id].run)
    fail(ErrorCode::kUnsupported, "the CPU has no kernel for tensor type ", id);
  const DTypeInfo& facts = dtype_info(type);
  if (rows < 1 || cols < 1 || cols % facts.block_weights != 0 || !data) {
    fail(ErrorCode::kBadArgument, "a weight of type ", facts.name, " and shape ", shape(rows, cols),
         data ? "" : " without data", "; columns must be a multiple of ", facts.block_weights);
  }
  return {type, rows, cols, data};
}

size_t CpuBackend::scratch_bytes(int64_t tokens, int64_t max_cols) const {
  if (tokens < 0 || max_cols < 0)
    fail(ErrorCode::kBadArgument, "scratch for ", tokens, " tokens of ", max_cols, " columns");
  return static_cast<size_t>(tokens) *
         static_cast<size_t>(activation_bytes(Activation::kQ8_32, max_cols) +
                             activation_bytes(Activation::kQ8_256, max_cols)) +
         attention_.scratch_bytes(max_cols);
}

void CpuBackend::reserve(int64_t tokens, int64_t max_cols) {
  scratch_ = map_memory(scratch_bytes(tokens, max_cols) - attention_.scratch_bytes(max_cols));
  attention_.reserve(tokens, max_cols);
  reserved_tokens_ = tokens;
  reserved_cols_ = max_cols;
}

void CpuBackend::embed(const Weight& table, std::span<const int32_t> ids, Matrix out) {
  if (static_cast<int64_t>(ids.size()) != out.rows || table.cols != out.cols) {
    fail(ErrorCode::kBadArgument, "embed: ", ids.size(), " ids from a table ", shape(table),
         " into ", shape(out), "; expected ", shape(static_cast<int64_t>(ids.size()), table.cols));
  }
  for (int32_t id : ids) {
    if (id < 0 || id >= table.rows)
      fail(ErrorCode::kBadArgument, "embed: id ", id, " is not in [0, ", table.rows, ")");
  }
  const auto* rows = static_cast<const std::byte*>(table.data);
  const int64_t bytes = row_bytes(table.type, table.cols);
  for_each(out.rows, [&](int64_t t) {
    dequantize_row(table.type, rows + ids[static_cast<size_t>(t)] * bytes, out.row(t), out.cols);
  });
}

void CpuBackend::rmsnorm(Matrix x, const float* weight, float eps, Matrix out) {
  check_same("rmsnorm", "x", x, "out", out);
  for_each(x.rows, [&](int64_t t) { kernels_.rmsnorm(x.row(t), weight, eps, x.cols, out.row(t)); });
}

CpuBackend::Prepared CpuBackend::prepare(const Matrix& x, std::span<const Projection> products) {
  bool wanted[kActivations] = {};
  for (const Projection& p : products) wanted[static_cast<int>(matmul(p.weight.type).input)] = true;
  Prepared input;
  input.rows[0] = reinterpret_cast<const std::byte*>(x.data);
  input.stride[0] = x.cols * static_cast<int64_t>(sizeof(float));
  const struct {
    Activation form;
    void (*quantize)(const float*, int64_t, std::byte*);
  } forms[] = {{Activation::kQ8_32, kernels_.quantize_q8_32},
               {Activation::kQ8_256, kernels_.quantize_q8_256}};
  int64_t offset = 0;
  for (const auto& [form, quantize] : forms) {
    const int i = static_cast<int>(form);
    const int64_t stride = activation_bytes(form, x.cols);
    if (wanted[i]) {
      if (x.rows > reserved_tokens_ || x.cols > reserved_cols_) {
        fail(ErrorCode::kBadArgument, "project: the input is ", shape(x), " but ",
             shape(reserved_tokens_, reserved_cols_), " was reserved; call reserve first");
      }
      std::byte* rows = static_cast<std::byte*>(scratch_->data()) + offset;
      for_each(x.rows, [&](int64_t t) { quantize(x.row(t), x.cols, rows + t * stride); });
      input.rows[i] = rows;
      input.stride[i] = stride;
    }
    offset += reserved_tokens_ * activation_bytes(form, reserved_cols_);
  }
  return input;
}

/// Rows [first, first + rows) of one product.
void CpuBackend::multiply(const Matrix& x, const Prepared& input, const Projection& p,
                          int64_t first, int64_t rows) const {
  const Matmul& kernel = matmul(p.weight.type);
  const int form = static_cast<int>(kernel.input);
  const int64_t bytes = row_bytes(p.weight.type, p.weight.cols);
  MatmulArgs args;
  args.weights = static_cast<const std::byte*>(p.weight.data) + first * bytes;
  args.row_bytes = bytes;
  args.rows = rows;
  args.cols = x.cols;
  args.x = input.rows[form];
  args.x_stride = input.stride[form];
  args.tokens = x.rows;
  args.out = p.out.data + first;
  args.out_stride = p.out.cols;
  kernel.run(args);
  if (!p.bias) return;
  for (int64_t t = 0; t < x.rows; ++t)
    for (int64_t r = first; r < first + rows; ++r) p.out.row(t)[r] += p.bias[r];
}

void CpuBackend::project(Matrix x, std::span<const Projection> products) {
  int64_t rows = 0;
  for (const Projection& p : products) {
    check_projection(x, p);
    rows += p.weight.rows;
  }
  if (x.rows == 0 || rows == 0) return;
  const Prepared input = prepare(x, products);

  // The rows of all products, one after the other, are one range of work.
  int64_t pieces = pool_.threads() * kPiecesPerThread;
  if (rows * x.cols * x.rows < kSmallProduct) pieces = 1;
  const int64_t grains = (rows + kRowGrain - 1) / kRowGrain;
  const int64_t piece = (grains + pieces - 1) / pieces * kRowGrain;
  for_each((rows + piece - 1) / piece, [&](int64_t i) {
    int64_t begin = i * piece, end = std::min(begin + piece, rows);
    for (const Projection& p : products) {  // begin and end are relative to its first row
      const int64_t stop = std::min(end, p.weight.rows);
      if (begin < stop) multiply(x, input, p, begin, stop - begin);
      begin = std::max<int64_t>(begin - p.weight.rows, 0);
      end -= p.weight.rows;
      if (end <= 0) break;
    }
  });
}

void CpuBackend::silu_mul(Matrix gate, Matrix up) {
  check_same("silu_mul", "gate", gate, "up", up);
  for_each(gate.rows, [&](int64_t t) { kernels_.silu_mul(gate.row(t), up.row(t), gate.cols); });
}

void CpuBackend::add(Matrix x, Matrix y) {
  check_same("add", "x", x, "y", y);
  for_each(x.rows, [&](int64_t t) { kernels_.add(x.row(t), y.row(t), x.cols); });
}

void CpuBackend::gather_rows(Matrix x, std::span<const int64_t> rows, Matrix out) {
  if (out.rows != static_cast<int64_t>(rows.size()) || out.cols != x.cols) {
    fail(ErrorCode::kBadArgument, "gather_rows: ", rows.size(), " rows of ", shape(x), " into ",
         shape(out), "; expected ", shape(static_cast<int64_t>(rows.size()), x.cols));
  }
  for (int64_t i = 0; i < out.rows; ++i) {
    const int64_t r = rows[static_cast<size_t>(i)];
    if (r < 0 || r >= x.rows)
      fail(ErrorCode::kBadArgument, "gather_rows: row ", r, " of a matrix ", shape(x));
    copy(out.row(i), x.row(r), static_cast<size_t>(x.cols) * sizeof(float));
  }
}

}  // namespace

std::unique_ptr<Backend> make_backend(const Options& options) {
  const Table& table = select_table(options.table);
  const int threads = options.threads == 0 ? default_threads() : options.threads;
  if (threads < 1 || threads > kMostThreads) {
    fail(ErrorCode::kBadArgument, "threads must be in [1, ", kMostThreads, "] or 0 for ",
         default_threads(), ", got ", options.threads);
  }
  return std::make_unique<CpuBackend>(*table.kernels, threads);
}

}  // namespace cria::cpu
