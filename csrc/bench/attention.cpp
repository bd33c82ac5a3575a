// F4. Attention over cached keys and values, and the storing of them, through the plan that the
// backend computes with (cpu/attention_plan.h). A call is the last `tokens` tokens of one sequence:
//
//   from memory    all KV heads, shared out over the threads; the cache is the next copy each time
//
//     [ head 0: page 0 │ page 1 │ … ][ head 1: … ] …   one copy, as one layer of a model has it
//
//   from a cache   one KV head on each thread, of its own copy, by a plan over one thread
#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/error.h"
#include "base/memory.h"
#include "bench/work.h"
#include "cpu/attention_plan.h"

namespace cria::bench {
namespace {

using cpu::AttentionPlan;
using cpu::Kernels;

/// The heads of a 1.1B model: as many queries a KV head as larger ones have.
constexpr int kKvHeads = 4, kGroup = 8;
constexpr int kCachedWidth = 64;
/// What a result may be off by. Values are of size 1 and weights sum to 1; 4096 positions weigh
/// some 1e-4 each, so that none can be missing.
constexpr double kTolerance = 3e-6;
/// Tokens that are checked, at either end.
constexpr int kCheckedTokens = 4;
constexpr int64_t kAlign = 4096;

KvType to_kv_type(const KernelCase& c) {
  if (c.type == "F16") return KvType::kF16;
  if (c.type == "Q8_0") return KvType::kQ8_0;
  fail(ErrorCode::kBadArgument, "no type \"", c.type, "\" of ", c.op, "; there are F16, Q8_0");
}

int64_t pages_of(int64_t positions) {
  return (positions + kPageTokens - 1) / kPageTokens;
}

/// A plan over one thread.
struct Alone {
  ThreadPool pool{1};
  AttentionPlan plan;
  explicit Alone(const Kernels& kernels) : plan(kernels, pool) {}
};

class CachedSequence {
 public:
  CachedSequence(const Bench& bench, const KernelCase& c, const Kernels& kernels)
      : bench_(bench),
        type_(to_kv_type(c)),
        stores_(c.op == "store_kv"),
        from_memory_(c.place == Place::kMemory),
        tokens_(static_cast<int>(c.tokens)),
        shared_(kernels, bench.pool) {
    choose_shape(c);
    fill_sequence();
    place_copies();
    shared_.reserve(tokens_, heads() * width_);
    for (int i = 0; !from_memory_ && i < bench_.pool.threads(); ++i) {
      alone_.push_back(std::make_unique<Alone>(kernels));
      alone_.back()->plan.reserve(tokens_, heads() * width_);
    }
    out_ = std::make_unique<Buffer>(sequences() * tokens_ * heads() * width_ * 4);
  }

  int64_t positions() const { return length_; }
  int64_t width() const { return width_; }

  /// Attention reads keys and values once; storing reads them in f32, and writes them.
  double bytes() const {
    const double stored = static_cast<double>(page_bytes_) / kPageTokens;
    const double a_position = stores_ ? stored + 8.0 * width_ : stored;
    return static_cast<double>(sequences() * kv_heads_) * (stores_ ? tokens_ : length_) *
           a_position;
  }
  /// Of attention two multiply-adds an element of every position that a query attends to.
  double operations() const {
    const double queries = tokens_, elements = static_cast<double>(sequences()) * width_;
    if (stores_) return elements * kv_heads_ * queries * 2 * (type_ == KvType::kF16 ? 1 : 3);
    const double seen = queries * (length_ - tokens_) + queries * (queries + 1) / 2;
    return 4 * elements * static_cast<double>(heads()) * seen;
  }

  void run(int64_t calls) {
    if (from_memory_) {
      for (; calls > 0 && !bench_.stopped(); --calls) call(shared_, next_copy_++ % copies_, 0);
      return;
    }
    bench_.pool.run([&](int thread, int) {
      AttentionPlan& plan = alone_[static_cast<size_t>(thread)]->plan;
      for (int64_t i = 0; i < calls && !bench_.stopped(); ++i) call(plan, thread, thread);
    });
  }

