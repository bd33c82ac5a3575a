// F0. How much memory this process may still take.
#pragma once

#include <cstdint>
#include <string>

namespace cria {

/// Bytes that could be taken now without swapping: the system's estimate, lowered to what the
/// process's control group (container) leaves. UINT64_MAX where the system does not say.
uint64_t available_memory();

/// "1.5 GiB", "12.0 MiB", "300 B".
std::string format_bytes(uint64_t bytes);

}  // namespace cria
