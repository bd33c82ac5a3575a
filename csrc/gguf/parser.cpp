// F1. The GGUF header, field by field, in the order of the file:
//
//   "GGUF"  version u32  tensor count u64  metadata count u64
//   metadata    key: string   type u32   value
//   tensors     name: string  dimensions u32  shape u64 × dimensions  type u32  offset u64
//   padding to the alignment, then the data section, to which the tensor offsets are relative
//
// A string is a u64 length and its bytes; an array is a type u32, a count u64 and its elements.
#include "gguf/parser.h"

#include <algorithm>
#include <limits>

namespace cria::gguf {
namespace {

// Bounds no real model comes near. They keep what a hostile header can make us allocate small.
constexpr uint64_t kMostEntries = uint64_t{1} << 12;
constexpr uint64_t kMostTensors = uint64_t{1} << 15;
constexpr uint64_t kLongestKey = 65535;  // by the specification
constexpr uint64_t kLongestName = 1024;  // the specification says 64; some converters exceed it
constexpr uint64_t kLongestString = uint64_t{1} << 24;
constexpr uint64_t kSmallestAlignment = 8;
constexpr uint64_t kLargestAlignment = uint64_t{1} << 20;
constexpr uint64_t kReserve = 4096;  // beyond this, tables grow only as entries are really read

// The fewest bytes an entry can take: a one-byte key and a one-byte value; a nameless tensor of one
// dimension.
constexpr uint64_t kLeastEntryBytes = 8 + 1 + 4 + 1;
constexpr uint64_t kLeastTensorBytes = 8 + 4 + 8 + 4 + 8;

/// Bytes of one value of a type of fixed size; 0 for strings and arrays.
uint64_t fixed_size(ValueType type) {
  switch (type) {
    case ValueType::kU8:
    case ValueType::kI8:
    case ValueType::kBool:
      return 1;
    case ValueType::kU16:
    case ValueType::kI16:
      return 2;
    case ValueType::kU32:
    case ValueType::kI32:
    case ValueType::kF32:
      return 4;
    case ValueType::kU64:
    case ValueType::kI64:
    case ValueType::kF64:
      return 8;
    case ValueType::kString:
    case ValueType::kArray:
      return 0;
  }
  return 0;
}

/// a·b, or nullopt if it does not fit into `limit`.
std::optional<uint64_t> product(uint64_t a, uint64_t b, uint64_t limit) {
  if (b != 0 && a > limit / b) return std::nullopt;
  return a * b;
}

}  // namespace

void Parser::run() {
  read_preamble();
  const uint64_t tensors = read_count("tensors", kLeastTensorBytes, kMostTensors);
  const uint64_t entries = read_count("metadata entries", kLeastEntryBytes, kMostEntries);
  read_metadata(entries);
  read_alignment();
  file_.tensors_.reserve(std::min(tensors, kReserve));
  for (uint64_t i = 0; i < tensors; ++i) read_tensor_info();
  place_tensors();
  refuse_overlaps();
  file_.file_bytes_ = in_.size();
}

void Parser::read_preamble() {
  const auto magic = in_.take(4, "the magic number");
  if (std::memcmp(magic.data(), "GGUF", 4) != 0)
    in_.bad(0, "not a GGUF file: expected it to begin with \"GGUF\", found ",
            quoted({reinterpret_cast<const char*>(magic.data()), magic.size()}));
  const auto version = in_.number<uint32_t>("the version");
  if (version != 0 && (version & 0xffff) == 0)
    in_.unsupported("a big-endian GGUF file; convert the model on (or for) a ",
                    "little-endian machine");
  if (version != 2 && version != 3)
    in_.unsupported("GGUF version ", version,
                    "; Cria reads versions 2 and 3. Convert the model with a current converter");
  file_.version_ = version;
}

/// Reads how many `what` follow, and refuses a number that the rest of the file cannot hold.
uint64_t Parser::read_count(const char* what, uint64_t least_bytes_each, uint64_t most) {
  const uint64_t at = in_.offset();
  const auto count = in_.number<uint64_t>(what);
  const uint64_t fit = in_.remaining() / least_bytes_each;
  if (count > std::min(fit, most))
    in_.bad(at, "the header announces ", count, " ", what, ", expected at most ",
            std::min(fit, most), count > most ? "" : " in the bytes that follow");
  return count;
}

void Parser::read_metadata(uint64_t count) {
  file_.entries_.reserve(std::min(count, kReserve));
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t at = in_.offset();
    Entry entry;
    entry.key = in_.string("a metadata key", kLongestKey);
    if (entry.key.empty()) in_.bad(at, "a metadata key is empty");
    const std::string key = quoted(entry.key);
    entry.type = read_value_type(key);
    entry.offset = in_.offset();
    entry.value = read_value(key, entry.type);
    if (!file_.entry_index_.emplace(entry.key, file_.entries_.size()).second)
      in_.bad(at, "the metadata key ", key, " occurs twice");
    file_.entries_.push_back(std::move(entry));
  }
}

