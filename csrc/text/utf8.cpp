// F1. Strict UTF-8 and the stream that never emits half a code point.
#include "text/utf8.h"

#include <algorithm>
#include <cstring>

#include "text/tokenizer.h"

namespace cria::text {
namespace {

// What a first byte promises: how many bytes in all, and the bounds of the second. The bounds are
// what excludes overlong forms (E0, F0), surrogates (ED) and code points above U+10FFFF (F4).
struct Lead {
  uint32_t bytes;  // 0: no sequence starts with this byte
  uint8_t low;
  uint8_t high;
};

Lead lead_of(uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};  // continuation bytes; C0 and C1 would be overlong
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

// The length of the ASCII run at the front of `bytes`.
size_t ascii_run(std::string_view bytes) {
  size_t at = 0;
  for (uint64_t word; at + sizeof word <= bytes.size(); at += sizeof word) {
    std::memcpy(&word, bytes.data() + at, sizeof word);
    if (word & 0x8080808080808080u) break;
  }
  while (at < bytes.size() && static_cast<uint8_t>(bytes[at]) < 0x80) ++at;
  return at;
}

}  // namespace

Utf8Sequence read_utf8(std::string_view bytes) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const Lead lead = lead_of(byte(0));
  if (lead.bytes == 0) return {Utf8State::kBroken, 1, 0};
  if (lead.bytes == 1) return {Utf8State::kWhole, 1, byte(0)};
  uint32_t code = byte(0) & (0x7Fu >> lead.bytes);
  for (uint32_t i = 1; i < lead.bytes; ++i) {
    if (i == bytes.size()) return {Utf8State::kPartial, i, 0};
    const uint8_t low = i == 1 ? lead.low : 0x80;
    const uint8_t high = i == 1 ? lead.high : 0xBF;
    if (byte(i) < low || byte(i) > high) return {Utf8State::kBroken, i, 0};
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  return {Utf8State::kWhole, lead.bytes, code};
}

void Utf8Stream::push(std::string_view bytes, std::string& out) {
  while (held_size_ > 0 && !bytes.empty()) {
    held_[held_size_] = bytes.front();
    const Utf8Sequence sequence = read_utf8({held_, static_cast<size_t>(held_size_) + 1});
    if (sequence.state == Utf8State::kBroken) {
      out += kReplacement;  // for what was held; this byte starts anew below
      held_size_ = 0;
      break;
    }
    bytes.remove_prefix(1);
    ++held_size_;
    if (sequence.state == Utf8State::kWhole) {
      out.append(held_, sequence.bytes);
      held_size_ = 0;
    }
  }
  while (!bytes.empty()) {
    if (const size_t run = ascii_run(bytes); run > 0) {
      out.append(bytes.substr(0, run));
      bytes.remove_prefix(run);
      continue;
    }
    const Utf8Sequence sequence = read_utf8(bytes);
    if (sequence.state == Utf8State::kPartial) {
      std::copy(bytes.begin(), bytes.end(),
                held_);  // at most 3: a partial sequence is all there is
      held_size_ = static_cast<int>(bytes.size());
      return;
    }
    out += sequence.state == Utf8State::kWhole ? bytes.substr(0, sequence.bytes) : kReplacement;
    bytes.remove_prefix(sequence.bytes);
  }
}

void Utf8Stream::flush(std::string& out) {
  if (held_size_ > 0) out += kReplacement;
  held_size_ = 0;
}

}  // namespace cria::text
