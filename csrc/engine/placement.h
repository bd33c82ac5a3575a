// F5. Where a model goes: the device that was asked for, held against what the model would take.
#pragma once

#include <cstdint>

#include "engine/loaded_model.h"

namespace cria {

/// An opened device, and what loading would take there.
struct Placement {
  Device device;
  MemoryPlan plan;
  uint64_t available = 0;  // bytes that may be taken: of the device's memory, or of this machine's

  bool fits() const { return plan.total() <= available; }
};

/// Opens the device that the options name and plans a load on it, from the header alone. "auto" is
/// the first GPU whose free memory has room for the plan and that computes all the file's types,
/// else the CPU. Throws what `open_device` and `plan_memory` throw.
///
/// `available`: bytes of this machine's memory that may be taken.
Placement place(const gguf::File& file, const Config& config, const LoadOptions& options,
                uint64_t available);

/// Throws kOutOfMemory with needed and available bytes where the plan does not fit.
void check_fits(const Placement& placement);

}  // namespace cria