ValueType Parser::read_value_type(const std::string& key) {
  const uint64_t at = in_.offset();
  const auto id = in_.number<uint32_t>("a metadata value's type");
  if (id > static_cast<uint32_t>(ValueType::kF64))
    in_.bad(at, "the value of ", key, " has the unknown type id ", id, ", expected 0 to 12");
  return static_cast<ValueType>(id);
}

Value Parser::read_value(const std::string& key, ValueType type) {
  if (type == ValueType::kArray) return read_array(key);
  if (type == ValueType::kBool) return read_bool(key);
  return read_scalar(in_, type, "a metadata value", kLongestString);
}

bool Parser::read_bool(const std::string& key) {
  const uint64_t at = in_.offset();
  const auto value = in_.number<uint8_t>("a bool");
  if (value > 1) in_.bad(at, "a bool of ", key, " is ", int{value}, ", expected 0 or 1");
  return value == 1;
}

Array Parser::read_array(const std::string& key) {
  const ValueType type = read_value_type(key);
  const uint64_t at = in_.offset();
  const auto count = in_.number<uint64_t>("an array's length");
  if (type == ValueType::kArray)
    in_.unsupported(key, " is an array of arrays, which Cria does not read");
  const uint64_t size = fixed_size(type);
  const uint64_t least = size ? size : sizeof(uint64_t);
  if (count > in_.remaining() / least)
    in_.bad(at, "the array ", key, " announces ", count, " elements, expected at most ",
            in_.remaining() / least, " in the bytes that follow");
  const uint64_t start = in_.offset();
  Cursor elements = in_;  // `in_` walks over them, then this one takes the same bytes
  if (type == ValueType::kString) {
    for (uint64_t i = 0; i < count; ++i) in_.string("a string of an array", kLongestString);
  } else if (type == ValueType::kBool) {
    for (uint64_t i = 0; i < count; ++i) read_bool(key);
  } else {
    in_.take(count * size, "an array");
  }
  return {type, count, elements.take(in_.offset() - start, "an array")};
}

void Parser::read_alignment() {
  const Entry* entry = file_.find("general.alignment");
  if (!entry) return;
  const uint64_t* value = std::get_if<uint64_t>(&entry->value);
  const bool power = value && std::has_single_bit(*value);
  if (!power || *value < kSmallestAlignment || *value > kLargestAlignment)
    in_.bad(entry->offset, "general.alignment is ",
            value ? cat(*value) : cat("of type ", value_type_name(entry->type)),
            ", expected an unsigned power of two from ", kSmallestAlignment, " to ",
            kLargestAlignment);
  file_.alignment_ = *value;
}

