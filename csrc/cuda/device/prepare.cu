// F3, device. The input of products: normed where asked for, and brought to the form they read.
//
//   y = x, or x / sqrt(mean(x²) + epsilon) · norm     (Zhang & Sennrich 2019, RMSNorm), in f32
//   half = f16(y · 2^e), factor = 2^-e                 e of the row: fitting_power of its largest
//   exact = y
//
// Shapes: x [T × cols]; half, exact [T × 256·tiles], zero beyond cols. Grid T, 256 threads. Bytes
// moved: 4 · T · cols, once more from the cache, and 2 or 4 or 6 · T · cols out.
#include "cuda/device/power.h"
#include "cuda/device/products.h"
#include "cuda/device/warp.h"

namespace cria::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarp;

struct Rows {
  const float *x, *norm;
  float epsilon;
  int64_t cols, padded;
  uint16_t* half;  // or null
  float* exact;    // or null
  float* factor;
  unsigned* counters;  // to be zeroed
  int count;           // of counters
};

/// Of a block: the sum of squares, and the largest magnitude with the norm's weights.
struct Measure {
  float squares, most;
};
__device__ Measure measure(const Rows& rows, const float* x) {
  Measure mine{0, 0};
  for (int64_t k = threadIdx.x; k < rows.cols; k += kThreads) {
    mine.squares += x[k] * x[k];
    mine.most = fmaxf(mine.most, fabsf(rows.norm ? x[k] * rows.norm[k] : x[k]));
  }
  struct OfWarps {
    Measure at[kWarps];
  };
  OfWarps& warps = shared<OfWarps>();
  mine = {lanes_sum(mine.squares), lanes_max(mine.most)};
  if (threadIdx.x % kWarp == 0) warps.at[threadIdx.x / kWarp] = mine;
  __syncthreads();
  Measure all = warps.at[0];
  for (int i = 1; i < kWarps; ++i) {
    all.squares += warps.at[i].squares;
    all.most = fmaxf(all.most, warps.at[i].most);
  }
  return all;
}

__global__ void __launch_bounds__(kThreads) prepare_kernel(Rows rows) {
  const float* x = rows.x + blockIdx.x * rows.cols;
  const Measure all = measure(rows, x);
  const float mean = all.squares / static_cast<float>(rows.cols);
  const float scale = rows.norm ? 1 / sqrtf(mean + rows.epsilon) : 1;
  const float power = fitting_power(all.most * scale);
  const auto value = [&](int64_t k) {
    if (k >= rows.cols) return 0.0f;
    return rows.norm ? x[k] * scale * rows.norm[k] : x[k];
  };
  const int64_t to = blockIdx.x * rows.padded;
  for (int64_t k = 2 * int64_t{threadIdx.x}; k < rows.padded; k += 2 * kThreads) {
    const float first = value(k), second = value(k + 1);
    if (rows.half)
      *reinterpret_cast<uint32_t*>(rows.half + to + k) = pack_f16(first * power, second * power);
    if (rows.exact) *reinterpret_cast<float2*>(rows.exact + to + k) = make_float2(first, second);
  }
  if (threadIdx.x == 0) rows.factor[blockIdx.x] = reciprocal(power);
  if (blockIdx.x == 0)
    for (int i = static_cast<int>(threadIdx.x); i < rows.count; i += kThreads) rows.counters[i] = 0;
}

}  // namespace

int prepare(CriaCuda* cuda, const CriaCudaProject& project, const Input& input,
            const Partials& partials) {
  const Rows rows{project.x,
                  project.norm,
                  project.epsilon,
                  project.cols,
                  int64_t{input.tiles} * kTileInputs,
                  const_cast<uint16_t*>(input.half),
                  const_cast<float*>(input.exact),
                  const_cast<float*>(input.factor),
                  partials.arrived,
                  partials.arrived ? most_split_tiles(cuda) : 0};
  return launch(prepare_kernel, static_cast<unsigned>(input.rows), kThreads, 0, cuda->stream, rows);
}

}  // namespace cria::cuda
