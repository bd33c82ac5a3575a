// Reads everything a `File` offers, so that a sanitizer sees any view that leaves the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string_view>
#include <type_traits>
#include <variant>

#include "gguf/gguf.h"

namespace cria::test {

/// A value that depends on every byte in the view. Through `volatile`, so that the reads happen
/// even where nobody uses the value.
inline uint64_t touch(std::span<const std::byte> bytes) {
  uint64_t sum = 0;
  const volatile std::byte* byte = bytes.data();
  for (size_t i = 0; i < bytes.size(); ++i) sum = sum * 31 + static_cast<uint8_t>(byte[i]);
  return sum;
}
inline uint64_t touch(std::string_view text) {
  return touch(std::as_bytes(std::span(text)));
}

/// Whether `inner` lies within `outer`.
inline bool within(std::span<const std::byte> inner, std::span<const std::byte> outer) {
  const std::less_equal<const std::byte*> before;
  return before(outer.data(), inner.data()) &&
         before(inner.data() + inner.size(), outer.data() + outer.size());
}

/// Touches all names, values, tensor data and typed reads of `file`. The typed reads may refuse a
/// value with an `Error`; any other exception passes through.
inline uint64_t touch(const gguf::File& file) {
  uint64_t sum = file.version() + file.alignment() + file.file_bytes();
  const auto attempt = [&](auto read) {
    try {
      if (const auto value = read()) sum += 1;
    } catch (const Error& refused) {
      sum += static_cast<uint64_t>(refused.code());
    }
  };
  for (const gguf::Entry& entry : file.entries()) {
    sum += touch(entry.key);
    if (const auto* text = std::get_if<std::string_view>(&entry.value)) sum += touch(*text);
    if (const auto* array = std::get_if<gguf::Array>(&entry.value)) sum += touch(array->bytes);
    attempt([&] { return file.get_uint(entry.key, 0, std::numeric_limits<uint64_t>::max()); });
    attempt([&] { return file.get_float(entry.key); });
    attempt([&] { return file.get_bool(entry.key); });
    attempt([&] { return file.get_string(entry.key); });
    attempt([&] { return file.get_floats(entry.key); });
    attempt([&] { return file.get_ints(entry.key); });
    attempt([&] {
      const auto strings = file.get_strings(entry.key);
      if (strings)
        for (const std::string_view text : *strings) sum += touch(text);
      return strings;
    });
  }
  for (const gguf::Tensor& tensor : file.tensors()) {
    sum += touch(tensor.name) + touch(tensor.shape_text()) + tensor.elements();
    sum += touch(std::span(tensor.data, tensor.bytes));
  }
  return sum;
}

}  // namespace cria::test
