// F3. What a product reads of packed weights (layout: cpu/panels.h), for any instruction set: the
// codes of a block as unsigned bytes, ready for a dot product with signed activations, and its
// scales as floats. Internal linkage, as in cpu/activations.h.
//
// An instruction set comes as V (its lanes.h): V::kCount rows to a vector, V::Ints of that many
// int32 or four times as many bytes, V::Floats. A panel is 2 or 4 vectors of rows.
#pragma once

#include "cpu/panels.h"
#include "quant/blocks.h"

namespace cria::cpu {
namespace {

inline constexpr int kNoZero = -1;

/// The arithmetic of a type: w = d·(code − 2^kZero) in blocks of 32, or d·s·(…) in sub-blocks of
/// kSub, less a minimum where kMinimum.
template <bool kSuperBlocks, int kSubBlock, int kZeroShift, bool kHasMinimum>
struct Kind {
  static constexpr bool kSuper = kSuperBlocks;
  static constexpr int kSub = kSubBlock;
  static constexpr int kZero = kZeroShift;  // kNoZero: codes count from 0
  static constexpr bool kMinimum = kHasMinimum;
};

template <DType kType>
struct KindOf;
template <>
struct KindOf<DType::kQ4_0> : Kind<false, 32, 3, false> {};
template <>
struct KindOf<DType::kQ4_1> : Kind<false, 32, kNoZero, true> {};
template <>
struct KindOf<DType::kQ5_0> : Kind<false, 32, 4, false> {};
template <>
struct KindOf<DType::kQ5_1> : Kind<false, 32, kNoZero, true> {};
template <>
struct KindOf<DType::kQ8_0> : Kind<false, 32, 7, false> {};
template <>
struct KindOf<DType::kIQ4_NL> : Kind<false, 32, 7, false> {};
template <>
struct KindOf<DType::kQ2_K> : Kind<true, 16, kNoZero, true> {};
template <>
struct KindOf<DType::kQ3_K> : Kind<true, 16, 2, false> {};
template <>
struct KindOf<DType::kQ4_K> : Kind<true, 32, kNoZero, true> {};
template <>
struct KindOf<DType::kQ5_K> : Kind<true, 32, kNoZero, true> {};
template <>
struct KindOf<DType::kQ6_K> : Kind<true, 16, 5, false> {};
template <>
struct KindOf<DType::kIQ4_XS> : Kind<true, 32, 7, false> {};

/// The values of IQ4_NL and IQ4_XS, biased by 128 like the codes of Q8_0.
alignas(16) inline constexpr uint8_t kIq4Codes[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                                      129, 141, 153, 166, 181, 197, 217, 241};

/// The codes of one block for one vector of rows; quad q in place q.
template <class V>
struct Quads {
  typename V::Ints q[8];
  typename V::Ints operator[](int i) const { return q[i]; }
};

/// v shifted by `from − to` bits, so that bit `from` of every byte lands on bit `to`. Bits cross
/// bytes: mask them off.
template <class V, int kFrom, int kTo>
typename V::Ints move_bits(typename V::Ints v) {
  if constexpr (kFrom > kTo) return V::template shift_right<kFrom - kTo>(v);
  if constexpr (kFrom < kTo) return V::template shift_left<kTo - kFrom>(v);
  return v;
}

/// quads[at] |= bits kFrom … kFrom + kBits − 1 of the plane, on top of kBelow bits.
template <class V, int kFrom, int kBits, int kBelow>
void add_bits(typename V::Ints plane, typename V::Ints& quad) {
  const auto mask = V::bytes(static_cast<uint8_t>(((1 << kBits) - 1) << kBelow));
  const auto moved = move_bits<V, kFrom, kBelow>(plane);
  if constexpr (kBelow == 0) {
    quad = V::both(moved, mask);
  } else {
    quad = V::merge(quad, moved, mask);
  }
}

/// Decodes the planes of a block, `planes` pointing at the vector's part of the first. Inlined
/// always: its result belongs in registers.
template <class V, DType kType>
[[gnu::always_inline]] inline Quads<V> decode_block(const std::byte* planes) {
  constexpr PanelLayout kLayout = panel_layout(kType);
  Quads<V> out;
  if constexpr (kLayout.bytes > 0) {
#pragma GCC unroll 8
    for (int q = 0; q < 8; ++q) out.q[q] = V::load(planes + q * kPlane);
  }
  if constexpr (kLayout.nibbles > 0) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      const auto plane = V::load(planes + v * kPlane);
      add_bits<V, 0, 4, 0>(plane, out.q[v]);
      add_bits<V, 4, 4, 0>(plane, out.q[v + 4]);
    }
    planes += 4 * kPlane;
  }
  constexpr int kBelowPairs = kLayout.nibbles > 0 ? 4 : 0;
  if constexpr (kLayout.pairs > 0) {
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
      const auto plane = V::load(planes + h * kPlane);
      add_bits<V, 0, 2, kBelowPairs>(plane, out.q[4 * h]);
      add_bits<V, 2, 2, kBelowPairs>(plane, out.q[4 * h + 1]);
      add_bits<V, 4, 2, kBelowPairs>(plane, out.q[4 * h + 2]);
      add_bits<V, 6, 2, kBelowPairs>(plane, out.q[4 * h + 3]);
    }
    planes += 2 * kPlane;
  }
  if constexpr (kLayout.bits > 0) {
    constexpr int kBelow = kBelowPairs + (kLayout.pairs > 0 ? 2 : 0);
    const auto plane = V::load(planes);
    add_bits<V, 0, 1, kBelow>(plane, out.q[0]);
    add_bits<V, 1, 1, kBelow>(plane, out.q[1]);
    add_bits<V, 2, 1, kBelow>(plane, out.q[2]);
    add_bits<V, 3, 1, kBelow>(plane, out.q[3]);
    add_bits<V, 4, 1, kBelow>(plane, out.q[4]);
    add_bits<V, 5, 1, kBelow>(plane, out.q[5]);
    add_bits<V, 6, 1, kBelow>(plane, out.q[6]);
    add_bits<V, 7, 1, kBelow>(plane, out.q[7]);
  }
  if constexpr (kType == DType::kIQ4_NL || kType == DType::kIQ4_XS) {
    const auto table = V::table(kIq4Codes);
#pragma GCC unroll 8
    for (int q = 0; q < 8; ++q) out.q[q] = V::lookup(table, out.q[q]);
  }
  return out;
}

