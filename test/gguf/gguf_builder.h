// Writes GGUF bytes for tests: correct files in one chain of calls, and wrong ones on request.
//
//   GgufBuilder().string("general.architecture", "llama").u32("llama.block_count", 2)
//       .weights("token_embd.weight", DType::kQ8_0, {64, 100}, floats).write(path);
//
// Nothing is checked here: that is what the reader under test is for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gguf/gguf.h"
#include "quant/codec.h"
#include "quant/dtype.h"

namespace cria::test {

using Bytes = std::vector<std::byte>;

inline void append_bytes(Bytes& out, std::span<const std::byte> bytes) {
  const size_t at = out.size();
  out.resize(at + bytes.size());
  if (!bytes.empty()) std::memcpy(out.data() + at, bytes.data(), bytes.size());
}

template <class T>
void append(Bytes& out, T value) {
  static_assert(std::is_arithmetic_v<T>);
  append_bytes(out, std::as_bytes(std::span(&value, 1)));
}

/// A GGUF string: u64 length and bytes.
inline void append_string(Bytes& out, std::string_view text) {
  append<uint64_t>(out, text.size());
  append_bytes(out, std::as_bytes(std::span(text)));
}

class GgufBuilder {
 public:
  using ValueType = gguf::ValueType;

  // ---- header ---------------------------------------------------------------------------------
  GgufBuilder& version(uint32_t version) {
    version_ = version;
    return *this;
  }
  /// Sets `general.alignment` and lays the tensors out by it (by 32 if it is 0).
  GgufBuilder& alignment(uint32_t alignment) {
    alignment_ = alignment ? alignment : 32;
    return u32("general.alignment", alignment);
  }
  /// Counts other than the true ones.
  GgufBuilder& claim_tensors(uint64_t count) {
    claimed_tensors_ = count;
    return *this;
  }
  GgufBuilder& claim_entries(uint64_t count) {
    claimed_entries_ = count;
    return *this;
  }

  // ---- metadata -------------------------------------------------------------------------------
  GgufBuilder& u8(std::string_view key, uint8_t v) { return number(key, ValueType::kU8, v); }
  GgufBuilder& i8(std::string_view key, int8_t v) { return number(key, ValueType::kI8, v); }
  GgufBuilder& u16(std::string_view key, uint16_t v) { return number(key, ValueType::kU16, v); }
  GgufBuilder& i16(std::string_view key, int16_t v) { return number(key, ValueType::kI16, v); }
  GgufBuilder& u32(std::string_view key, uint32_t v) { return number(key, ValueType::kU32, v); }
  GgufBuilder& i32(std::string_view key, int32_t v) { return number(key, ValueType::kI32, v); }
  GgufBuilder& u64(std::string_view key, uint64_t v) { return number(key, ValueType::kU64, v); }
  GgufBuilder& i64(std::string_view key, int64_t v) { return number(key, ValueType::kI64, v); }
  GgufBuilder& f32(std::string_view key, float v) { return number(key, ValueType::kF32, v); }
  GgufBuilder& f64(std::string_view key, double v) { return number(key, ValueType::kF64, v); }
  GgufBuilder& boolean(std::string_view key, bool v) {
    return number(key, ValueType::kBool, static_cast<uint8_t>(v));
  }
  GgufBuilder& string(std::string_view key, std::string_view text) {
    Bytes value;
    append_string(value, text);
    return raw(key, ValueType::kString, value);
  }
  GgufBuilder& strings(std::string_view key, const std::vector<std::string>& texts) {
    Bytes value = array_head(ValueType::kString, texts.size());
    for (const std::string& text : texts) append_string(value, text);
    return raw(key, ValueType::kArray, value);
  }
  GgufBuilder& floats(std::string_view key, const std::vector<float>& values) {
    return array(key, ValueType::kF32, values);
  }
  GgufBuilder& ints(std::string_view key, const std::vector<int32_t>& values) {
    return array(key, ValueType::kI32, values);
  }
  /// An array of numbers; `T` has the size of `type` (uint8_t for bools).
  template <class T>
  GgufBuilder& array(std::string_view key, ValueType type, const std::vector<T>& values) {
    Bytes value = array_head(type, values.size());
    for (const T element : values) append<T>(value, element);
    return raw(key, ValueType::kArray, value);
  }
  /// A value of any bytes under any type id.
  GgufBuilder& raw(std::string_view key, ValueType type, const Bytes& value) {
    append_string(metadata_, key);
    append(metadata_, static_cast<uint32_t>(type));
    append_bytes(metadata_, value);
    ++entries_;
    return *this;
  }
  static Bytes array_head(ValueType type, uint64_t count) {
    Bytes value;
    append(value, static_cast<uint32_t>(type));
    append(value, count);
    return value;
  }

