// F1. Random numbers and functions whose last bits are the same on every platform: a seed
// reproduces its text everywhere.
#pragma once

#include <cstdint>

namespace cria {

/// Counter-based random numbers (SplitMix64; Steele, Lea & Flood 2014): the n-th number is a
/// function of the seed and n alone, so a request draws the same numbers whatever else runs.
uint64_t random_bits(uint64_t seed, uint64_t counter);

/// What a random number is for: each use has a stream of its own.
enum class Draw : uint64_t { kToken = 0, kXtc = 1 };

/// In [0, 1), with every multiple of 2^-53 reachable.
double random_unit(uint64_t seed, Draw use, uint64_t counter);

/// e^x, 0 below -708, infinity above 709. Relative error below 1e-15 for x ≤ 0.
double portable_exp(double x);

/// Natural logarithm of a positive number; minus infinity of 0. Relative error below 1e-15.
double portable_log(double x);

/// x to the power of y, for x ≥ 0 and y ≥ 0; 0 to the power of 0 is 1.
double portable_pow(double x, double y);

}  // namespace cria
