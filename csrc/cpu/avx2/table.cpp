// F3, avx2 and avx_vnni. The table itself.
#include "cpu/table.h"

namespace cria::cpu::CRIA_TABLE {

constinit const Kernels kernels = make_kernels();

}  // namespace cria::cpu::CRIA_TABLE