  double check() {
    next_copy_ = 0;
    return stores_ ? check_stored() : check_attended();
  }

 private:
  int64_t heads() const { return int64_t{kv_heads_} * kGroup; }
  /// That a call computes.
  int64_t sequences() const { return from_memory_ ? 1 : bench_.pool.threads(); }
  int64_t head_bytes() const { return pages_of(length_) * page_bytes_; }
  int64_t copy_bytes() const { return kv_heads_ * head_bytes(); }
  std::byte* copy(int64_t i) const { return memory_ + i * stride_; }
  Matrix out(int64_t sequence) const {
    const int64_t cols = heads() * width_;
    return {out_->as<float>() + sequence * tokens_ * cols, tokens_, cols};
  }
  LayerKv layer(std::byte* pages) const {
    return {pages, page_bytes_, head_bytes(), type_, kv_heads_, width_};
  }
  float scale() const { return 1 / std::sqrt(static_cast<float>(width_)); }

  void call(AttentionPlan& plan, int64_t index, int64_t sequence) {
    const Slice slice = last_tokens(0, tokens_);
    if (stores_) {
      store(plan, slice, keys_.data(), values_.data(), copy(index));
    } else {
      const Matrix q{q_.data(), tokens_, heads() * width_};
      plan.attend({&slice, 1}, q, layer(copy(index)), scale(), out(sequence));
    }
  }

  /// `count` of the call's tokens, from its token `first` on.
  Slice last_tokens(int first, int count) const {
    return {0, count, length_ - tokens_ + first, table_.data()};
  }

  /// Stores a slice of keys and values [positions × G·K]. Without angles nothing is rotated, and
  /// any matrix will do for the queries.
  void store(AttentionPlan& plan, const Slice& slice, float* keys, float* values,
             std::byte* pages) {
    const int64_t cols = int64_t{kv_heads_} * width_, first = slice.past * cols;
    const Matrix k{keys + first, slice.count, cols}, v{values + first, slice.count, cols};
    plan.rope_store({&slice, 1}, {}, k, k, v, layer(pages));
  }

  void choose_shape(const KernelCase& c) {
    kv_heads_ = from_memory_ ? kKvHeads : 1;
    width_ = from_memory_ ? static_cast<int>(c.cols) : kCachedWidth;
    if (width_ < 32 || width_ % 32 != 0 || width_ > kMaxHeadWidth) {
      fail(ErrorCode::kBadArgument, c.op, " with heads of width ", c.cols,
           "; the width must be a multiple of 32 up to ", kMaxHeadWidth);
    }
    page_bytes_ = AttentionPlan::page_bytes(type_, width_);
    length_ = static_cast<int>(c.rows);
    if (!from_memory_) {
      const bool first = c.place == Place::kFirstCache;
      const int64_t budget = (first ? bench_.caches.first : bench_.caches.second) / 2;
      length_ = static_cast<int>(std::max<int64_t>(1, budget / page_bytes_)) * kPageTokens;
    }
    if (length_ < tokens_) {
      fail(ErrorCode::kBadArgument, c.op, " of ", tokens_, " tokens in a cache of ", length_,
           " positions; there must be one for each token");
    }
    for (int64_t i = 0; i < pages_of(length_); ++i) table_.push_back(static_cast<int32_t>(i));
  }

  void fill_sequence() {
    Values random(5);
    const auto fill = [&](std::vector<float>& to, int64_t count) {
      to.resize(static_cast<size_t>(count));
      for (float& x : to) x = random.next();
    };
    fill(q_, tokens_ * heads() * width_);
    fill(keys_, int64_t{length_} * kv_heads_ * width_);
    fill(values_, int64_t{length_} * kv_heads_ * width_);
  }

