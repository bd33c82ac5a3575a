#include "base/control_group.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>

namespace cria {
namespace {

namespace fs = std::filesystem;

/// The number at the start of a file; nullopt where there is none ("max", a missing file).
std::optional<uint64_t> read_number(const fs::path& path) {
  std::ifstream in(path);
  uint64_t value = 0;
  if (in >> value) return value;
  return std::nullopt;
}

/// Page cache in a group's use, which is given back under pressure, from its memory.stat.
uint64_t page_cache(const fs::path& stat, const char* inactive, const char* active) {
  std::ifstream in(stat);
  uint64_t sum = 0, value = 0;
  for (std::string key; in >> key >> value;)
    if (key == inactive || key == active) sum += value;
  return sum;
}

uint64_t left(std::optional<uint64_t> limit, std::optional<uint64_t> used, uint64_t cache) {
  if (!limit || !used) return GroupLimits::kNoLimit;
  return *limit - std::min(*limit, *used - std::min(*used, cache));
}

void apply_v2(const fs::path& folder, GroupLimits& limits) {
  limits.memory =
      std::min(limits.memory,
               left(read_number(folder / "memory.max"), read_number(folder / "memory.current"),
                    page_cache(folder / "memory.stat", "inactive_file", "active_file")));
  std::ifstream cpu(folder / "cpu.max");
  double quota = 0, period = 0;  // "max 100000" does not read as a number: no limit
  if (cpu >> quota >> period && quota > 0 && period > 0)
    limits.cores = limits.cores > 0 ? std::min(limits.cores, quota / period) : quota / period;
}

void apply_v1_memory(const fs::path& folder, GroupLimits& limits) {
  limits.memory = std::min(
      limits.memory,
      left(read_number(folder / "memory.limit_in_bytes"),
           read_number(folder / "memory.usage_in_bytes"),
           page_cache(folder / "memory.stat", "total_inactive_file", "total_active_file")));
}

/// Calls `apply` for the folder of `group` below `root` and of each group above it.
template <class Apply>
void climb(const fs::path& root, std::string group, Apply apply) {
  while (true) {
    while (group.ends_with('/')) group.pop_back();
    apply(root.string() + group);
    if (group.empty()) return;
    group.resize(group.find_last_of('/') == std::string::npos ? 0 : group.find_last_of('/'));
  }
}

}  // namespace

GroupLimits group_limits(const fs::path& membership, const fs::path& root) {
  GroupLimits limits;
  std::ifstream in(membership);
  for (std::string line; std::getline(in, line);) {  // "id:controllers:/group"
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty())
      climb(root, group, [&](const fs::path& folder) { apply_v2(folder, limits); });
    if (("," + controllers + ",").find(",memory,") != std::string::npos)
      climb(root / "memory", group,
            [&](const fs::path& folder) { apply_v1_memory(folder, limits); });
  }
  return limits;
}

}  // namespace cria
