// F0. A 64-bit digest that tells damage and mix-ups; no defence against who means it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace cria {

/// Eight bytes at a time: state = mix(state ^ word). Each mix (times an odd number, then the upper
/// half into the lower) has an inverse, so inputs of one length that differ in one word, in
/// whatever bits of it, have different digests for certain.
class Hash64 {
 public:
  void add(std::span<const std::byte> bytes) {
    size_t at = 0;
    for (; at + 8 <= bytes.size(); at += 8) mix(word(bytes.subspan(at, 8)));
    if (at < bytes.size()) mix(word(bytes.subspan(at)));
    mix(bytes.size());
  }
  template <class T>
  void add_values(std::span<const T> values) {
    add(std::as_bytes(values));
  }
  uint64_t digest() const { return state_; }

 private:
  static uint64_t word(std::span<const std::byte> bytes) {
    uint64_t value = 0;  // the rest of a short word is 0
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  void mix(uint64_t value) {
    state_ = (state_ ^ value) * 0x9e3779b97f4a7c15;  // 2^64 / golden ratio, odd
    state_ ^= state_ >> 32;
  }

  uint64_t state_ = 0;
};

}  // namespace cria
