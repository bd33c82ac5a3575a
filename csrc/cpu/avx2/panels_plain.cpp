// F3, avx2. Products with packed weights in blocks of 32 (cpu/panel_product.h).
#include "cpu/panel_product.h"

#include "cpu/table.h"
#include "lanes.h"

namespace cria::cpu::CRIA_TABLE {

void panels_q4_0(const PanelArgs& args) {
  multiply_panels<Lanes, DType::kQ4_0>(args);
}
void panels_q4_1(const PanelArgs& args) {
  multiply_panels<Lanes, DType::kQ4_1>(args);
}
void panels_q5_0(const PanelArgs& args) {
  multiply_panels<Lanes, DType::kQ5_0>(args);
}
void panels_q5_1(const PanelArgs& args) {
  multiply_panels<Lanes, DType::kQ5_1>(args);
}
void panels_q8_0(const PanelArgs& args) {
  multiply_panels<Lanes, DType::kQ8_0>(args);
}
void panels_iq4_nl(const PanelArgs& args) {
  multiply_panels<Lanes, DType::kIQ4_NL>(args);
}

}  // namespace cria::cpu::CRIA_TABLE
