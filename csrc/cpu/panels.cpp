// F3. Files' rows to panels and back: one description of where a type keeps its codes serves both
// directions.
#include "cpu/panels.h"

#include <algorithm>
#include <cstring>

#include "quant/blocks.h"

namespace cria::cpu {
namespace {

constexpr int64_t kLine = 64;

/// Where the bits of 32 codes lie in a block of the file.
struct Field {
  enum Kind {
    kNone,
    kStraight,  // code i: `bits` bits from `shift` of byte at + i
    kFolded,    // code i: 4 bits of byte at + i % 16, the low ones for i < 16
    kDense,     // code i: bit i % 8 of byte at + i / 8
  };
  Kind kind = kNone;
  int at = 0;
  int bits = 0;
  int shift = 0;
};

/// The low bits of a type's codes and those above them.
struct Fields {
  Field low, high;
};

/// For inputs 32j … 32j+31 of a block (drawings: quant/blocks.h).
[[gnu::always_inline]] constexpr Fields fields(DType type, int j) {
  constexpr auto straight = Field::kStraight;
  constexpr auto folded = Field::kFolded;
  const int half = j / 4, quarter = j % 4;
  switch (type) {
    case DType::kQ4_0:
      return {{folded, offsetof(BlockQ4_0, qs), 4}, {}};
    case DType::kIQ4_NL:
      return {{folded, offsetof(BlockIQ4_NL, qs), 4}, {}};
    case DType::kQ4_1:
      return {{folded, offsetof(BlockQ4_1, qs), 4}, {}};
    case DType::kQ5_0:
      return {{folded, offsetof(BlockQ5_0, qs), 4}, {Field::kDense, offsetof(BlockQ5_0, qh), 1}};
    case DType::kQ5_1:
      return {{folded, offsetof(BlockQ5_1, qs), 4}, {Field::kDense, offsetof(BlockQ5_1, qh), 1}};
    case DType::kQ8_0:
      return {{straight, offsetof(BlockQ8_0, qs), 8}, {}};
    case DType::kQ2_K:
      return {{straight, int{offsetof(BlockQ2_K, qs)} + 32 * half, 2, 2 * quarter}, {}};
    case DType::kQ3_K:
      return {{straight, int{offsetof(BlockQ3_K, qs)} + 32 * half, 2, 2 * quarter},
              {straight, offsetof(BlockQ3_K, hmask), 1, j}};
    case DType::kQ4_K:
      return {{straight, int{offsetof(BlockQ4_K, qs)} + 32 * (j / 2), 4, 4 * (j % 2)}, {}};
    case DType::kQ5_K:
      return {{straight, int{offsetof(BlockQ5_K, qs)} + 32 * (j / 2), 4, 4 * (j % 2)},
              {straight, offsetof(BlockQ5_K, qh), 1, j}};
    case DType::kQ6_K:
      return {{straight, int{offsetof(BlockQ6_K, ql)} + 64 * half + 32 * (quarter % 2), 4,
               4 * (quarter / 2)},
              {straight, int{offsetof(BlockQ6_K, qh)} + 32 * half, 2, 2 * quarter}};
    case DType::kIQ4_XS:
      return {{folded, int{offsetof(BlockIQ4_XS, qs)} + 16 * j, 4}, {}};
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
      break;
  }
  return {};
}

uint8_t* byte_of(const Field& f, uint8_t* block, int i) {
  return block + f.at +
         (f.kind == Field::kStraight ? i
          : f.kind == Field::kFolded ? i % 16
                                     : i / 8);
}
int shift_of(const Field& f, int i) {
  return f.kind == Field::kStraight ? f.shift : f.kind == Field::kFolded ? i / 16 * 4 : i % 8;
}

template <class Word>
Word load(const void* p) {
  Word word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

constexpr uint64_t kEachByte = 0x0101010101010101u;

/// Bit i of a byte to byte i of a word, as 0 or 1.
constexpr uint64_t spread_bits(uint8_t byte) {
  const uint64_t bits = byte * kEachByte & 0x8040201008040201u;  // byte i: 0 or 1 << i
  return (bits + 0x7f * kEachByte) >> 7 & kEachByte;             // its bit 7 says which
}

/// codes |= the field's bits, shifted left by `above`: eight codes at a time.
[[gnu::always_inline]] inline void read_field(const Field& f, const uint8_t* block, int above,
                                              uint8_t codes[32]) {
  if (f.kind == Field::kNone) return;
  const uint64_t mask = kEachByte * ((1u << f.bits) - 1);
  for (int i = 0; i < 32; i += 8) {
    const uint8_t* at = byte_of(f, const_cast<uint8_t*>(block), i);
    const uint64_t word =
        f.kind == Field::kDense ? spread_bits(*at) : load<uint64_t>(at) >> shift_of(f, i) & mask;
    const uint64_t all = load<uint64_t>(codes + i) | word << above;
    std::memcpy(codes + i, &all, sizeof all);
  }
}

/// The inverse, into a block that is zero there.
void write_field(const Field& f, const uint8_t codes[32], int above, uint8_t* block) {
  if (f.kind == Field::kNone) return;
  const int mask = (1 << f.bits) - 1;
  for (int i = 0; i < 32; ++i) {
    uint8_t* byte = byte_of(f, block, i);
    *byte = static_cast<uint8_t>(*byte | (codes[i] >> above & mask) << shift_of(f, i));
  }
}

/// Bytes are two's complement in the file and biased by 128 in a panel.
uint8_t bias(const PanelLayout& layout) {
  return layout.bytes > 0 ? 0x80 : 0;
}

/// `bits` bits from `shift` of four codes at once.
uint32_t take(uint32_t codes, int shift, int bits) {
  return codes >> shift & 0x01010101u * static_cast<uint32_t>((1 << bits) - 1);
}

/// Calls plane(p, kind's bits per code, first quad of the plane, quads in it, bits below) for each.
template <class Visit>
[[gnu::always_inline]] inline void for_planes(const PanelLayout& layout, const Visit& visit) {
  int p = 0, below = 0;
  for (int v = 0; v < layout.nibbles; ++v) visit(p++, 4, v, 4, below);
  below += layout.nibbles > 0 ? 4 : 0;
  for (int v = 0; v < layout.pairs; ++v) visit(p++, 2, 4 * v, 1, below);
  below += layout.pairs > 0 ? 2 : 0;
  for (int v = 0; v < layout.bits; ++v) visit(p++, 1, 0, 1, below);
  for (int v = 0; v < layout.bytes; ++v) visit(p++, 8, v, 8, 0);
}

/// The 32 codes of row r to the planes of a block, and back. A plane's word of a row holds 8/bits
/// quads, from `first` on, `step` apart.
[[gnu::always_inline]] inline void write_planes(const PanelLayout& layout, const uint8_t codes[32],
                                                int64_t r, uint8_t* planes) {
  for_planes(layout, [&](int p, int bits, int first, int step, int below) {
    uint32_t word = 0;
    for (int i = 0; i < 8 / bits; ++i)
      word |= take(load<uint32_t>(codes + 4 * (first + i * step)), below, bits) << bits * i;
    std::memcpy(planes + p * kPlane + 4 * r, &word, sizeof word);
  });
}
void read_planes(const PanelLayout& layout, const uint8_t* planes, int64_t r, uint8_t codes[32]) {
  std::memset(codes, 0, 32);
  for_planes(layout, [&](int p, int bits, int first, int step, int below) {
    const uint32_t word = load<uint32_t>(planes + p * kPlane + 4 * r);
    for (int i = 0; i < 8 / bits; ++i) {
      uint8_t* at = codes + 4 * (first + i * step);
      const uint32_t quad = load<uint32_t>(at) | take(word, bits * i, bits) << below;
      std::memcpy(at, &quad, sizeof quad);
    }
  });
}

// ---- scales: of row r, from a block of the file to the panel's group of 16 rows, and back
// ---------

void put_half(std::byte* group, int at, int64_t r, uint16_t half) {
  std::memcpy(group + at + 2 * r, &half, sizeof half);
}
uint16_t get_half(const std::byte* group, int at, int64_t r) {
  uint16_t half;
  std::memcpy(&half, group + at + 2 * r, sizeof half);
  return half;
}
uint8_t* column(std::byte* group, int j, int64_t r) {
  return reinterpret_cast<uint8_t*>(group) + kPanelRows * j + r;
}
const uint8_t* column(const std::byte* group, int j, int64_t r) {
  return reinterpret_cast<const uint8_t*>(group) + kPanelRows * j + r;
}

template <class Block>
constexpr bool kPlain = sizeof(Block) <= sizeof(BlockQ8_0);  // d, and m where there is one

template <class Block>
void pack_scales(const Block& b, int64_t r, std::byte* group) requires kPlain<Block> {
  put_half(group, 0, r, b.d);
  if constexpr (requires { b.m; }) put_half(group, 32, r, b.m);
}
template <class Block>
void unpack_scales(const std::byte* group, int64_t r, Block& b) requires kPlain<Block> {
  b.d = get_half(group, 0, r);
  if constexpr (requires { b.m; }) b.m = get_half(group, 32, r);
}

/// Q4_K and Q5_K.
template <class Block>
void pack_scales_k4(const Block& b, int64_t r, std::byte* group) {
  uint8_t s[8], m[8];
  unpack_scales_k4(b.scales, s, m);
  for (int j = 0; j < 8; ++j) {
    *column(group, j, r) = static_cast<uint8_t>((s[j] & 15) | (m[j] & 15) << 4);
    uint8_t* high = column(group, 8 + j % 4, r);
    *high = static_cast<uint8_t>(*high | (s[j] >> 4 | m[j] >> 4 << 2) << 4 * (j / 4));
  }
  put_half(group, 192, r, b.d);
  put_half(group, 224, r, b.dmin);
}
template <class Block>
void unpack_scales_k4(const std::byte* group, int64_t r, Block& b) {
  for (int j = 0; j < 8; ++j) {
    const int low = *column(group, j, r), high = *column(group, 8 + j % 4, r) >> 4 * (j / 4);
    const int s = (low & 15) | (high & 3) << 4, m = low >> 4 | (high >> 2 & 3) << 4;
    if (j < 4) {
      b.scales[j] = static_cast<uint8_t>(b.scales[j] | s);
      b.scales[j + 4] = static_cast<uint8_t>(b.scales[j + 4] | m);
    } else {
      b.scales[j + 4] = static_cast<uint8_t>((s & 15) | (m & 15) << 4);
      b.scales[j - 4] = static_cast<uint8_t>(b.scales[j - 4] | s >> 4 << 6);
      b.scales[j] = static_cast<uint8_t>(b.scales[j] | m >> 4 << 6);
    }
  }
  b.d = get_half(group, 192, r);
  b.dmin = get_half(group, 224, r);
}
void pack_scales(const BlockQ4_K& b, int64_t r, std::byte* group) {
  pack_scales_k4(b, r, group);
}
void pack_scales(const BlockQ5_K& b, int64_t r, std::byte* group) {
  pack_scales_k4(b, r, group);
}
void unpack_scales(const std::byte* group, int64_t r, BlockQ4_K& b) {
  unpack_scales_k4(group, r, b);
}
void unpack_scales(const std::byte* group, int64_t r, BlockQ5_K& b) {
  unpack_scales_k4(group, r, b);
}

void pack_scales(const BlockQ2_K& b, int64_t r, std::byte* group) {
  for (int j = 0; j < 16; ++j) *column(group, j, r) = b.scales[j];
  put_half(group, 256, r, b.d);
  put_half(group, 288, r, b.dmin);
}
void unpack_scales(const std::byte* group, int64_t r, BlockQ2_K& b) {
  for (int j = 0; j < 16; ++j) b.scales[j] = *column(group, j, r);
  b.d = get_half(group, 256, r);
  b.dmin = get_half(group, 288, r);
}

void pack_scales(const BlockQ6_K& b, int64_t r, std::byte* group) {
  for (int j = 0; j < 16; ++j) *column(group, j, r) = static_cast<uint8_t>(b.scales[j]);
  put_half(group, 256, r, b.d);
}
void unpack_scales(const std::byte* group, int64_t r, BlockQ6_K& b) {
  for (int j = 0; j < 16; ++j) b.scales[j] = static_cast<int8_t>(*column(group, j, r));
  b.d = get_half(group, 256, r);
}

void pack_scales(const BlockQ3_K& b, int64_t r, std::byte* group) {
  int8_t s[16];
  unpack_scales_q3k(b.scales, s);
  for (int j = 0; j < 16; ++j) *column(group, j, r) = static_cast<uint8_t>(s[j]);
  put_half(group, 256, r, b.d);
}
void unpack_scales(const std::byte* group, int64_t r, BlockQ3_K& b) {
  for (int j = 0; j < 16; ++j) {
    const int code = static_cast<int8_t>(*column(group, j, r)) + 32;
    uint8_t &low = b.scales[j % 8], &high = b.scales[8 + j % 4];
    low = static_cast<uint8_t>(low | (code & 15) << 4 * (j / 8));
    high = static_cast<uint8_t>(high | code >> 4 << 2 * (j / 4));
  }
  b.d = get_half(group, 256, r);
}

void pack_scales(const BlockIQ4_XS& b, int64_t r, std::byte* group) {
  int8_t s[8];
  unpack_scales_iq4xs(b, s);
  for (int j = 0; j < 8; ++j) *column(group, j, r) = static_cast<uint8_t>(s[j]);
  put_half(group, 128, r, b.d);
}
void unpack_scales(const std::byte* group, int64_t r, BlockIQ4_XS& b) {
  for (int j = 0; j < 8; ++j) {
    const int code = static_cast<int8_t>(*column(group, j, r)) + 32;
    b.scales_l[j / 2] = static_cast<uint8_t>(b.scales_l[j / 2] | (code & 15) << 4 * (j % 2));
    b.scales_h = static_cast<uint16_t>(b.scales_h | code >> 4 << 2 * j);
  }
  b.d = get_half(group, 128, r);
}

// ---- rows ---------------------------------------------------------------------------------------

/// Rows of blocks to a panel. Loading a model is this. With the type known where all is inlined,
/// nothing is left of the descriptions above but shifts, masks and moves: 2 to 20 GB/s a thread,
/// ten times less otherwise. The same block of all rows comes before the next one, so that lines of
/// the panel are written as a whole.
template <DType type, class Block>
void pack_rows(const std::byte* source, int64_t rows, int64_t cols, std::byte* panel) {
  constexpr PanelLayout layout = panel_layout(type);
  constexpr int per_block = layout.scale_inputs / 32, low_bits = fields(type, 0).low.bits;
  auto* planes = reinterpret_cast<uint8_t*>(panel);
  std::byte* group = panel + panel_code_bytes(type, cols);
  const int64_t blocks = cols / layout.scale_inputs;
  for (int64_t n = 0; n < blocks; ++n, group += layout.scale_bytes) {
    for (int64_t r = 0; r < rows; ++r) {
      Block block;  // a copy: the file's bytes may lie at any address
      const std::byte* at = source + (r * blocks + n) * static_cast<int64_t>(sizeof block);
      std::memcpy(&block, at, sizeof block);
      pack_scales(block, r, group);
      for (int j = 0; j < per_block; ++j) {
        const Fields f = fields(type, j);
        uint8_t codes[32] = {};
        read_field(f.low, reinterpret_cast<const uint8_t*>(at), 0, codes);
        read_field(f.high, reinterpret_cast<const uint8_t*>(at), low_bits, codes);
        for (uint8_t& code : codes) code ^= bias(layout);
        write_planes(layout, codes, r, planes + j * layout.planes() * kPlane);
      }
    }
    planes += per_block * layout.planes() * kPlane;
  }
}

template <class Block>
void unpack_blocks(DType type, const std::byte* panel, int64_t cols, int64_t r, int64_t first,
                   int64_t count, std::byte* row) {
  const PanelLayout layout = panel_layout(type);
  const int per_block = layout.scale_inputs / 32, low_bits = fields(type, 0).low.bits;
  const int64_t skipped = first / layout.scale_inputs;
  const auto* planes =
      reinterpret_cast<const uint8_t*>(panel) + skipped * per_block * layout.planes() * kPlane;
  const std::byte* group = panel + panel_code_bytes(type, cols) + skipped * layout.scale_bytes;
  for (int64_t n = 0; n < count / layout.scale_inputs; ++n, group += layout.scale_bytes) {
    Block block{};
    unpack_scales(group, r, block);
    // GCC 12 warns that its vectorized loops for other types might write past this one's fields.
    uint8_t bytes[sizeof(Block) + 32];
    std::memcpy(bytes, &block, sizeof block);
    for (int j = 0; j < per_block; ++j, planes += layout.planes() * kPlane) {
      const Fields f = fields(type, j);
      uint8_t codes[32];
      read_planes(layout, planes, r, codes);
      for (uint8_t& code : codes) code ^= bias(layout);
      write_field(f.low, codes, 0, bytes);
      write_field(f.high, codes, low_bits, bytes);
    }
    std::memcpy(row + n * static_cast<int64_t>(sizeof block), bytes, sizeof block);
  }
}

// Floats: element k of row r lies at k · 16 + r.

/// A stretch of every row comes before the next one, so that lines are read and written once.
template <size_t bytes>
void pack_floats(const std::byte* source, int64_t rows, int64_t cols, std::byte* panel) {
  constexpr int64_t size{bytes}, stretch = kLine;
  for (int64_t first = 0; first < cols; first += stretch) {
    const int64_t count = std::min(stretch, cols - first);
    for (int64_t r = 0; r < rows; ++r) {
      const std::byte* from = source + (r * cols + first) * size;
      std::byte* to = panel + (first * kPanelRows + r) * size;
      for (int64_t k = 0; k < count; ++k)
        std::memcpy(to + k * kPanelRows * size, from + k * size, bytes);
    }
  }
}
template <size_t bytes>
void unpack_floats(DType, const std::byte* panel, int64_t, int64_t r, int64_t first, int64_t count,
                   std::byte* row) {
  constexpr int64_t size{bytes};
  const std::byte* from = panel + (first * kPanelRows + r) * size;
  for (int64_t k = 0; k < count; ++k)
    std::memcpy(row + k * size, from + k * kPanelRows * size, bytes);
}

/// What turns rows of one type to a panel and back.
struct Codec {
  void (*pack)(const std::byte*, int64_t, int64_t, std::byte*) = nullptr;
  void (*unpack)(DType, const std::byte*, int64_t, int64_t, int64_t, int64_t, std::byte*) = nullptr;
};
template <DType type, class Block>
constexpr Codec kBlocks = {pack_rows<type, Block>, unpack_blocks<Block>};
template <size_t bytes>
constexpr Codec kFloats = {pack_floats<bytes>, unpack_floats<bytes>};

Codec codec(DType type) {
  switch (type) {
    case DType::kQ4_0:
      return kBlocks<DType::kQ4_0, BlockQ4_0>;
    case DType::kQ4_1:
      return kBlocks<DType::kQ4_1, BlockQ4_1>;
    case DType::kQ5_0:
      return kBlocks<DType::kQ5_0, BlockQ5_0>;
    case DType::kQ5_1:
      return kBlocks<DType::kQ5_1, BlockQ5_1>;
    case DType::kQ8_0:
      return kBlocks<DType::kQ8_0, BlockQ8_0>;
    case DType::kIQ4_NL:
      return kBlocks<DType::kIQ4_NL, BlockIQ4_NL>;
    case DType::kQ2_K:
      return kBlocks<DType::kQ2_K, BlockQ2_K>;
    case DType::kQ3_K:
      return kBlocks<DType::kQ3_K, BlockQ3_K>;
    case DType::kQ4_K:
      return kBlocks<DType::kQ4_K, BlockQ4_K>;
    case DType::kQ5_K:
      return kBlocks<DType::kQ5_K, BlockQ5_K>;
    case DType::kQ6_K:
      return kBlocks<DType::kQ6_K, BlockQ6_K>;
    case DType::kIQ4_XS:
      return kBlocks<DType::kIQ4_XS, BlockIQ4_XS>;
    case DType::kF32:
      return kFloats<4>;
    case DType::kF16:
    case DType::kBF16:
      return kFloats<2>;
  }
  return {};
}

}  // namespace

int64_t panel_bytes(DType type, int64_t cols) {
  const PanelLayout layout = panel_layout(type);
  int64_t bytes = row_bytes(type, cols) * kPanelRows;
  if (layout.scale_inputs > 0)
    bytes = panel_code_bytes(type, cols) + cols / layout.scale_inputs * layout.scale_bytes;
  return (bytes + kLine - 1) / kLine * kLine;
}

int64_t packed_bytes(DType type, int64_t rows, int64_t cols) {
  return panel_count(rows) * panel_bytes(type, cols);
}

void pack_panel(DType type, const std::byte* source, int64_t rows, int64_t cols, std::byte* panel) {
  codec(type).pack(source, rows, cols, panel);
}

void unpack_row(DType type, const std::byte* panel, int64_t cols, int64_t r, int64_t first,
                int64_t count, std::byte* row) {
  codec(type).unpack(type, panel, cols, r, first, count, row);
}

}  // namespace cria::cpu