  /// Copies of the cache: all of the large buffer full, or one for each thread; as the reference
  /// stores it.
  void place_copies() {
    stride_ = (copy_bytes() + kAlign - 1) / kAlign * kAlign;
    if (from_memory_) {
      copies_ = bench_.memory->bytes() / stride_;
      if (copies_ < 1) {
        fail(ErrorCode::kOutOfMemory, "keys and values of ",
             format_bytes(static_cast<uint64_t>(stride_)), " do not fit in the ",
             format_bytes(static_cast<uint64_t>(bench_.memory->bytes())),
             " that the benchmark may take; ask for fewer positions");
      }
      memory_ = bench_.memory->data();
    } else {
      copies_ = bench_.pool.threads();
      own_ = std::make_unique<Buffer>(copies_ * stride_);
      memory_ = own_->data();
    }
    AttentionPlan reference(bench_.reference, bench_.pool);
    store(reference, {0, length_, 0, table_.data()}, keys_.data(), values_.data(), copy(0));
    std::atomic<int64_t> next{1};
    bench_.pool.run([&](int, int) {
      for (int64_t i = next++; i < copies_ && !bench_.stopped(); i = next++)
        std::memcpy(copy(i), copy(0), static_cast<size_t>(copy_bytes()));
    });
  }

  /// The first and the last tokens of every sequence.
  double check_attended() {
    std::fill_n(out_->as<float>(), out_->bytes() / 4, NAN);  // what is not written is seen
    run(1);
    AttentionPlan reference(bench_.reference, bench_.pool);
    const int few = std::min(tokens_, kCheckedTokens);
    const int64_t cols = heads() * width_;
    reference.reserve(few, cols);
    std::vector<float> want(static_cast<size_t>(few * cols));
    double worst = 0;
    for (const int first : {0, tokens_ - few}) {
      const Slice slice = last_tokens(first, few);
      reference.attend({&slice, 1}, {q_.data() + first * cols, few, cols}, layer(copy(0)), scale(),
                       {want.data(), few, cols});
      for (int64_t s = 0; s < sequences(); ++s) {
        const float* got = out(s).row(first);
        for (int64_t i = 0; i < few * cols; ++i)
          worst = std::max(worst, error_share(got[i], want[static_cast<size_t>(i)], kTolerance));
      }
    }
    return worst;
  }

  /// Whether the tokens come to be stored again, to the same bits, where there were others.
  double check_stored() {
    const std::vector<std::byte> want(copy(0), copy(0) + copy_bytes());
    std::vector<float> others(keys_.size(), 1.0f);
    AttentionPlan reference(bench_.reference, bench_.pool);
    for (int64_t s = 0; s < sequences(); ++s)
      store(reference, last_tokens(0, tokens_), others.data(), others.data(), copy(s));
    run(1);
    bool same = true;
    for (int64_t s = 0; s < sequences(); ++s)
      same = same && std::memcmp(copy(s), want.data(), want.size()) == 0;
    return same ? 0 : INFINITY;
  }

  const Bench& bench_;
  const KvType type_;
  const bool stores_, from_memory_;
  const int tokens_;
  AttentionPlan shared_;
  std::vector<std::unique_ptr<Alone>> alone_;
  int kv_heads_ = 0, width_ = 0, length_ = 0;
  int64_t page_bytes_ = 0, stride_ = 0, copies_ = 0, next_copy_ = 0;
  std::vector<int32_t> table_;
  std::vector<float> q_;              // [T × H·K]
  std::vector<float> keys_, values_;  // [positions × G·K]
  std::unique_ptr<Buffer> own_, out_;
  std::byte* memory_ = nullptr;
};

}  // namespace

Work make_cached_sequence(const Bench& bench, const KernelCase& c, const Kernels& kernels) {
  const auto sequence = std::make_shared<CachedSequence>(bench, c, kernels);
  Work work;
  work.rows = sequence->positions();
  work.cols = sequence->width();
  work.bytes = sequence->bytes();
  work.operations = sequence->operations();
  work.check = [sequence] { return sequence->check(); };
  work.run = [sequence](int64_t calls) { sequence->run(calls); };
  return work;
}

}  // namespace cria::bench
