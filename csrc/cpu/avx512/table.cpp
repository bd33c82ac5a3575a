// F3, avx512 and avx512_vnni. The table itself.
#include "cpu/table.h"

namespace cria::cpu::CRIA_TABLE {

constinit const Kernels kernels = make_kernels();

}  // namespace cria::cpu::CRIA_TABLE
