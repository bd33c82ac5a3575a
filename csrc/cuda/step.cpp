#include "cuda/step.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

#include "base/hash.h"

namespace cria::cuda {
namespace {

constexpr int32_t kLeastTokens = 256;
/// Graphs take some memory of the device, and buckets are few: more lists than this are not steps.
constexpr size_t kMostGraphs = 256;
/// Room for the inputs of a few steps, and for their RoPE angles.
constexpr size_t kRingBytes = size_t{1} << 20;
constexpr int kFirstMark = 2;
static_assert(kFirstMark + 2 <= kCriaCudaMarks);

/// Which function an operation calls, for signatures.
enum class Function : uint64_t { kEmbed, kGather, kProject, kRope, kAttention };

uint64_t word(Function function) {
  return static_cast<uint64_t>(function);
}
uint64_t word(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer);
}
uint64_t word(float value) {
  return std::bit_cast<uint32_t>(value);
}
template <class T>
requires std::is_integral_v<T> uint64_t word(T value) {
  return static_cast<uint64_t>(value);
}

/// Places arrays one after the other, each aligned to 64 bytes.
class Cursor {
 public:
  /// Where an array of `count` elements begins.
  template <class T>
  size_t place(size_t count) {
    const size_t at = bytes_;
    bytes_ += (std::max<size_t>(count, 1) * sizeof(T) + 63) / 64 * 64;
    return at;
  }
  size_t bytes() const { return bytes_; }

 private:
  size_t bytes_ = 0;
};

}  // namespace

int64_t bucket_rows(int64_t rows, int64_t most) {
  const auto wanted = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows)));
  return std::max(rows, std::min(wanted, most));
}

int32_t bucket_tokens(int64_t tokens) {
  const auto wanted = std::bit_ceil(static_cast<uint64_t>(std::max<int64_t>(tokens, 1)));
  return static_cast<int32_t>(
      std::clamp<uint64_t>(wanted, static_cast<uint64_t>(kLeastTokens), uint64_t{1} << 30));
}

size_t Step::SignatureHash::operator()(const Signature& words) const {
  Hash64 hash;
  hash.add_values(std::span<const uint64_t>(words));
  return static_cast<size_t>(hash.digest());
}

Step::Step(std::shared_ptr<Device> device)
    : device_(std::move(device)), ring_(device_, kRingBytes, kFirstMark) {
  reserve(64);
}

Step::~Step() {
  try {
    device_->synchronize();
  } catch (const Error&) {
    // Of a lost device nothing runs any more.
  }
  drop_graphs();
}

size_t Step::graphs() const {
  return static_cast<size_t>(
      std::ranges::count_if(graphs_, [](const auto& entry) { return entry.second != nullptr; }));
}

// ---- recording ----------------------------------------------------------------------------------

template <class... Values>
void Step::sign(Values... values) {
  (signature_.push_back(word(values)), ...);
}

void Step::sign(const CriaCudaWeight& weight) {
  sign(weight.type, weight.rows, weight.cols, weight.data);
}

void Step::sign(const CriaCudaKv& kv) {
  sign(word(kv.pages), kv.page_bytes, kv.head_bytes, kv.type, kv.kv_heads, kv.head_width);
}

void Step::widen(int64_t rows) {
  rows_ = std::max(rows_, rows);
}

void Step::embed(const CriaCudaWeight& table, std::span<const int32_t> ids, int64_t rows,
                 float* out) {
  launch();  // ids begin a step
  ids_.assign(ids.begin(), ids.end());
  alive_ = static_cast<int64_t>(ids.size());
  has_ids_ = true;
  widen(rows);
  sign(Function::kEmbed);
  sign(table);
  sign(rows, out);
  ops_.push_back(Embed{table, rows, out});
}

void Step::gather(const float* x, int64_t cols, std::span<const int64_t> from, int64_t rows,
                  float* out) {
  if (has_gathered_) launch();
  has_gathered_ = true;
  gathered_.clear();
  for (const int64_t row : from) gathered_.push_back(static_cast<int32_t>(row));
  widen(rows);
  sign(Function::kGather, x, cols, rows, out);
  ops_.push_back(Gather{x, cols, rows, out});
}

void Step::project(const CriaCudaProject& call, std::span<const CriaCudaProduct> products) {
  sign(Function::kProject, call.x, call.norm, call.epsilon, call.rows, call.cols, call.count,
       call.scratch);
  for (const CriaCudaProduct& p : products) {
    sign(p.weight);
    sign(p.gate);
    sign(p.bias, p.gate_bias, p.out, p.accumulate);
  }
  ops_.push_back(Project{call, products_.size()});
  products_.insert(products_.end(), products.begin(), products.end());
}

