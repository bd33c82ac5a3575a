// F1. Typed reads of metadata, and names of things for messages.
#include <cmath>
#include <cstring>
#include <iterator>
#include <type_traits>
#include <utility>

#include "gguf/cursor.h"
#include "gguf/gguf.h"

namespace cria::gguf {
namespace {

/// Reads the elements of an array of fixed-size numbers one by one and calls `use(element)` with
/// each in its own type; false if the elements are not numbers.
template <class Use>
bool for_each_number(const Array& array, Use use) {
  const auto walk = [&]<class T>(T) {
    for (uint64_t i = 0; i < array.count; ++i) {
      T element;
      std::memcpy(&element, array.bytes.data() + i * sizeof(T), sizeof(T));
      use(element);
    }
    return true;
  };
  switch (array.type) {
    case ValueType::kU8:
      return walk(uint8_t{});
    case ValueType::kI8:
      return walk(int8_t{});
    case ValueType::kU16:
      return walk(uint16_t{});
    case ValueType::kI16:
      return walk(int16_t{});
    case ValueType::kU32:
      return walk(uint32_t{});
    case ValueType::kI32:
      return walk(int32_t{});
    case ValueType::kU64:
      return walk(uint64_t{});
    case ValueType::kI64:
      return walk(int64_t{});
    case ValueType::kF32:
      return walk(float{});
    case ValueType::kF64:
      return walk(double{});
    case ValueType::kBool:
    case ValueType::kString:
    case ValueType::kArray:
      return false;
  }
  return false;
}

/// The value as people would write it, for a message.
std::string value_text(const Entry& entry) {
  const auto text = [](const auto& value) -> std::string {
    using T = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<T, Array>) {
      return cat("an array of ", value.count, " × ", value_type_name(value.type));
    } else if constexpr (std::is_same_v<T, std::string_view>) {
      return quoted(value);
    } else if constexpr (std::is_same_v<T, bool>) {
      return value ? "true" : "false";
    } else {
      return cat(value);
    }
  };
  return cat(std::visit(text, entry.value), " (", value_type_name(entry.type), ")");
}

}  // namespace

const char* value_type_name(ValueType type) {
  constexpr const char* kNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                    "bool", "string", "array", "u64", "i64", "f64"};
  const auto id = static_cast<size_t>(type);
  return id < std::size(kNames) ? kNames[id] : "unknown type";
}

std::string Tensor::shape_text() const {
  std::string text = "[";
  for (uint32_t i = 0; i < dimensions; ++i) text += cat(i ? ", " : "", shape[i]);
  return text + "]";
}

const Entry* File::find(std::string_view key) const {
  const auto found = entry_index_.find(key);
  return found == entry_index_.end() ? nullptr : &entries_[found->second];
}

const Tensor* File::find_tensor(std::string_view name) const {
  const auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

void File::fail_value(const Entry& entry, const std::string& expected) const {
  fail_bad(source(), entry.offset,
           cat(quoted(entry.key), ": expected ", expected, ", found ", value_text(entry)));
}

std::optional<uint64_t> File::get_uint(std::string_view key, uint64_t min, uint64_t max) const {
  const Entry* entry = find(key);
  if (!entry) return std::nullopt;
  std::optional<uint64_t> value;
  if (const auto* whole = std::get_if<uint64_t>(&entry->value)) value = *whole;
  if (const auto* whole = std::get_if<int64_t>(&entry->value); whole && *whole >= 0)
    value = static_cast<uint64_t>(*whole);
  if (!value || *value < min || *value > max)
    fail_value(*entry, cat("a whole number from ", min, " to ", max));
  return value;
}

std::optional<double> File::get_float(std::string_view key) const {
  const Entry* entry = find(key);
  if (!entry) return std::nullopt;
  std::optional<double> value;
  if (const auto* number = std::get_if<double>(&entry->value)) value = *number;
  if (const auto* number = std::get_if<uint64_t>(&entry->value))
    value = static_cast<double>(*number);
  if (const auto* number = std::get_if<int64_t>(&entry->value))
    value = static_cast<double>(*number);
  if (!value || !std::isfinite(*value)) fail_value(*entry, "a finite number");
  return value;
}

std::optional<bool> File::get_bool(std::string_view key) const {
  const Entry* entry = find(key);
  if (!entry) return std::nullopt;
  const bool* value = std::get_if<bool>(&entry->value);
  if (!value) fail_value(*entry, "a bool");
  return *value;
}

std::optional<std::string_view> File::get_string(std::string_view key) const {
  const Entry* entry = find(key);
  if (!entry) return std::nullopt;
  const auto* value = std::get_if<std::string_view>(&entry->value);
  if (!value) fail_value(*entry, "a string");
  return *value;
}

/// The entry of `key` if there is one; throws if it is not an array, or one of too many elements.
const Entry* File::find_array(std::string_view key, const char* expected, uint64_t most) const {
  const Entry* entry = find(key);
  if (!entry) return nullptr;
  const Array* array = std::get_if<Array>(&entry->value);
  if (!array) fail_value(*entry, expected);
  if (array->count > most) fail_value(*entry, cat(expected, ", at most ", most, " of them"));
  return entry;
}

std::optional<std::vector<std::string_view>> File::get_strings(std::string_view key,
                                                               uint64_t most) const {
  constexpr const char* kExpected = "an array of strings";
  const Entry* entry = find_array(key, kExpected, most);
  if (!entry) return std::nullopt;
  const Array& array = std::get<Array>(entry->value);
  if (array.type != ValueType::kString) fail_value(*entry, kExpected);
  std::vector<std::string_view> strings;
  strings.reserve(array.count);
  Cursor in(array.bytes, source());
  for (uint64_t i = 0; i < array.count; ++i) strings.push_back(in.string("a string", in.size()));
  return strings;
}

std::optional<std::vector<float>> File::get_floats(std::string_view key, uint64_t most) const {
  constexpr const char* kExpected = "an array of numbers without NaN";
  const Entry* entry = find_array(key, kExpected, most);
  if (!entry) return std::nullopt;
  const Array& array = std::get<Array>(entry->value);
  std::vector<float> numbers;
  numbers.reserve(array.count);
  const bool fits = for_each_number(array, [&](auto element) {
    if (std::isnan(static_cast<double>(element))) fail_value(*entry, kExpected);
    numbers.push_back(static_cast<float>(element));
  });
  if (!fits) fail_value(*entry, kExpected);
  return numbers;
}

std::optional<std::vector<int64_t>> File::get_ints(std::string_view key, uint64_t most) const {
  constexpr const char* kExpected = "an array of whole numbers below 2^63";
  const Entry* entry = find_array(key, kExpected, most);
  if (!entry) return std::nullopt;
  const Array& array = std::get<Array>(entry->value);
  std::vector<int64_t> numbers;
  numbers.reserve(array.count);
  const bool fits = for_each_number(array, [&](auto element) {
    if constexpr (std::is_integral_v<decltype(element)>) {
      if (!std::in_range<int64_t>(element)) fail_value(*entry, kExpected);
      numbers.push_back(static_cast<int64_t>(element));
    } else {
      fail_value(*entry, kExpected);
    }
  });
  if (!fits) fail_value(*entry, kExpected);
  return numbers;
}

}  // namespace cria::gguf
