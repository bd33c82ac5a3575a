// F3. The CUDA backend, over a plugin that has the kernels (plugin.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backend/backend.h"
#include "cuda/loader.h"

namespace cria::cuda {

struct Options {
  int device = 0;
  std::string plugin;  // a library; empty: the one beside the addon
};

/// How often a step was found known, for tests and reports.
struct StepCounts {
  size_t graphs = 0;      // there are
  uint64_t launched = 0;  // as a graph
};

class CudaBackend : public Backend {
 public:
  virtual const CriaCudaDevice& facts() const = 0;
  /// The plugin's own words: "CUDA 13.0: sm_75 …".
  virtual std::string build() const = 0;
  /// Bytes of the device that a model may take now: what is free, but for what the driver will
  /// want.
  virtual uint64_t available_bytes() const = 0;
  virtual StepCounts counts() const = 0;
};

/// Throws kNoDevice with the reason and what to do, kBackend where the device does not open.
std::unique_ptr<CudaBackend> make_backend(const Options& options);

}  // namespace cria::cuda
