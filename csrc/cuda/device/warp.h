// F3, device. Sums and maxima over the lanes of a warp: in the order of a butterfly, which is the
// same for every lane.
#pragma once

#include "cuda/device/cuda.h"

namespace cria::cuda {

/// Over groups of kLanes neighbours (2, 4 … 32); every lane gets its group's.
template <int kLanes = kWarp>
__device__ __forceinline__ float lanes_sum(float value) {
  for (int other = kLanes / 2; other > 0; other /= 2)
    value += __shfl_xor_sync(kAllLanes, value, other);
  return value;
}
template <int kLanes = kWarp>
__device__ __forceinline__ float lanes_max(float value) {
  for (int other = kLanes / 2; other > 0; other /= 2)
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, other));
  return value;
}
template <int kLanes = kWarp>
__device__ __forceinline__ uint32_t lanes_max(uint32_t value) {
  for (int other = kLanes / 2; other > 0; other /= 2)
    value = max(value, __shfl_xor_sync(kAllLanes, value, other));
  return value;
}

}  // namespace cria::cuda
