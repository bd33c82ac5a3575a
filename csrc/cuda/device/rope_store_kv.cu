// F3, device. RoPE (Su et al. 2021, RoFormer §3.4.2), and new keys and values to the cache.
//
//   (x₂ᵢ, x₂ᵢ₊₁) ← (x₂ᵢ cos − x₂ᵢ₊₁ sin, x₂ᵢ₊₁ cos + x₂ᵢ sin)     i < pairs, of every head of q and
//   k page(position) ← k, v                                        see kv.h
//
// Shapes: q [T × H·K], k, v [T × G·K], angles [T × pairs × 2]. Grid (⌈(H + 2G) / 4⌉, T), a warp for
// each head of a row. Bytes moved: q and k read and written, v and the angles read, in f32; the
// cache written once.
#include "cuda/device/kv.h"
#include "cuda/device/ops.h"
#include "cuda/device/ptx.h"
#include "cuda/device/warp.h"

namespace cria::cuda {
namespace {

constexpr int kWarps = 4;

/// Fused as the CPU fuses it, so that both store the same keys.
__device__ float2 rotate(float2 x, float2 angle) {
  return make_float2(fmaf(x.x, angle.x, -(x.y * angle.y)), fmaf(x.y, angle.x, x.x * angle.y));
}

/// How a group is coded: code = x · inverse, to nearest, ties to even; x ≈ code · scale.
struct GroupScale {
  float scale, inverse;
};
/// cpu/activations.h: below 2^-120 the inverse would overflow, and what is not a number gives a
/// scale that is none.
__device__ GroupScale group_scale(uint32_t largest_bits) {
  const float largest = __uint_as_float(largest_bits);
  if (largest_bits >= 0x7f800000u) return {__uint_as_float(0x7fc00000u), 0.0f};
  if (largest < 0x1p-120f) return {0.0f, 0.0f};
  return {largest / 127.0f, 127.0f / largest};
}

/// Where the elements of a head go: `stride` elements from one to the next.
struct Place {
  uint8_t* elements;  // of the head's first element at this position
  int64_t stride;
  uint16_t* scales;  // of its first group; kPageTokens from one to the next
};

/// A pair of a head, from 2i, and what it becomes in the cache. All lanes come here, with 16 of
/// them to a group of codes; `valid`: those that have a pair.
__device__ void store_pair(int type, Place to, int i, float2 x, bool valid) {
  if (type == kKvF16) {
    if (!valid) return;
    auto* halves = reinterpret_cast<uint16_t*>(to.elements) + 2 * i * to.stride;
    halves[0] = float_to_f16(x.x);
    halves[to.stride] = float_to_f16(x.y);
    return;
  }
  const uint32_t mine = max(__float_as_uint(x.x) & 0x7fffffffu, __float_as_uint(x.y) & 0x7fffffffu);
  const GroupScale group = group_scale(lanes_max<kKvGroup / 2>(valid ? mine : 0u));
  if (!valid) return;
  auto* codes = reinterpret_cast<int8_t*>(to.elements) + 2 * i * to.stride;
  const auto code = [&](float value) {  // not 0 · x, which may be NaN
    return static_cast<int8_t>(group.inverse == 0 ? 0 : __float2int_rn(value * group.inverse));
  };
  codes[0] = code(x.x);
  codes[to.stride] = code(x.y);
  if (i % (kKvGroup / 2) == 0)
    to.scales[i / (kKvGroup / 2) * kPageTokens] = float_to_f16(group.scale);
}

__global__ void __launch_bounds__(kWarps* kWarp) rope_store_kernel(CriaCudaRope a) {
  const int64_t row = blockIdx.y;
  const int lane = static_cast<int>(threadIdx.x % kWarp);
  const int job = static_cast<int>(blockIdx.x * kWarps + threadIdx.x / kWarp);
  const int width = a.kv.head_width, groups = a.kv.kv_heads;
  const bool query = job < a.heads, key = !query && job < a.heads + groups;
  if (job >= a.heads + 2 * groups) return;
  const int head = query ? job : key ? job - a.heads : job - a.heads - groups;
  const RowPlace place = row_place(*a.step, row);
  const bool stored = !query && place.slice >= 0;

  Place to{};
  if (stored) {
    const KvLayout layout = kv_layout(a.kv.type, width);
    uint8_t* page = KvPages(a.kv, *a.step, place.slice, head)[place.position / kPageTokens];
    const int64_t at = place.position % kPageTokens, bytes = a.kv.type == kKvF16 ? 2 : 1;
    to.elements = page + (key ? at * width * bytes : layout.values + at * bytes);
    to.stride = key ? 1 : kPageTokens;
    to.scales = reinterpret_cast<uint16_t*>(page + (key ? layout.key_scales : layout.value_scales));
    to.scales += at;
  }
  const float* from = query ? a.q + (row * a.heads + head) * width
                            : (key ? a.k : a.v) + (row * groups + head) * width;
  float* rotated = query || key ? const_cast<float*>(from) : nullptr;
  const float* angles = a.cos_sin + row * 2 * a.pairs;
  for (int first = 0; first < width / 2; first += kWarp) {
    const int i = first + lane;
    const bool valid = i < width / 2;
    float2 x = valid ? make_float2(from[2 * i], from[2 * i + 1]) : make_float2(0, 0);
    if (rotated && i < a.pairs) {
      x = rotate(x, make_float2(angles[2 * i], angles[2 * i + 1]));
      rotated[2 * i] = x.x;
      rotated[2 * i + 1] = x.y;
    }
    if (stored) store_pair(a.kv.type, to, i, x, valid);
  }
}

}  // namespace

int64_t kv_page_bytes(int32_t type, int32_t head_width) {
  if (head_width < 2 || head_width > kMaxHeadWidth || head_width % 2 != 0) return 0;
  if (type == kKvQ8_0 && head_width % kKvGroup != 0) return 0;
  if (type != kKvF16 && type != kKvQ8_0) return 0;
  return kv_layout(type, head_width).bytes;
}

int rope_store_kv(CriaCuda* cuda, const CriaCudaRope* rope) {
  const int jobs = rope->heads + 2 * rope->kv.kv_heads;
  const dim3 grid(static_cast<unsigned>(ceil_div(jobs, kWarps)), static_cast<unsigned>(rope->rows));
  return launch(rope_store_kernel, grid, kWarps * kWarp, 0, cuda->stream, *rope);
}

}  // namespace cria::cuda
