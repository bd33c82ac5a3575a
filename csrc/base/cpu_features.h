// F0. What this machine's processor can do, and how much of it this process may use.
#pragma once

#include <string>
#include <vector>

namespace cria {

/// Instruction-set extensions that kernels ask for. True only where the processor has it and the
/// operating system saves its registers. All false on other architectures than x86-64.
struct CpuFeatures {
  bool avx2 = false;
  bool fma = false;
  bool f16c = false;
  bool bmi2 = false;
  bool avx_vnni = false;
  bool avx512f = false;
  bool avx512bw = false;
  bool avx512vl = false;
  bool avx512dq = false;
  bool avx512_vnni = false;
  bool avx512_bf16 = false;
  bool amx_int8 = false;
};

/// The features of this machine; asked once.
const CpuFeatures& cpu_features();

/// The names of those that are true, such as "avx2", "avx512_vnni".
std::vector<std::string> cpu_feature_names();

/// Physical cores among the processors this process may run on, no more than its control group's
/// time quota pays for; at least 1. A second hardware thread of a core adds nothing to kernels that
/// already fill its vector units.
int usable_cores();

}  // namespace cria
