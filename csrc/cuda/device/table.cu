// F3, device. The plugin's only symbol, and what of its table is no kernel: devices, memory, marks,
// graphs. Every function that works on a device makes it the thread's current one first: a model
// may be opened by one thread and computed by another.
#include <new>

#include "cuda/device/ops.h"
#include "cuda/device/weights.h"

struct CriaCudaGraph {
  cudaGraphExec_t executable;
};

namespace cria::cuda {
namespace {

const char* error_text(int status) {
  return cudaGetErrorString(static_cast<cudaError_t>(status));
}
int32_t is_out_of_memory(int status) {
  return status == cudaErrorMemoryAllocation;
}

int device_count(int32_t* count) {
  *count = 0;
  return cudaGetDeviceCount(count);
}

int device_info(int32_t device, CriaCudaDevice* info) {
  *info = {};
  cudaDeviceProp facts;
  if (const int status = cudaGetDeviceProperties(&facts, device)) return status;
  for (size_t i = 0; i + 1 < sizeof info->name && facts.name[i]; ++i) info->name[i] = facts.name[i];
  info->major = facts.major;
  info->minor = facts.minor;
  info->multiprocessors = facts.multiProcessorCount;
  int driver = 0;
  if (const int status = cudaDriverGetVersion(&driver)) return status;
  info->driver = driver;
  if (const int status = cudaSetDevice(device)) return status;
  size_t free = 0, total = 0;
  if (const int status = cudaMemGetInfo(&free, &total)) return status;
  info->memory_bytes = total;
  info->free_bytes = free;
  return 0;
}

void close(CriaCuda* cuda) {
  if (!cuda) return;
  cudaSetDevice(cuda->device);
  for (cudaEvent_t mark : cuda->marks)
    if (mark) cudaEventDestroy(mark);
  if (cuda->stream) cudaStreamDestroy(cuda->stream);
  delete cuda;
}

int fill(CriaCuda* cuda, int32_t device) {
  cudaDeviceProp facts;
  if (const int status = cudaGetDeviceProperties(&facts, device)) return status;
  cuda->device = device;
  cuda->major = facts.major;
  cuda->minor = facts.minor;
  cuda->multiprocessors = facts.multiProcessorCount;
  cuda->most_shared_bytes = facts.sharedMemPerBlockOptin;
  if (const int status = cudaSetDevice(device)) return status;
  if (const int status = cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking))
    return status;
  for (cudaEvent_t& mark : cuda->marks)
    if (const int status = cudaEventCreateWithFlags(&mark, cudaEventDisableTiming)) return status;
  return 0;
}

int open(int32_t device, CriaCuda** opened) {
  *opened = nullptr;
  auto* cuda = new (std::nothrow) CriaCuda;
  if (!cuda) return cudaErrorMemoryAllocation;
  const int status = fill(cuda, device);
  if (status == 0) {
    *opened = cuda;
  } else {
    close(cuda);
  }
  return status;
}

int allocate(CriaCuda* cuda, size_t bytes, void** memory) {
  *memory = nullptr;
  const size_t taken = bytes ? bytes : 1;
  if (const int status = cudaMalloc(memory, taken)) {
    cudaGetLastError();  // so that no later launch reports it
    return status;
  }
  return cudaMemsetAsync(*memory, 0, taken, cuda->stream);
}
void release(CriaCuda* cuda, void* memory) {
  if (!memory) return;
  cudaStreamSynchronize(cuda->stream);
  cudaFree(memory);
}
int allocate_pinned(CriaCuda*, size_t bytes, void** memory) {
  *memory = nullptr;
  const int status = cudaHostAlloc(memory, bytes ? bytes : 1, cudaHostAllocDefault);
  if (status) cudaGetLastError();
  return status;
}
void release_pinned(CriaCuda* cuda, void* memory) {
  if (!memory) return;
  cudaStreamSynchronize(cuda->stream);
  cudaFreeHost(memory);
}

int upload(CriaCuda* cuda, void* to, const void* from, size_t bytes) {
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, cuda->stream);
}
int download(CriaCuda* cuda, void* to, const void* from, size_t bytes) {
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, cuda->stream);
}
int copy(CriaCuda* cuda, void* to, const void* from, size_t bytes) {
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, cuda->stream);
}
int synchronize(CriaCuda* cuda) {
  return cudaStreamSynchronize(cuda->stream);
}

