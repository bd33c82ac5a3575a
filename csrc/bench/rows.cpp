// F4. Operations on rows of floats. A call is one row on each thread, the next one each time:
//
//   data of a thread    [ a₀ │ b₀ ][ a₁ │ b₁ ] …     slots of two rows of n floats, in the place
//   asked for
//
// `a` is what an operation reads, or turns in place; `b` its other input, or what it writes.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "bench/work.h"
#include "cpu/activations.h"

namespace cria::bench {
namespace {

using cpu::Activation;
using cpu::Kernels;

constexpr int kHeadWidth = 128;
constexpr float kEps = 1e-5f;
/// Rows in the caches are as wide as those of a 1.1B model, where they fit.
constexpr int64_t kCachedWidth = 2048;
constexpr int64_t kGrain = 256;

/// What the operations need besides a and b; the same for all rows.
struct Constants {
  std::vector<float> weight;  // of the norm
  std::vector<float> angles;  // of the rotation
};

/// One operation: what it does to slot (a, b) of n floats, what it moves, and how exact it has to
/// be.
struct RowOp {
  const char* name;
  const char* type;
  void (*run)(const Kernels& k, const Constants& c, float* a, float* b, int64_t n);
  double bytes;       // moved an element: what is read and written of a and b
  double operations;  // an element, as the formula in cpu/kernels.h has them
  bool in_place;      // whether the result is in a
  /// What element i of the result may be off by; 0: nothing.
  double (*bound)(const float* a, float want, int64_t i);
};

double relative(const float*, float want, int64_t) {
  return 2e-6 * std::fabs(double{want}) + 1e-38;
}
double exactly(const float*, float, int64_t) {
  return 0;
}
/// Of a rotated pair: of the size of the pair.
double of_pair(const float* a, float, int64_t i) {
  return 1e-6 * (std::fabs(double{a[i / 2 * 2]}) + std::fabs(double{a[i / 2 * 2 + 1]}));
}

const RowOp kOps[] = {
    {"quantize", "Q8_32",
     [](const Kernels& k, const Constants&, float* a, float* b, int64_t n) {
       k.quantize_q8_32(a, n, reinterpret_cast<std::byte*>(b));
     },
     4 + 1 + 12.0 / 32, 3, false, exactly},
    {"quantize", "Q8_256",
     [](const Kernels& k, const Constants&, float* a, float* b, int64_t n) {
       k.quantize_q8_256(a, n, reinterpret_cast<std::byte*>(b));
     },
     4 + 1 + 4.0 / 256 + 6.0 / 16 + 6.0 / 32, 3, false, exactly},
    {"rmsnorm", "F32",
     [](const Kernels& k, const Constants& c, float* a, float* b, int64_t n) {
       k.rmsnorm(a, c.weight.data(), kEps, n, b);
     },
     8, 4, false, relative},
    {"rope", "F32",
     [](const Kernels& k, const Constants& c, float* a, float*, int64_t n) {
       k.rope({c.angles.data(), kHeadWidth / 2, static_cast<int>(n / kHeadWidth), kHeadWidth}, a);
     },
     8, 3, true, of_pair},
    {"silu_mul", "F32",
     [](const Kernels& k, const Constants&, float* a, float* b, int64_t n) { k.silu_mul(a, b, n); },
     12, 4, true, relative},
    {"add", "F32",
     [](const Kernels& k, const Constants&, float* a, float* b, int64_t n) { k.add(a, b, n); }, 12,
     1, true, exactly},
    {"exp", "F32",
     [](const Kernels& k, const Constants&, float* a, float* b, int64_t n) { k.exp(a, n, b); }, 8,
     1, false, relative},
};

const RowOp& find_op(const KernelCase& c) {
  std::string known;
  for (const RowOp& op : kOps) {
    if (c.op == op.name && c.type == op.type) return op;
    if (c.op == op.name) known += cat(known.empty() ? "" : ", ", op.type);
  }
  fail(ErrorCode::kBadArgument, "no type \"", c.type, "\" of ", c.op, "; there is ", known);
}

class RowWork {
 public:
  RowWork(const Bench& bench, const KernelCase& c, const Kernels& kernels)
      : bench_(bench), kernels_(kernels), op_(find_op(c)), place_(c.place) {
    choose_width(c);
    Values values(3);
    for (int64_t i = 0; i < n_; ++i) constants_.weight.push_back(values.next());
    for (int i = 0; i < kHeadWidth / 2; ++i) {
      const double angle = 0.1 * i;
      constants_.angles.push_back(static_cast<float>(std::cos(angle)));
      constants_.angles.push_back(static_cast<float>(std::sin(angle)));
    }
    place_rows();
  }

  int64_t cols() const { return n_; }
  double bytes() const { return op_.bytes * per_call(); }
  double operations() const { return op_.operations * per_call(); }

