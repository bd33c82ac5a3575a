// F3, avx2. Products with f16 and bf16 weights; the products and sums are f32.
#include "cpu/table.h"
#include "float_tile.h"

namespace cria::cpu::CRIA_TABLE {

void matmul_f16(const MatmulArgs& args) {
  for_tiles<FloatTile<F16>>(args);
}
void matmul_bf16(const MatmulArgs& args) {
  for_tiles<FloatTile<BF16>>(args);
}

}  // namespace cria::cpu::CRIA_TABLE
