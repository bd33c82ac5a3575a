// F3, avx2. Products with f32 weights.
#include "cpu/table.h"
#include "float_tile.h"

namespace cria::cpu::CRIA_TABLE {

void matmul_f32(const MatmulArgs& args) {
  for_tiles<FloatTile<F32>>(args);
}

}  // namespace cria::cpu::CRIA_TABLE
