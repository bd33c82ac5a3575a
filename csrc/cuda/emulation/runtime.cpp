#include "cuda/emulation/runtime.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "cuda/emulation/grid.h"

namespace cria::cuda::emulation {
namespace {

using Work = std::function<cudaError_t()>;

constexpr int kFreeSharedBytes = 48 << 10;  // what a block may have without asking

thread_local std::string fault_message;
thread_local int current_device = 0;

/// Memory that was given out, and who may be asked about it.
class Memory {
 public:
  cudaError_t take(void** memory, size_t bytes, bool pinned) {
    const std::lock_guard lock(mutex_);
    if (!pinned && bytes > device(current_device).memory_bytes -
                               std::min(used_, device(current_device).memory_bytes))
      return cudaErrorMemoryAllocation;
    void* taken = std::aligned_alloc(
        kAlignment, (bytes + 2 * kFence + kAlignment - 1) / kAlignment * kAlignment);
    if (!taken) return cudaErrorMemoryAllocation;
    auto* begin = static_cast<std::byte*>(taken) + kFence;
    std::memset(taken, kFenceByte, kFence);
    std::memset(begin, 0xff, bytes);
    std::memset(begin + bytes, kFenceByte, kFence);
    if (!pinned) used_ += bytes;
    blocks_[begin] = {bytes, pinned};
    *memory = begin;
    return cudaSuccess;
  }

  cudaError_t give_back(void* memory, bool pinned) {
    if (!memory) return cudaSuccess;
    const std::lock_guard lock(mutex_);
    const auto found = blocks_.find(static_cast<std::byte*>(memory));
    if (found == blocks_.end() || found->second.pinned != pinned) return cudaErrorInvalidValue;
    const bool whole = intact(*found);
    if (!pinned) used_ -= found->second.bytes;
    std::free(found->first - kFence);
    blocks_.erase(found);
    return whole ? cudaSuccess : cudaErrorLaunchFailure;
  }

  bool has(const void* place, size_t bytes, bool pinned) {
    const std::lock_guard lock(mutex_);
    auto* at = static_cast<std::byte*>(const_cast<void*>(place));
    auto after = blocks_.upper_bound(at);
    if (after == blocks_.begin()) return false;
    const auto& [begin, block] = *--after;
    return block.pinned == pinned && at + bytes <= begin + block.bytes;
  }

  /// Whether nothing was written before or behind any of it.
  bool intact() {
    const std::lock_guard lock(mutex_);
    return std::ranges::all_of(blocks_, [this](const auto& block) { return intact(block); });
  }
  size_t used() {
    const std::lock_guard lock(mutex_);
    return used_;
  }

 private:
  struct Block {
    size_t bytes;
    bool pinned;
  };
  static constexpr size_t kAlignment = 256, kFence = 256;
  static constexpr int kFenceByte = 0xcd;

  static bool intact(const std::pair<std::byte* const, Block>& block) {
    const std::byte* end = block.first + block.second.bytes;
    for (size_t i = 0; i < kFence; ++i)
      if (block.first[-1 - static_cast<std::ptrdiff_t>(i)] != std::byte{kFenceByte} ||
          end[i] != std::byte{kFenceByte})
        return false;
    return true;
  }

  std::mutex mutex_;
  std::map<std::byte*, Block> blocks_;
  size_t used_ = 0;
};

Memory& memory() {
  static Memory all;
  return all;
}

/// Kernels that asked for more shared memory.
struct Attributes {
  std::mutex mutex;
  std::map<const void*, int> most_dynamic_bytes;
};
Attributes& attributes() {
  static Attributes all;
  return all;
}

}  // namespace

struct Graph {
  std::vector<Work> work;
};

struct Stream {
  std::deque<Work> work;
  uint64_t put = 0, done = 0;  // pieces of work
  std::unique_ptr<Graph> capture;
  cudaError_t failed = cudaSuccess;  // stays, as it does on a device

