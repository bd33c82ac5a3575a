// F3. The CUDA backend: holds arguments against shapes, rounds rows and contexts up to buckets, and
// gives operations to the step (step.h), which holds them back until something needs their result.
// Here nothing waits for the device but `download`.
#include <algorithm>
#include <cstring>

#include "backend/checks.h"
#include "base/memory.h"
#include "cuda/cuda_backend.h"
#include "cuda/device.h"
#include "cuda/step.h"
#include "cuda/weights.h"

namespace cria::cuda {
namespace {

/// What the driver takes of a device's memory for kernels and graphs when they are first used.
constexpr uint64_t kHeadroom = uint64_t{256} << 20;
/// Pinned memory that downloads go through.
constexpr size_t kDownloadBytes = size_t{4} << 20;
/// The widest element of a file's rows: f32.
constexpr size_t kWidest = sizeof(float);

CriaCudaWeight weight_of(const Weight& w) {
  return {static_cast<uint32_t>(w.type), w.rows, w.cols, w.data};
}

CriaCudaKv kv_of(const LayerKv& kv) {
  return {reinterpret_cast<uint8_t*>(kv.pages), kv.page_bytes, kv.head_bytes,
          static_cast<int32_t>(kv.type),        kv.kv_heads,   kv.head_width};
}

/// Rows that there is room for in all of these.
int64_t room(std::initializer_list<Matrix> matrices) {
  int64_t least = INT64_MAX;
  for (const Matrix& m : matrices) least = std::min(least, m.rows + m.spare);
  return least;
}

class Backend final : public CudaBackend {
 public:
  explicit Backend(std::shared_ptr<Device> device, std::string build)
      : device_(std::move(device)),
        build_(std::move(build)),
        step_(device_),
        weights_(device_),
        landing_(device_, kDownloadBytes) {}

  const CriaCudaDevice& facts() const override { return device_->facts(); }
  std::string build() const override { return build_; }
  uint64_t available_bytes() const override {
    const uint64_t free = device_->free_bytes();
    return free - std::min(free, std::min(kHeadroom, device_->facts().memory_bytes / 16));
  }
  StepCounts counts() const override { return {step_.graphs(), step_.launched_graphs()}; }

  std::unique_ptr<DeviceMemory> allocate(size_t bytes) override {
    return std::make_unique<CudaMemory>(device_, bytes);
  }
  bool reads_files() const override { return false; }
  uint64_t weight_bytes(DType type, int64_t rows, int64_t cols) const override;
  Weight import_weight(DType type, int64_t rows, int64_t cols, const Blocks& blocks,
                       void* memory) override;

  void upload(void* dst, const void* src, size_t bytes) override {
    if (!step_.lets_past(dst, bytes)) step_.launch();
    step_.upload(dst, src, bytes);
  }
  void download(void* dst, const void* src, size_t bytes) override;
  void copy(void* dst, const void* src, size_t bytes) override {
    step_.launch();
    if (bytes > 0) device_->call("copying", &CriaCudaTable::copy, dst, src, bytes);
  }
  void end_step(bool finished) override { finished ? step_.launch() : step_.drop(); }

  size_t scratch_bytes(int64_t tokens, int64_t max_cols) const override;
  void reserve(int64_t tokens, int64_t max_cols) override;

  void embed(const Weight& table, std::span<const int32_t> ids, Matrix out) override;
  void project(const Input& input, std::span<const Projection> products) override;
  int64_t kv_page_bytes(KvType type, int head_width) const override;
  void rope_store_kv(std::span<const Slice> batch, RopeAngles angles, Matrix q, Matrix k, Matrix v,
                     const LayerKv& kv) override;
  void attention(std::span<const Slice> batch, Matrix q, const LayerKv& kv, float scale,
                 Matrix out) override;
  void gather_rows(Matrix x, std::span<const int64_t> rows, Matrix out) override;

 private:
  int64_t bucket(int64_t rows, std::initializer_list<Matrix> matrices) const {
    return bucket_rows(rows, std::min(room(matrices), reserved_tokens_));
  }
  void check_attention_reserved(const char* op, const Matrix& q) const;

