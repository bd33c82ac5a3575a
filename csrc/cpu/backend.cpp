// F3. The CPU backend: checks the shapes, cuts the work into pieces that the threads take one by
// one, and calls the kernels. A piece never changes what a kernel computes for an element, so the
// results do not depend on how the pieces fall (promise 1 of cpu/kernels.h).
#include <algorithm>
#include <cstring>
#include <vector>

#include "backend/checks.h"
#include "base/thread_pool.h"
#include "cpu/attention_plan.h"
#include "cpu/cpu_backend.h"
#include "cpu/memory.h"
#include "cpu/panels.h"
#include "cpu/parallel.h"
#include "cpu/products.h"
#include "cpu/select.h"
#include "quant/codec.h"

namespace cria::cpu {
namespace {

/// Row `id` of a weight matrix as floats.
void decode_row(const Weight& w, int64_t id, float* out) {
  const auto* data = static_cast<const std::byte*>(w.data);
  if (!w.packed) return dequantize_row(w.type, data + id * row_bytes(w.type, w.cols), out, w.cols);
  constexpr int64_t kStretch = 256;  // a multiple of every block
  std::byte blocks[kStretch * sizeof(float)];
  const std::byte* panel = data + id / kPanelRows * panel_bytes(w.type, w.cols);
  for (int64_t first = 0; first < w.cols; first += kStretch) {
    const int64_t count = std::min(kStretch, w.cols - first);
    unpack_row(w.type, panel, id % kPanelRows, first, count, blocks);
    dequantize_row(w.type, blocks, out + first, count);
  }
}

class CpuBackend final : public Backend {
 public:
  CpuBackend(const Kernels& kernels, int threads)
      : kernels_(kernels), pool_(threads), products_(kernels, pool_), attention_(kernels, pool_) {}

  std::unique_ptr<DeviceMemory> allocate(size_t bytes) override { return map_memory(bytes); }
  void upload(void* dst, const void* src, size_t bytes) override { copy(dst, src, bytes); }
  void download(void* dst, const void* src, size_t bytes) override { copy(dst, src, bytes); }
  uint64_t weight_bytes(DType type, int64_t rows, int64_t cols) const override;
  Weight import_weight(DType type, int64_t rows, int64_t cols, const Blocks& blocks,
                       void* memory) override;
  size_t scratch_bytes(int64_t tokens, int64_t max_cols) const override {
    return products_.scratch_bytes(tokens, max_cols) + attention_.scratch_bytes(max_cols);
  }
  void reserve(int64_t tokens, int64_t max_cols) override {
    copied_ = {};  // the weights are in their place
    products_.reserve(tokens, max_cols);
    attention_.reserve(tokens, max_cols);
  }

  void embed(const Weight& table, std::span<const int32_t> ids, Matrix out) override;
  void project(const Input& input, std::span<const Projection> products) override {
    products_.project(input, products);
  }
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
  void gather_rows(Matrix x, std::span<const int64_t> rows, Matrix out) override;
  void copy(void* dst, const void* src, size_t bytes) override {
    if (bytes > 0) std::memcpy(dst, src, bytes);
  }

 private:
  void pack(DType type, int64_t rows, int64_t cols, const Blocks& blocks, std::byte* panels);

  const Kernels& kernels_;
  ThreadPool pool_;
  Products products_;
  AttentionPlan attention_;
  std::vector<std::byte> copied_;  // blocks of a file, a stretch for each thread
};

uint64_t CpuBackend::weight_bytes(DType type, int64_t rows, int64_t cols) const {
  return static_cast<uint64_t>(packed_bytes(type, rows, cols));
}

Weight CpuBackend::import_weight(DType type, int64_t rows, int64_t cols, const Blocks& blocks,
                                 void* memory) {
  const auto id = static_cast<uint32_t>(type);
  if (id >= kDTypeTableSize || !kernels_.matmul[id].rows)
    fail(ErrorCode::kUnsupported, "the CPU has no kernel for tensor type ", id);
  check_weight(type, rows, cols, blocks);
  if (!memory) return {type, rows, cols, blocks.data, false};
  pack(type, rows, cols, blocks, static_cast<std::byte*>(memory));
  return {type, rows, cols, memory, true};
}

/// A thread copies the blocks of a few panels, which stay in its second-level cache until they are
/// packed.
void CpuBackend::pack(DType type, int64_t rows, int64_t cols, const Blocks& blocks,
                      std::byte* panels) {
  constexpr int64_t kStretch = 256 << 10;
  const int64_t bytes = panel_bytes(type, cols), row = row_bytes(type, cols);
  const int64_t most = std::max<int64_t>(1, kStretch / (row * kPanelRows));
  const int64_t stretch = most * kPanelRows * row;
  if (blocks.copy) copied_.resize(static_cast<size_t>(stretch) * pool_.threads());
  for_ranges(pool_, panel_count(rows), most, [&](int thread, int64_t begin, int64_t end) {
    const int64_t first = begin * kPanelRows, last = std::min(rows, end * kPanelRows);
    const std::byte* from = blocks.data + first * row;
    if (blocks.copy) {
      std::byte* to = copied_.data() + thread * stretch;
      blocks.copy({from, static_cast<size_t>((last - first) * row)}, to);
      from = to;
    }
    for (int64_t p = begin; p < end; ++p, from += kPanelRows * row)
      pack_panel(type, from, std::min(kPanelRows, rows - p * kPanelRows), cols, panels + p * bytes);
  });
}

void CpuBackend::embed(const Weight& table, std::span<const int32_t> ids, Matrix out) {
  check_embed(table, ids, out);
  for_each(pool_, out.rows,
           [&](int, int64_t t) { decode_row(table, ids[static_cast<size_t>(t)], out.row(t)); });
}

void CpuBackend::gather_rows(Matrix x, std::span<const int64_t> rows, Matrix out) {
  check_gather(x, rows, out);
  for (int64_t i = 0; i < out.rows; ++i) {
    const int64_t r = rows[static_cast<size_t>(i)];
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