  cudaError_t put_work(Work piece) {
    if (capture) {
      capture->work.push_back(std::move(piece));
      return cudaSuccess;
    }
    if (failed != cudaSuccess) return failed;
    work.push_back(std::move(piece));
    ++put;
    return cudaSuccess;
  }
  cudaError_t run_until(uint64_t end) {
    if (capture) return cudaErrorStreamCaptureUnsupported;
    while (done < end && failed == cudaSuccess) {
      const Work piece = std::move(work.front());
      work.pop_front();
      ++done;
      failed = piece();
    }
    if (failed == cudaSuccess && !memory().intact()) {
      fault_message = "a kernel wrote beyond an allocation";
      failed = cudaErrorLaunchFailure;
    }
    return failed;
  }
};

struct Event {
  Stream* stream = nullptr;
  uint64_t place = 0;
};

Device& device(int) {
  static Device only;
  return only;
}

const std::string& last_fault() {
  return fault_message;
}

cudaError_t enqueue(cudaStream_t stream, const void* kernel, dim3 grid, dim3 block,
                    size_t dynamic_bytes, std::function<void()> thread) {
  constexpr unsigned kMostBlocks = 65535;  // in y and z
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > 1024 || threads % 32 != 0 || grid.x == 0 || grid.y == 0 ||
      grid.z == 0 || grid.x > 0x7fffffffu || grid.y > kMostBlocks || grid.z > kMostBlocks)
    return cudaErrorInvalidConfiguration;
  {
    const std::lock_guard lock(attributes().mutex);
    const auto asked = attributes().most_dynamic_bytes.find(kernel);
    const int most =
        asked == attributes().most_dynamic_bytes.end() ? kFreeSharedBytes : asked->second;
    if (dynamic_bytes > static_cast<size_t>(most)) return cudaErrorInvalidValue;
  }
  return stream->put_work([=, body = std::move(thread)] {
    std::string wrong = run_grid({grid, block, dynamic_bytes}, body);
    if (wrong.empty()) return cudaSuccess;
    fault_message = std::move(wrong);
    return cudaErrorLaunchFailure;
  });
}

cudaError_t set_most_dynamic_bytes(const void* kernel, int bytes) {
  if (bytes < 0 || static_cast<size_t>(bytes) > device(current_device).most_shared_bytes)
    return cudaErrorInvalidValue;
  const std::lock_guard lock(attributes().mutex);
  attributes().most_dynamic_bytes[kernel] = bytes;
  return cudaSuccess;
}

cudaError_t occupancy(int* blocks, int threads, size_t dynamic_bytes) {
  constexpr int kThreads = 1536;
  const int by_memory = static_cast<int>(device(current_device).most_shared_bytes /
                                         std::max<size_t>(dynamic_bytes + 1024, 1));
  *blocks = std::min({16, kThreads / threads, by_memory});
  return cudaSuccess;
}

}  // namespace cria::cuda::emulation

using namespace cria::cuda::emulation;

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorLaunchFailure:
      return last_fault().empty() ? "unspecified launch failure" : last_fault().c_str();
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    default:
      return "unknown error";
  }
}
cudaError_t cudaGetLastError() {
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = kDevices;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int index) {
  if (index < 0 || index >= kDevices) return cudaErrorInvalidDevice;
  const Device& found = device(index);
  *properties = {};
  found.name.copy(properties->name, sizeof properties->name - 1);
  properties->major = found.major;
  properties->minor = found.minor;
  properties->multiProcessorCount = found.multiprocessors;
  properties->totalGlobalMem = found.memory_bytes;
  properties->sharedMemPerBlockOptin = found.most_shared_bytes;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int index) {
  if (index < 0 || index >= kDevices) return cudaErrorInvalidDevice;
  current_device = index;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = device(current_device).memory_bytes;
  *free = *total - std::min(*total, memory().used());
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** place, size_t bytes) {
  return memory().take(place, bytes, false);
}
cudaError_t cudaFree(void* place) {
  return memory().give_back(place, false);
}
cudaError_t cudaHostAlloc(void** place, size_t bytes, unsigned) {
  return memory().take(place, bytes, true);
}
cudaError_t cudaFreeHost(void* place) {
  return memory().give_back(place, true);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new Stream;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  stream->run_until(stream->put);
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return stream->run_until(stream->put);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  if (!memory().has(to, bytes, kind == cudaMemcpyDeviceToHost) ||
      !memory().has(from, bytes, kind == cudaMemcpyHostToDevice))
    return cudaErrorInvalidValue;
  return stream->put_work([=] {
    std::memcpy(to, from, bytes);
    return cudaSuccess;
  });
}
cudaError_t cudaMemsetAsync(void* place, int byte, size_t bytes, cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  if (!memory().has(place, bytes, false)) return cudaErrorInvalidValue;
  return stream->put_work([=] {
    std::memset(place, byte, bytes);
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new Event;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (stream->capture) return cudaErrorStreamCaptureUnsupported;
  *event = {stream, stream->put};
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return event->stream ? event->stream->run_until(event->place) : cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (stream->capture) return cudaErrorStreamCaptureUnsupported;
  stream->capture = std::make_unique<Graph>();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!stream->capture) return cudaErrorInvalidValue;
  *graph = stream->capture.release();
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  *executable = new Graph(*graph);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return stream->put_work([executable] {
    for (const Work& piece : executable->work)
      if (const cudaError_t failed = piece(); failed != cudaSuccess) return failed;
    return cudaSuccess;
  });
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
