// F1. Hashing that no file can be written against.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>

namespace cria::text {

/// A bijection in which each bit of the result depends on each bit of `x`: xor-shifts by about half
/// a word between products with odd constants (any with well-mixed bits will do).
inline uint64_t mix(uint64_t x) {
  x = (x ^ x >> 32) * 0x9E3779B97F4A7C15u;
  x = (x ^ x >> 29) * 0xD1B54A32D192ED03u;
  return x ^ x >> 32;
}

/// A key for one table's hashes. What a table holds does not depend on it, only where.
inline uint64_t random_key() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

/// The hash of a standard container of numbers.
struct KeyedHash {
  uint64_t key = random_key();
  size_t operator()(uint64_t value) const { return mix(value ^ key); }
};

}  // namespace cria::text