/// The scale s of sub-block j, from the super-block's group of scales at the vector's first row.
template <class V, DType kType>
typename V::Ints sub_scale(const std::byte* group, int j) {
  const auto low = V::widen_unsigned(group + kByteRow * j);
  if constexpr (kType == DType::kQ4_K || kType == DType::kQ5_K) {
    const auto high = V::widen_unsigned(group + kByteRow * (8 + j % 4));
    const auto two = V::both(V::shift_right_words(high, 4 * (j / 4)), V::words(3));
    return V::either(V::both(low, V::words(15)), V::shift_left_words(two, 4));
  }
  if constexpr (kType == DType::kQ2_K) return V::both(low, V::words(15));
  return V::widen_signed(group + kByteRow * j);
}

/// The minimum m of sub-block j.
template <class V, DType kType>
typename V::Ints sub_minimum(const std::byte* group, int j) {
  const auto low = V::shift_right_words(V::widen_unsigned(group + kByteRow * j), 4);
  if constexpr (kType == DType::kQ2_K) return low;
  const auto high = V::widen_unsigned(group + kByteRow * (8 + j % 4));
  const auto two = V::both(V::shift_right_words(high, 4 * (j / 4) + 2), V::words(3));
  return V::either(low, V::shift_left_words(two, 4));
}

/// Weights read from a panel, block by block, decoded in registers. Vector v is the v-th of the
/// panel's vectors of rows from the first one on that `panel` points at.
template <class V, DType kType>
class PackedWeights {
 public:
  using K = KindOf<kType>;
  static constexpr PanelLayout kLayout = panel_layout(kType);

  /// One group of a panel.
  class Group {
   public:
    explicit Group(const std::byte* group, int64_t row) : group_(group), row_(row) {}

    Quads<V> block(int64_t j, int v) const {
      const std::byte* planes = group_ + kLayout.scale_bytes + j * kLayout.block_bytes();
      if (v == 0) fetch(planes + kAhead, kLayout.block_bytes());
      return decode_block<V, kType>(planes + 4 * row(v));
    }
    /// Of the block, or of sub-block j of the super-block.
    typename V::Floats scale(int64_t j, int v) const {
      if constexpr (K::kSuper) {
        const auto s = sub_scale<V, kType>(group_ + row(v), static_cast<int>(j));
        return V::multiply(V::to_floats(s), V::halves(group_ + kHalves + 2 * row(v)));
      } else {
        return V::halves(group_ + 2 * row(v));
      }
    }
    typename V::Floats minimum(int v) const { return V::halves(group_ + kHalfRow + 2 * row(v)); }
    /// The minimums of sub-blocks 2i and 2i + 1 as int16, the first in the low half.
    typename V::Ints minimum_pair(int i, int v) const {
      const std::byte* g = group_ + row(v);
      return V::either(sub_minimum<V, kType>(g, 2 * i),
                       V::shift_left_words(sub_minimum<V, kType>(g, 2 * i + 1), 16));
    }
    typename V::Floats minimum_scale(int v) const {
      return V::halves(group_ + kHalves + kHalfRow + 2 * row(v));
    }

   private:
    int64_t row(int v) const { return row_ + v * V::kCount; }

    const std::byte* group_;
    int64_t row_;
  };

  /// Groups of a panel from number `first` on, rows from `row` on.
  PackedWeights(const std::byte* panel, int64_t first, int64_t row)
      : groups_(panel + first * kLayout.group_bytes()), row_(row) {}

  Group group(int64_t n) const {
    const std::byte* group = groups_ + n * kLayout.group_bytes();
    fetch(group + kAhead, kLayout.scale_bytes);
    return Group(group, row_);
  }

 private:
  /// How far ahead of what is read the memory is asked for. The processor's own prefetch stops at
  /// the pages of 4 KB that it knows of; two pages hide the way to memory at 40 GB/s (200 ns). Past
  /// the end of the weights it asks for nothing that faults.
  static constexpr int64_t kAhead = 8192;
  /// Where d lies in a super-block's group; dmin follows.
  static constexpr int64_t kHalves = kLayout.scale_bytes - (K::kMinimum ? 2 : 1) * kHalfRow;

  static void fetch(const std::byte* p, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + i);
  }

  const std::byte* groups_;
  int64_t row_;
};

}  // namespace
}  // namespace cria::cpu
