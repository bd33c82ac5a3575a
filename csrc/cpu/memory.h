// F3. Backend memory of the CPU: anonymous pages, zeroed and given by the system at first touch.
#pragma once

#include <cstddef>
#include <memory>

#include "backend/backend.h"

namespace cria::cpu {

/// Throws kOutOfMemory with the size.
std::unique_ptr<DeviceMemory> map_memory(size_t bytes);

}  // namespace cria::cpu
