// F3, emulation. The runtime's functions for the host, of a device that does everything late: what
// is put on a stream runs when a synchronization waits for it, on the thread that waits. So host
// memory that is changed too early, or read without waiting, gives wrong results. Memory comes with
// all bits set. Copies want pinned host memory, as those that are to overlap with the host do.
//
// Devices are those of `devices()`: one by default. A thread that works on a stream is alone with
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "cuda/emulation/vectors.h"

enum cudaError_t : int {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorNotSupported = 801,
  cudaErrorLaunchFailure = 719,
  cudaErrorStreamCaptureUnsupported = 900,
};

namespace cria::cuda::emulation {
struct Stream;
struct Event;
struct Graph;
}  // namespace cria::cuda::emulation
using cudaStream_t = cria::cuda::emulation::Stream*;
using cudaEvent_t = cria::cuda::emulation::Event*;
using cudaGraph_t = cria::cuda::emulation::Graph*;
using cudaGraphExec_t = cria::cuda::emulation::Graph*;

enum cudaMemcpyKind {
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost = 2,
  cudaMemcpyDeviceToDevice = 3
};
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
inline constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2,
                          cudaHostAllocDefault = 0;

struct cudaDeviceProp {
  char name[256];
  int major, minor, multiProcessorCount;
  size_t totalGlobalMem, sharedMemPerBlockOptin;
};

const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError();

cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaMemGetInfo(size_t* free, size_t* total);

cudaError_t cudaMalloc(void** memory, size_t bytes);
cudaError_t cudaFree(void* memory);
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned flags);
cudaError_t cudaFreeHost(void* memory);

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* memory, int byte, size_t bytes, cudaStream_t stream);

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long flags = 0);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);

namespace cria::cuda::emulation {

/// A device of the emulation. Its limits are those of compute capability 8.6.
struct Device {
  std::string name = "emulated";
  int major = 8, minor = 6;
  int multiprocessors = 4;
  size_t memory_bytes = size_t{16} << 30;
  size_t most_shared_bytes = 99 << 10;  // of a block that asks for more than 48 KB
};
inline constexpr int kDevices = 1;
/// May be changed while nothing uses the device.
Device& device(int index);

/// What the last fault of this thread's launches said; cudaGetErrorString has it, too.
const std::string& last_fault();

/// Puts a launch on the stream. `kernel`: its address, for its attributes.
cudaError_t enqueue(cudaStream_t stream, const void* kernel, dim3 grid, dim3 block,
                    size_t dynamic_bytes, std::function<void()> thread);
cudaError_t set_most_dynamic_bytes(const void* kernel, int bytes);
/// Blocks of a kernel that a multiprocessor holds at once.
cudaError_t occupancy(int* blocks, int threads, size_t dynamic_bytes);

}  // namespace cria::cuda::emulation

template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel* kernel, cudaFuncAttribute, int value) {
  return cria::cuda::emulation::set_most_dynamic_bytes(reinterpret_cast<const void*>(kernel),
                                                       value);
}
template <class Kernel>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Kernel*, int threads,
                                                          size_t dynamic_bytes) {
  return cria::cuda::emulation::occupancy(blocks, threads, dynamic_bytes);
}
