// F3. The tables of this build and which of them this machine runs.
#pragma once

#include <span>
#include <string_view>

#include "cpu/kernels.h"

namespace cria::cpu {

/// One table. `name` is the instruction set, shared by its variants; `variant` is unique.
struct Table {
  std::string_view name;
  std::string_view variant;
  const Kernels* kernels;
  bool supported;  // by this machine
};

/// All tables of this build, best first; the last, "scalar", runs everywhere.
std::span<const Table> all_tables();

/// The best supported table of this name or variant; "" is the best of all. Throws kBadArgument for
/// a name this build does not have, kUnsupported for one this machine cannot run.
const Table& select_table(std::string_view name);

}  // namespace cria::cpu
