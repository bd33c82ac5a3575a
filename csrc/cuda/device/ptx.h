// F3, device. The instructions that CUDA C++ has no words for, each behind a function that the
// emulation has, too (emulation/ptx.h: the same names, made from the layouts below).
//
// A pair of halves is a uint32_t, the element of the lower index in the lower bits.
//
// Fragments of mma m16n8k16, per lane l with g = l / 4, t = l % 4 (PTX ISA, "Matrix fragments"):
//
//   A [16 × 16]  a0 = A[g][2t, 2t+1]      a2 = A[g][2t+8, 2t+9]
//                a1 = A[g+8][2t, 2t+1]    a3 = A[g+8][2t+8, 2t+9]
//   B [16 × 8]   b0 = B[2t, 2t+1][g]      b1 = B[2t+8, 2t+9][g]
//   D [16 × 8]   d0, d1 = D[g][2t, 2t+1]  d2, d3 = D[g+8][2t, 2t+1]
//
// and of m16n8k32 with bytes, four to a register:
//
//   A [16 × 32]  a0 = A[g][4t … 4t+3]     a2 = A[g][4t+16 … 4t+19]     a1, a3: the same of row g+8
//   B [32 × 8]   b0 = B[4t … 4t+3][g]     b1 = B[4t+16 … 4t+19][g]
//
// Compute capability 7.5 lacks some of them: there they are made of what it has.
#pragma once

#include "cuda/device/cuda.h"

#ifndef __CUDACC__
#include "cuda/emulation/ptx.h"
#else

namespace cria::cuda {

// ---- halves
// --------------------------------------------------------------------------------------
__device__ __forceinline__ float f16_to_float(uint16_t half) {
  float out;
  asm("cvt.f32.f16 %0, %1;" : "=f"(out) : "h"(half));
  return out;
}
/// To nearest, ties to even.
__device__ __forceinline__ uint16_t float_to_f16(float value) {
  uint16_t out;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(out) : "f"(value));
  return out;
}
__device__ __forceinline__ float2 unpack_f16(uint32_t pair) {
  return make_float2(f16_to_float(static_cast<uint16_t>(pair)),
                     f16_to_float(static_cast<uint16_t>(pair >> 16)));
}
__device__ __forceinline__ uint32_t pack_f16(float low, float high) {
#if __CUDA_ARCH__ >= 800
  uint32_t out;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
  return out;
#else
  return float_to_f16(low) | static_cast<uint32_t>(float_to_f16(high)) << 16;
#endif
}
/// a · b + c of both halves, rounded once.
__device__ __forceinline__ uint32_t fma_f16x2(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t out;
  asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(out) : "r"(a), "r"(b), "r"(c));
  return out;
}
__device__ __forceinline__ uint32_t mul_f16x2(uint32_t a, uint32_t b) {
  uint32_t out;
  asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(out) : "r"(a), "r"(b));
  return out;
}
__device__ __forceinline__ uint32_t add_f16x2(uint32_t a, uint32_t b) {
  uint32_t out;
  asm("add.rn.f16x2 %0, %1, %2;" : "=r"(out) : "r"(a), "r"(b));
  return out;
}
__device__ __forceinline__ uint32_t sub_f16x2(uint32_t a, uint32_t b) {
  uint32_t out;
  asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(out) : "r"(a), "r"(b));
  return out;
}

__device__ __forceinline__ float bf16_to_float(uint16_t half) {
  return __uint_as_float(static_cast<uint32_t>(half) << 16);
}
__device__ __forceinline__ float2 unpack_bf16(uint32_t pair) {
  return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u));
}
/// To nearest, ties to even; numbers, not NaN.
__device__ __forceinline__ uint16_t float_to_bf16(float value) {
  const uint32_t bits = __float_as_uint(value);
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
#if __CUDA_ARCH__ >= 800
  uint32_t out;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
  return out;
#else
  return float_to_bf16(low) | static_cast<uint32_t>(float_to_bf16(high)) << 16;
#endif
}
__device__ __forceinline__ uint32_t fma_bf16x2(uint32_t a, uint32_t b, uint32_t c) {
#if __CUDA_ARCH__ >= 800
  uint32_t out;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(out) : "r"(a), "r"(b), "r"(c));
  return out;
#else
  const float2 x = unpack_bf16(a), y = unpack_bf16(b), z = unpack_bf16(c);
  return pack_bf16(fmaf(x.x, y.x, z.x), fmaf(x.y, y.y, z.y));
#endif
}

/// 2^x, to about 2^-22.
__device__ __forceinline__ float fast_exp2(float x) {
  float out;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(out) : "f"(x));
  return out;
}

// ---- bits
// ----------------------------------------------------------------------------------------
/// Any function of three bits: kTable = f(0xf0, 0xcc, 0xaa).
template <int kTable>
__device__ __forceinline__ uint32_t lop3(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t out;
  asm("lop3.b32 %0, %1, %2, %3, %4;" : "=r"(out) : "r"(a), "r"(b), "r"(c), "n"(kTable));
  return out;
}

