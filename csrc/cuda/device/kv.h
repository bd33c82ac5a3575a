// F3, device. The inside of a KV page: the keys and values of one KV head in one layer at P = 32
// positions.
//
//   kF16    keys    f16 [P][K]
//           values  f16 [K][P]        transposed
//
//   kQ8_0   keys    i8  [P][K]        codes
//                   f16 [K/32][P]     scales
//           values  i8  [K][P]        codes
//                   f16 [K/32][P]     scales
//
// x ≈ scale · code with a scale for each 32 elements of a head, coded as the CPU codes them
// (cpu/kv_codes.h).
//
// Why so: both products of attention contract along the rows that lie contiguous here, the scores
// over K and the sum of values over P. The matrix instruction takes any order of what it contracts,
// as long as both operands have the same. So where it wants elements 2t, 2t+1, 2t+8, 2t+9 of lane t
// (device/ptx.h), lane t of four is given 8t … 8t+7 of 32: one load of 16 bytes for two
// instructions, and four lanes read a whole stretch. See attention_tile.h.
#pragma once

#include "cuda/device/cuda.h"

namespace cria::cuda {

// cria::kPageTokens, cria::KvType, cria::kMaxHeadWidth: test/cuda holds them to be the same.
inline constexpr int kPageTokens = 32;
inline constexpr int kKvF16 = 0, kKvQ8_0 = 1;
inline constexpr int kMaxHeadWidth = 1024;
inline constexpr int kKvGroup = 32;  // elements of a head that share a scale in kQ8_0

/// Where the arrays of a page begin, in bytes. Each is a multiple of 64 for even widths.
struct KvLayout {
  int64_t key_scales, values, value_scales, bytes;
};
__host__ __device__ constexpr KvLayout kv_layout(int type, int64_t width) {
  const int64_t elements = kPageTokens * width;
  const int64_t codes = type == kKvF16 ? 2 * elements : elements;
  const int64_t scales = type == kKvF16 ? 0 : elements / kKvGroup * 2;
  return {codes, codes + scales, 2 * codes + scales, 2 * (codes + scales)};
}

/// The slice that a row belongs to, and its position there.
struct RowPlace {
  int slice;     // -1: of no token
  int position;  // of its sequence
};
__device__ __forceinline__ RowPlace row_place(const CriaCudaStep& step, int64_t row) {
  const int slice = row < step.alive ? step.slice_of_row[row] : -1;
  if (slice < 0) return {-1, 0};
  const CriaCudaSlice& found = step.slice[slice];
  return {slice, found.past + static_cast<int>(row) - found.first_row};
}

/// The pages of a KV head that a slice's positions lie in, one after the other.
struct KvPages {
  uint8_t* head;
  const int32_t* table;
  int64_t page_bytes;

  __device__ KvPages(const CriaCudaKv& kv, const CriaCudaStep& step, int slice, int kv_head)
      : head(kv.pages + kv_head * kv.head_bytes),
        table(step.pages + step.slice[slice].first_page),
        page_bytes(kv.page_bytes) {}
  __device__ uint8_t* operator[](int page) const { return head + table[page] * page_bytes; }
};

}  // namespace cria::cuda
