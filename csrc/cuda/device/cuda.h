// F3, device. What every .cu file includes first: CUDA itself, or under g++ its emulation; how a
// kernel is launched and finds its shared memory; and the device that was opened.
//
// Kernels keep to what both compilers know: no __shared__ variables but by `shared` and
// `dynamic_shared`, no <<<>>> but by `launch`, no asm outside ptx.h, whole warps in every block. A
// product and a sum are one fmaf where that is written, and only there (nvcc: -fmad=false).
#pragma once

#ifdef __CUDACC__
#include <cuda_runtime.h>
#else
#include "cuda/emulation/cuda.h"
#endif

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>

#include "cuda/plugin.h"

/// A device that was opened. `cria_cuda_table`'s `open` sets every field.
struct CriaCuda {
  int device = 0;
  int major = 0, minor = 0;
  int multiprocessors = 0;
  size_t most_shared_bytes = 0;  // of a block that asks for more than 48 KB
  cudaStream_t stream = nullptr;
  cudaEvent_t marks[kCriaCudaMarks] = {};
};

namespace cria::cuda {

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;

/// ⌈a / b⌉
template <class T>
__host__ __device__ constexpr T ceil_div(T a, T b) {
  return (a + b - 1) / b;
}
/// a up to a multiple of b.
template <class T>
__host__ __device__ constexpr T round_up(T a, T b) {
  return ceil_div(a, b) * b;
}

/// Puts kernel(arguments…) on the stream. `shared_bytes`: of dynamic shared memory; more than 48 KB
/// must have been asked for by `allow_shared`. A status of the plugin: 0, or a cudaError_t.
template <class... Parameters, class... Arguments>
int launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
           cudaStream_t stream, Arguments&&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments));
#ifdef __CUDACC__
  kernel<<<grid, block, shared_bytes, stream>>>(static_cast<Parameters>(arguments)...);
  return cudaGetLastError();
#else
  std::tuple<Parameters...> values(static_cast<Parameters>(arguments)...);
  return emulation::enqueue(stream, reinterpret_cast<const void*>(kernel), grid, block,
                            shared_bytes, [kernel, values] { std::apply(kernel, values); });
#endif
}

/// Lets a kernel have so much dynamic shared memory, from then on.
template <class Kernel>
int allow_shared(Kernel* kernel, size_t bytes) {
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                              static_cast<int>(bytes));
}

/// The block's own T, at most 48 KB of them in a kernel. It begins as anything.
template <class T>
__device__ __forceinline__ T& shared() {
#ifdef __CUDACC__
  __shared__ T memory;
  return memory;
#else
  static const char key = 0;
  return *static_cast<T*>(
      emulation::shared_memory(&key, sizeof(T), alignof(T) < 16 ? 16 : alignof(T)));
#endif
}

/// The dynamic shared memory of the launch, aligned to 128 bytes.
template <class T>
__device__ __forceinline__ T* dynamic_shared() {
#ifdef __CUDACC__
  extern __shared__ __align__(128) unsigned char cria_cuda_dynamic[];
  return reinterpret_cast<T*>(cria_cuda_dynamic);
#else
  return static_cast<T*>(emulation::dynamic_shared_memory());
#endif
}

}  // namespace cria::cuda
