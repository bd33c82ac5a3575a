// F3, device. The functions of sampling/numbers.h, operation for operation: a draw on the device is
// the draw on the host.
#pragma once

#include "cuda/device/cuda.h"

namespace cria::cuda {

/// 1 / k!
__host__ __device__ constexpr double reciprocal_factorial(int k) {
  double factorial = 1;
  for (int i = 2; i <= k; ++i) factorial *= i;
  return 1 / factorial;
}

/// The Taylor polynomial of e^r from term kTerm on, by r^kTerm, to r^13 / 13!.
template <int kTerm>
__device__ __forceinline__ double exp_terms(double r) {
  constexpr double kFactor = reciprocal_factorial(kTerm);
  if constexpr (kTerm == 13) {
    return kFactor;
  } else {
    return kFactor + exp_terms<kTerm + 1>(r) * r;
  }
}

// ln 2 in two parts: n · kLn2High is exact for every exponent n of a double.
inline constexpr double kLn2High = 0x1.62e42fee00000p-1, kLn2Low = 0x1.a39ef35793c76p-33;

/// e^x for x ≤ 0, 0 below -708.
__device__ inline double portable_exp(double x) {
  constexpr double kRound = 0x1.8p52, kDoubleLog2E = 1.4426950408889634;
  if (x < -708) return 0;
  const double n = (x * kDoubleLog2E + kRound) - kRound;
  const double r = (x - n * kLn2High) - n * kLn2Low;
  const auto exponent = static_cast<long long>(n) + 1023;
  return exp_terms<0>(r) * __longlong_as_double(exponent << 52);
}

/// The natural logarithm of a normal number in (0, 1].
__device__ inline double portable_log(double x) {
  const long long bits = __double_as_longlong(x);
  int exponent = static_cast<int>(bits >> 52) - 1022;
  double m = __longlong_as_double((bits & 0xfffffffffffff) | 1022ll << 52);  // [0.5, 1)
  if (m < 0.7071067811865476) {
    m *= 2;
    --exponent;
  }
  const double z = (m - 1) / (m + 1), square = z * z;
  double sum = 0;
  for (int k = 23; k >= 3; k -= 2) sum = (sum + 1.0 / k) * square;
  return exponent * kLn2High + (exponent * kLn2Low + 2 * (z + z * sum));
}

}  // namespace cria::cuda
