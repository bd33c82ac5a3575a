// F4. Products of weights with activations, packed and as in the file. From memory they are those
// of the backend (cpu/products.h), the preparing of inputs and the sharing out to threads included;
// in a cache each thread calls the kernel by itself.
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
#include "cpu/activations.h"
#include "cpu/panels.h"
#include "cpu/products.h"
#include "quant/codec.h"

namespace cria::bench {
namespace {

using cpu::Activation;
using cpu::Kernels;
using cpu::kPanelRows;

/// Rows that differ; a weight repeats them. A prime, so that no panel equals its neighbours.
constexpr int64_t kDistinct = 67;
/// What a result may be off by, of the sum of the magnitudes of its terms.
constexpr double kTolerance = 1e-6;
/// Rows and tokens that are checked: all of a pair of panels at the beginning, middle and end, and
/// so many tokens at either end.
constexpr int64_t kCheckedTokens = 4;
constexpr int64_t kPage = 4096;

DType to_dtype(const std::string& name) {
  std::string known;
  for (uint32_t id = 0; id < kDTypeTableSize; ++id) {
    const DTypeInfo* info = find_dtype(id);
    if (!info->computed) continue;
    if (name == info->name) return static_cast<DType>(id);
    known += cat(known.empty() ? "" : ", ", info->name);
  }
  fail(ErrorCode::kBadArgument, "no weight type \"", name, "\"; there are ", known);
}

int64_t round_up(int64_t bytes, int64_t grain) {
  return (bytes + grain - 1) / grain * grain;
}

class Product {
 public:
  Product(const Bench& bench, const KernelCase& c, const Kernels& kernels)
      : bench_(bench),
        kernels_(kernels),
        packed_(c.op == "matmul"),
        from_memory_(c.place == Place::kMemory),
        type_(to_dtype(c.type)),
        input_(kernels.matmul[static_cast<uint32_t>(type_)].input),
        tokens_(c.tokens),
        shared_(kernels, bench.pool) {
    choose_shape(c);
    encode();
    place_weights();
    prepare_inputs();
  }

  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  /// Products that a call makes.
  int64_t products() const { return from_memory_ ? 1 : bench_.pool.threads(); }
  int64_t weight_bytes() const {
    return packed_ ? cpu::packed_bytes(type_, rows_, cols_) : rows_ * row_bytes(type_, cols_);
  }

  void run(int64_t calls) {
    if (from_memory_) {
      for (; calls > 0 && !bench_.stopped(); --calls) project(next_copy_++ % copies_);
      return;
    }
    bench_.pool.run([&](int thread, int) {
      for (int64_t i = 0; i < calls && !bench_.stopped(); ++i)
        multiply(kernels_, weights_ + thread * stride_, 0, rows_, 0, tokens_, out(thread), rows_);
    });
  }

  double check() {
    std::fill_n(out(0), products() * tokens_ * rows_, NAN);  // what is not written is seen
    next_copy_ = 0;
    run(1);
    double worst = 0;
    const int64_t pairs = rows_ / kPanelRows, few = std::min(tokens_, kCheckedTokens);
    for (const int64_t pair : {int64_t{0}, pairs / 2, pairs - 1})
      for (const int64_t first : {int64_t{0}, tokens_ - few})
        worst = std::max(worst, check_part(pair * kPanelRows, first, few));
    return worst;
  }

 private:
  float* out(int64_t thread) const { return out_->as<float>() + thread * tokens_ * rows_; }

  void choose_shape(const KernelCase& c) {
    const int64_t block = dtype_info(type_).block_weights, grain = std::max<int64_t>(block, 64);
    const auto pair_bytes = [&](int64_t cols) {
      return cpu::packed_bytes(type_, kPanelRows, cols);
    };
    if (from_memory_) {
      rows_ = c.rows;
      cols_ = c.cols;
      if (rows_ < 1 || rows_ % kPanelRows != 0 || cols_ < 1 || cols_ % grain != 0) {
        fail(ErrorCode::kBadArgument, "a product of ", rows_, "×", cols_, " weights of type ",
             c.type, "; rows must be a multiple of ", kPanelRows, " and columns of ", grain);
      }
      return;
    }
    // Half of the cache: the other half is for activations and results.
    const bool first = c.place == Place::kFirstCache;
    const int64_t budget = (first ? bench_.caches.first : bench_.caches.second) / 2;
    const int64_t fitting = budget / pair_bytes(grain) * grain;
    cols_ = std::clamp<int64_t>(fitting, grain, first ? 1024 : 2048) / grain * grain;
    rows_ = first ? kPanelRows : kPanelRows * std::max<int64_t>(1, budget / pair_bytes(cols_));
  }

