// F1. How byte-level vocabularies spell bytes as printable code points.
#include "text/byte_spelling.h"

#include <array>
#include <cstdint>

#include "text/utf8.h"

namespace cria::text {
namespace {

constexpr uint32_t kFirstMoved = 0x100;
constexpr uint32_t kMovedBytes = 68;

// The bytes that are printable and visible in Latin-1; AD is the soft hyphen.
constexpr bool is_kept(uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD && byte <= 0xFF);
}

struct Tables {
  std::array<uint16_t, 256> code_of{};
  std::array<uint8_t, kMovedBytes> byte_of{};  // of kFirstMoved + i
};

constexpr Tables make_tables() {
  Tables tables;
  uint32_t moved = 0;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    if (!is_kept(byte)) tables.byte_of[moved] = static_cast<uint8_t>(byte);
    tables.code_of[byte] = static_cast<uint16_t>(is_kept(byte) ? byte : kFirstMoved + moved++);
  }
  return tables;
}

constexpr Tables kTables = make_tables();
static_assert(kTables.code_of[' '] == 0x120 && kTables.byte_of[kMovedBytes - 1] == 0xAD);

}  // namespace

void append_spelt(std::string_view bytes, std::string& out) {
  for (const char c : bytes) {
    const uint32_t code = kTables.code_of[static_cast<uint8_t>(c)];
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else {  // at most U+0143: two bytes
      out += static_cast<char>(0xC0 | code >> 6);
      out += static_cast<char>(0x80 | (code & 0x3F));
    }
  }
}

void append_unspelt(std::string_view piece, std::string& out) {
  while (!piece.empty()) {
    const Utf8Sequence sequence = read_utf8(piece);
    const uint32_t code = sequence.code;
    if (sequence.state == Utf8State::kWhole && code < kFirstMoved && is_kept(code)) {
      out += static_cast<char>(code);
    } else if (sequence.state == Utf8State::kWhole && code >= kFirstMoved &&
               code < kFirstMoved + kMovedBytes) {
      out += static_cast<char>(kTables.byte_of[code - kFirstMoved]);
    } else {
      out += piece.substr(0, sequence.bytes);
    }
    piece.remove_prefix(sequence.bytes);
  }
}

}  // namespace cria::text
