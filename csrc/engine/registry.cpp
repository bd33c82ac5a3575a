#include "engine/registry.h"

#include <charconv>

#include "base/error.h"
#include "cpu/cpu_backend.h"
#include "cuda/cuda_backend.h"
#include "parallel/comm_single.h"

namespace cria {
namespace {

constexpr std::string_view kCuda = "cuda";

/// The index of "cuda" or "cuda:N"; -1 of anything else.
int cuda_index(std::string_view name) {
  if (!name.starts_with(kCuda)) return -1;
  name.remove_prefix(kCuda.size());
  if (name.empty()) return 0;
  if (name.front() != ':') return -1;
  int index = -1;
  const auto [end, error] = std::from_chars(name.data() + 1, name.data() + name.size(), index);
  return error == std::errc{} && end == name.data() + name.size() ? index : -1;
}

std::string cuda_name(int index) {
  return cat(kCuda, ":", index);
}

Device open_cpu(const DeviceOptions& options) {
  Device device;
  device.backend = cpu::make_backend({options.threads, options.kernels});
  device.name = "cpu";
  device.kernels = cpu::selected_table(options.kernels).variant;
  device.threads = options.threads == 0 ? cpu::default_threads() : options.threads;
  return device;
}

Device open_cuda(const DeviceOptions& options, int index) {
  auto backend = cuda::make_backend({index, options.cuda_plugin});
  Device device;
  device.name = cuda_name(index);
  device.kernels = cat("CUDA ", cuda::capability(backend->facts()), ", ", backend->facts().name);
  device.is_gpu = true;
  device.available_bytes = backend->available_bytes();
  device.backend = std::move(backend);
  return device;
}

}  // namespace

Device open_device(const DeviceOptions& options) {
  if (options.device == "cpu") return open_cpu(options);
  if (const int index = cuda_index(options.device); index >= 0) return open_cuda(options, index);
  fail(ErrorCode::kBadArgument, "device \"", options.device,
       "\": expected \"cpu\", \"cuda\", \"cuda:N\" or \"auto\"");
}

std::unique_ptr<Communicator> make_communicator() {
  return std::make_unique<CommSingle>();
}

std::vector<std::string> gpu_names(const DeviceOptions& options) {
  std::vector<std::string> names;
  for (const GpuReport::Gpu& gpu : look_at_gpus(options).gpus)
    if (gpu.problem.empty()) names.push_back(gpu.device);
  return names;
}

GpuReport look_at_gpus(const DeviceOptions& options) {
  cuda::Survey found = cuda::survey(options.cuda_plugin);
  GpuReport report;
  report.plugin = std::move(found.path);
  report.build = std::move(found.build);
  report.problem = std::move(found.problem);
  for (size_t i = 0; i < found.devices.size(); ++i) {
    const auto& [facts, problem] = found.devices[i];
    report.gpus.push_back({cuda_name(static_cast<int>(i)), facts.name, cuda::capability(facts),
                           facts.memory_bytes, facts.free_bytes, problem});
  }
  return report;
}

}  // namespace cria
