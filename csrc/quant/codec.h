// F1. The scalar meaning of every block format: what its bits say (`dequantize_row`) and a plain
// round-to-nearest encoder (`quantize_row`). Kernels are held against the first; the second makes
// test models and measurements, and is not tuned for quality.
#pragma once

#include <cstdint>

#include "quant/dtype.h"

namespace cria {

/// Writes the `n` weights that the blocks at `src` stand for to `dst`. `n` is a multiple of the
/// type's block size. `src` needs no alignment.
void dequantize_row(DType type, const void* src, float* dst, int64_t n);

/// Encodes `n` weights into blocks at `dst` (`row_bytes(type, n)` bytes). Values must be finite.
void quantize_row(DType type, const float* src, void* dst, int64_t n);

}  // namespace cria
