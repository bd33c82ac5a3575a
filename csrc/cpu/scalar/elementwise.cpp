// F3, scalar. Norm, rotation and the elementwise operations.
#include <cmath>

#include "cpu/table.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

/// Turns the pair (x0, x1) by the angle with this cosine and sine. Fused as the other tables fuse
/// it, so that all of them store the same keys.
void rotate(float cosine, float sine, float& x0, float& x1) {
  const float turned = std::fma(x0, cosine, -(x1 * sine));
  x1 = std::fma(x1, cosine, x0 * sine);
  x0 = turned;
}

}  // namespace

void rmsnorm(const float* x, const float* weight, float eps, int64_t n, float* out) {
  double squares = 0;
  for (int64_t i = 0; i < n; ++i) squares += double{x[i]} * double{x[i]};
  const auto scale = static_cast<float>(1 / std::sqrt(squares / static_cast<double>(n) + eps));
  for (int64_t i = 0; i < n; ++i) out[i] = x[i] * scale * weight[i];
}

void rope(const RopeArgs& rope, float* x) {
  for (int h = 0; h < rope.heads; ++h) {
    float* head = x + int64_t{h} * rope.width;
    for (int i = 0; i < 2 * rope.pairs; i += 2)
      rotate(rope.angles[i], rope.angles[i + 1], head[i], head[i + 1]);
  }
}

void silu_mul(const float* gate, const float* up, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}

void add(float* x, const float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] += y[i];
}

void exp(const float* x, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = std::exp(x[i]);
}

}  // namespace cria::cpu::CRIA_TABLE
