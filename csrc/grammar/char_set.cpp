#include "grammar/char_set.h"

#include <algorithm>

namespace cria::grammar {
namespace {

constexpr uint32_t kLastCode = 0x10FFFF;
constexpr uint32_t kFirstSurrogate = 0xD800, kLastSurrogate = 0xDFFF;

/// Rising, with neighbours and overlaps joined.
std::vector<CodeRange> normalized(std::vector<CodeRange> ranges) {
  std::ranges::sort(ranges, {}, &CodeRange::first);
  std::vector<CodeRange> out;
  for (const CodeRange& range : ranges) {
    if (!out.empty() && range.first <= out.back().last + 1)
      out.back().last = std::max(out.back().last, range.last);
    else
      out.push_back(range);
  }
  return out;
}

uint32_t encode(uint32_t code, uint8_t* out) {
  if (code < 0x80) {
    out[0] = static_cast<uint8_t>(code);
    return 1;
  }
  const uint32_t bytes = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (uint32_t i = bytes - 1; i > 0; --i, code >>= 6)
    out[i] = static_cast<uint8_t>(0x80 | (code & 0x3F));
  out[0] = static_cast<uint8_t>(0xF00u >> bytes | code);
  return bytes;
}

}  // namespace

void CharSet::negate() {
  std::vector<CodeRange> out;
  uint32_t free = 0;
  for (const CodeRange& range : normalized(std::move(ranges_))) {
    if (range.first > free) out.push_back({free, range.first - 1});
    free = range.last + 1;
  }
  if (free <= kLastCode) out.push_back({free, kLastCode});
  ranges_ = std::move(out);
}

std::vector<CodeRange> CharSet::ranges() const {
  std::vector<CodeRange> out;
  for (const CodeRange& range : normalized(ranges_)) {
    if (range.first < kFirstSurrogate)
      out.push_back({range.first, std::min(range.last, kFirstSurrogate - 1)});
    if (range.last > kLastSurrogate)
      out.push_back({std::max(range.first, kLastSurrogate + 1), range.last});
  }
  return out;
}

// A range is cut until its ends differ in nothing but bytes that run through all their values, or
// in the first that differs: then the bytes of its ends, one by one, are the sequence.
void for_each_utf8(CodeRange range, const std::function<void(std::span<const ByteRange>)>& take) {
  // At the limits of 1, 2 and 3 bytes.
  for (const uint32_t limit : {0x7Fu, 0x7FFu, 0xFFFFu}) {
    if (range.first > limit || range.last <= limit) continue;
    for_each_utf8({range.first, limit}, take);
    return for_each_utf8({limit + 1, range.last}, take);
  }
  // At multiples of 2^18, 2^12 and 2^6, where a byte before the last ones changes.
  for (int bits = 6; bits <= 18; bits += 6) {
    const uint32_t low = (uint32_t{1} << bits) - 1;
    if (range.last <= 0x7F || (range.first | low) == (range.last | low)) continue;
    if ((range.first & low) != 0) {
      for_each_utf8({range.first, range.first | low}, take);
      return for_each_utf8({(range.first | low) + 1, range.last}, take);
    }
    if ((range.last & low) != low) {
      for_each_utf8({range.first, (range.last & ~low) - 1}, take);
      return for_each_utf8({range.last & ~low, range.last}, take);
    }
  }
  uint8_t first[4], last[4];
  const uint32_t bytes = encode(range.first, first);
  encode(range.last, last);
  ByteRange sequence[4];
  for (uint32_t i = 0; i < bytes; ++i) sequence[i] = {first[i], last[i]};
  take({sequence, bytes});
}

}  // namespace cria::grammar
