#include "sampling/numbers.h"

#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace cria {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLog2E = 1.4426950408889634;
// ln 2 in two parts: n · kLn2High is exact for every exponent n of a double.
constexpr double kLn2High = 0x1.62e42fee00000p-1, kLn2Low = 0x1.a39ef35793c76p-33;

/// 1 / k!
constexpr std::array<double, 14> reciprocal_factorials() {
  std::array<double, 14> out{};
  double factorial = 1;
  for (size_t k = 0; k < out.size(); ++k) {
    if (k > 0) factorial *= static_cast<double>(k);
    out[k] = 1 / factorial;
  }
  return out;
}

}  // namespace

uint64_t random_bits(uint64_t seed, uint64_t counter) {
  // The golden ratio's odd 64-bit fraction steps the state; the rest is its mixing function.
  uint64_t z = seed + (counter + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

double random_unit(uint64_t seed, Draw use, uint64_t counter) {
  // A stream's seed is a number drawn far from those that count tokens.
  const auto stream = static_cast<uint64_t>(use);
  const uint64_t own = stream == 0 ? seed : random_bits(~seed, ~stream);
  return static_cast<double>(random_bits(own, counter) >> 11) * 0x1p-53;
}

double portable_exp(double x) {
  if (std::isnan(x)) return x;
  if (x < -708) return 0;
  if (x > 709) return kInfinity;
  // x = n·ln 2 + r with |r| ≤ ln 2 / 2.
  // Adding 1.5 · 2^52 leaves no room for a fraction: rounded to the nearest, without a call.
  constexpr double kRound = 0x1.8p52;
  const double n = (x * kLog2E + kRound) - kRound;
  const double r = (x - n * kLn2High) - n * kLn2Low;
  // Taylor to r^13 / 13!: the next term is below 2^-60 at |r| = 0.35.
  static constexpr auto kTerms = reciprocal_factorials();
  double sum = kTerms[13];
  for (size_t k = 13; k-- > 0;) sum = kTerms[k] + sum * r;
  // 2^n by its bits: -1021 ≤ n ≤ 1023. (x ≤ 709 gives n = 1023 at most.)
  return sum * std::bit_cast<double>(static_cast<uint64_t>(static_cast<int64_t>(n) + 1023) << 52);
}

double portable_log(double x) {
  if (!(x > 0)) return x == 0 ? -kInfinity : std::numeric_limits<double>::quiet_NaN();
  if (x == kInfinity) return x;
  int exponent = 0;
  double m = std::frexp(x, &exponent);  // exact; [0.5, 1)
  if (m < 0.7071067811865476) {
    m *= 2;
    --exponent;
  }
  // log m = 2 atanh(z), z = (m - 1) / (m + 1), |z| ≤ 0.172: z^23 / 23 is below 2^-62 of z.
  const double z = (m - 1) / (m + 1), square = z * z;
  double sum = 0;
  for (int k = 23; k >= 3; k -= 2) sum = (sum + 1.0 / k) * square;
  return exponent * kLn2High + (exponent * kLn2Low + 2 * (z + z * sum));
}

double portable_pow(double x, double y) {
  if (y == 0) return 1;
  return x == 0 ? 0 : portable_exp(y * portable_log(x));
}

}  // namespace cria
