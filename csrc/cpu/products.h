// F3. Products of the CPU backend: an input is prepared once (normed, rounded to 8 bits), all
// weights that take it are multiplied behind one barrier, and what is done to the results (bias,
// gate, sum) happens while they are in the cache.
#pragma once

#include <memory>
#include <span>

#include "backend/backend.h"
#include "base/thread_pool.h"
#include "cpu/kernels.h"

namespace cria::cpu {

class Products {
 public:
  Products(const Kernels& kernels, ThreadPool& pool) : kernels_(kernels), pool_(pool) {}

  size_t scratch_bytes(int64_t tokens, int64_t max_cols) const;
  void reserve(int64_t tokens, int64_t max_cols);
  /// Backend::project.
  void project(const Input& input, std::span<const Projection> products);

 private:
  /// The input in each form it was prepared in: rows and bytes from one to the next.
  struct Prepared {
    const std::byte* rows[kActivations] = {};
    int64_t stride[kActivations] = {};
  };
  /// A thread's own memory: a row on its way to 8 bits, and the outputs of the range it works on.
  float* row_of(int thread) const;
  float* outputs_of(int thread) const;

  Prepared prepare(const Input& input, std::span<const Projection> products);
  const float* compute_row(const Input& input, int64_t t, float* out) const;
  void compute(const Prepared& input, const Projection& p, int64_t first, int64_t rows, int thread,
               int64_t tokens) const;
  void multiply(const Prepared& input, const Weight& w, int64_t first, int64_t rows, int64_t t0,
                int64_t tokens, float* out, int64_t stride) const;
  void store(const Projection& p, int64_t first, int64_t rows, int64_t t, float* sums,
             float* gates) const;

  const Kernels& kernels_;
  ThreadPool& pool_;
  std::unique_ptr<DeviceMemory> scratch_;
  int64_t reserved_tokens_ = 0;
  int64_t reserved_cols_ = 0;
};

}  // namespace cria::cpu