  // ---- tensors --------------------------------------------------------------------------------
  /// A tensor of a type id with its data; `dims` has the fastest-running dimension first.
  GgufBuilder& tensor(std::string_view name, uint32_t type_id, const std::vector<uint64_t>& dims,
                      const Bytes& data) {
    const uint64_t offset = align(data_.size());
    data_.resize(offset);
    append_bytes(data_, data);
    return tensor_at(name, type_id, dims, offset);
  }
  GgufBuilder& tensor(std::string_view name, DType type, const std::vector<uint64_t>& dims,
                      const Bytes& data) {
    return tensor(name, static_cast<uint32_t>(type), dims, data);
  }
  /// A tensor of `weights`, encoded as `type`.
  GgufBuilder& weights(std::string_view name, DType type, const std::vector<uint64_t>& dims,
                       std::span<const float> weights) {
    const auto count = static_cast<int64_t>(weights.size());
    Bytes data(static_cast<size_t>(row_bytes(type, count)));
    quantize_row(type, weights.data(), data.data(), count);
    return tensor(name, type, dims, data);
  }
  /// A description without data of its own; `offset` is relative to the data section.
  GgufBuilder& tensor_at(std::string_view name, uint32_t type_id, const std::vector<uint64_t>& dims,
                         uint64_t offset) {
    append_string(infos_, name);
    append(infos_, static_cast<uint32_t>(dims.size()));
    for (const uint64_t dim : dims) append(infos_, dim);
    append(infos_, type_id);
    append(infos_, offset);
    ++tensors_;
    return *this;
  }

  // ---- results --------------------------------------------------------------------------------
  /// Where the data section begins.
  uint64_t data_start() const { return align(kHeaderBytes + metadata_.size() + infos_.size()); }

  Bytes bytes() const {
    Bytes out;
    append_bytes(out, std::as_bytes(std::span(std::string_view("GGUF"))));
    append(out, version_);
    append(out, claimed_tensors_.value_or(tensors_));
    append(out, claimed_entries_.value_or(entries_));
    append_bytes(out, metadata_);
    append_bytes(out, infos_);
    if (tensors_ > 0) out.resize(data_start());
    append_bytes(out, data_);
    return out;
  }

  /// Writes the file and returns its path.
  std::filesystem::path write(const std::filesystem::path& path) const {
    const Bytes all = bytes();
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char*>(all.data()), static_cast<std::streamsize>(all.size()));
    if (!out.flush()) fail(ErrorCode::kFile, "cannot write ", path.string());
    return path;
  }

 private:
  static constexpr uint64_t kHeaderBytes = 24;

  template <class T>
  GgufBuilder& number(std::string_view key, ValueType type, T v) {
    Bytes value;
    append(value, v);
    return raw(key, type, value);
  }
  uint64_t align(uint64_t offset) const {
    return (offset + alignment_ - 1) / alignment_ * alignment_;
  }

  uint32_t version_ = 3;
  uint64_t alignment_ = 32;
  uint64_t entries_ = 0, tensors_ = 0;
  std::optional<uint64_t> claimed_entries_, claimed_tensors_;
  Bytes metadata_, infos_, data_;
};

}  // namespace cria::test
