// F3. The CPU backend: threading and shape checks around a table of kernels.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"

namespace cria::cpu {

/// The most threads a backend may have.
inline constexpr int kMostThreads = 256;

struct Options {
  int threads = 0;    // 0: one per physical core this process may use
  std::string table;  // a name or variant of `tables()`, "avx2"; empty: the best this machine runs
};

/// Throws kBadArgument for an unknown table or a thread count out of [1, 256], kUnsupported for a
/// table this machine cannot run.
std::unique_ptr<Backend> make_backend(const Options& options);

struct TableInfo {
  std::string name;     // "avx512"
  std::string variant;  // "avx512_vnni"; unique; equal to `name` where there is one variant
  bool supported;
};
/// All tables of this build, best first.
std::vector<TableInfo> tables();
/// The table `make_backend` would choose for this name ("" : the best). Same errors.
TableInfo selected_table(std::string_view name);
/// The thread count that `threads = 0` means here.
int default_threads();
/// Instruction-set extensions of this machine that matter to Cria, such as "avx2", "avx512_vnni".
std::vector<std::string> features();

}  // namespace cria::cpu
