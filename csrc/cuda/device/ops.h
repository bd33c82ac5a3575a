// F3, device. The plugin's operations, as table.cu puts them into the table: what each means is
// said in cuda/plugin.h, how it is computed in the file of its name.
#pragma once

#include "cuda/device/cuda.h"

namespace cria::cuda {

int gather(CriaCuda*, const CriaCudaStep*, const float* x, int64_t cols, int64_t rows, float* out);

int64_t kv_page_bytes(int32_t type, int32_t head_width);
int rope_store_kv(CriaCuda*, const CriaCudaRope*);

uint64_t attention_scratch(CriaCuda*, int64_t rows, int64_t query_cols);
int attention(CriaCuda*, const CriaCudaAttention*);

uint64_t sample_scratch(CriaCuda*, int64_t rows, int64_t vocab);
int sample(CriaCuda*, const CriaCudaSample*);

}  // namespace cria::cuda
