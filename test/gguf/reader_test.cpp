// Well-formed files: what was written is what is read.
#include <cmath>
#include <limits>

#include "base/temp_folder.h"
#include "gguf/gguf_builder.h"
#include "gguf/inspect.h"
#include "support/check.h"

using namespace cria;
using cria::gguf::Array;
using cria::gguf::File;
using cria::gguf::ValueType;
using cria::test::Bytes;
using cria::test::GgufBuilder;
using cria::test::TempFolder;

namespace {

constexpr uint64_t kAny = std::numeric_limits<uint64_t>::max();

Bytes counted(size_t size) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + 1);
  return bytes;
}

bool equal(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

TEST(every_kind_of_number_is_read_in_full_range) {
  const Bytes bytes = GgufBuilder()
                          .u8("u8", 255)
                          .i8("i8", -128)
                          .u16("u16", 65535)
                          .i16("i16", -32768)
                          .u32("u32", 0xffffffffu)
                          .i32("i32", std::numeric_limits<int32_t>::min())
                          .u64("u64", kAny)
                          .i64("i64", std::numeric_limits<int64_t>::min())
                          .f32("f32", 1e-5f)
                          .f64("f64", 1e300)
                          .boolean("yes", true)
                          .boolean("no", false)
                          .bytes();
  const File file = File::parse(bytes);
  const auto whole = [&](const char* key) { return std::get<uint64_t>(file.find(key)->value); };
  const auto negative = [&](const char* key) { return std::get<int64_t>(file.find(key)->value); };
  CHECK_EQ(whole("u8"), 255u);
  CHECK_EQ(whole("u16"), 65535u);
  CHECK_EQ(whole("u32"), 0xffffffffu);
  CHECK_EQ(whole("u64"), kAny);
  CHECK_EQ(negative("i8"), -128);
  CHECK_EQ(negative("i16"), -32768);
  CHECK_EQ(negative("i32"), -2147483648LL);
  CHECK_EQ(negative("i64"), std::numeric_limits<int64_t>::min());
  CHECK_EQ(*file.get_float("f32"), static_cast<double>(1e-5f));
  CHECK_EQ(*file.get_float("f64"), 1e300);
  CHECK_EQ(*file.get_bool("yes"), true);
  CHECK_EQ(*file.get_bool("no"), false);
  CHECK_EQ(file.entries().size(), size_t{12});
  CHECK_EQ(file.entries()[4].key, "u32");  // in the order of the file
  CHECK(file.entries()[4].type == ValueType::kU32);
}

TEST(strings_and_arrays_are_views_of_the_file) {
  const std::string text = std::string("zero\0inside, ", 13) + "grüße";
  const Bytes bytes = GgufBuilder()
                          .string("text", text)
                          .string("nothing", "")
                          .strings("words", {"a", "", text})
                          .strings("no words", {})
                          .floats("floats", {1.5f, -2.0f})
                          .ints("ints", {3, -4})
                          .array("bools", ValueType::kBool, std::vector<uint8_t>{1, 0, 1})
                          .array("u64s", ValueType::kU64, std::vector<uint64_t>{1, 1ull << 62})
                          .array("f64s", ValueType::kF64, std::vector<double>{0.25})
                          .bytes();
  const File file = File::parse(bytes);
  CHECK_EQ(*file.get_string("text"), text);
  CHECK_EQ(*file.get_string("nothing"), "");
  const auto words = *file.get_strings("words");
  CHECK(words.size() == 3 && words[0] == "a" && words[1] == "" && words[2] == text);
  CHECK(test::within(std::as_bytes(std::span(words[2])), bytes));
  CHECK(file.get_strings("no words")->empty());
  CHECK_EQ(file.get_strings("words", words.size())->size(), words.size());
  CHECK_THROWS(ErrorCode::kBadGguf, file.get_strings("words", words.size() - 1), "at most");
  CHECK_THROWS(ErrorCode::kBadGguf, file.get_floats("floats", 1), "at most 1");
  CHECK_THROWS(ErrorCode::kBadGguf, file.get_ints("ints", 1), "at most 1");
  CHECK((*file.get_floats("floats") == std::vector<float>{1.5f, -2.0f}));
  CHECK((*file.get_ints("ints") == std::vector<int64_t>{3, -4}));
  CHECK((*file.get_ints("u64s") == std::vector<int64_t>{1, 1ll << 62}));
  CHECK((*file.get_floats("f64s") == std::vector<float>{0.25f}));
  CHECK((*file.get_floats("ints") == std::vector<float>{3.0f, -4.0f}));
  const Array bools = std::get<Array>(file.find("bools")->value);
  CHECK(bools.type == ValueType::kBool && bools.count == 3 && bools.bytes.size() == 3);
}

TEST(the_first_elements_of_an_array_are_values) {
  const Bytes bytes = GgufBuilder()
                          .ints("ints", {1, -2, 3})
                          .strings("words", {"a", "bc"})
                          .floats("floats", {0.5f})
                          .array("bools", ValueType::kBool, std::vector<uint8_t>{0, 1})
                          .array("bytes", ValueType::kU8, std::vector<uint8_t>{255})
                          .bytes();
  const File file = File::parse(bytes);
  const auto first = [&](const char* key, uint64_t count) {
    return gguf::first_elements(std::get<Array>(file.find(key)->value), count);
  };
  CHECK_EQ(first("ints", 0).size(), size_t{0});
  CHECK_EQ(first("ints", 2).size(), size_t{2});
  CHECK_EQ(first("ints", kAny).size(), size_t{3});
  CHECK_EQ(std::get<int64_t>(first("ints", 3)[1]), -2);
  CHECK_EQ(std::get<std::string_view>(first("words", 2)[1]), "bc");
  CHECK_EQ(std::get<double>(first("floats", 1)[0]), 0.5);
  CHECK_EQ(std::get<bool>(first("bools", 2)[1]), true);
  CHECK_EQ(std::get<uint64_t>(first("bytes", 1)[0]), 255u);
}

TEST(the_offset_of_an_entry_is_that_of_its_value) {
  const Bytes bytes = GgufBuilder().u8("first", 9).u32("second", 0xabcdef01u).bytes();
  const File file = File::parse(bytes);
  uint32_t value;
  std::memcpy(&value, bytes.data() + file.find("second")->offset, sizeof(value));
  CHECK_EQ(value, 0xabcdef01u);
  CHECK_EQ(file.find("first")->offset, uint64_t{24 + 8 + 5 + 4});
}

TEST(typed_reads_of_an_absent_key_are_empty) {
  const Bytes bytes = GgufBuilder().bytes();
  const File file = File::parse(bytes);
  CHECK(!file.find("x") && !file.find_tensor("x"));
  CHECK(!file.get_uint("x", 0, 1) && !file.get_float("x") && !file.get_bool("x"));
  CHECK(!file.get_string("x") && !file.get_strings("x"));
  CHECK(!file.get_floats("x") && !file.get_ints("x"));
}

TEST(typed_reads_check_type_and_bounds) {
  const Bytes bytes = GgufBuilder()
                          .u32("n", 5)
                          .i32("negative", -1)
                          .i64("positive", 7)
                          .f32("x", 0.5f)
                          .f32("nan", std::nanf(""))
                          .f64("inf", HUGE_VAL)
                          .string("s", "text")
                          .strings("ss", {"a"})
                          .floats("fs", {1.0f, std::nanf("")})
                          .array("big", ValueType::kU64, std::vector<uint64_t>{kAny})
                          .bytes();
  const File file = File::parse(bytes);
  const auto kBad = ErrorCode::kBadGguf;
  CHECK_EQ(*file.get_uint("n", 5, 5), 5u);
  CHECK_EQ(*file.get_uint("positive", 0, 10), 7u);
  CHECK_EQ(*file.get_float("n"), 5.0);
  CHECK_EQ(*file.get_float("negative"), -1.0);
  CHECK_THROWS(kBad, file.get_uint("n", 6, 9),
               "\"n\": expected a whole number from 6 to 9, found 5");
  CHECK_THROWS(kBad, file.get_uint("n", 0, 4), "(u32)");
  CHECK_THROWS(kBad, file.get_uint("negative", 0, kAny), "found -1 (i32)");
  CHECK_THROWS(kBad, file.get_uint("x", 0, kAny), "found 0.5 (f32)");
  CHECK_THROWS(kBad, file.get_uint("s", 0, kAny), "found \"text\" (string)");
  CHECK_THROWS(kBad, file.get_uint("ss", 0, kAny), "an array of 1 × string");
  CHECK_THROWS(kBad, file.get_float("nan"), "a finite number");
  CHECK_THROWS(kBad, file.get_float("inf"), "a finite number");
  CHECK_THROWS(kBad, file.get_float("s"), "a finite number");
  CHECK_THROWS(kBad, file.get_bool("n"), "a bool");
  CHECK_THROWS(kBad, file.get_string("n"), "a string");
  CHECK_THROWS(kBad, file.get_strings("s"), "an array of strings");
  CHECK_THROWS(kBad, file.get_strings("fs"), "an array of strings");
  CHECK_THROWS(kBad, file.get_floats("fs"), "without NaN");
  CHECK_THROWS(kBad, file.get_floats("ss"), "an array of numbers");
  CHECK_THROWS(kBad, file.get_floats("x"), "an array of numbers");
  CHECK_THROWS(kBad, file.get_ints("fs"), "whole numbers");
  CHECK_THROWS(kBad, file.get_ints("big"), "below 2^63");
  CHECK_THROWS(kBad, file.get_ints("ss"), "whole numbers");
  try {
    file.get_bool("n");
  } catch (const Error& error) {
    CHECK_EQ(*error.offset(), file.find("n")->offset);
    CHECK(std::string(error.what()).ends_with(cat("(at byte ", *error.offset(), ")")));
  }
}

TEST(tensors_are_where_the_file_says) {
  for (const uint32_t version : {2u, 3u})
    for (const uint32_t alignment : {8u, 32u, 64u, 4096u}) {
      const Bytes a = counted(4 * 6), b = counted(34 * 2 * 3), c = counted(144);
      const Bytes bytes = GgufBuilder()
                              .version(version)
                              .alignment(alignment)
                              .tensor("a", DType::kF32, {2, 3}, a)
                              .tensor("b", DType::kQ8_0, {64, 1, 1, 3}, b)
                              .tensor("c", DType::kQ4_K, {256}, c)
                              .bytes();
      const File file = File::parse(bytes);
      CHECK_EQ(file.version(), version);
      CHECK_EQ(file.alignment(), uint64_t{alignment});
      CHECK_EQ(file.file_bytes(), uint64_t{bytes.size()});
      CHECK_EQ(file.tensors().size(), size_t{3});
      for (const gguf::Tensor& tensor : file.tensors()) {
        CHECK_EQ(tensor.offset % alignment, uint64_t{0});
        CHECK(tensor.data == bytes.data() + tensor.offset);
        CHECK_EQ(tensor.part, 0u);
      }
      const gguf::Tensor& found = *file.find_tensor("b");
      CHECK(equal({found.data, found.bytes}, b));
      CHECK_EQ(found.dimensions, 4u);
      CHECK_EQ(found.elements(), uint64_t{192});
      CHECK_EQ(found.shape_text(), "[64, 1, 1, 3]");
      CHECK_EQ(std::string(found.type->name), "Q8_0");
      CHECK(equal({file.find_tensor("c")->data, 144}, c));
      CHECK_EQ(file.find_tensor("a")->shape[2], uint64_t{1});
    }
}

TEST(the_default_alignment_is_32) {
  const Bytes bytes = GgufBuilder().tensor("t", DType::kF32, {1}, counted(4)).bytes();
  const File file = File::parse(bytes);
  CHECK_EQ(file.alignment(), uint64_t{32});
  CHECK_EQ(file.tensors()[0].offset % 32, uint64_t{0});
}

TEST(every_known_type_is_accepted_computed_or_not) {
  for (uint32_t id = 0; find_dtype(id); ++id) {
    const DTypeInfo& info = *find_dtype(id);
    const Bytes bytes =
        GgufBuilder()
            .tensor("t", id, {3 * info.block_weights, 5}, counted(size_t{15} * info.block_bytes))
            .bytes();
    const File file = File::parse(bytes);
    CHECK_EQ(file.tensors()[0].bytes, uint64_t{15} * info.block_bytes);
    CHECK(file.tensors()[0].type == &info);
  }
}

TEST(encoded_weights_survive_the_builder_and_the_reader) {
  std::vector<float> weights(64 * 3);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = std::sin(static_cast<float>(i));
  const Bytes bytes = GgufBuilder().weights("w", DType::kF16, {64, 3}, weights).bytes();
  const File file = File::parse(bytes);
  std::vector<float> back(weights.size());
  dequantize_row(DType::kF16, file.tensors()[0].data, back.data(), std::ssize(back));
  for (size_t i = 0; i < back.size(); ++i) CHECK(std::fabs(back[i] - weights[i]) < 1e-3f);
}

TEST(a_file_opened_from_disk_outlives_moves_and_names_itself_in_errors) {
  const TempFolder folder;
  const auto path = GgufBuilder()
                        .string("name", "x")
                        .tensor("t", DType::kF32, {3}, counted(12))
                        .write(folder / "model.gguf");
  File moved;
  {
    File file = File::open(path);
    moved = std::move(file);
  }
  CHECK_EQ(*moved.get_string("name"), "x");
  CHECK(equal({moved.find_tensor("t")->data, 12}, counted(12)));
  CHECK_THROWS(ErrorCode::kBadGguf, moved.get_bool("name"), "model.gguf: \"name\"");
  moved.check_intact();
}

TEST(a_file_cut_short_after_opening_is_an_error_not_a_crash) {
  const TempFolder folder;
  const auto path =
      GgufBuilder().tensor("t", DType::kF32, {65536}, counted(262144)).write(folder / "model.gguf");
  const File file = File::open(path);
  std::filesystem::resize_file(path, 4096);
  test::touch(file);
  CHECK_THROWS(ErrorCode::kFile, file.check_intact(), "cut short");
}

TEST(a_file_without_metadata_and_tensors_is_a_file) {
  const Bytes bytes = GgufBuilder().bytes();
  CHECK_EQ(bytes.size(), size_t{24});
  const File file = File::parse(bytes);
  CHECK(file.entries().empty() && file.tensors().empty());
}
