// The emulation itself: threads, barriers, warps, shared memory, streams, and that mistakes show.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "cuda/device/ptx.h"
#include "cuda/device_memory.h"
#include "support/check.h"

using namespace cria::cuda;
using cria::test_cuda::Device;
using cria::test_cuda::DeviceArray;

namespace {

/// What the kernel's last launch said, empty where nothing was wrong.
template <class... P, class... A>
std::string run(dim3 grid, dim3 block, size_t shared, void (*kernel)(P...), A... arguments) {
  Device device;
  if (launch(kernel, grid, block, shared, device.stream(), arguments...) != 0)
    return "not launched";
  return cudaStreamSynchronize(device.stream()) == cudaSuccess ? "" : emulation::last_fault();
}
bool has(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

__global__ void places(int* out) {
  const unsigned thread = threadIdx.x + blockDim.x * threadIdx.y;
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  out[block * blockDim.x * blockDim.y + thread] = static_cast<int>(100 * block + thread);
}

TEST(every_thread_of_every_block_runs_once) {
  std::vector<int> out(24 * 64, -1);
  CHECK_EQ(run(dim3(2, 3, 4), dim3(32, 2), 0, places, out.data()), "");
  for (size_t i = 0; i < out.size(); ++i)
    CHECK_EQ(out[i], static_cast<int>(100 * (i / 64) + i % 64));
}

__global__ void reverse(int* out) {
  struct Tile {
    int values[96];
  };
  Tile& tile = shared<Tile>();
  tile.values[threadIdx.x] = static_cast<int>(threadIdx.x) + 1000 * static_cast<int>(blockIdx.x);
  __syncthreads();
  out[96 * blockIdx.x + threadIdx.x] = tile.values[95 - threadIdx.x];
}
__global__ void reverse_without_barrier(int* out) {
  int* tile = dynamic_shared<int>();
  tile[threadIdx.x] = static_cast<int>(threadIdx.x);
  out[threadIdx.x] = tile[95 - threadIdx.x];
}

TEST(barriers_order_shared_memory_and_their_absence_shows) {
  std::vector<int> out(5 * 96);
  CHECK_EQ(run(5, 96, 0, reverse, out.data()), "");
  for (int i = 0; i < 5 * 96; ++i)
    CHECK_EQ(out[static_cast<size_t>(i)], 95 - i % 96 + 1000 * (i / 96));
  CHECK_EQ(run(1, 96, 96 * sizeof(int), reverse_without_barrier, out.data()), "");
  int wrong = 0;
  for (int i = 0; i < 96; ++i) wrong += out[static_cast<size_t>(i)] != 95 - i;
  CHECK(wrong > 10);
}

/// Warp 0 goes on to write what the others may not have read yet.
__global__ void run_ahead(int* wrong) {
  int* word = dynamic_shared<int>();
  if (threadIdx.x == 0) *word = 1;
  __syncthreads();
  if (*word != 1) atomicAdd(wrong, 1);
  for (int i = 0; i < 10; ++i) __syncwarp();
  if (threadIdx.x == 0) *word = 2;
}

TEST(a_warp_that_runs_far_ahead_shows) {
  int wrong = 0;
  CHECK_EQ(run(40, 256, sizeof(int), run_ahead, &wrong), "");
  CHECK(wrong > 100);
}

__global__ void order(int* next, int* out) {
  out[threadIdx.x] = atomicAdd(next, 1);
}

TEST(threads_run_in_an_order_that_the_seed_gives) {
  std::vector<std::vector<int>> orders;
  const uint64_t before = emulation::seed();
  for (const uint64_t seed : {7, 8, 7}) {
    emulation::set_seed(seed);
    int next = 0;
    orders.emplace_back(64);
    CHECK_EQ(run(1, 64, 0, order, &next, orders.back().data()), "");
  }
  emulation::set_seed(before);
  CHECK(orders[0] == orders[2]);
  CHECK(orders[0] != orders[1]);
  CHECK(!std::ranges::is_sorted(orders[0]));
  std::ranges::sort(orders[0]);
  for (int i = 0; i < 64; ++i) CHECK_EQ(orders[0][static_cast<size_t>(i)], i);
}

__global__ void half_at_barrier() {
  if (threadIdx.x < 20) return;
  __syncthreads();
}
__global__ void two_barriers() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
__global__ void lanes_apart() {
  if (threadIdx.x % 2 == 0) {
    __shfl_xor_sync(kAllLanes, 1, 1);
  } else {
    __ballot_sync(kAllLanes, 1);
  }
}
__global__ void lane_missing() {
  if (threadIdx.x != 5) __syncwarp();
}
__global__ void foreign_mask() {
  __shfl_sync(0xfffeu, 1, 1);
}

TEST(barriers_and_lanes_that_do_not_meet_are_errors) {
  CHECK(has(run(1, 64, 0, half_at_barrier), "44 threads wait at __syncthreads"));
  CHECK(has(run(1, 64, 0, half_at_barrier), "20 have left the kernel"));
  CHECK(has(run(1, 64, 0, two_barriers), "meets thread"));
  CHECK(has(run(1, 32, 0, lanes_apart), "others of its warp in"));
  CHECK(has(run(1, 32, 0, lane_missing), "for lanes that do not come"));
  CHECK(has(run(1, 32, 0, foreign_mask), "is not in its own mask"));
}

TEST(a_launch_that_no_device_takes_is_refused) {
  CHECK_EQ(run(1, 33, 0, lane_missing), "not launched");
  CHECK_EQ(run(1, 2048, 0, lane_missing), "not launched");
  CHECK_EQ(run(dim3(1, 70000), 32, 0, lane_missing), "not launched");
  CHECK_EQ(run(1, 32, 60000, lane_missing), "not launched");
}

__global__ void beyond(int place) {
  char* bytes = dynamic_shared<char>();
  if (threadIdx.x == 3) bytes[place] = 1;
}

TEST(writes_beyond_shared_memory_are_seen) {
  CHECK_EQ(run(1, 32, 100, beyond, 99), "");
  CHECK(has(run(1, 32, 100, beyond, 100), "byte 100 of 100 of a shared array"));
  CHECK(has(run(1, 32, 100, beyond, -1), "byte -1 of 100 of a shared array"));
}

__global__ void sum_of_unset(float* out) {
  out[threadIdx.x] = dynamic_shared<float>()[threadIdx.x];
  dynamic_shared<float>()[threadIdx.x] = 1;
}

TEST(shared_memory_begins_as_nan_in_every_block) {
  std::vector<float> out(32);
  CHECK_EQ(run(4, 32, 128, sum_of_unset, out.data()), "");
  for (const float value : out) CHECK(std::isnan(value));
}

struct Shuffled {
  int index, exclusive, up, down, narrow;
  unsigned ballot;
  int any, all;
};
__global__ void shuffles(Shuffled* out) {
  const int lane = static_cast<int>(threadIdx.x % 32), value = 100 + static_cast<int>(threadIdx.x);
  Shuffled& mine = out[threadIdx.x];
  mine.index = __shfl_sync(kAllLanes, value, 3 * lane);
  mine.exclusive = __shfl_xor_sync(kAllLanes, value, 5);
  mine.up = __shfl_up_sync(kAllLanes, value, 3);
  mine.down = __shfl_down_sync(kAllLanes, value, 3);
  mine.narrow = __shfl_down_sync(kAllLanes, value, 2, 8);
  mine.ballot = __ballot_sync(kAllLanes, lane % 3 == 0);
  mine.any = __any_sync(kAllLanes, lane == 31);
  mine.all = __all_sync(kAllLanes, lane != 31);
}

TEST(shuffles_and_votes_are_those_of_the_manual) {
  std::vector<Shuffled> out(64);
  CHECK_EQ(run(1, 64, 0, shuffles, out.data()), "");
  unsigned thirds = 0;
  for (int i = 0; i < 32; i += 3) thirds |= 1u << i;
  for (int i = 0; i < 64; ++i) {
    const Shuffled& mine = out[static_cast<size_t>(i)];
    const int lane = i % 32, first = 100 + i - lane;
    CHECK_EQ(mine.index, first + 3 * lane % 32);
    CHECK_EQ(mine.exclusive, first + (lane ^ 5));
    CHECK_EQ(mine.up, first + (lane < 3 ? lane : lane - 3));
    CHECK_EQ(mine.down, first + (lane > 28 ? lane : lane + 3));
    CHECK_EQ(mine.narrow, first + (lane % 8 > 5 ? lane : lane + 2));
    CHECK_EQ(mine.ballot, thirds);
    CHECK_EQ(mine.any, 1);
    CHECK_EQ(mine.all, 0);
  }
}

__global__ void atomics(int* sum, unsigned* most, float* total) {
  atomicAdd(sum, static_cast<int>(threadIdx.x));
  atomicMax(most, threadIdx.x ^ 21u);
  atomicAdd(total, 0.5f);
}

TEST(atomics) {
  int sum = 0;
  unsigned most = 0;
  float total = 0;
  CHECK_EQ(run(3, 64, 0, atomics, &sum, &most, &total), "");
  CHECK_EQ(sum, 3 * 63 * 32);
  CHECK_EQ(most, 63u);
  CHECK_EQ(total, 96.0f);
}

/// Two groups of copies; waits for all but `left` of them.
template <int kLeft>
__global__ void copied(const float* from, float* out) {
  float* tile = dynamic_shared<float>();
  for (int group = 0; group < 2; ++group) {
    const unsigned at = 4 * (32 * static_cast<unsigned>(group) + threadIdx.x);
    cp_async<16>(tile + at, from + at, threadIdx.x == 31 ? 8 : 16);
    cp_async_commit();
  }
  cp_async_wait<kLeft>();
  __syncthreads();
  for (unsigned i = threadIdx.x; i < 256; i += 32) out[i] = tile[i];
}

TEST(a_copy_is_there_when_it_was_waited_for) {
  std::vector<float> from(256), out(256);
  std::iota(from.begin(), from.end(), 1.0f);
  const auto wrong = [&](size_t begin) {
    int count = 0;
    for (size_t i = begin; i < begin + 128; ++i) count += out[i] != (i % 128 > 125 ? 0 : from[i]);
    return count;
  };
  CHECK_EQ(run(1, 32, 1024, copied<0>, from.data(), out.data()), "");
  CHECK_EQ(wrong(0), 0);
  CHECK_EQ(wrong(128), 0);
  CHECK_EQ(run(1, 32, 1024, copied<1>, from.data(), out.data()), "");
  CHECK_EQ(wrong(0), 0);
  CHECK(wrong(128) > 30);
}

__global__ void odd_copy(const char* from) {
  cp_async<8>(dynamic_shared<char>() + 4, from);
}

TEST(a_copy_to_a_place_that_is_not_aligned_is_an_error) {
  alignas(16) const char from[16] = {};
  CHECK(has(run(1, 32, 64, odd_copy, &from[0]), "not a multiple"));
}

TEST(streams_run_late_and_in_order) {
  Device device;
  DeviceArray<int> memory(device, 96);
  int* pinned = nullptr;
  CHECK_EQ(cudaHostAlloc(reinterpret_cast<void**>(&pinned), 96 * sizeof(int), 0), cudaSuccess);
  std::fill_n(pinned, 96, -1);
  CHECK_EQ(launch(reverse, 1, 96, 0, device.stream(), memory.data()), 0);
  CHECK_EQ(cudaMemcpyAsync(pinned, memory.data(), 96 * sizeof(int), cudaMemcpyDeviceToHost,
                           device.stream()),
           cudaSuccess);
  cudaEvent_t event = nullptr;
  CHECK_EQ(cudaEventCreateWithFlags(&event, 0), cudaSuccess);
  CHECK_EQ(cudaEventRecord(event, device.stream()), cudaSuccess);
  CHECK_EQ(cudaMemsetAsync(memory.data(), 0, 96 * sizeof(int), device.stream()), cudaSuccess);
  CHECK_EQ(pinned[0], -1);  // nobody has waited
  CHECK_EQ(cudaEventSynchronize(event), cudaSuccess);
  CHECK_EQ(pinned[0], 95);
  CHECK_EQ(memory.data()[0], 95);  // what comes after the event has not run
  CHECK_EQ(cudaStreamSynchronize(device.stream()), cudaSuccess);
  CHECK_EQ(memory.data()[0], 0);
  int pageable[4];
  CHECK_EQ(cudaMemcpyAsync(pageable, memory.data(), sizeof pageable, cudaMemcpyDeviceToHost,
                           device.stream()),
           cudaErrorInvalidValue);
  CHECK_EQ(cudaMemcpyAsync(pinned, memory.data() + 1, 96 * sizeof(int), cudaMemcpyDeviceToHost,
                           device.stream()),
           cudaErrorInvalidValue);
  cudaEventDestroy(event);
  cudaFreeHost(pinned);
}

__global__ void add_one(int* value) {
  if (threadIdx.x == 0) *value += 1;
}

TEST(a_captured_graph_runs_when_it_is_launched) {
  Device device;
  DeviceArray<int> value(device, std::vector<int>{5});
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  CHECK_EQ(cudaStreamBeginCapture(device.stream(), cudaStreamCaptureModeThreadLocal), cudaSuccess);
  CHECK_EQ(launch(add_one, 1, 32, 0, device.stream(), value.data()), 0);
  CHECK_EQ(launch(add_one, 1, 32, 0, device.stream(), value.data()), 0);
  CHECK_EQ(cudaStreamSynchronize(device.stream()), cudaErrorStreamCaptureUnsupported);
  CHECK_EQ(cudaStreamEndCapture(device.stream(), &graph), cudaSuccess);
  CHECK_EQ(cudaGraphInstantiate(&executable, graph), cudaSuccess);
  cudaGraphDestroy(graph);
  CHECK_EQ(cudaStreamSynchronize(device.stream()), cudaSuccess);
  CHECK_EQ(value.data()[0], 5);
  for (int i = 0; i < 3; ++i) CHECK_EQ(cudaGraphLaunch(executable, device.stream()), cudaSuccess);
  CHECK_EQ(cudaStreamSynchronize(device.stream()), cudaSuccess);
  CHECK_EQ(value.data()[0], 11);
  cudaGraphExecDestroy(executable);
}

__global__ void write_at(int* memory, int place) {
  if (threadIdx.x == 0) memory[place] = 1;
}

TEST(writes_beyond_an_allocation_are_seen) {
  Device device;
  int* memory = nullptr;
  CHECK_EQ(cudaMalloc(reinterpret_cast<void**>(&memory), 10 * sizeof(int)), cudaSuccess);
  CHECK_EQ(launch(write_at, 1, 32, 0, device.stream(), memory, 10), 0);
  CHECK_EQ(cudaStreamSynchronize(device.stream()), cudaErrorLaunchFailure);
  CHECK(has(cudaGetErrorString(cudaErrorLaunchFailure), "beyond an allocation"));
  CHECK_EQ(cudaFree(memory), cudaErrorLaunchFailure);
}

TEST(memory_has_an_end) {
  void* memory = nullptr;
  CHECK_EQ(cudaMalloc(&memory, emulation::device(0).memory_bytes + 1), cudaErrorMemoryAllocation);
}

}  // namespace
