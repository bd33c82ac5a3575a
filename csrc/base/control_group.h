// F0. The limits of the control group (container) that this process runs in.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>

namespace cria {

struct GroupLimits {
  static constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();
  uint64_t memory = kNoLimit;  // bytes that may still be taken
  double cores = 0;            // processors' worth of time; 0: no limit
};

/// The tightest limits between the process's group and the root, of version 2 groups and of the
/// memory controller of version 1. The folders are those of the system, or a test's.
GroupLimits group_limits(const std::filesystem::path& membership = "/proc/self/cgroup",
                         const std::filesystem::path& root = "/sys/fs/cgroup");

}  // namespace cria
