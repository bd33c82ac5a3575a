// F0. Processor features from CPUID and XGETBV; usable cores from the scheduler's affinity mask,
// the topology in /sys and the quota of the control group.
#include "base/cpu_features.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

#include "base/control_group.h"

namespace cria {
namespace {

#if defined(__x86_64__)

constexpr bool bit(uint32_t word, int index) {
  return (word >> index & 1u) != 0;
}

/// XCR0: which register files the operating system saves at a task switch.
uint64_t saved_registers() {
  uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

/// Bit positions: Intel 64 Architectures Software Developer's Manual, volume 2A, CPUID.
CpuFeatures detect() {
  CpuFeatures f;
  uint32_t a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return f;
  const bool xsave = bit(c, 27), fma = bit(c, 12), f16c = bit(c, 29);
  if (!xsave) return f;
  const uint64_t saved = saved_registers();
  const bool ymm = (saved & 0x6) == 0x6;            // SSE and AVX state
  const bool zmm = ymm && (saved & 0xe0) == 0xe0;   // masks, upper halves, registers 16 … 31
  const bool tiles = (saved & 0x60000) == 0x60000;  // AMX configuration and data
  f.fma = ymm && fma;
  f.f16c = ymm && f16c;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return f;
  const uint32_t subleaves = a;
  f.avx2 = ymm && bit(b, 5);
  f.bmi2 = bit(b, 8);
  f.avx512f = zmm && bit(b, 16);
  f.avx512dq = zmm && bit(b, 17);
  f.avx512bw = zmm && bit(b, 30);
  f.avx512vl = zmm && bit(b, 31);
  f.avx512_vnni = zmm && bit(c, 11);
  f.amx_int8 = tiles && bit(d, 25);
  if (subleaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) {
    f.avx_vnni = ymm && bit(a, 4);
    f.avx512_bf16 = zmm && bit(a, 5);
  }
  return f;
}

#else

CpuFeatures detect() {
  return {};
}

#endif

/// The processors this process may run on; empty where the system does not say.
std::vector<int> allowed_processors() {
  std::vector<int> allowed;
#if defined(__linux__)
  // The kernel refuses a mask smaller than its own; 8192 is the largest it can be built for.
  constexpr size_t kMost = 8192;
  std::vector<cpu_set_t> mask(kMost / CPU_SETSIZE);
  const size_t bytes = mask.size() * sizeof(cpu_set_t);
  if (sched_getaffinity(0, bytes, mask.data()) == 0) {
    for (size_t i = 0; i < kMost; ++i)
      if (CPU_ISSET_S(i, bytes, mask.data())) allowed.push_back(static_cast<int>(i));
  }
#endif
  return allowed;
}

/// The names of one core's hardware threads ("0,4"), equal for all of them; the processor's own
/// number where the system does not say.
std::string core_of(int processor) {
  std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(processor) +
                     "/topology/thread_siblings_list");
  std::string siblings;
  if (std::getline(file, siblings) && !siblings.empty()) return siblings;
  return std::to_string(processor);
}

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

std::vector<std::string> cpu_feature_names() {
  const CpuFeatures& f = cpu_features();
  const struct {
    const char* name;
    bool present;
  } all[] = {
      {"avx2", f.avx2},
      {"fma", f.fma},
      {"f16c", f.f16c},
      {"bmi2", f.bmi2},
      {"avx_vnni", f.avx_vnni},
      {"avx512f", f.avx512f},
      {"avx512bw", f.avx512bw},
      {"avx512vl", f.avx512vl},
      {"avx512dq", f.avx512dq},
      {"avx512_vnni", f.avx512_vnni},
      {"avx512_bf16", f.avx512_bf16},
      {"amx_int8", f.amx_int8},
  };
  std::vector<std::string> names;
  for (const auto& feature : all)
    if (feature.present) names.emplace_back(feature.name);
  return names;
}

int usable_cores() {
  std::set<std::string> cores;
  for (int processor : allowed_processors()) cores.insert(core_of(processor));
  const int physical = cores.empty() ? static_cast<int>(std::thread::hardware_concurrency())
                                     : static_cast<int>(cores.size());
  const double quota = group_limits().cores;
  const int allowed = quota > 0 ? static_cast<int>(std::ceil(quota)) : physical;
  return std::max(1, std::min(physical, allowed));
}

}  // namespace cria