  /// The distinct rows, and of each block of them the largest magnitude.
  void encode() {
    Values values(1);
    const int64_t bytes = row_bytes(type_, cols_), block = dtype_info(type_).block_weights;
    const auto width = static_cast<size_t>(cols_);
    rows_encoded_.resize(static_cast<size_t>(kDistinct * bytes));
    magnitudes_.resize(static_cast<size_t>(kDistinct) * width);
    std::vector<float> row(width);
    for (int64_t r = 0; r < kDistinct; ++r) {
      std::byte* encoded = rows_encoded_.data() + r * bytes;
      for (float& w : row) w = values.next();
      quantize_row(type_, row.data(), encoded, cols_);
      dequantize_row(type_, encoded, row.data(), cols_);
      float* most = magnitudes_.data() + r * cols_;
      for (int64_t k = 0; k < cols_; ++k) most[k] = std::fabs(row[static_cast<size_t>(k)]);
      for (int64_t k = 0; k < cols_; k += block)
        std::fill_n(most + k, block, *std::max_element(most + k, most + k + block));
    }
  }

  /// `count` rows from row `first` on, in the file's form; row r is the distinct row r mod 67.
  void copy_rows(std::byte* to, int64_t first, int64_t count) const {
    const int64_t bytes = row_bytes(type_, cols_);
    for (int64_t r = 0; r < count; ++r)
      std::memcpy(to + r * bytes, rows_encoded_.data() + (first + r) % kDistinct * bytes,
                  static_cast<size_t>(bytes));
  }

  void write_weight(std::byte* to) const {
    if (!packed_) return copy_rows(to, 0, rows_);
    const int64_t bytes = cpu::panel_bytes(type_, cols_);
    std::vector<std::byte> rows(static_cast<size_t>(kPanelRows * row_bytes(type_, cols_)));
    for (int64_t p = 0; p < rows_ / kPanelRows; ++p) {
      if (p >= kDistinct) {  // the rows, and so the panels, begin anew
        std::memcpy(to + p * bytes, to + (p - kDistinct) * bytes, static_cast<size_t>(bytes));
        continue;
      }
      copy_rows(rows.data(), p * kPanelRows, kPanelRows);
      std::memset(to + p * bytes, 0, static_cast<size_t>(bytes));
      cpu::pack_panel(type_, rows.data(), kPanelRows, cols_, to + p * bytes);
    }
  }

  /// Copies of the weight: all of the large buffer full, or one for each thread.
  void place_weights() {
    stride_ = round_up(weight_bytes(), kPage);
    if (from_memory_) {
      copies_ = bench_.memory->bytes() / stride_;
      if (copies_ < 1) {
        fail(ErrorCode::kOutOfMemory, "weights of ", format_bytes(static_cast<uint64_t>(stride_)),
             " do not fit in the ", format_bytes(static_cast<uint64_t>(bench_.memory->bytes())),
             " that the benchmark may take; ask for a smaller shape");
      }
      weights_ = bench_.memory->data();
    } else {
      copies_ = bench_.pool.threads();
      own_ = std::make_unique<Buffer>(copies_ * stride_);
      weights_ = own_->data();
    }
    write_weight(weights_);
    std::atomic<int64_t> next{1};
    bench_.pool.run([&](int, int) {
      for (int64_t i = next++; i < copies_ && !bench_.stopped(); i = next++)
        std::memcpy(weights_ + i * stride_, weights_, static_cast<size_t>(weight_bytes()));
    });
  }

