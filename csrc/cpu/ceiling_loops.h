// F3. The loops that find out what a machine can do at most, for any instruction set: the products
// of a register tile with nothing around them, and reading. A kernel's speed is told as a share of
// theirs.
//
//              a0   a1   a2   a3   a4   a5      broadcast from the first cache, as a product does
//              it
//        ┌────┬────┬────┬────┬────┬────┬────┐
//     w0 │    │ s00│ s01│ s02│ s03│ s04│ s05│   12 chains of sums: as many as 2 instructions a
//     cycle w1 │    │ s10│ s11│ s12│ s13│ s14│ s15│   with up to 6 cycles of latency ask for
//        └────┴────┴────┴────┴────┴────┴────┘
//
// Every factor is 1, so that the sums count the products: what a loop returns is what it did. The
// compiler must not know that, or it would do less; it learns the ones and zeros from volatile
// words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace cria::cpu {
namespace {

constexpr int kCeilingVectors = 2;
/// Sets of activations that a loop goes through: a power of 2.
constexpr int kCeilingTurns = 8;

/// Copies of one word, each of a value that the compiler does not know.
template <int kCount>
struct Words {
  alignas(64) int32_t words[kCount];

  explicit Words(int32_t value) {
    volatile int32_t opaque = value;
    for (int32_t& word : words) word = opaque;
  }
  const std::byte* at(int64_t i) const { return reinterpret_cast<const std::byte*>(words + i); }
};

/// The sum of all lanes of all sums, in `Element`s.
template <class Element, class Vector, int kColumns>
int64_t total(const Vector (&sums)[kCeilingVectors][kColumns]) {
  Element lanes[sizeof sums / (sizeof(Element))];
  std::memcpy(lanes, sums, sizeof sums);
  int64_t sum = 0;
  for (const Element lane : lanes) sum += static_cast<int64_t>(lane);
  return sum;
}

/// V::dot on a tile of 2 vectors × kColumns, `iterations` times; twice the products of bytes done.
template <class V, int kColumns>
int64_t run_dots(int64_t iterations) {
  using Ints = typename V::Ints;
  const Words<kCeilingTurns * kColumns> a(0x01010101);
  const Words<kCeilingVectors> ones(0x01010101);
  const Words<kCeilingVectors * kColumns> zeros(0);
  Ints w[kCeilingVectors], sums[kCeilingVectors][kColumns];
  for (int v = 0; v < kCeilingVectors; ++v) {
    w[v] = V::quad(ones.at(v));
    for (int c = 0; c < kColumns; ++c) sums[v][c] = V::quad(zeros.at(v * kColumns + c));
  }
  for (int64_t i = 0; i < iterations; ++i) {
    const std::byte* turn = a.at(i % kCeilingTurns * kColumns);
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; ++c) {
      const Ints x = V::quad(turn + 4 * c);
      for (int v = 0; v < kCeilingVectors; ++v)
        sums[v][c] = V::template dot<-1>(sums[v][c], w[v], x);
    }
  }
  return 2 * total<int32_t>(sums);
}

/// V::fma likewise; twice the fused multiply-adds done.
template <class V, int kColumns>
int64_t run_fmas(int64_t iterations) {
  using Floats = typename V::Floats;
  const Words<kCeilingTurns * kColumns> a(0x3f800000);  // 1.0f
  const Words<kCeilingVectors> ones(0x3f800000);
  const Words<kCeilingVectors * kColumns> zeros(0);
  Floats w[kCeilingVectors], sums[kCeilingVectors][kColumns];
  for (int v = 0; v < kCeilingVectors; ++v) {
    w[v] = V::broadcast(ones.at(v));
    for (int c = 0; c < kColumns; ++c) sums[v][c] = V::broadcast(zeros.at(v * kColumns + c));
  }
  for (int64_t i = 0; i < iterations; ++i) {
    const std::byte* turn = a.at(i % kCeilingTurns * kColumns);
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; ++c) {
      const Floats x = V::broadcast(turn + 4 * c);
      for (int v = 0; v < kCeilingVectors; ++v) sums[v][c] = V::fma(w[v], x, sums[v][c]);
    }
  }
  return 2 * total<float>(sums);
}

/// ORs `bytes` bytes together, eight vectors at a time and `times` times over; kAhead bytes further
/// on, lines are asked for.
template <class V, int kAhead>
uint64_t read_ahead(const std::byte* p, int64_t bytes, int64_t times) {
  using Ints = typename V::Ints;
  constexpr int64_t kVectors = 8, kSize = sizeof(Ints), kStep = kVectors * kSize;
  Ints seen[kVectors];
  for (Ints& vector : seen) vector = V::no_ints();
  for (; times > 0; --times) {
    for (int64_t at = 0; at < bytes; at += kStep) {
      if constexpr (kAhead > 0) {
        for (int64_t line = 0; line < kStep; line += 64)
          __builtin_prefetch(reinterpret_cast<const char*>(
              reinterpret_cast<uintptr_t>(p) + static_cast<uintptr_t>(at + line + kAhead)));
      }
#pragma GCC unroll 8
      for (int64_t i = 0; i < kVectors; ++i)
        seen[i] = V::either(seen[i], V::load(p + at + i * kSize));
    }
  }
  uint64_t words[kStep / 8], all = 0;
  std::memcpy(words, seen, sizeof seen);
  for (const uint64_t word : words) all |= word;
  return all;
}

template <class V>
uint64_t read_all(const std::byte* p, int64_t bytes, int64_t times, bool prefetch) {
  return prefetch ? read_ahead<V, 4096>(p, bytes, times) : read_ahead<V, 0>(p, bytes, times);
}

}  // namespace
}  // namespace cria::cpu
