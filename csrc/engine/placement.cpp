#include "engine/placement.h"

#include <optional>

#include "base/memory.h"

namespace cria {
namespace {

Placement place_on(const std::string& name, const gguf::File& file, const Config& config,
                   const LoadOptions& options, uint64_t available) {
  DeviceOptions named = options.device;
  named.device = name;
  Placement placement;
  placement.device = open_device(named);
  placement.available = placement.device.is_gpu ? placement.device.available_bytes : available;
  placement.plan =
      plan_memory(file, config, *placement.device.backend, options, placement.available);
  return placement;
}

/// The first GPU that the model fits on. What one does not do is no error here: the CPU does it.
std::optional<Placement> place_on_gpu(const gguf::File& file, const Config& config,
                                      const LoadOptions& options, uint64_t available) {
  if (options.weights == WeightForm::kMapped) return std::nullopt;
  for (const std::string& name : gpu_names(options.device)) {
    try {
      Placement placement = place_on(name, file, config, options, available);
      if (placement.fits()) return placement;
    } catch (const Error&) {
    }
  }
  return std::nullopt;
}

}  // namespace

Placement place(const gguf::File& file, const Config& config, const LoadOptions& options,
                uint64_t available) {
  if (options.device.device != "auto")
    return place_on(options.device.device, file, config, options, available);
  if (auto placement = place_on_gpu(file, config, options, available)) return std::move(*placement);
  return place_on("cpu", file, config, options, available);
}

void check_fits(const Placement& placement) {
  if (placement.fits()) return;
  const MemoryPlan& plan = placement.plan;
  const bool gpu = placement.device.is_gpu;
  const std::string draft =
      plan.draft_bytes ? cat(", draft model ", format_bytes(plan.draft_bytes)) : "";
  fail(ErrorCode::kOutOfMemory, "the model needs ", format_bytes(plan.total()), " (weights ",
       format_bytes(plan.weight_bytes), ", KV cache ", format_bytes(plan.kv_bytes), ", scratch ",
       format_bytes(plan.scratch_bytes), draft, ") and ", format_bytes(placement.available),
       gpu ? cat(" of the memory of ", placement.device.name) : std::string(),
       " are available; ask for a smaller contextSize or take a smaller model",
       gpu ? ", or compute on 'cpu'" : "");
}

}  // namespace cria
