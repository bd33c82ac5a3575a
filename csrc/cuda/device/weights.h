// F3, device. Packed weights and the operations on them, as table.cu puts them into the table: what
// each means is said in cuda/plugin.h.
#pragma once

#include "cuda/device/cuda.h"

namespace cria::cuda {

uint64_t weight_bytes(uint32_t type, int64_t rows, int64_t cols);
int pack_weight(CriaCuda*, uint32_t type, int64_t rows, int64_t cols, int64_t first, int64_t count,
                const void* blocks, void* packed);
int embed(CriaCuda*, const CriaCudaStep*, CriaCudaWeight table, int64_t rows, float* out);
uint64_t project_scratch(CriaCuda*, int64_t rows, int64_t most_cols);
int project(CriaCuda*, const CriaCudaProject*);

}  // namespace cria::cuda
