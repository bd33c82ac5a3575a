// F3, device. Powers of two that bring numbers of any size into the range of f16.
#pragma once

#include "cuda/device/cuda.h"

namespace cria::cuda {

/// 2^e that brings `bound` to [2^13, 2^14), e kept to ±100, so that 1 / 2^e and products with it
/// are normal; 1 where the bound is 0, infinite or no number.
__device__ __forceinline__ float fitting_power(float bound) {
  constexpr int kTarget = 13, kMost = 100, kBias = 127, kFraction = 23;
  const int exponent = __float_as_int(bound) >> kFraction & 0xff;
  if (!(bound > 0) || exponent == 0xff) return 1;
  const int e = max(-kMost, min(kMost, kTarget - (exponent - kBias)));
  return __int_as_float((e + kBias) << kFraction);
}

/// 1 / power, for a power of two that `fitting_power` gives: its exponent with the sign turned.
__device__ __forceinline__ float reciprocal(float power) {
  constexpr int kBias = 127, kFraction = 23;
  return __int_as_float((2 * kBias << kFraction) - __float_as_int(power));
}

}  // namespace cria::cuda