  void prepare_inputs() {
    x_.resize(static_cast<size_t>(tokens_ * cols_));
    Values values(2);
    for (float& x : x_) x = values.next();
    x_stride_ = cpu::activation_bytes(input_, cols_);
    inputs_ = std::make_unique<Buffer>(tokens_ * x_stride_);
    for (int64_t t = 0; t < tokens_; ++t) {
      const float* from = x_.data() + t * cols_;
      std::byte* to = inputs_->data() + t * x_stride_;
      if (input_ == Activation::kF32) std::memcpy(to, from, static_cast<size_t>(cols_) * 4);
      if (input_ == Activation::kQ8_32) bench_.reference.quantize_q8_32(from, cols_, to);
      if (input_ == Activation::kQ8_256) bench_.reference.quantize_q8_256(from, cols_, to);
    }
    out_ = std::make_unique<Buffer>(products() * tokens_ * rows_ * 4);
    if (from_memory_) shared_.reserve(tokens_, cols_);
  }

  /// Rows [first, first + count) × tokens [t0, t0 + tokens) of a weight, to out[T × …].
  void multiply(const Kernels& kernels, const std::byte* weight, int64_t first, int64_t count,
                int64_t t0, int64_t tokens, float* out, int64_t out_stride) const {
    const cpu::Matmul& matmul = kernels.matmul[static_cast<uint32_t>(type_)];
    const std::byte* x = inputs_->data() + t0 * x_stride_;
    if (packed_) {
      const int64_t bytes = cpu::panel_bytes(type_, cols_);
      matmul.panels({weight + first / kPanelRows * bytes, bytes, count / kPanelRows, cols_, x,
                     x_stride_, tokens, out, out_stride});
    } else {
      const int64_t bytes = row_bytes(type_, cols_);
      matmul.rows(
          {weight + first * bytes, bytes, count, cols_, x, x_stride_, tokens, out, out_stride});
    }
  }

  /// One product by all threads.
  void project(int64_t copy) {
    const Weight weight{type_, rows_, cols_, weights_ + copy * stride_, packed_};
    const Projection product{weight, nullptr, {out(0), tokens_, rows_}};
    shared_.project(Matrix{x_.data(), tokens_, cols_}, {&product, 1});
  }

  /// The worst error of a pair of panels × some tokens, in the results of every product of a call.
  double check_part(int64_t first_row, int64_t t0, int64_t tokens) const {
    std::vector<float> want(static_cast<size_t>(tokens * kPanelRows));
    multiply(bench_.reference, weights_, first_row, kPanelRows, t0, tokens, want.data(),
             kPanelRows);
    double worst = 0;
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t r = 0; r < kPanelRows; ++r) {
        const float* most = magnitudes_.data() + (first_row + r) % kDistinct * cols_;
        const float* x = x_.data() + (t0 + t) * cols_;
        double terms = 0;
        for (int64_t k = 0; k < cols_; ++k) terms += double{most[k]} * std::fabs(double{x[k]});
        for (int64_t i = 0; i < products(); ++i) {
          const float got = out(i)[(t0 + t) * rows_ + first_row + r];
          const float expected = want[static_cast<size_t>(t * kPanelRows + r)];
          worst = std::max(worst, error_share(got, expected, kTolerance * terms));
        }
      }
    }
    return worst;
  }

  const Bench& bench_;
  const Kernels& kernels_;
  const bool packed_, from_memory_;
  const DType type_;
  const Activation input_;
  const int64_t tokens_;
  cpu::Products shared_;
  int64_t rows_ = 0, cols_ = 0;
  std::vector<std::byte> rows_encoded_;  // [67 × row]
  std::vector<float> magnitudes_;        // [67 × K]
  std::vector<float> x_;                 // [T × K]
  int64_t x_stride_ = 0, stride_ = 0, copies_ = 0, next_copy_ = 0;
  std::unique_ptr<Buffer> own_, inputs_, out_;
  std::byte* weights_ = nullptr;
};

}  // namespace

Work make_product(const Bench& bench, const KernelCase& c, const Kernels& kernels) {
  const auto product = std::make_shared<Product>(bench, c, kernels);
  Work work;
  work.rows = product->rows();
  work.cols = product->cols();
  const auto count = static_cast<double>(product->products());
  work.bytes = count * static_cast<double>(product->weight_bytes());
  work.operations = count * 2 * static_cast<double>(work.rows) * static_cast<double>(work.cols) *
                    static_cast<double>(c.tokens);
  work.check = [product] { return product->check(); };
  work.run = [product](int64_t calls) { product->run(calls); };
  return work;
}

}  // namespace cria::bench
