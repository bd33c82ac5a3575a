// The plugin's table as the core uses it: a device, its memory, marks and graphs.
#include <cstring>
#include <string>
#include <vector>

#include "cuda/device/cuda.h"
#include "support/check.h"

namespace {

const CriaCudaTable& table() {
  return *cria_cuda_table(CRIA_CUDA_VERSION);
}

struct Opened {
  CriaCuda* cuda = nullptr;
  Opened() { CHECK_EQ(table().open(0, &cuda), 0); }
  ~Opened() { table().close(cuda); }
};

TEST(the_table_knows_its_version) {
  CHECK(cria_cuda_table(CRIA_CUDA_VERSION + 1) == nullptr);
  CHECK_EQ(table().version, static_cast<uint32_t>(CRIA_CUDA_VERSION));
  CHECK_EQ(table().bytes, sizeof(CriaCudaTable));
  CHECK_EQ(std::string(table().build), "emulation");
}

TEST(devices) {
  int32_t count = 0;
  CHECK_EQ(table().device_count(&count), 0);
  CHECK_EQ(count, 1);
  CriaCudaDevice info;
  CHECK_EQ(table().device_info(0, &info), 0);
  CHECK_EQ(std::string(info.name), "emulated");
  CHECK(info.multiprocessors > 0 && info.major >= 7 && info.driver >= 12000);
  CHECK(info.free_bytes <= info.memory_bytes && info.free_bytes > 0);
  CHECK(table().device_info(1, &info) != 0);
  CriaCuda* cuda = nullptr;
  const int status = table().open(7, &cuda);
  CHECK(status != 0 && cuda == nullptr);
  CHECK_EQ(std::string(table().error_text(status)), "invalid device ordinal");
  CHECK(!table().is_out_of_memory(status));
}

TEST(memory_is_zeroed_and_copied) {
  Opened device;
  void *memory = nullptr, *other = nullptr, *pinned = nullptr;
  CHECK_EQ(table().allocate(device.cuda, 1000, &memory), 0);
  CHECK_EQ(table().allocate(device.cuda, 1000, &other), 0);
  CHECK_EQ(table().allocate_pinned(device.cuda, 1000, &pinned), 0);
  CHECK_EQ(reinterpret_cast<uintptr_t>(memory) % 256, 0u);
  auto* bytes = static_cast<unsigned char*>(pinned);
  CHECK_EQ(table().download(device.cuda, pinned, memory, 1000), 0);
  CHECK_EQ(table().synchronize(device.cuda), 0);
  for (int i = 0; i < 1000; ++i) CHECK_EQ(int{bytes[i]}, 0);
  std::memset(pinned, 7, 1000);
  CHECK_EQ(table().upload(device.cuda, memory, pinned, 1000), 0);
  CHECK_EQ(table().copy(device.cuda, other, memory, 1000), 0);
  CHECK_EQ(table().synchronize(device.cuda), 0);
  std::memset(pinned, 0, 1000);
  CHECK_EQ(table().download(device.cuda, pinned, other, 1000), 0);
  CHECK_EQ(table().mark(device.cuda, 2), 0);
  CHECK_EQ(table().wait(device.cuda, 2), 0);
  for (int i = 0; i < 1000; ++i) CHECK_EQ(int{bytes[i]}, 7);
  table().release(device.cuda, memory);
  table().release(device.cuda, other);
  table().release_pinned(device.cuda, pinned);
  const int status = table().allocate(device.cuda, size_t{1} << 60, &memory);
  CHECK(status != 0 && table().is_out_of_memory(status) && memory == nullptr);
}

TEST(a_graph_reads_what_memory_has_when_it_is_launched) {
  Opened device;
  void *from = nullptr, *to = nullptr, *step_memory = nullptr, *pinned = nullptr;
  CHECK_EQ(table().allocate(device.cuda, 64, &from), 0);
  CHECK_EQ(table().allocate(device.cuda, 64, &to), 0);
  CHECK_EQ(table().allocate(device.cuda, 256, &step_memory), 0);
  CHECK_EQ(table().allocate_pinned(device.cuda, 256, &pinned), 0);
  auto* step = static_cast<CriaCudaStep*>(step_memory);
  CriaCudaStep host{};
  host.gathered = reinterpret_cast<const int32_t*>(step + 1);
  const auto write = [&](int32_t row) {
    std::memcpy(pinned, &host, sizeof host);
    std::memcpy(static_cast<char*>(pinned) + sizeof host, &row, sizeof row);
    CHECK_EQ(table().upload(device.cuda, step, pinned, sizeof host + sizeof row), 0);
    CHECK_EQ(table().synchronize(device.cuda), 0);
  };
  const float values[4] = {1, 2, 3, 4};
  std::memcpy(pinned, values, sizeof values);
  CHECK_EQ(table().upload(device.cuda, from, pinned, sizeof values), 0);
  CHECK_EQ(table().synchronize(device.cuda), 0);
  CriaCudaGraph* graph = nullptr;
  CHECK_EQ(table().begin_capture(device.cuda), 0);
  CHECK_EQ(
      table().gather(device.cuda, step, static_cast<float*>(from), 1, 1, static_cast<float*>(to)),
      0);
  CHECK_EQ(table().end_capture(device.cuda, &graph), 0);
  for (const int32_t row : {2, 0, 3}) {
    write(row);
    CHECK_EQ(table().launch_graph(device.cuda, graph), 0);
    CHECK_EQ(table().download(device.cuda, pinned, to, sizeof(float)), 0);
    CHECK_EQ(table().synchronize(device.cuda), 0);
    float got = 0;
    std::memcpy(&got, pinned, sizeof got);
    CHECK_EQ(got, values[row]);
  }
  table().free_graph(device.cuda, graph);
  for (void* memory : {from, to, step_memory}) table().release(device.cuda, memory);
  table().release_pinned(device.cuda, pinned);
}

}  // namespace
