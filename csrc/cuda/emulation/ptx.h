// F3, emulation. The functions of device/ptx.h, from the layouts that are drawn there.
#pragma once

#include "base/half.h"
#include "cuda/emulation/cuda.h"

namespace cria::cuda {

// ---- halves
// --------------------------------------------------------------------------------------
inline float f16_to_float(uint16_t half) {
  return f16_to_f32(half);
}
inline uint16_t float_to_f16(float value) {
  return f32_to_f16(value);
}
inline float bf16_to_float(uint16_t half) {
  return bf16_to_f32(half);
}
inline uint16_t float_to_bf16(float value) {
  return f32_to_bf16(value);
}
inline uint32_t pack_f16(float low, float high) {
  return float_to_f16(low) | uint32_t{float_to_f16(high)} << 16;
}
inline float2 unpack_f16(uint32_t pair) {
  return {f16_to_float(static_cast<uint16_t>(pair)),
          f16_to_float(static_cast<uint16_t>(pair >> 16))};
}
inline uint32_t pack_bf16(float low, float high) {
  return float_to_bf16(low) | uint32_t{float_to_bf16(high)} << 16;
}
inline float2 unpack_bf16(uint32_t pair) {
  return {bf16_to_float(static_cast<uint16_t>(pair)),
          bf16_to_float(static_cast<uint16_t>(pair >> 16))};
}
// Products of halves are exact in f64, and so are sums of numbers that lie within 2^53 of each
// other.
namespace emulation {
/// An f64 to f32 so that a second rounding, to a half, gives what one alone would: to odd.
inline float to_odd(double value) {
  const auto rounded = static_cast<float>(value);
  if (double{rounded} == value || !std::isfinite(rounded)) return rounded;
  const uint32_t bits = std::bit_cast<uint32_t>(rounded);
  if (bits & 1) return rounded;
  const bool up = std::abs(double{rounded}) < std::abs(value);  // `value` lies further from 0
  return std::bit_cast<float>(up ? bits + 1 : bits - 1);
}
template <class Operation>
uint32_t of_f16(uint32_t a, uint32_t b, uint32_t c, Operation operation) {
  const float2 x = unpack_f16(a), y = unpack_f16(b), z = unpack_f16(c);
  return pack_f16(to_odd(operation(x.x, y.x, z.x)), to_odd(operation(x.y, y.y, z.y)));
}
}  // namespace emulation
inline uint32_t fma_f16x2(uint32_t a, uint32_t b, uint32_t c) {
  return emulation::of_f16(a, b, c, [](double x, double y, double z) { return x * y + z; });
}
inline uint32_t mul_f16x2(uint32_t a, uint32_t b) {
  return emulation::of_f16(a, b, 0, [](double x, double y, double) { return x * y; });
}
inline uint32_t add_f16x2(uint32_t a, uint32_t b) {
  return emulation::of_f16(a, b, 0, [](double x, double y, double) { return x + y; });
}
inline uint32_t sub_f16x2(uint32_t a, uint32_t b) {
  return emulation::of_f16(a, b, 0, [](double x, double y, double) { return x - y; });
}
inline uint32_t fma_bf16x2(uint32_t a, uint32_t b, uint32_t c) {
  const float2 x = unpack_bf16(a), y = unpack_bf16(b), z = unpack_bf16(c);
  return pack_bf16(emulation::to_odd(double{x.x} * y.x + z.x),
                   emulation::to_odd(double{x.y} * y.y + z.y));
}
inline float fast_exp2(float x) {
  return std::exp2(x);
}

// ---- bits, loads, copies
// -------------------------------------------------------------------------
template <int kTable>
uint32_t lop3(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t out = 0;
  for (int i = 0; i < 8; ++i)  // the bits (a, b, c) = i
    if (kTable >> i & 1) out |= (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c);
  return out;
}
template <class T>
T load_once(const T* from) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8 || sizeof(T) == 16);
  if (reinterpret_cast<uintptr_t>(from) % sizeof(T) != 0)
    emulation::fault("a load that is not aligned");
  return *from;
}
template <int kBytes>
void cp_async(void* to, const void* from, int filled = kBytes) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
  emulation::begin_copy(to, from, kBytes, static_cast<unsigned>(filled));
}
inline void cp_async_commit() {
  emulation::end_copy_group();
}
template <int kLeft>
void cp_async_wait() {
  emulation::wait_copy_groups(kLeft);
}

// ---- matrices
// ------------------------------------------------------------------------------------
namespace emulation {
struct LoadMatrices {
  const void* row;
  uint32_t* out;
  int count;
  bool transposed;
};
void load_matrices(void* const* lanes, uint32_t mask);

template <class Sum>
struct Mma {
  Sum* d;
  const uint32_t *a, *b;
};
void mma_f16(void* const* lanes, uint32_t mask);
void mma_bf16(void* const* lanes, uint32_t mask);
void mma_s8(void* const* lanes, uint32_t mask);
}  // namespace emulation

template <int kCount, bool kTransposed = false>
void load_matrices(uint32_t (&out)[kCount], const void* row) {
  static_assert(kCount == 1 || kCount == 2 || kCount == 4);
  emulation::LoadMatrices mine{row, out, kCount, kTransposed};
  emulation::meet(0xffffffffu, emulation::load_matrices, &mine, "ldmatrix");
}
inline void mma_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  emulation::Mma<float> mine{d, a, b};
  emulation::meet(0xffffffffu, emulation::mma_f16, &mine, "mma f16");
}
inline void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  emulation::Mma<float> mine{d, a, b};
  emulation::meet(0xffffffffu, emulation::mma_bf16, &mine, "mma bf16");
}
inline void mma_s8(int (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  emulation::Mma<int> mine{d, a, b};
  emulation::meet(0xffffffffu, emulation::mma_s8, &mine, "mma s8");
}

}  // namespace cria::cuda
