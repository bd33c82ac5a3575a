// F3, avx512. Products with packed weights in super-blocks of 256 (cpu/panel_product.h).
#include "cpu/panel_product.h"

#include "cpu/table.h"
#include "lanes.h"

namespace cria::cpu::CRIA_TABLE {

void panels_q2_k(const PanelArgs& args) {
  multiply_panels<Lanes, DType::kQ2_K>(args);
}
void panels_q3_k(const PanelArgs& args) {
  multiply_panels<Lanes, DType::kQ3_K>(args);
}
void panels_q4_k(const PanelArgs& args) {
  multiply_panels<Lanes, DType::kQ4_K>(args);
}
void panels_q5_k(const PanelArgs& args) {
  multiply_panels<Lanes, DType::kQ5_K>(args);
}
void panels_q6_k(const PanelArgs& args) {
  multiply_panels<Lanes, DType::kQ6_K>(args);
}
void panels_iq4_xs(const PanelArgs& args) {
  multiply_panels<Lanes, DType::kIQ4_XS>(args);
}

}  // namespace cria::cpu::CRIA_TABLE
