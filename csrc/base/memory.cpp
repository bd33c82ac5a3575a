#include "base/memory.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>

#include "base/control_group.h"

namespace cria {
namespace {

/// MemAvailable of /proc/meminfo, in bytes.
uint64_t system_available() {
  std::ifstream in("/proc/meminfo");
  std::string key, unit;
  uint64_t kilobytes = 0;
  while (in >> key >> kilobytes) {
    if (key == "MemAvailable:") return kilobytes * 1024;
    std::getline(in, unit);
  }
  return GroupLimits::kNoLimit;
}

}  // namespace

uint64_t available_memory() {
  return std::min(system_available(), group_limits().memory);
}

std::string format_bytes(uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text.data();
}

}  // namespace cria
