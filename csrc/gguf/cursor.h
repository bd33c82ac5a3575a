// F1. A position in bytes that are not trusted: every read says what it is for and fails with
// kBadGguf where the bytes end. Used by the parser only.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "gguf/gguf.h"

namespace cria::gguf {

static_assert(std::endian::native == std::endian::little, "GGUF numbers are read in place");

/// Throws kBadGguf with the offset, also in the text. `source` is the file's name, empty for bytes
/// in memory.
[[noreturn]] void fail_bad(const std::string& source, uint64_t offset, const std::string& what);

class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, std::string source)
      : bytes_(bytes), source_(std::move(source)) {}

  uint64_t offset() const { return offset_; }
  uint64_t remaining() const { return bytes_.size() - offset_; }
  uint64_t size() const { return bytes_.size(); }
  const std::string& source() const { return source_; }
  /// The byte at `offset`, which the caller has checked.
  const std::byte* at(uint64_t offset) const { return bytes_.data() + offset; }

  /// The next `count` bytes; `what` names them in the error.
  std::span<const std::byte> take(uint64_t count, const char* what) {
    if (count > remaining())
      bad(offset_, "the file ends inside ", what, ": ", count, " bytes expected, ", remaining(),
          " left; was its download interrupted?");
    const auto taken = bytes_.subspan(offset_, count);
    offset_ += count;
    return taken;
  }

  /// The next number, little-endian.
  template <class T>
  requires std::integral<T> || std::floating_point<T> T number(const char* what) {
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }

  /// The next string: a u64 length of at most `longest`, then its bytes.
  std::string_view string(const char* what, uint64_t longest) {
    const uint64_t at = offset_;
    const auto length = number<uint64_t>(what);
    if (length > longest) bad(at, what, " is ", length, " bytes long, expected at most ", longest);
    const auto taken = take(length, what);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }

  /// Malformed: throws kBadGguf.
  template <class... Parts>
  [[noreturn]] void bad(uint64_t offset, const Parts&... parts) const {
    fail_bad(source_, offset, cat(parts...));
  }

  /// Well-formed as far as one can tell, but not read by Cria: throws kUnsupported.
  template <class... Parts>
  [[noreturn]] void unsupported(const Parts&... parts) const {
    fail(ErrorCode::kUnsupported, source_, source_.empty() ? "" : ": ", parts...);
  }

 private:
  std::span<const std::byte> bytes_;
  std::string source_;
  uint64_t offset_ = 0;
};

}  // namespace cria::gguf
