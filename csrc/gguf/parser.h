// F1. Reads one GGUF file (or one part of a split set) out of untrusted bytes into a `File`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "gguf/cursor.h"
#include "gguf/gguf.h"

namespace cria::gguf {

/// Reads one value of any type but an array; `what` names it in errors. A bool is true for any byte
/// but 0: whoever does not trust it checks it first.
Value read_scalar(Cursor& cursor, ValueType type, const char* what, uint64_t longest_string);

class Parser {
 public:
  /// `bytes` must outlive the `File` that `run` fills. `source` is the file's name for messages.
  Parser(std::span<const std::byte> bytes, std::string source, File& file)
      : in_(bytes, std::move(source)), file_(file) {}

  /// Throws kBadGguf for malformed bytes and kUnsupported for what Cria does not read (version 1,
  /// big-endian files, nested arrays, unknown tensor types).
  void run();

 private:
  void read_preamble();
  uint64_t read_count(const char* what, uint64_t least_bytes_each, uint64_t most);
  void read_metadata(uint64_t count);
  Value read_value(const std::string& key, ValueType type);
  Array read_array(const std::string& key);
  ValueType read_value_type(const std::string& key);
  bool read_bool(const std::string& key);
  void read_alignment();
  void read_tensor_info();
  void read_shape(Tensor& tensor, const std::string& name);
  void place_tensors();
  void refuse_overlaps() const;

  Cursor in_;
  File& file_;
};

}  // namespace cria::gguf
