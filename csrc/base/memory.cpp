#include "base/memory.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <limits>
#include <optional>

namespace cria {
namespace {

constexpr uint64_t kUnknown = std::numeric_limits<uint64_t>::max();

/// The number at the start of a file; nullopt where there is none ("max", a missing file).
std::optional<uint64_t> read_number(const std::string& path) {
  std::ifstream in(path);
  uint64_t value = 0;
  if (in >> value) return value;
  return std::nullopt;
}

/// MemAvailable of /proc/meminfo, in bytes.
uint64_t system_available() {
  std::ifstream in("/proc/meminfo");
  std::string key, unit;
  uint64_t kilobytes = 0;
  while (in >> key >> kilobytes) {
    if (key == "MemAvailable:") return kilobytes * 1024;
    std::getline(in, unit);
  }
  return kUnknown;
}

/// The path of this process's cgroup v2 ("/user.slice/…"); empty where there is none.
std::string own_group() {
  std::ifstream in("/proc/self/cgroup");
  std::string line;
  while (std::getline(in, line))
    if (line.starts_with("0::")) return line.substr(3);
  return {};
}

/// The tightest of the limits between the process's control group and the root. Page cache counts
/// as used in `memory.current` but is given back under pressure, so the inactive part is added.
uint64_t group_available() {
  uint64_t least = kUnknown;
  std::string group = own_group();
  while (true) {
    const std::string folder = "/sys/fs/cgroup" + group;
    const auto limit = read_number(folder + "/memory.max");
    const auto used = read_number(folder + "/memory.current");
    if (limit && used) {
      uint64_t reclaimable = 0, value = 0;
      std::ifstream stat(folder + "/memory.stat");
      for (std::string key; stat >> key >> value;)
        if (key == "inactive_file") reclaimable = value;
      const uint64_t held = *used - std::min(*used, reclaimable);
      least = std::min(least, *limit - std::min(*limit, held));
    }
    if (group.empty() || group == "/") return least;
    group.resize(group.find_last_of('/'));
  }
}

}  // namespace

uint64_t available_memory() {
  return std::min(system_available(), group_available());
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
