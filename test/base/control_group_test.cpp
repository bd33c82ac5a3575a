// Limits of control groups, read from folders laid out as the system's.
#include "base/control_group.h"

#include <fstream>

#include "base/temp_folder.h"
#include "support/check.h"

namespace cria::test {
namespace {

void put(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text << '\n';
}

}  // namespace

TEST(no_groups_no_limits) {
  const TempFolder folder;
  const GroupLimits limits = group_limits(folder / "none", folder / "root");
  CHECK_EQ(limits.memory, GroupLimits::kNoLimit);
  CHECK_EQ(limits.cores, 0.0);
}

TEST(version_2_takes_the_tightest_on_the_way_up) {
  const TempFolder folder;
  put(folder / "self", "0::/a/b");
  const auto root = folder / "root";
  put(root / "a/b/memory.max", "max");
  put(root / "a/b/memory.current", "500");
  put(root / "a/b/cpu.max", "150000 100000");
  put(root / "a/memory.max", "1000");
  put(root / "a/memory.current", "700");
  put(root / "a/memory.stat", "anon 1\ninactive_file 100\nactive_file 50\nslab 9");
  put(root / "a/cpu.max", "max 100000");
  put(root / "memory.max", "100000");
  put(root / "memory.current", "90000");
  const GroupLimits limits = group_limits(folder / "self", root);
  CHECK_EQ(limits.memory, uint64_t{1000 - (700 - 150)});
  CHECK_EQ(limits.cores, 1.5);
}

TEST(version_1_memory) {
  const TempFolder folder;
  put(folder / "self", "12:cpu,cpuacct:/x\n5:memory:/box\n1:name=systemd:/");
  const auto root = folder / "root";
  put(root / "memory/box/memory.limit_in_bytes", "4096");
  put(root / "memory/box/memory.usage_in_bytes", "1024");
  put(root / "memory/box/memory.stat", "cache 1\ntotal_inactive_file 24");
  put(root / "memory/memory.limit_in_bytes", "9223372036854771712");
  put(root / "memory/memory.usage_in_bytes", "9999");
  CHECK_EQ(group_limits(folder / "self", root).memory, uint64_t{4096 - 1000});
}

TEST(use_above_the_limit_leaves_nothing) {
  const TempFolder folder;
  put(folder / "self", "0::/");
  put(folder / "root/memory.max", "100");
  put(folder / "root/memory.current", "300");
  put(folder / "root/memory.stat", "inactive_file 900");
  CHECK_EQ(group_limits(folder / "self", folder / "root").memory, uint64_t{100});
  put(folder / "root/memory.stat", "inactive_file 50");
  CHECK_EQ(group_limits(folder / "self", folder / "root").memory, uint64_t{0});
}

TEST(malformed_files_are_no_limits) {
  const TempFolder folder;
  put(folder / "self", "nonsense\n0:\n0::/a\n:::");
  put(folder / "root/a/memory.max", "many");
  put(folder / "root/a/memory.current", "-");
  put(folder / "root/a/cpu.max", "0 0");
  CHECK_EQ(group_limits(folder / "self", folder / "root").memory, GroupLimits::kNoLimit);
}

}  // namespace cria::test