// ---- loads
// ---------------------------------------------------------------------------------------
/// Reads what is read once and never written by the kernel (weights), past the L1 cache. T of 4, 8
/// or 16 bytes.
template <class T>
__device__ __forceinline__ T load_once(const T* from) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8 || sizeof(T) == 16);
  T out;
  auto* words = reinterpret_cast<uint32_t*>(&out);
  if constexpr (sizeof(T) == 16) {
    asm("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
        : "l"(from));
  } else if constexpr (sizeof(T) == 8) {
    asm("ld.global.nc.L1::no_allocate.v2.u32 {%0, %1}, [%2];"
        : "=r"(words[0]), "=r"(words[1])
        : "l"(from));
  } else {
    asm("ld.global.nc.L1::no_allocate.u32 %0, [%1];" : "=r"(words[0]) : "l"(from));
  }
  return out;
}

// ---- copies that go on by themselves
// ---------------------------------------------------------------
__device__ __forceinline__ uint32_t shared_address(const void* memory) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(memory));
}

/// Copies kBytes (4, 8, 16) to shared memory, both places aligned to it; of the source `filled`
/// are read, the rest becomes 0. Seen by this thread after cp_async_wait, by others after a barrier
/// behind it.
template <int kBytes>
__device__ __forceinline__ void cp_async(void* to, const void* from, int filled = kBytes) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
#if __CUDA_ARCH__ >= 800
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)),
                 "l"(from), "r"(filled)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(to)),
                 "l"(from), "n"(kBytes), "r"(filled)
                 : "memory");
  }
#else
  auto* words = static_cast<uint32_t*>(to);
  const auto* source = static_cast<const uint32_t*>(from);
  for (int i = 0; i < kBytes / 4; ++i) words[i] = 4 * i < filled ? source[i] : 0;
#endif
}
/// Ends a group of copies.
__device__ __forceinline__ void cp_async_commit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
/// Waits for all groups but the kLeft last ones.
template <int kLeft>
__device__ __forceinline__ void cp_async_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
#endif
}

// ---- matrices
// ------------------------------------------------------------------------------------
/// kCount (1, 2, 4) matrices of 8 × 8 halves from shared memory. Lane l gives the address of row
/// l % 8 (16 bytes, aligned) of matrix l / 8, and gets out[i] = M_i[g][2t, 2t+1]; transposed:
/// M_i[2t, 2t+1][g].
template <int kCount, bool kTransposed = false>
__device__ __forceinline__ void load_matrices(uint32_t (&out)[kCount], const void* row) {
  static_assert(kCount == 1 || kCount == 2 || kCount == 4);
  const uint32_t at = shared_address(row);
  if constexpr (kCount == 4 && !kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(at)
                 : "memory");
  } else if constexpr (kCount == 4) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(at)
                 : "memory");
  } else if constexpr (kCount == 2 && !kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(out[0]), "=r"(out[1])
                 : "r"(at)
                 : "memory");
  } else if constexpr (kCount == 2) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(out[0]), "=r"(out[1])
                 : "r"(at)
                 : "memory");
  } else if constexpr (!kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];"
                 : "=r"(out[0])
                 : "r"(at)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];"
                 : "=r"(out[0])
                 : "r"(at)
                 : "memory");
  }
}

/// d += a · b, m16n8k16, f16 with sums in f32.
__device__ __forceinline__ void mma_f16(float (&d)[4], const uint32_t (&a)[4],
                                        const uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  for (int k = 0; k < 2; ++k)  // inputs 8k … 8k+7
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[2 * k]), "r"(a[2 * k + 1]), "r"(b[k]));
#endif
}

/// d += a · b, m16n8k16, bf16 with sums in f32. (Slow on 7.5, which has no such instruction.)
__device__ __forceinline__ void mma_bf16(float (&d)[4], const uint32_t (&a)[4],
                                         const uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  const int lane = static_cast<int>(threadIdx.x % kWarp), t = lane % 4;
  for (int from = 0; from < 4; ++from) {    // the lane of a group of four that has these inputs
    for (int half = 0; half < 2; ++half) {  // inputs 2·from, 2·from + 1, + 8 · half
      const float2 upper = unpack_bf16(__shfl_sync(kAllLanes, a[2 * half], lane - t + from));
      const float2 lower = unpack_bf16(__shfl_sync(kAllLanes, a[2 * half + 1], lane - t + from));
      const float2 left = unpack_bf16(__shfl_sync(kAllLanes, b[half], 8 * t + from));
      const float2 right = unpack_bf16(__shfl_sync(kAllLanes, b[half], 8 * t + 4 + from));
      d[0] = fmaf(upper.x, left.x, fmaf(upper.y, left.y, d[0]));
      d[1] = fmaf(upper.x, right.x, fmaf(upper.y, right.y, d[1]));
      d[2] = fmaf(lower.x, left.x, fmaf(lower.y, left.y, d[2]));
      d[3] = fmaf(lower.x, right.x, fmaf(lower.y, right.y, d[3]));
    }
  }
#endif
}

/// d += a · b, m16n8k32, signed bytes with sums in int32.
__device__ __forceinline__ void mma_s8(int (&d)[4], const uint32_t (&a)[4],
                                       const uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  for (int i = 0; i < 4; ++i) {  // rows g or g + 8 (i % 2), inputs from 16 · (i / 2)
    int* sums = d + 2 * (i % 2);
    asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
                 : "+r"(sums[0]), "+r"(sums[1])
                 : "r"(a[i]), "r"(b[i / 2]));
  }
#endif
}

}  // namespace cria::cuda

#endif
