// F3, device. Attention of single rows for heads of any width: the formula, cut and partial results
// of attention_decode.cu, in plain f32.
//
// Grid (splits, H, T), 128 threads: in each page a warp takes a quarter of the elements of all 32
// scores, then a thread every 128th element of the result. Bytes moved: the split's keys and values
// once for each query head.
#include "cuda/device/attention_decode.h"
#include "cuda/device/attention_tile.h"

namespace cria::cuda {
namespace {

constexpr int kThreads = 128, kParts = kThreads / kPageTokens;
constexpr int kEach = kMaxHeadWidth / kThreads;  // elements of a thread

struct Memory {
  float q[kMaxHeadWidth];
  float parts[kParts][kPageTokens];
};

__device__ float half_at(const uint8_t* page, int64_t array, int i) {
  return f16_to_float(reinterpret_cast<const uint16_t*>(page + array)[i]);
}
__device__ float key_at(const uint8_t* page, int type, int width, int position, int i) {
  const int at = position * width + i;
  if (type == kKvF16) return half_at(page, 0, at);
  return half_at(page, kv_layout(type, width).key_scales, i / kKvGroup * kPageTokens + position) *
         static_cast<float>(reinterpret_cast<const int8_t*>(page)[at]);
}
__device__ float value_at(const uint8_t* page, int type, int width, int position, int i) {
  const KvLayout layout = kv_layout(type, width);
  const int at = i * kPageTokens + position;
  if (type == kKvF16) return half_at(page, layout.values, at);
  return half_at(page, layout.value_scales, i / kKvGroup * kPageTokens + position) *
         static_cast<float>(reinterpret_cast<const int8_t*>(page + layout.values)[at]);
}

__global__ void __launch_bounds__(kThreads, 2) any_width_kernel(DecodeArgs args) {
  const CriaCudaAttention& a = args.a;
  const int type = a.kv.type, width = a.kv.head_width, head = static_cast<int>(blockIdx.y);
  const int thread = static_cast<int>(threadIdx.x);
  const int kv_head = head / (a.heads / a.kv.kv_heads);
  const Split split = find_split(args);
  float* out = a.out + (split.row * a.heads + head) * width;
  if (split.place.slice < 0 && blockIdx.x == 0)
    for (int i = thread; i < width; i += kThreads) out[i] = 0;
  if (split.begin >= split.end) return;
  Memory& memory = shared<Memory>();
  for (int i = thread; i < width; i += kThreads)
    memory.q[i] = a.q[(split.row * a.heads + head) * width + i] * (a.scale * kLog2E);
  __syncthreads();

  const KvPages pages(a.kv, *a.step, split.place.slice, kv_head);
  float most = -INFINITY, sum = 0, o[kEach] = {};
  for (int first = split.begin; first < split.end; first += kPageTokens) {
    const uint8_t* page = pages[first / kPageTokens];
    const int position = thread % kPageTokens, part = thread / kPageTokens;
    const int count = min(kPageTokens, split.end - first);
    float dot = 0;
    if (position < count)
      for (int i = part; i < width; i += kParts)
        dot = fmaf(memory.q[i], key_at(page, type, width, position, i), dot);
    memory.parts[part][position] = dot;
    __syncthreads();
    float score = -INFINITY;  // of position `thread` mod 32: every warp has all of them
    if (position < count) {
      score = memory.parts[0][position];
      for (int p = 1; p < kParts; ++p) score += memory.parts[p][position];
    }
    const float before = most;
    most = fmaxf(most, lanes_max(score));
    const float weight = fast_exp2(score - most), faded = fast_exp2(before - most);
    sum = fmaf(sum, faded, lanes_sum(weight));
    __syncthreads();  // all have read the parts
    if (part == 0) memory.parts[0][position] = weight;
    __syncthreads();
#pragma unroll
    for (int e = 0; e < kEach; ++e) {
      const int i = thread + e * kThreads;
      o[e] *= faded;
      if (i < width)
        for (int p = 0; p < count; ++p)
          o[e] = fmaf(memory.parts[0][p], value_at(page, type, width, p, i), o[e]);
    }
    __syncthreads();
  }

  const int64_t at =
      args.partials.at(split.row - args.first_row, static_cast<int>(blockIdx.x), head);
  if (!split.only) out = args.partials.o + at * width;
#pragma unroll
  for (int e = 0; e < kEach; ++e) {
    const int i = thread + e * kThreads;
    if (i < width) out[i] = split.only ? o[e] / sum : o[e];
  }
  if (!split.only && thread == 0) args.partials.ends[at] = make_float2(most, sum);
}

}  // namespace

int launch_decode_any_width(CriaCuda* cuda, const DecodeArgs& args, int splits, int rows) {
  const dim3 grid(static_cast<unsigned>(splits), static_cast<unsigned>(args.a.heads),
                  static_cast<unsigned>(rows));
  return launch(any_width_kernel, grid, kThreads, 0, cuda->stream, args);
}

}  // namespace cria::cuda
