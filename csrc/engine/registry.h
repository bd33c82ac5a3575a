// F5. The only place that names concrete backends and communicators.
#pragma once

#include <memory>
#include <string>

#include "backend/backend.h"
#include "backend/comm.h"

namespace cria {

struct DeviceOptions {
  std::string device = "cpu";
  int threads = 0;      // cpu: 0 for one per physical core
  std::string kernels;  // cpu: a table's name, empty for the best
};

/// Throws kNoDevice for a device this build does not have, else what the backend's maker throws.
std::unique_ptr<Backend> make_backend(const DeviceOptions& options);
std::unique_ptr<Communicator> make_communicator();

/// What `make_backend` settles on for the CPU.
std::string cpu_kernels(const std::string& kernels);
int cpu_threads(int threads);

}  // namespace cria
