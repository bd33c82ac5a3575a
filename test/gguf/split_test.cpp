// Models in several files.
#include "base/temp_folder.h"
#include "gguf/gguf_builder.h"
#include "gguf/inspect.h"
#include "support/check.h"

using namespace cria;
using cria::gguf::File;
using cria::test::Bytes;
using cria::test::GgufBuilder;
using cria::test::TempFolder;

namespace {

constexpr uint32_t kF32 = 0;
constexpr auto kBad = ErrorCode::kBadGguf;

/// Part `number` (from 0) of `count`, with one tensor "t<number>" of that number.
GgufBuilder part(uint16_t number, uint16_t count, int32_t tensors) {
  const std::vector<float> value(4, static_cast<float>(number));
  return GgufBuilder()
      .u16("split.no", number)
      .u16("split.count", count)
      .i32("split.tensors.count", tensors)
      .string("of", cat("part ", number))
      .weights(cat("t", number), DType::kF32, {4}, value);
}

/// Writes a whole set of three and returns the path of the first.
std::filesystem::path write_set(const TempFolder& folder) {
  for (const uint16_t i : {1, 2})
    part(i, 3, 3).write(folder / cat("m-0000", i + 1, "-of-00003.gguf"));
  return part(0, 3, 3).write(folder / "m-00001-of-00003.gguf");
}

}  // namespace

TEST(the_parts_of_a_set_are_one_model) {
  const TempFolder folder;
  const File file = File::open(write_set(folder));
  CHECK_EQ(file.tensors().size(), size_t{3});
  CHECK_EQ(*file.get_string("of"), "part 0");
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < 3; ++i) {
    const gguf::Tensor& tensor = *file.find_tensor(cat("t", i));
    CHECK_EQ(tensor.part, i);
    float value;
    std::memcpy(&value, tensor.data, sizeof(value));
    CHECK_EQ(value, static_cast<float>(i));
    bytes += std::filesystem::file_size(folder / cat("m-0000", i + 1, "-of-00003.gguf"));
  }
  CHECK_EQ(file.file_bytes(), bytes);
  CHECK(test::touch(file) != 0);
}

TEST(a_set_of_one_needs_no_name) {
  const TempFolder folder;
  CHECK_EQ(File::open(part(0, 1, 1).write(folder / "any.gguf")).tensors().size(), size_t{1});
}

TEST(another_part_is_refused_with_the_name_of_the_first) {
  const TempFolder folder;
  write_set(folder);
  CHECK_THROWS(ErrorCode::kFile, File::open(folder / "m-00002-of-00003.gguf"),
               "part 2 of a model in 3 files; open the first, m-00001-of-00003.gguf");
}

TEST(a_missing_part_is_named) {
  const TempFolder folder;
  const auto first = write_set(folder);
  std::filesystem::remove(folder / "m-00003-of-00003.gguf");
  CHECK_THROWS(ErrorCode::kFile, File::open(first), "part 3 of 3");
  CHECK_THROWS(ErrorCode::kFile, File::open(first), "m-00003-of-00003.gguf");
}

TEST(a_renamed_part_is_refused) {
  const TempFolder folder;
  const auto first = write_set(folder);
  std::filesystem::rename(first, folder / "renamed.gguf");
  CHECK_THROWS(ErrorCode::kFile, File::open(folder / "renamed.gguf"),
               "expected the name <model>-00001-of-00003.gguf");
  std::filesystem::rename(folder / "renamed.gguf", folder / "m-00001-of-00004.gguf");
  CHECK_THROWS(kBad, File::open(folder / "m-00001-of-00004.gguf"),
               "part 1 of 4 by the file's name");
}

TEST(parts_that_disagree_are_refused) {
  const TempFolder folder;
  const auto first = write_set(folder);
  const auto second = folder / "m-00002-of-00003.gguf";
  part(2, 3, 3).write(second);
  CHECK_THROWS(kBad, File::open(first), "m-00002-of-00003.gguf: split.no is 2, expected 1");
  part(1, 4, 3).write(second);
  CHECK_THROWS(kBad, File::open(first), "split.count is 4, expected 3");
  GgufBuilder().write(second);
  CHECK_THROWS(kBad, File::open(first), "split.count is missing");
  GgufBuilder().u16("split.count", 3).write(second);
  CHECK_THROWS(kBad, File::open(first), "split.no is missing");
  GgufBuilder().u16("split.no", 1).u16("split.count", 3).write(second);
  CHECK_THROWS(kBad, File::open(first), "split.tensors.count is 3, but the 3 parts have 2");
  GgufBuilder()
      .u16("split.no", 1)
      .u16("split.count", 3)
      .tensor("t0", kF32, {1}, Bytes(4))
      .write(second);
  CHECK_THROWS(kBad, File::open(first), "\"t0\" is also in an earlier part");
  folder.write("m-00002-of-00003.gguf", Bytes(10));
  CHECK_THROWS(kBad, File::open(first), "m-00002-of-00003.gguf: not a GGUF file");
}

TEST(hostile_split_counts_are_refused) {
  const TempFolder folder;
  const auto path = folder / "m-00001-of-65535.gguf";
  CHECK_THROWS(ErrorCode::kFile, File::open(part(0, 65535, 1).write(path)), "part 2 of 65535");
  GgufBuilder().u64("split.count", ~uint64_t{0}).write(path);
  CHECK_THROWS(kBad, File::open(path), "split.count");
  GgufBuilder().string("split.count", "3").write(path);
  CHECK_THROWS(kBad, File::open(path), "split.count");
  GgufBuilder().u16("split.count", 3).u16("split.no", 3).write(path);
  CHECK_THROWS(kBad, File::open(path), "split.no");
}

TEST(a_part_with_its_own_alignment_is_read_by_it) {
  const TempFolder folder;
  const auto first = write_set(folder);
  GgufBuilder()
      .alignment(256)
      .u16("split.no", 1)
      .u16("split.count", 3)
      .tensor("t1", kF32, {2}, Bytes(8))
      .write(folder / "m-00002-of-00003.gguf");
  CHECK_EQ(File::open(first).find_tensor("t1")->offset % 256, uint64_t{0});
}
