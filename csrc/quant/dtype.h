// F1. Every tensor type a GGUF file may name: its id, name and size. Which of them Cria computes.
#pragma once

#include <cstdint>

namespace cria {

/// Tensor types with their ids in the GGUF format. Only the computed ones have an enumerator that
/// code may switch on; all others are known through `find_dtype`.
enum class DType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ4_NL = 20,
  kIQ4_XS = 23,
  kBF16 = 30,
};

/// One past the largest id of a computed type: the size of tables indexed by `DType`.
inline constexpr uint32_t kDTypeTableSize = 31;

struct DTypeInfo {
  uint32_t id;
  const char* name;        // as people write it: "Q4_K"
  uint32_t block_weights;  // weights per block
  uint32_t block_bytes;    // bytes per block
  bool computed;           // whether Cria has kernels for it
};

/// The type of this id, or nullptr where the format defines none.
const DTypeInfo* find_dtype(uint32_t id);
/// The facts of a computed type.
const DTypeInfo& dtype_info(DType type);

/// Bytes of one row of `columns` weights (a whole number of blocks).
inline int64_t row_bytes(DType type, int64_t columns) {
  const DTypeInfo& info = dtype_info(type);
  return columns / info.block_weights * info.block_bytes;
}

}  // namespace cria
