// F3, device. out[i] = x[gathered[i]].
//
// Shapes: x [T × cols], out [rows × cols]. Grid (⌈cols / 1024⌉, rows), four floats a thread. Bytes
// moved: 8 · rows · cols.
#include "cuda/device/ops.h"

namespace cria::cuda {
namespace {

constexpr int kThreads = 256, kEach = 4;

__global__ void __launch_bounds__(kThreads)
    gather_kernel(const CriaCudaStep* step, const float* x, int64_t cols, float* out) {
  const float* from = x + step->gathered[blockIdx.y] * cols;
  float* to = out + blockIdx.y * cols;
  const int64_t first = int64_t{blockIdx.x} * kThreads * kEach + threadIdx.x;
  for (int i = 0; i < kEach; ++i) {
    const int64_t col = first + i * kThreads;
    if (col < cols) to[col] = from[col];
  }
}

}  // namespace

int gather(CriaCuda* cuda, const CriaCudaStep* step, const float* x, int64_t cols, int64_t rows,
           float* out) {
  const dim3 grid(static_cast<unsigned>(ceil_div(cols, int64_t{kThreads * kEach})),
                  static_cast<unsigned>(rows));
  return launch(gather_kernel, grid, kThreads, 0, cuda->stream, step, x, cols, out);
}

}  // namespace cria::cuda
