#include "engine/registry.h"

#include "base/error.h"
#include "cpu/cpu_backend.h"
#include "parallel/comm_single.h"

namespace cria {

std::unique_ptr<Backend> make_backend(const DeviceOptions& options) {
  if (options.device != "cpu")
    fail(ErrorCode::kNoDevice, "device \"", options.device, "\": this build computes on \"cpu\"");
  return cpu::make_backend({options.threads, options.kernels});
}

std::unique_ptr<Communicator> make_communicator() {
  return std::make_unique<CommSingle>();
}

std::string cpu_kernels(const std::string& kernels) {
  return cpu::selected_table(kernels).variant;
}

int cpu_threads(int threads) {
  return threads == 0 ? cpu::default_threads() : threads;
}

}  // namespace cria