/// Reads one tensor's description. `offset` is left relative to the data section, whose start is
/// known only behind the last description.
void Parser::read_tensor_info() {
  const uint64_t at = in_.offset();
  Tensor tensor = {};
  tensor.name = in_.string("a tensor's name", kLongestName);
  const std::string name = quoted(tensor.name);
  if (!file_.tensor_index_.emplace(tensor.name, file_.tensors_.size()).second)
    in_.bad(at, "the tensor ", name, " occurs twice");
  read_shape(tensor, name);

  const uint64_t shape_end = in_.offset();
  const auto id = in_.number<uint32_t>("a tensor's type");
  tensor.type = find_dtype(id);
  if (!tensor.type)
    in_.unsupported("the tensor ", name, " has the type id ", id, ", which Cria does not know");
  const DTypeInfo& type = *tensor.type;
  if (tensor.shape[0] % type.block_weights != 0)
    in_.bad(shape_end, "the tensor ", name, " has rows of ", tensor.shape[0],
            " weights, expected a multiple of ", type.block_weights, " for the type ", type.name);
  const auto bytes = product(tensor.elements() / type.block_weights, type.block_bytes,
                             std::numeric_limits<int64_t>::max());
  if (!bytes) in_.bad(shape_end, "the tensor ", name, " is larger than any file can be");
  tensor.bytes = *bytes;

  const uint64_t offset_at = in_.offset();
  tensor.offset = in_.number<uint64_t>("a tensor's offset");
  if (tensor.offset % file_.alignment_ != 0)
    in_.bad(offset_at, "the tensor ", name, " lies at offset ", tensor.offset,
            " of the data section, expected a multiple of the alignment ", file_.alignment_);
  if (tensor.offset > in_.size() || tensor.bytes > in_.size() - tensor.offset)
    in_.bad(
        offset_at, "the tensor ", name, " (", tensor.bytes, " bytes at offset ", tensor.offset,
        " of the data section) reaches past the end of the file; was its download interrupted?");
  file_.tensors_.push_back(tensor);
}

void Parser::read_shape(Tensor& tensor, const std::string& name) {
  const uint64_t at = in_.offset();
  tensor.dimensions = in_.number<uint32_t>("a tensor's number of dimensions");
  if (tensor.dimensions < 1 || tensor.dimensions > tensor.shape.size())
    in_.bad(at, "the tensor ", name, " has ", tensor.dimensions, " dimensions, expected 1 to ",
            tensor.shape.size());
  tensor.shape.fill(1);
  uint64_t elements = 1;
  for (uint32_t i = 0; i < tensor.dimensions; ++i) {
    const uint64_t dimension_at = in_.offset();
    tensor.shape[i] = in_.number<uint64_t>("a tensor's shape");
    if (tensor.shape[i] == 0) in_.bad(dimension_at, "dimension ", i, " of ", name, " is 0");
    const auto all = product(elements, tensor.shape[i], std::numeric_limits<int64_t>::max());
    if (!all) in_.bad(dimension_at, "the tensor ", name, " has more than 2^63 weights");
    elements = *all;
  }
}

/// Finds the data section and gives every tensor its bytes. No sum overflows: `read_tensor_info`
/// has bounded offset and size by the file's size.
void Parser::place_tensors() {
  const uint64_t header_end = in_.offset();
  const uint64_t mask = file_.alignment_ - 1;
  const uint64_t start = (header_end + mask) & ~mask;
  for (Tensor& tensor : file_.tensors_) {
    tensor.offset += start;
    if (tensor.offset > in_.size() || tensor.bytes > in_.size() - tensor.offset)
      in_.bad(std::min(tensor.offset, in_.size()), "the tensor ", quoted(tensor.name), " (",
              tensor.bytes, " bytes from byte ", tensor.offset,
              ") reaches past the end of the file; was its download interrupted?");
    tensor.data = in_.at(tensor.offset);
  }
}

void Parser::refuse_overlaps() const {
  std::vector<const Tensor*> order;
  order.reserve(file_.tensors_.size());
  for (const Tensor& tensor : file_.tensors_) order.push_back(&tensor);
  std::sort(order.begin(), order.end(),
            [](const Tensor* a, const Tensor* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < order.size(); ++i) {
    const Tensor& before = *order[i - 1];
    if (before.offset + before.bytes > order[i]->offset)
      in_.bad(order[i]->offset, "the tensors ", quoted(before.name), " and ",
              quoted(order[i]->name), " overlap");
  }
}

}  // namespace cria::gguf