void Step::rope(const CriaCudaRope& call, std::span<const Slice> batch, int64_t alive) {
  take_batch(batch, alive);
  widen(call.rows);
  sign(Function::kRope, call.cos_sin, call.pairs, call.rows, call.heads, call.q, call.k, call.v);
  sign(call.kv);
  ops_.push_back(call);
}

void Step::attention(const CriaCudaAttention& call, std::span<const Slice> batch, int64_t alive) {
  take_batch(batch, alive);
  widen(call.rows);
  sign(Function::kAttention, call.q, call.out, call.rows, call.heads, call.scale, call.prefill,
       call.most_tokens, call.scratch);
  sign(call.kv);
  ops_.push_back(call);
}

/// The slices of the step, which every layer gives again.
void Step::take_batch(std::span<const Slice> batch, int64_t alive) {
  if (has_batch_ && alive == alive_ && same_batch(batch)) return;
  if (has_batch_ || (has_ids_ && alive != alive_)) launch();
  has_batch_ = true;
  alive_ = alive;
  slices_.clear();
  pages_.clear();
  for (const Slice& slice : batch) {
    if (slice.count == 0) continue;
    slices_.push_back({static_cast<int32_t>(slice.first_row), slice.count, slice.past,
                       static_cast<int32_t>(pages_.size())});
    const int64_t tokens = int64_t{slice.past} + slice.count;
    pages_.insert(pages_.end(), slice.pages,
                  slice.pages + (tokens + kPageTokens - 1) / kPageTokens);
  }
}

bool Step::same_batch(std::span<const Slice> batch) const {
  size_t index = 0;
  for (const Slice& slice : batch) {
    if (slice.count == 0) continue;
    if (index == slices_.size()) return false;
    const CriaCudaSlice& own = slices_[index++];
    const int64_t pages = (int64_t{own.past} + own.count + kPageTokens - 1) / kPageTokens;
    if (own.first_row != slice.first_row || own.count != slice.count || own.past != slice.past ||
        !std::equal(slice.pages, slice.pages + pages, pages_.begin() + own.first_page))
      return false;
  }
  return index == slices_.size();
}

bool Step::lets_past(const void* to, size_t bytes) const {
  if (ops_.empty()) return true;
  const Embed* embed = ops_.size() == 1 ? std::get_if<Embed>(&ops_.front()) : nullptr;
  if (!embed) return false;
  const uint64_t begin = word(to), out = word(embed->out);
  const auto wide = static_cast<uint64_t>(embed->rows * embed->table.cols) * sizeof(float);
  return begin + bytes <= out || out + wide <= begin;
}

void Step::drop() {
  ops_.clear();
  products_.clear();
  signature_.clear();
  ids_.clear();
  slices_.clear();
  pages_.clear();
  gathered_.clear();
  alive_ = rows_ = 0;
  has_ids_ = has_batch_ = has_gathered_ = false;
}

// ---- launching ----------------------------------------------------------------------------------

void Step::launch() {
  if (ops_.empty()) return drop();
  // Whatever fails, nothing of it is tried again.
  struct Dropped {
    Step& step;
    ~Dropped() { step.drop(); }
  } const dropped{*this};
  upload_inputs();
  if (graphs_.size() >= kMostGraphs) {
    device_->synchronize();
    drop_graphs();
  }
  const auto [entry, fresh] = graphs_.try_emplace(signature_, nullptr);
  if (fresh) return run();
  if (!entry->second) entry->second = capture();
  device_->call("computing", &CriaCudaTable::launch_graph, entry->second);
  ++launched_graphs_;
}

/// CriaCudaStep, then its arrays; those of rows as long as the widest operation has rows.
Step::Layout Step::lay_out() const {
  const auto rows = static_cast<size_t>(rows_);
  Cursor cursor;
  Layout layout;
  layout.head = cursor.place<CriaCudaStep>(1);
  layout.ids = cursor.place<int32_t>(rows);
  layout.slices = cursor.place<CriaCudaSlice>(slices_.size());
  layout.slice_of_row = cursor.place<int32_t>(rows);
  layout.pages = cursor.place<int32_t>(pages_.size());
  layout.gathered = cursor.place<int32_t>(rows);
  layout.bytes = cursor.bytes();
  return layout;
}

