// F1. Values that are not arrays: by themselves, and as the elements of an array.
#include <algorithm>

#include "gguf/parser.h"

namespace cria::gguf {

Value read_scalar(Cursor& cursor, ValueType type, const char* what, uint64_t longest_string) {
  switch (type) {
    case ValueType::kU8:
      return uint64_t{cursor.number<uint8_t>(what)};
    case ValueType::kU16:
      return uint64_t{cursor.number<uint16_t>(what)};
    case ValueType::kU32:
      return uint64_t{cursor.number<uint32_t>(what)};
    case ValueType::kU64:
      return cursor.number<uint64_t>(what);
    case ValueType::kI8:
      return int64_t{cursor.number<int8_t>(what)};
    case ValueType::kI16:
      return int64_t{cursor.number<int16_t>(what)};
    case ValueType::kI32:
      return int64_t{cursor.number<int32_t>(what)};
    case ValueType::kI64:
      return cursor.number<int64_t>(what);
    case ValueType::kF32:
      return double{cursor.number<float>(what)};
    case ValueType::kF64:
      return cursor.number<double>(what);
    case ValueType::kBool:
      return cursor.number<uint8_t>(what) != 0;
    case ValueType::kString:
      return cursor.string(what, longest_string);
    case ValueType::kArray:
      break;
  }
  cursor.unsupported("arrays of arrays");
}

std::vector<Value> first_elements(const Array& array, uint64_t count) {
  Cursor cursor(array.bytes, "");
  std::vector<Value> values;
  for (uint64_t i = 0; i < std::min(count, array.count); ++i)
    values.push_back(read_scalar(cursor, array.type, "an array element", cursor.size()));
  return values;
}

}  // namespace cria::gguf
