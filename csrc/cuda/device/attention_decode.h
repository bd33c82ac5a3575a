// F3, device. Decode attention's kernels (attention_decode.cu, attention_any_width.cu) as
// attention.cu launches them.
#pragma once

#include "cuda/device/attention_splits.h"

namespace cria::cuda {

/// Query heads of a KV head that one block takes.
inline constexpr int kDecodeHeads = 16;

/// Whether there is a kernel for that width; else the one for all widths is used.
bool has_decode_kernel(int type, int width);
/// Grid (splits, blocks of a row, rows).
int launch_decode(CriaCuda*, const DecodeArgs&, int splits, int rows);
/// Grid (splits, H, rows).
int launch_decode_any_width(CriaCuda*, const DecodeArgs&, int splits, int rows);

}  // namespace cria::cuda
