// F3, avx2. Products with packed float weights (cpu/panel_floats.h).
#include "cpu/panel_floats.h"

#include "cpu/table.h"
#include "lanes.h"

namespace cria::cpu::CRIA_TABLE {

void panels_f32(const PanelArgs& args) {
  multiply_float_panels<Lanes, DType::kF32>(args);
}
void panels_f16(const PanelArgs& args) {
  multiply_float_panels<Lanes, DType::kF16>(args);
}
void panels_bf16(const PanelArgs& args) {
  multiply_float_panels<Lanes, DType::kBF16>(args);
}

}  // namespace cria::cpu::CRIA_TABLE
