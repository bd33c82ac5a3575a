// F3, emulation. What nvcc and its headers give a .cu file, for g++: keywords, built-in functions
// of threads and warps, atomics, and the runtime's functions for the host (runtime.h). Only what
// Cria's kernels use. Where a function of CUDA has the same name and meaning here, it has no
// comment.
#pragma once

#include <math.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cuda/emulation/grid.h"
#include "cuda/emulation/runtime.h"
#include "cuda/emulation/vectors.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
// No __shared__: device/cuda.h, shared<T>().

// ---- threads of a block ----------------------------------------------------------------------
inline void __syncthreads(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  cria::cuda::emulation::sync_block(file, line);
}
inline void __threadfence() {}
inline void __threadfence_block() {}

// ---- lanes of a warp -------------------------------------------------------------------------
namespace cria::cuda::emulation {

/// What the lanes bring to an exchange, and take from it.
template <class T>
struct Exchange {
  T value;
  int other;  // the lane, the distance or the mask
  int width;
  T result;
};

/// What one lane reads of another. `Source`: (lane, other, width) → lane.
template <class Source, class T>
T exchange(uint32_t mask, T value, int other, int width, const char* what) {
  static_assert(std::is_trivially_copyable_v<T>);
  Exchange<T> mine{value, other, width, value};
  meet(
      mask,
      [](void* const* lanes, uint32_t among) {
        for (int i = 0; i < 32; ++i) {
          auto* lane = static_cast<Exchange<T>*>(lanes[i]);
          if (!lane) continue;
          const int source = Source{}(i, lane->other, lane->width);
          if (!(among >> source & 1))
            fault("a shuffle reads lane " + std::to_string(source) + ", which is not in the mask");
          lane->result = static_cast<Exchange<T>*>(lanes[source])->value;
        }
      },
      &mine, what);
  return mine.result;
}

struct FromIndex {
  int operator()(int lane, int index, int width) const {
    return (lane & ~(width - 1)) + (index & (width - 1));
  }
};
struct FromXor {
  int operator()(int lane, int mask, int width) const {
    const int source = lane ^ mask;
    return source / width > lane / width ? lane : source;
  }
};
struct FromBelow {
  int operator()(int lane, int distance, int width) const {
    return lane % width < distance ? lane : lane - distance;
  }
};
struct FromAbove {
  int operator()(int lane, int distance, int width) const {
    return lane % width + distance >= width ? lane : lane + distance;
  }
};

struct Vote {
  bool yes;
  uint32_t result;
};
inline uint32_t vote(uint32_t mask, bool yes, const char* what) {
  Vote mine{yes, 0};
  meet(
      mask,
      [](void* const* lanes, uint32_t) {
        uint32_t all = 0;
        for (int i = 0; i < 32; ++i)
          if (lanes[i] && static_cast<Vote*>(lanes[i])->yes) all |= 1u << i;
        for (int i = 0; i < 32; ++i)
          if (lanes[i]) static_cast<Vote*>(lanes[i])->result = all;
      },
      &mine, what);
  return mine.result;
}

}  // namespace cria::cuda::emulation

inline void __syncwarp(unsigned mask = 0xffffffffu) {
  cria::cuda::emulation::meet(mask, [](void* const*, uint32_t) {}, nullptr, "__syncwarp");
}
template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
  using namespace cria::cuda::emulation;
  return exchange<FromIndex>(mask, value, lane, width, "__shfl_sync");
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int other, int width = 32) {
  using namespace cria::cuda::emulation;
  return exchange<FromXor>(mask, value, other, width, "__shfl_xor_sync");
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32) {
  using namespace cria::cuda::emulation;
  return exchange<FromBelow>(mask, value, static_cast<int>(distance), width, "__shfl_up_sync");
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32) {
  using namespace cria::cuda::emulation;
  return exchange<FromAbove>(mask, value, static_cast<int>(distance), width, "__shfl_down_sync");
}
inline unsigned __ballot_sync(unsigned mask, int yes) {
  return cria::cuda::emulation::vote(mask, yes != 0, "__ballot_sync");
}
inline int __any_sync(unsigned mask, int yes) {
  return cria::cuda::emulation::vote(mask, yes != 0, "__any_sync") != 0;
}
inline int __all_sync(unsigned mask, int yes) {
  return cria::cuda::emulation::vote(mask, yes != 0, "__all_sync") == mask;
}

// ---- atomics: of the fibers of one thread, so plain operations are ------------------------------
template <class T>
T atomicAdd(T* at, T value) {
  const T old = *at;
  *at = old + value;
  return old;
}
template <class T>
T atomicMax(T* at, T value) {
  const T old = *at;
  *at = std::max(old, value);
  return old;
}
template <class T>
T atomicMin(T* at, T value) {
  const T old = *at;
  *at = std::min(old, value);
  return old;
}
template <class T>
T atomicExch(T* at, T value) {
  const T old = *at;
  *at = value;
  return old;
}
template <class T>
T atomicCAS(T* at, T expected, T value) {
  const T old = *at;
  if (old == expected) *at = value;
  return old;
}

// ---- numbers -----------------------------------------------------------------------------------
using std::max;
using std::min;

inline float __uint_as_float(unsigned bits) {
  return std::bit_cast<float>(bits);
}
inline unsigned __float_as_uint(float value) {
  return std::bit_cast<unsigned>(value);
}
inline float __int_as_float(int bits) {
  return std::bit_cast<float>(bits);
}
inline int __float_as_int(float value) {
  return std::bit_cast<int>(value);
}
inline double __longlong_as_double(long long bits) {
  return std::bit_cast<double>(bits);
}
inline long long __double_as_longlong(double value) {
  return std::bit_cast<long long>(value);
}
inline float __fmul_rn(float a, float b) {
  return a * b;
}
inline float __fadd_rn(float a, float b) {
  return a + b;
}
inline float __fdividef(float a, float b) {
  return a / b;
}
inline float __expf(float x) {
  return std::exp(x);
}
inline float __logf(float x) {
  return std::log(x);
}
inline float rsqrtf(float x) {
  return 1 / std::sqrt(x);
}
inline int __float2int_rn(float x) {
  return static_cast<int>(std::nearbyint(x));
}
inline int __popc(unsigned x) {
  return std::popcount(x);
}
inline int __clz(int x) {
  return std::countl_zero(static_cast<unsigned>(x));
}
inline int __ffs(int x) {
  return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1;
}
inline unsigned __brev(unsigned x) {
  unsigned out = 0;
  for (int i = 0; i < 32; ++i) out |= (x >> i & 1u) << (31 - i);
  return out;
}
/// Bytes of the eight of (high, low), each chosen by a nibble of `selector` (without sign mode).
inline unsigned __byte_perm(unsigned low, unsigned high, unsigned selector) {
  const uint64_t bytes = uint64_t{high} << 32 | low;
  unsigned out = 0;
  for (int i = 0; i < 4; ++i)
    out |= static_cast<unsigned>(bytes >> 8 * (selector >> 4 * i & 7) & 0xff) << 8 * i;
  return out;
}
inline int __dp4a(int a, int b, int sum) {
  for (int i = 0; i < 4; ++i)
    sum += static_cast<int8_t>(static_cast<unsigned>(a) >> 8 * i) *
           static_cast<int8_t>(static_cast<unsigned>(b) >> 8 * i);
  return sum;
}
template <class T>
T __ldg(const T* at) {
  return *at;
}
