// F5. The only place that names concrete backends and communicators.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/comm.h"

namespace cria {

struct DeviceOptions {
  std::string device = "cpu";  // "cpu", "cuda", "cuda:N", or "auto" (engine/placement.h)
  int threads = 0;             // cpu: 0 for one per physical core
  std::string kernels;         // cpu: a table's name, empty for the best
  std::string cuda_plugin;     // cuda: a library, empty for the one beside the addon
};

/// A backend, and what those above may know of where it computes.
struct Device {
  std::unique_ptr<Backend> backend;
  std::string name;     // "cpu", "cuda:0"
  std::string kernels;  // "avx512_vnni", "CUDA 9.0, NVIDIA H100"
  int threads = 1;      // of this process that compute
  bool is_gpu = false;
  uint64_t available_bytes = 0;  // of a GPU: of its own memory, that a model may take
};

/// Opens one device. "cuda" is "cuda:0". Throws kBadArgument for a name that is none ("auto" is
/// none here), kNoDevice for a device that is not there, with the reason, else what the backend's
/// maker throws.
Device open_device(const DeviceOptions& options);
std::unique_ptr<Communicator> make_communicator();

/// The GPUs to try, "cuda:0" and so on; none where there is no plugin, no driver or no device.
std::vector<std::string> gpu_names(const DeviceOptions& options);

/// What a look at this machine's GPUs found, for reports.
struct GpuReport {
  struct Gpu {
    std::string device, name, capability;
    uint64_t memory_bytes = 0, free_bytes = 0;
    std::string problem;  // why it is not computed on; empty: it can be
  };
  std::string plugin, build;  // the library looked for; its own words, empty where there is none
  std::string problem;        // why there is no device; empty where there is one
  std::vector<Gpu> gpus;
};
GpuReport look_at_gpus(const DeviceOptions& options);

}  // namespace cria
