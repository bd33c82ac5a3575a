// F3, device. Prefill attention (attention_prefill.cu) as attention.cu launches it.
#pragma once

#include "cuda/device/attention_splits.h"

namespace cria::cuda {

/// Whether there is a kernel for these heads on that device; else each row is computed by itself.
bool has_prefill_kernel(const CriaCuda&, const CriaCudaAttention&);
/// The rows of slices longer than kFewRows.
int launch_prefill(CriaCuda*, const CriaCudaAttention&);

}  // namespace cria::cuda