/// Writes the step to `host` as it will lie at `device`.
void Step::write(const Layout& layout, std::byte* host, const std::byte* device) const {
  const auto rows = static_cast<size_t>(rows_);
  const auto ints = [&](size_t at) { return reinterpret_cast<int32_t*>(host + at); };
  const auto there = [&](size_t at) { return reinterpret_cast<const int32_t*>(device + at); };
  const auto fill = [&](size_t at, const std::vector<int32_t>& values) {
    const size_t count = std::min(values.size(), rows);
    std::copy_n(values.begin(), count, ints(at));
    std::fill(ints(at) + count, ints(at) + rows, 0);
  };
  fill(layout.ids, ids_);
  fill(layout.gathered, gathered_);
  std::copy(pages_.begin(), pages_.end(), ints(layout.pages));
  if (!slices_.empty())
    std::memcpy(host + layout.slices, slices_.data(), slices_.size() * sizeof(CriaCudaSlice));
  int32_t* slice_of_row = ints(layout.slice_of_row);
  std::fill(slice_of_row, slice_of_row + rows, -1);
  for (size_t i = 0; i < slices_.size(); ++i)
    std::fill_n(slice_of_row + slices_[i].first_row, slices_[i].count, static_cast<int32_t>(i));
  new (host + layout.head) CriaCudaStep{
      .alive = static_cast<int32_t>(alive_),
      .slices = static_cast<int32_t>(slices_.size()),
      .ids = there(layout.ids),
      .slice = reinterpret_cast<const CriaCudaSlice*>(device + layout.slices),
      .slice_of_row = there(layout.slice_of_row),
      .pages = there(layout.pages),
      .gathered = there(layout.gathered),
  };
}

void Step::upload_inputs() {
  const Layout layout = lay_out();
  if (layout.bytes > block_->bytes()) {  // graphs hold its address
    device_->synchronize();
    drop_graphs();
    block_.reset();
    block_ = std::make_unique<CudaMemory>(device_, 2 * layout.bytes);
  }
  if (layout.bytes > ring_.half_bytes()) ring_.grow(2 * layout.bytes);
  std::byte* host = ring_.take(layout.bytes);
  write(layout, host, static_cast<std::byte*>(block_->data()));
  device_->call("computing", &CriaCudaTable::upload, block_->data(), host, layout.bytes);
}

/// Puts bytes at `to` ahead of what is held back.
void Step::upload(void* to, const void* from, size_t bytes) {
  for (size_t at = 0; at < bytes;) {
    const size_t part = std::min(bytes - at, ring_.half_bytes());
    std::byte* host = ring_.take(part);
    std::memcpy(host, static_cast<const std::byte*>(from) + at, part);
    device_->call("copying", &CriaCudaTable::upload, static_cast<std::byte*>(to) + at, host, part);
    at += part;
  }
}

/// Calls the operations in their order.
void Step::run() {
  const auto* step = static_cast<const CriaCudaStep*>(block_->data());
  for (Op& op : ops_) {
    if (const auto* embed = std::get_if<Embed>(&op)) {
      device_->call("computing", &CriaCudaTable::embed, step, embed->table, embed->rows,
                    embed->out);
    } else if (const auto* gather = std::get_if<Gather>(&op)) {
      device_->call("computing", &CriaCudaTable::gather, step, gather->x, gather->cols,
                    gather->rows, gather->out);
    } else if (auto* project = std::get_if<Project>(&op)) {
      project->call.products = products_.data() + project->first;
      device_->call("computing", &CriaCudaTable::project, &project->call);
    } else if (auto* rope = std::get_if<CriaCudaRope>(&op)) {
      rope->step = step;
      device_->call("computing", &CriaCudaTable::rope_store_kv, rope);
    } else {
      auto& attention = std::get<CriaCudaAttention>(op);
      attention.step = step;
      device_->call("computing", &CriaCudaTable::attention, &attention);
    }
  }
}

CriaCudaGraph* Step::capture() {
  device_->call("computing", &CriaCudaTable::begin_capture);
  CriaCudaGraph* graph = nullptr;
  try {
    run();
  } catch (const Error&) {
    // The stream must not stay in this state; the first fault is the one to tell of.
    if (device_->table().end_capture(device_->handle(), &graph) == 0 && graph)
      device_->table().free_graph(device_->handle(), graph);
    throw;
  }
  device_->call("computing", &CriaCudaTable::end_capture, &graph);
  return graph;
}

/// None of them runs any more.
void Step::drop_graphs() noexcept {
  for (const auto& [signature, graph] : graphs_)
    if (graph) device_->table().free_graph(device_->handle(), graph);
  graphs_.clear();
}

size_t Step::block_bytes(int64_t tokens) {
  // Four arrays of a row each, and page tables of as many pages, that all may take up as much
  // again.
  constexpr size_t kLeast = size_t{64} << 10;
  return std::max(kLeast, static_cast<size_t>(tokens) * 64);
}

void Step::reserve(int64_t tokens) {
  device_->synchronize();
  drop_graphs();
  block_.reset();
  block_ = std::make_unique<CudaMemory>(device_, block_bytes(tokens));
}

}  // namespace cria::cuda