  /// On rows of their own, whose values are not those of the timing.
  double check() const {
    const auto width = static_cast<size_t>(n_);
    std::vector<float> a(width), b(width);
    Values values(4);
    for (float& x : a) x = 4 * values.next();
    for (float& x : b) x = values.next();
    std::vector<float> a1 = a, b1 = b, a2 = a, b2 = b;
    op_.run(bench_.reference, constants_, a1.data(), b1.data(), n_);
    op_.run(kernels_, constants_, a2.data(), b2.data(), n_);
    const std::vector<float>&want = op_.in_place ? a1 : b1, &got = op_.in_place ? a2 : b2;
    double worst = 0;
    for (int64_t i = 0; i < n_; ++i) {
      const auto at = static_cast<size_t>(i);
      const bool bits = op_.bound == exactly;  // codes are no floats to be compared as such
      const bool same = std::memcmp(&got[at], &want[at], sizeof(float)) == 0;
      if (same) continue;
      worst =
          std::max(worst, bits ? INFINITY
                               : error_share(got[at], want[at], op_.bound(a.data(), want[at], i)));
    }
    return worst;
  }

  void run(int64_t calls) {
    bench_.pool.run([&](int thread, int) {
      float* rows = rows_ + thread * slots_ * 2 * n_;
      int64_t slot = next_ % slots_;
      for (int64_t i = 0; i < calls; ++i) {
        float* a = rows + slot * 2 * n_;
        op_.run(kernels_, constants_, a, a + n_, n_);
        if (++slot == slots_) slot = 0;
        if (i % 1024 == 0 && bench_.stopped()) return;
      }
    });
    next_ += calls;
  }

 private:
  /// Elements of a call.
  double per_call() const {
    return static_cast<double>(n_) * static_cast<double>(bench_.pool.threads());
  }

  void choose_width(const KernelCase& c) {
    const int64_t threads = bench_.pool.threads();
    int64_t budget = 0;  // bytes of a thread's slots
    if (place_ == Place::kMemory) {
      budget = bench_.memory->bytes() / threads;
      n_ = c.cols;
    } else {
      budget = (place_ == Place::kFirstCache ? bench_.caches.first : bench_.caches.second) / 2;
      n_ = std::clamp(budget / 8 / kGrain * kGrain, kGrain, kCachedWidth);
    }
    if (n_ < 1 || n_ % kGrain != 0)
      fail(ErrorCode::kBadArgument, c.op, " of rows of ", n_, "; they must be a multiple of ",
           kGrain);
    slots_ = budget / (8 * n_);
    if (place_ != Place::kMemory) slots_ = std::max<int64_t>(slots_, 1);
    if (slots_ < 1)
      fail(ErrorCode::kOutOfMemory, "rows of ", n_, " do not fit in the memory of the benchmark");
  }

  /// Values that an operation in place leaves (nearly) as they are, however often it is called, so
  /// that none comes to be infinite or denormal: x / (1 + exp(−x)) · 1 is x for x ≥ 17.
  void place_rows() {
    if (place_ == Place::kMemory) {
      rows_ = bench_.memory->as<float>();
    } else {
      own_ = std::make_unique<Buffer>(bench_.pool.threads() * slots_ * 2 * n_ * 4);
      rows_ = own_->as<float>();
    }
    bench_.pool.run([&](int thread, int) {
      float* first = rows_ + thread * slots_ * 2 * n_;
      for (int64_t i = 0; i < n_; ++i) {
        first[i] = 17.0f + static_cast<float>(i % 32);
        first[n_ + i] = 1.0f;
      }
      for (int64_t slot = 1; slot < slots_ && !bench_.stopped(); ++slot)
        std::memcpy(first + slot * 2 * n_, first, static_cast<size_t>(n_) * 8);
    });
  }

  const Bench& bench_;
  const Kernels& kernels_;
  const RowOp& op_;
  const Place place_;
  int64_t n_ = 0, slots_ = 0, next_ = 0;
  Constants constants_;
  std::unique_ptr<Buffer> own_;
  float* rows_ = nullptr;  // [threads × slots × 2 × n]
};

}  // namespace

bool is_row_op(const std::string& op) {
  return std::any_of(std::begin(kOps), std::end(kOps),
                     [&](const RowOp& known) { return op == known.name; });
}

Work make_row_work(const Bench& bench, const KernelCase& c, const Kernels& kernels) {
  const auto rows = std::make_shared<RowWork>(bench, c, kernels);
  Work work;
  work.rows = 1;
  work.cols = rows->cols();
  work.bytes = rows->bytes();
  work.operations = rows->operations();
  work.check = [rows] { return rows->check(); };
  work.run = [rows](int64_t calls) { rows->run(calls); };
  return work;
}

}  // namespace cria::bench