int mark(CriaCuda* cuda, int32_t index) {
  return cudaEventRecord(cuda->marks[index], cuda->stream);
}
int wait(CriaCuda* cuda, int32_t index) {
  return cudaEventSynchronize(cuda->marks[index]);
}

int begin_capture(CriaCuda* cuda) {
  return cudaStreamBeginCapture(cuda->stream, cudaStreamCaptureModeThreadLocal);
}
int end_capture(CriaCuda* cuda, CriaCudaGraph** graph) {
  *graph = nullptr;
  cudaGraph_t captured = nullptr;
  if (const int status = cudaStreamEndCapture(cuda->stream, &captured)) {
    cudaGetLastError();
    return status;
  }
  auto* made = new (std::nothrow) CriaCudaGraph{};
  const int status = made ? cudaGraphInstantiate(&made->executable, captured, 0)
                          : static_cast<int>(cudaErrorMemoryAllocation);
  cudaGraphDestroy(captured);
  if (status) {
    delete made;
    return status;
  }
  *graph = made;
  return 0;
}
int launch_graph(CriaCuda* cuda, CriaCudaGraph* graph) {
  return cudaGraphLaunch(graph->executable, cuda->stream);
}
void free_graph(CriaCuda* cuda, CriaCudaGraph* graph) {
  if (!graph) return;
  cudaStreamSynchronize(cuda->stream);
  cudaGraphExecDestroy(graph->executable);
  delete graph;
}

/// kFunction, on the thread's current device.
template <auto kFunction>
struct OnDevice;
template <class Result, class... Arguments, Result (*kFunction)(CriaCuda*, Arguments...)>
struct OnDevice<kFunction> {
  static Result call(CriaCuda* cuda, Arguments... arguments) {
    cudaSetDevice(cuda->device);
    return kFunction(cuda, arguments...);
  }
};
template <auto kFunction>
constexpr auto on_device = &OnDevice<kFunction>::call;

#define CRIA_CUDA_TEXT(...) CRIA_CUDA_TEXT_OF(__VA_ARGS__)
#define CRIA_CUDA_TEXT_OF(...) #__VA_ARGS__
#ifdef __CUDACC__
constexpr const char* kBuild =
    "CUDA " CRIA_CUDA_TEXT(__CUDACC_VER_MAJOR__) "." CRIA_CUDA_TEXT(__CUDACC_VER_MINOR__)  //
    " for architectures " CRIA_CUDA_TEXT(__CUDA_ARCH_LIST__);
#else
constexpr const char* kBuild = "emulation";
#endif

constexpr CriaCudaTable make_table() {
  CriaCudaTable t{};
  t.version = CRIA_CUDA_VERSION;
  t.bytes = sizeof t;
  t.build = kBuild;
  t.error_text = error_text;
  t.is_out_of_memory = is_out_of_memory;
  t.device_count = device_count;
  t.device_info = device_info;
  t.open = open;
  t.close = close;
  t.allocate = on_device<allocate>;
  t.release = on_device<release>;
  t.allocate_pinned = on_device<allocate_pinned>;
  t.release_pinned = on_device<release_pinned>;
  t.upload = on_device<upload>;
  t.download = on_device<download>;
  t.copy = on_device<copy>;
  t.synchronize = on_device<synchronize>;
  t.mark = on_device<mark>;
  t.wait = on_device<wait>;
  t.begin_capture = on_device<begin_capture>;
  t.end_capture = on_device<end_capture>;
  t.launch_graph = on_device<launch_graph>;
  t.free_graph = on_device<free_graph>;
  t.gather = on_device<gather>;
  t.kv_page_bytes = kv_page_bytes;
  t.rope_store_kv = on_device<rope_store_kv>;
  t.attention_scratch = attention_scratch;
  t.attention = on_device<attention>;
  t.sample_scratch = sample_scratch;
  t.sample = on_device<sample>;
  t.weight_bytes = weight_bytes;
  t.pack_weight = on_device<pack_weight>;
  t.embed = on_device<embed>;
  t.project_scratch = project_scratch;
  t.project = on_device<project>;
  return t;
}

constexpr CriaCudaTable kTable = make_table();

}  // namespace
}  // namespace cria::cuda

extern "C" __attribute__((visibility("default"))) const CriaCudaTable* cria_cuda_table(
    uint32_t version) {
  return version == CRIA_CUDA_VERSION ? &cria::cuda::kTable : nullptr;
}
