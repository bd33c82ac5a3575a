// F3, device. The plugin's only symbol.
#include "cuda/device/cuda.h"

extern "C" __attribute__((visibility("default"))) const CriaCudaTable* cria_cuda_table(uint32_t) {
  return nullptr;
}
