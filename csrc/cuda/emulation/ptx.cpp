#include "cuda/emulation/ptx.h"

namespace cria::cuda::emulation {
namespace {

constexpr int kRows = 16, kCols = 8;

/// D += A · B, all of it at once: fragments to matrices, a plain product, and back. `Number` is the
/// type that an element is read as, kInRegister of them to a register.
template <int kInRegister, class Number, class Sum, class Read>
void product(void* const* lanes, const Read& read) {
  constexpr int kDepth = 8 * kInRegister;
  Number a[kRows][kDepth], b[kCols][kDepth];
  for (int lane = 0; lane < 32; ++lane) {
    const auto& mine = *static_cast<Mma<Sum>*>(lanes[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < kInRegister; ++i) {
      const int k = kInRegister * t + i;
      for (int r = 0; r < 4; ++r)
        a[g + 8 * (r % 2)][k + 4 * kInRegister * (r / 2)] = read(mine.a[r], i);
      for (int r = 0; r < 2; ++r) b[g][k + 4 * kInRegister * r] = read(mine.b[r], i);
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    const auto& mine = *static_cast<Mma<Sum>*>(lanes[lane]);
    for (int r = 0; r < 4; ++r) {
      const int row = lane / 4 + 8 * (r / 2), col = 2 * (lane % 4) + r % 2;
      Number sum = 0;  // exact for bytes; for halves closer than the hardware's
      for (int k = 0; k < kDepth; ++k) sum += a[row][k] * b[col][k];
      mine.d[r] = static_cast<Sum>(sum + static_cast<Number>(mine.d[r]));
    }
  }
}

}  // namespace

void mma_f16(void* const* lanes, uint32_t) {
  product<2, double, float>(lanes, [](uint32_t pair, int i) {
    return double{f16_to_float(static_cast<uint16_t>(pair >> 16 * i))};
  });
}
void mma_bf16(void* const* lanes, uint32_t) {
  product<2, double, float>(lanes, [](uint32_t pair, int i) {
    return double{bf16_to_float(static_cast<uint16_t>(pair >> 16 * i))};
  });
}
void mma_s8(void* const* lanes, uint32_t) {
  product<4, int, int>(
      lanes, [](uint32_t four, int i) { return int{static_cast<int8_t>(four >> 8 * i)}; });
}

void load_matrices(void* const* lanes, uint32_t) {
  const auto& first = *static_cast<LoadMatrices*>(lanes[0]);
  for (int m = 0; m < first.count; ++m) {
    uint16_t matrix[8][8];
    for (int row = 0; row < 8; ++row) {
      const void* from = static_cast<LoadMatrices*>(lanes[8 * m + row])->row;
      if (reinterpret_cast<uintptr_t>(from) % 16 != 0)
        fault("ldmatrix: a row that is not aligned to 16");
      std::memcpy(matrix[row], from, sizeof matrix[row]);
    }
    for (int lane = 0; lane < 32; ++lane) {
      const auto& mine = *static_cast<LoadMatrices*>(lanes[lane]);
      if (mine.count != first.count || mine.transposed != first.transposed)
        fault("ldmatrix: lanes ask for different forms");
      const int g = lane / 4, t = lane % 4;
      const uint16_t low = mine.transposed ? matrix[2 * t][g] : matrix[g][2 * t];
      const uint16_t high = mine.transposed ? matrix[2 * t + 1][g] : matrix[g][2 * t + 1];
      mine.out[m] = low | uint32_t{high} << 16;
    }
  }
}

}  // namespace cria::cuda::emulation
