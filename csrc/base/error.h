// F0. The one error type of the core. A failure is thrown as `Error` inside the core and becomes a
// status at its edge (engine thread, N-API call); it never crosses into another language as a C++
// exception. The codes are the public ones of the TypeScript `CriaError`.
#pragma once

#include <cstdint>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>

namespace cria {

enum class ErrorCode : uint8_t {
  kFile,             // missing, unreadable, or changed while in use
  kBadGguf,          // the bytes are not a well-formed GGUF; `offset` says where
  kUnsupported,      // well-formed, but of an architecture, type or device Cria does not compute
  kBadArgument,      // a caller's value is out of range
  kContextOverflow,  // more tokens than the context holds
  kOutOfMemory,
  kDisposed,
  kQueueFull,
  kTimeout,
  kBadSession,  // a saved conversation is damaged, or another model's
  kNoDevice,
  kBackend,
  kAborted,
};

/// The stable public name, such as "ERR_CRIA_BAD_GGUF".
const char* error_name(ErrorCode code);

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message, std::optional<uint64_t> offset = std::nullopt)
      : std::runtime_error(message), code_(code), offset_(offset) {}

  ErrorCode code() const { return code_; }
  /// Byte offset in the file, for kBadGguf.
  std::optional<uint64_t> offset() const { return offset_; }

 private:
  ErrorCode code_;
  std::optional<uint64_t> offset_;
};

/// Joins its arguments as text.
template <class... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// Throws an `Error` whose message is the arguments joined as text. A message says what was
/// expected, what came, and what to do.
template <class... Parts>
[[noreturn]] void fail(ErrorCode code, const Parts&... parts) {
  throw Error(code, cat(parts...));
}

}  // namespace cria
