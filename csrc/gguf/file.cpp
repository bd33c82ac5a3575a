// F1. Opening: one file, or the parts of a split set.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <limits>

#include "gguf/parser.h"

namespace cria::gguf {
namespace {

constexpr uint64_t kMostParts = 65535;  // `split.count` is a u16

/// The file name of part `number` (from 0) of `count`: "<prefix>-00001-of-00003.gguf".
std::string part_name(std::string_view prefix, uint64_t number, uint64_t count) {
  char suffix[64];
  std::snprintf(suffix, sizeof(suffix), "-%05llu-of-%05llu.gguf",
                static_cast<unsigned long long>(number + 1),
                static_cast<unsigned long long>(count));
  return std::string(prefix) + suffix;
}

/// What a file name says of its place in a split set.
struct PartName {
  std::string prefix;
  uint64_t number;  // from 0
  uint64_t count;
};

/// Takes "<prefix>-00002-of-00003.gguf" apart; nullopt for any other name.
std::optional<PartName> take_apart(const std::string& name) {
  constexpr size_t kSuffix = sizeof("-00001-of-00003.gguf") - 1;
  if (name.size() < kSuffix) return std::nullopt;
  const size_t cut = name.size() - kSuffix;
  uint64_t number = 0, count = 0;
  std::from_chars(name.data() + cut + 1, name.data() + cut + 6, number);
  std::from_chars(name.data() + cut + 10, name.data() + cut + 15, count);
  PartName part{name.substr(0, cut), number - 1, count};
  const bool same = number >= 1 && part_name(part.prefix, part.number, part.count) == name;
  return same ? std::optional(part) : std::nullopt;
}

}  // namespace

File File::parse(std::span<const std::byte> bytes) {
  File file;
  Parser(bytes, "", file).run();
  return file;
}

File File::open_part(const std::filesystem::path& path) {
  File file;
  file.mappings_.push_back(MappedFile::open(path));
  try {
    Parser(file.mappings_[0]->bytes(), file.source(), file).run();
  } catch (const Error&) {
    file.check_intact();  // of a file cut short under us, say that, not what the zeros looked like
    throw;
  }
  file.check_intact();
  return file;
}

File File::open(const std::filesystem::path& path) {
  File file = open_part(path);
  const uint64_t count = file.get_uint("split.count", 0, kMostParts).value_or(1);
  if (count > 1) file.add_parts(count);
  return file;
}

/// Adds the tensors of parts 2 to `count` of the split set whose first part this is.
void File::add_parts(uint64_t count) {
  const uint64_t number = split_number(count);
  const auto name = take_apart(source());
  if (!name)
    fail(ErrorCode::kFile, source(), " is part ", number + 1, " of a model in ", count,
         " files, which are found by their names; expected the name ",
         part_name("<model>", number, count));
  if (name->number != number || name->count != count)
    fail_bad(
        source(), find("split.no")->offset,
        cat("this is part ", number + 1, " of ", count, " by split.no and split.count, but part ",
            name->number + 1, " of ", name->count, " by the file's name"));
  if (number != 0)
    fail(ErrorCode::kFile, source(), " is part ", number + 1, " of a model in ", count,
         " files; open the first, ", part_name(name->prefix, 0, count));

  const std::filesystem::path folder = mappings_[0]->path().parent_path();
  for (uint64_t i = 1; i < count; ++i)
    add_part(folder / part_name(name->prefix, i, count), i, count);

  const auto total = get_uint("split.tensors.count", 0, std::numeric_limits<int64_t>::max());
  if (total && *total != tensors_.size())
    fail_bad(source(), find("split.tensors.count")->offset,
             cat("split.tensors.count is ", *total, ", but the ", count, " parts have ",
                 tensors_.size(), " tensors"));
}

/// Adds the tensors of part `number` (from 0) of `count`.
void File::add_part(const std::filesystem::path& path, uint64_t number, uint64_t count) {
  File part;
  try {
    part = open_part(path);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kFile) throw;
    fail(ErrorCode::kFile, "part ", number + 1, " of ", count, " of the model is not readable (",
         error.what(), "); put all its parts into one folder");
  }
  const auto part_count = part.get_uint("split.count", 0, kMostParts);
  if (part_count != count)
    fail_bad(part.source(), part.offset_of("split.count"),
             cat("split.count is ", part_count ? cat(*part_count) : "missing", ", expected ", count,
                 " as in the first part"));
  if (const uint64_t found = part.split_number(count); found != number)
    fail_bad(part.source(), part.offset_of("split.no"),
             cat("split.no is ", found, ", expected ", number));
  for (Tensor& tensor : part.tensors_) {
    if (!tensor_index_.emplace(tensor.name, tensors_.size()).second)
      fail_bad(part.source(), tensor.offset,
               cat("the tensor ", quoted(tensor.name), " is also in an earlier part of the model"));
    tensor.part = static_cast<uint32_t>(number);
    tensors_.push_back(tensor);
  }
  file_bytes_ += part.file_bytes_;
  mappings_.push_back(std::move(part.mappings_[0]));
}

/// The required `split.no`.
uint64_t File::split_number(uint64_t count) const {
  const auto number = get_uint("split.no", 0, count - 1);
  if (!number)
    fail_bad(source(), offset_of("split.count"),
             cat("split.count is ", count, ", but split.no is missing"));
  return *number;
}

/// Where the value of `key` stands, or where the metadata begins if there is none.
uint64_t File::offset_of(std::string_view key) const {
  constexpr uint64_t kHeaderBytes = 24;
  const Entry* entry = find(key);
  return entry ? entry->offset : kHeaderBytes;
}

/// The name of the (first) file for messages; empty for bytes in memory.
std::string File::source() const {
  return mappings_.empty() ? "" : mappings_[0]->path().filename().string();
}

void File::will_need(const Tensor& tensor) const {
  if (tensor.part < mappings_.size())
    mappings_[tensor.part]->will_need({tensor.data, static_cast<size_t>(tensor.bytes)});
}

void File::copy(const Tensor& tensor, std::span<const std::byte> bytes,
                std::byte* to) const noexcept {
  if (tensor.part < mappings_.size()) return mappings_[tensor.part]->copy(bytes, to);
  std::copy(bytes.begin(), bytes.end(), to);
}

void File::check_intact() const {
  for (const auto& mapping : mappings_)
    if (mapping->damaged())
      fail(ErrorCode::kFile, mapping->path().string(),
           " was cut short by another process while it ",
           "was in use; load the model again from a whole file");
}

}  // namespace cria::gguf
