// F1. GGUF v2 and v3, read from a memory-mapped file (or a split set of them). Nothing in a file is
// trusted: every count, length, offset, alignment and product is checked against the bytes there
// are before it is used. A malformed file is an `Error` of kBadGguf with the byte offset (in the
// message too, with the file's name); a well-formed one that Cria does not read (version 1,
// big-endian, nested arrays, unknown tensor types) is one of kUnsupported.
// Format: the public GGUF specification (ggml, docs/gguf.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/mapped_file.h"
#include "quant/dtype.h"

namespace cria::gguf {

enum class ValueType : uint32_t {
  kU8 = 0,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64,
};
const char* value_type_name(ValueType type);

/// An array as it lies in the file; already checked to be whole. Nested arrays are refused.
struct Array {
  ValueType type;
  uint64_t count;
  std::span<const std::byte> bytes;
};

/// Whole numbers are widened; strings and arrays point into the file.
using Value = std::variant<uint64_t, int64_t, double, bool, std::string_view, Array>;

/// A name out of a file as it may stand in a message: quoted, cut at 80 bytes, and with everything
/// but printable ASCII as \xNN.
std::string quoted(std::string_view name);

/// The first `count` elements of an array (or all, where it has fewer).
std::vector<Value> first_elements(const Array& array, uint64_t count);

struct Entry {
  std::string_view key;
  ValueType type;
  Value value;
  uint64_t offset;  // of the value, in its file
};

struct Tensor {
  std::string_view name;
  const DTypeInfo* type;          // never null
  uint32_t dimensions;            // 1 to 4
  std::array<uint64_t, 4> shape;  // GGUF order: the fastest-running first; 1 beyond `dimensions`
  uint32_t part;                  // which file of a split set
  uint64_t offset;                // absolute, in that file
  uint64_t bytes;
  const std::byte* data;  // `bytes` bytes inside the mapping

  uint64_t elements() const { return shape[0] * shape[1] * shape[2] * shape[3]; }
  std::string shape_text() const;  // "[4096, 11008]"
};

/// The header of one GGUF and views of its tensors.
class File {
 public:
  /// Maps `path` and reads its header. The first file of a split set (`…-00001-of-0000N.gguf`)
  /// brings the others in; another file of a set is refused with the name of the first. Throws
  /// kFile for a missing or unreadable file or part, and what `parse` throws.
  static File open(const std::filesystem::path& path);
  /// Reads one file from memory, for tests and fuzzing. `bytes` must outlive the result. Throws
  /// kBadGguf or kUnsupported.
  static File parse(std::span<const std::byte> bytes);

  uint32_t version() const { return version_; }
  uint64_t alignment() const { return alignment_; }
  /// Of all parts together.
  uint64_t file_bytes() const { return file_bytes_; }
  /// Metadata in the order of the file; of a split set, that of the first part.
  const std::vector<Entry>& entries() const { return entries_; }
  const std::vector<Tensor>& tensors() const { return tensors_; }

  const Entry* find(std::string_view key) const;
  const Tensor* find_tensor(std::string_view name) const;

  // Typed reads. Absent: nullopt. Present with another type or out of the bounds: kBadGguf that
  // names the key, what was expected and what came.
  std::optional<uint64_t> get_uint(std::string_view key, uint64_t min, uint64_t max) const;
  std::optional<double> get_float(std::string_view key) const;  // finite; whole numbers pass
  static constexpr uint64_t kAny = UINT64_MAX;                  // elements of an array: no bound
  std::optional<bool> get_bool(std::string_view key) const;
  std::optional<std::string_view> get_string(std::string_view key) const;
  std::optional<std::vector<std::string_view>> get_strings(std::string_view key,
                                                           uint64_t most = kAny) const;
  /// Of any number type; no NaN.
  std::optional<std::vector<float>> get_floats(std::string_view key, uint64_t most = kAny) const;
  std::optional<std::vector<int64_t>> get_ints(std::string_view key,
                                               uint64_t most = kAny) const;  // any whole type

  /// MappedFile's hint, for a tensor of this file; without effect on one parsed from memory.
  void will_need(const Tensor& tensor) const;
  /// MappedFile::copy of some of a tensor's bytes.
  void copy(const Tensor& tensor, std::span<const std::byte> bytes, std::byte* to) const noexcept;

  /// Throws kFile when a mapped file was cut short by another process since it was opened.
  void check_intact() const;

 private:
  friend class Parser;
  static File open_part(const std::filesystem::path& path);
  void add_parts(uint64_t count);
  void add_part(const std::filesystem::path& path, uint64_t number, uint64_t count);
  uint64_t split_number(uint64_t count) const;
  uint64_t offset_of(std::string_view key) const;
  std::string source() const;
  const Entry* find_array(std::string_view key, const char* expected, uint64_t most) const;
  [[noreturn]] void fail_value(const Entry& entry, const std::string& expected) const;

  uint32_t version_ = 0;
  uint64_t alignment_ = 32;
  uint64_t file_bytes_ = 0;
  std::vector<std::shared_ptr<MappedFile>> mappings_;
  std::vector<Entry> entries_;
  std::vector<Tensor> tensors_;
  std::unordered_map<std::string_view, size_t> entry_index_;
  std::unordered_map<std::string_view, size_t> tensor_index_;
};

}  // namespace cria::gguf
