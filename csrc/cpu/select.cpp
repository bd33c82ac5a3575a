// F3. Selection of the kernel table: one list, best first.
#include "cpu/select.h"

#include <algorithm>
#include <string>

#include "base/cpu_features.h"
#include "base/error.h"
#include "cpu/cpu_backend.h"

namespace cria::cpu {

namespace scalar {
extern const Kernels kernels;
}
#ifdef CRIA_X86_TABLES
namespace avx2 {
extern const Kernels kernels;
}
namespace avx_vnni {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}
namespace avx512_vnni {
extern const Kernels kernels;
}
#endif

namespace {

/// Names joined for a message: "avx512, avx2, scalar".
std::string names(bool only_supported) {
  std::string text;
  for (const Table& table : all_tables()) {
    if (only_supported && !table.supported) continue;
    text += cat(text.empty() ? "" : ", ", table.variant);
  }
  return text;
}

TableInfo info(const Table& table) {
  return {std::string(table.name), std::string(table.variant), table.supported};
}

}  // namespace

std::span<const Table> all_tables() {
#ifdef CRIA_X86_TABLES
  // Each condition covers the flags its folder is compiled with (CMakeLists.txt).
  static const CpuFeatures& f = cpu_features();
  static const bool has_avx2 = f.avx2 && f.fma && f.f16c && f.bmi2;
  static const bool has_avx512 = has_avx2 && f.avx512f && f.avx512bw && f.avx512vl && f.avx512dq;
  static const Table all[] = {
      {"avx512", "avx512_vnni", &avx512_vnni::kernels, has_avx512 && f.avx512_vnni},
      {"avx512", "avx512_base", &avx512::kernels, has_avx512},
      {"avx_vnni", "avx_vnni", &avx_vnni::kernels, has_avx2 && f.avx_vnni},
      {"avx2", "avx2", &avx2::kernels, has_avx2},
      {"scalar", "scalar", &scalar::kernels, true},
  };
#else
  static const Table all[] = {{"scalar", "scalar", &scalar::kernels, true}};
#endif
  return all;
}

const Table& select_table(std::string_view name) {
  bool known = false;
  for (const Table& table : all_tables()) {
    if (!name.empty() && name != table.name && name != table.variant) continue;
    known = true;
    if (table.supported) return table;
  }
  if (!known) {
    fail(ErrorCode::kBadArgument, "unknown CPU kernel table \"", name, "\"; this build has ",
         names(false));
  }
  fail(ErrorCode::kUnsupported, "this processor cannot run the CPU kernel table \"", name,
       "\"; it runs ", names(true));
}

std::vector<TableInfo> tables() {
  std::vector<TableInfo> all;
  for (const Table& table : all_tables()) all.push_back(info(table));
  return all;
}

TableInfo selected_table(std::string_view name) {
  return info(select_table(name));
}

std::vector<std::string> features() {
  return cpu_feature_names();
}

int default_threads() {
  return std::min(usable_cores(), kMostThreads);
}

}  // namespace cria::cpu