  std::shared_ptr<Device> device_;
  std::string build_;
  Step step_;
  WeightLoader weights_;
  PinnedMemory landing_;
  std::unique_ptr<CudaMemory> project_scratch_, attention_scratch_;
  int64_t reserved_tokens_ = 0, reserved_cols_ = 0;
  std::vector<CriaCudaProduct> products_;  // of the operation under way
};

uint64_t Backend::weight_bytes(DType type, int64_t rows, int64_t cols) const {
  const auto id = static_cast<uint32_t>(type);
  const uint64_t bytes = device_->table().weight_bytes(id, rows, cols);
  if (bytes == 0) {
    const DTypeInfo* facts = find_dtype(id);
    fail(ErrorCode::kUnsupported, "the CUDA plugin has no kernel for a tensor of type ",
         facts ? facts->name : "unknown", " and shape ", shape(rows, cols),
         "; compute on 'cpu', or convert the model to another type, such as Q4_K or Q8_0");
  }
  return bytes;
}

Weight Backend::import_weight(DType type, int64_t rows, int64_t cols, const Blocks& blocks,
                              void* memory) {
  weight_bytes(type, rows, cols);  // is the type computed?
  check_weight(type, rows, cols, blocks);
  if (!memory)
    fail(ErrorCode::kUnsupported, "a GPU does not compute on weights in a file; load without ",
         "`mapped`, or compute on 'cpu'");
  weights_.pack(type, rows, cols, blocks, memory);
  return {type, rows, cols, memory, true};
}

void Backend::download(void* dst, const void* src, size_t bytes) {
  step_.launch();
  for (size_t at = 0; at < bytes;) {
    const size_t part = std::min(bytes - at, landing_.bytes());
    device_->call("copying", &CriaCudaTable::download, landing_.data(),
                  static_cast<const std::byte*>(src) + at, part);
    device_->synchronize();
    std::memcpy(static_cast<std::byte*>(dst) + at, landing_.data(), part);
    at += part;
  }
  if (bytes > 0) step_.passed();
}

size_t Backend::scratch_bytes(int64_t tokens, int64_t max_cols) const {
  if (tokens < 0 || max_cols < 0)
    fail(ErrorCode::kBadArgument, "scratch for ", tokens, " tokens of ", max_cols, " columns");
  const CriaCudaTable& table = device_->table();
  return static_cast<size_t>(table.project_scratch(device_->handle(), tokens, max_cols) +
                             table.attention_scratch(device_->handle(), tokens, max_cols)) +
         Step::block_bytes(tokens) +
         WeightLoader::staging_bytes(static_cast<size_t>(max_cols) * kWidest);
}

void Backend::reserve(int64_t tokens, int64_t max_cols) {
  weights_.finish();  // they are in their place
  step_.launch();
  const CriaCudaTable& table = device_->table();
  project_scratch_.reset();
  attention_scratch_.reset();
  project_scratch_ = std::make_unique<CudaMemory>(
      device_, table.project_scratch(device_->handle(), tokens, max_cols));
  attention_scratch_ = std::make_unique<CudaMemory>(
      device_, table.attention_scratch(device_->handle(), tokens, max_cols));
  step_.reserve(tokens);
  reserved_tokens_ = tokens;
  reserved_cols_ = max_cols;
}

void Backend::embed(const Weight& table, std::span<const int32_t> ids, Matrix out) {
  check_embed(table, ids, out);
  if (out.rows == 0) return;
  step_.embed(weight_of(table), ids, bucket(out.rows, {out}), out.data);
}

void Backend::project(const Input& input, std::span<const Projection> products) {
  const Matrix& x = input.x;
  int64_t most = room({x});
  products_.clear();
  for (const Projection& p : products) {
    check_projection(x, p);
    most = std::min(most, room({p.out}));
    products_.push_back({weight_of(p.weight), p.gate ? weight_of(*p.gate) : CriaCudaWeight{},
                         p.bias, p.gate ? p.gate_bias : nullptr, p.out.data, p.accumulate});
  }
  if (x.rows == 0 || products.empty()) return;
  check_reserved(x, reserved_tokens_, reserved_cols_);
  CriaCudaProject call{};
  call.x = x.data;
  call.norm = input.norm;
  call.epsilon = input.epsilon;
  call.rows = bucket_rows(x.rows, std::min(most, reserved_tokens_));
  call.cols = x.cols;
  call.count = static_cast<int32_t>(products_.size());
  call.scratch = project_scratch_->data();
  step_.project(call, products_);
}

int64_t Backend::kv_page_bytes(KvType type, int head_width) const {
  check_kv_width(type, head_width);
  const int64_t bytes = device_->table().kv_page_bytes(static_cast<int32_t>(type), head_width);
  if (bytes == 0)
    fail(ErrorCode::kUnsupported, "the CUDA plugin stores no keys and values of type ",
         type == KvType::kF16 ? "f16" : "q8_0", " in heads of width ", head_width,
         "; compute on 'cpu'");
  return bytes;
}

void Backend::check_attention_reserved(const char* op, const Matrix& q) const {
  if (q.rows <= reserved_tokens_ && q.cols <= reserved_cols_) return;
  fail(ErrorCode::kBadArgument, op, ": queries ", shape(q), " but ",
       shape(reserved_tokens_, reserved_cols_), " was reserved; call reserve first");
}

void Backend::rope_store_kv(std::span<const Slice> batch, RopeAngles angles, Matrix q, Matrix k,
                            Matrix v, const LayerKv& kv) {
  check_batch("rope_store_kv", batch, q);
  const int group = group_heads("rope_store_kv", q, kv, kv_page_bytes(kv.type, kv.head_width));
  check_rope(angles, q, k, v, kv);
  check_attention_reserved("rope_store_kv", q);
  if (q.rows == 0) return;
  CriaCudaRope call{};
  call.cos_sin = angles.cos_sin;
  call.pairs = angles.pairs;
  call.rows = bucket(q.rows, {q, k, v});
  call.heads = group * kv.kv_heads;
  call.q = q.data;
  call.k = k.data;
  call.v = v.data;
  call.kv = kv_of(kv);
  step_.rope(call, batch, q.rows);
}

void Backend::attention(std::span<const Slice> batch, Matrix q, const LayerKv& kv, float scale,
                        Matrix out) {
  check_batch("attention", batch, q);
  check_same("attention", "q", q, "out", out);
  const int group = group_heads("attention", q, kv, kv_page_bytes(kv.type, kv.head_width));
  check_attention_reserved("attention", q);
  if (q.rows == 0) return;
  int64_t longest = 0;
  bool prefill = false;
  for (const Slice& slice : batch) {
    longest = std::max(longest, int64_t{slice.past} + slice.count);
    prefill = prefill || slice.count > kCriaCudaFewRows;
  }
  CriaCudaAttention call{};
  call.q = q.data;
  call.out = out.data;
  call.rows = bucket(q.rows, {q, out});
  call.heads = group * kv.kv_heads;
  call.scale = scale;
  call.prefill = prefill;
  call.most_tokens = bucket_tokens(longest);
  call.kv = kv_of(kv);
  call.scratch = attention_scratch_->data();
  step_.attention(call, batch, q.rows);
}

void Backend::gather_rows(Matrix x, std::span<const int64_t> rows, Matrix out) {
  check_gather(x, rows, out);
  if (out.rows == 0) return;
  step_.gather(x.data, x.cols, rows, bucket(out.rows, {out}), out.data);
}

}  // namespace

std::unique_ptr<CudaBackend> make_backend(const Options& options) {
  auto plugin = Plugin::open(options.plugin);
  std::string build = plugin->table().build;
  auto device = std::make_shared<Device>(std::move(plugin), options.device);
  return std::make_unique<Backend>(std::move(device), std::move(build));
}

}  // namespace cria::cuda
