// Malformed files: each rule of the format broken by itself, with the error that says so.
#include <limits>

#include "base/temp_folder.h"
#include "gguf/gguf_builder.h"
#include "support/check.h"

using namespace cria;
using cria::gguf::File;
using cria::gguf::ValueType;
using cria::test::Bytes;
using cria::test::GgufBuilder;
using cria::test::TempFolder;

namespace {

constexpr uint32_t kF32 = 0;
constexpr auto kBad = ErrorCode::kBadGguf;

Bytes raw_number(uint64_t value) {
  Bytes bytes;
  test::append(bytes, value);
  return bytes;
}

/// Checks that `builder`'s file is refused with `part` in the message, and that the message ends
/// with the error's offset, which lies in the file (or at its end).
void refused(const GgufBuilder& builder, const char* part, ErrorCode code = kBad) {
  const Bytes bytes = builder.bytes();
  CHECK_THROWS(code, File::parse(bytes), part);
  try {
    File::parse(bytes);
  } catch (const Error& error) {
    if (code != kBad) return;
    CHECK(error.offset().has_value());
    CHECK(error.offset().value_or(0) <= bytes.size());
    const std::string tail = cat("(at byte ", error.offset().value_or(0), ")");
    CHECK(std::string(error.what()).ends_with(tail));
  }
}

/// One tensor of four f32, to be followed or preceded by others.
GgufBuilder with_tensor() {
  return GgufBuilder().tensor("good", kF32, {4}, Bytes(16));
}

}  // namespace

TEST(other_files_are_recognised_by_their_first_bytes) {
  const char* html = "<!DOCTYPE html><html>not found</html>";
  CHECK_THROWS(kBad, File::parse(std::as_bytes(std::span(html, 30))), "found \"<!DO\"");
  CHECK_THROWS(kBad, File::parse({}), "the magic number");
  CHECK_THROWS(kBad, File::parse(Bytes(100)), "\\x00\\x00");
}

TEST(other_versions_are_refused_by_number) {
  const auto kNot = ErrorCode::kUnsupported;
  refused(GgufBuilder().version(1), "GGUF version 1; Cria reads versions 2 and 3", kNot);
  refused(GgufBuilder().version(0), "GGUF version 0", kNot);
  refused(GgufBuilder().version(4), "GGUF version 4", kNot);
  refused(GgufBuilder().version(0x03000000u), "big-endian", kNot);
}

TEST(counts_larger_than_the_file_are_refused) {
  for (const uint64_t count : {uint64_t{1000}, uint64_t{1} << 31, uint64_t{1} << 32,
                               uint64_t{1} << 63, std::numeric_limits<uint64_t>::max()}) {
    refused(with_tensor().claim_tensors(count), "tensors, expected at most");
    refused(GgufBuilder().u8("k", 1).claim_entries(count), "metadata entries, expected at most");
    refused(
        GgufBuilder().raw("a", ValueType::kArray, GgufBuilder::array_head(ValueType::kU8, count)),
        "elements, expected at most 0");
    refused(GgufBuilder().raw("a", ValueType::kArray,
                              GgufBuilder::array_head(ValueType::kString, count)),
            "elements, expected at most 0");
    refused(GgufBuilder().raw("s", ValueType::kString, raw_number(count)), "a metadata value");
  }
}

TEST(metadata_rules) {
  refused(GgufBuilder().u8("twice", 1).u32("twice", 2), "\"twice\" occurs twice");
  refused(GgufBuilder().u8("", 1).u64("x", 1), "key is empty");
  refused(GgufBuilder().u8(std::string(65536, 'k'), 1), "expected at most 65535");
  refused(GgufBuilder().raw("k", static_cast<ValueType>(13), Bytes(64)), "unknown type id 13");
  refused(GgufBuilder().raw("k", static_cast<ValueType>(0xffffffffu), Bytes(64)),
          "unknown type id 4294967295");
  refused(GgufBuilder().raw("k", ValueType::kBool, {std::byte{2}}), "is 2, expected 0 or 1");
  refused(GgufBuilder().array("k", ValueType::kBool, std::vector<uint8_t>{1, 0, 255}),
          "is 255, expected 0 or 1");
  refused(GgufBuilder().raw("k", ValueType::kArray,
                            GgufBuilder::array_head(static_cast<ValueType>(77), 0)),
          "unknown type id 77");
  refused(GgufBuilder().raw("k", ValueType::kArray, GgufBuilder::array_head(ValueType::kArray, 1)),
          "array of arrays", ErrorCode::kUnsupported);
  Bytes strings = GgufBuilder::array_head(ValueType::kString, 2);
  test::append_string(strings, "fine");
  test::append<uint64_t>(strings, 1000);
  refused(GgufBuilder().raw("k", ValueType::kArray, strings), "a string of an array");
}

TEST(alignment_must_be_a_sane_power_of_two) {
  for (const uint32_t alignment : {0u, 1u, 3u, 4u, 33u, 48u, 0x200000u, 0x80000000u, 0xffffffffu})
    refused(GgufBuilder().u32("general.alignment", alignment), "general.alignment is");
  refused(GgufBuilder().string("general.alignment", "32"), "of type string");
  refused(GgufBuilder().i32("general.alignment", -32), "of type i32");
  refused(GgufBuilder().u64("general.alignment", uint64_t{1} << 40), "general.alignment is");
  for (const uint32_t alignment : {8u, 16u, 0x100000u})
    CHECK_EQ(File::parse(GgufBuilder().alignment(alignment).bytes()).alignment(), alignment);
}

TEST(tensor_shapes) {
  const uint64_t half = uint64_t{1} << 32, top = uint64_t{1} << 63;
  refused(GgufBuilder().tensor("t", kF32, {}, Bytes(64)), "0 dimensions, expected 1 to 4");
  refused(GgufBuilder().tensor("t", kF32, {1, 1, 1, 1, 1}, Bytes(64)), "5 dimensions");
  refused(GgufBuilder().tensor("t", kF32, {4, 0}, Bytes(64)), "dimension 1 of \"t\" is 0");
  refused(GgufBuilder().tensor("t", kF32, {half, half}, Bytes(64)), "more than 2^63");
  refused(GgufBuilder().tensor("t", kF32, {top}, Bytes(64)), "more than 2^63");
  refused(GgufBuilder().tensor("t", kF32, {half, half / 2 - 1, 2, 2}, Bytes(64)), "2^63");
  refused(GgufBuilder().tensor("t", kF32, {top - 1}, Bytes(64)), "larger than any file");
  refused(GgufBuilder().tensor("t", kF32, {top / 4 - 1}, Bytes(64)), "past the end of the file");
  refused(GgufBuilder().tensor("t", DType::kQ4_0, {33}, Bytes(64)),
          "multiple of 32 for the type Q4_0");
  refused(GgufBuilder().tensor("t", DType::kQ4_K, {128, 2}, Bytes(288)), "rows of 128 weights");
}

TEST(tensor_names_and_types) {
  refused(with_tensor().tensor("good", kF32, {1}, Bytes(4)), "\"good\" occurs twice");
  refused(GgufBuilder().tensor(std::string(1025, 'n'), kF32, {1}, Bytes(64)), "at most 1024");
  const std::string longest(1024, 'n');
  const Bytes fine = GgufBuilder().tensor(longest, kF32, {1}, Bytes(4)).bytes();
  CHECK(File::parse(fine).find_tensor(longest) != nullptr);
  refused(GgufBuilder().tensor("odd", 43, {1}, Bytes(64)), "the tensor \"odd\" has the type id 43",
          ErrorCode::kUnsupported);
  refused(GgufBuilder().tensor("odd", 0xffffffffu, {1}, Bytes(64)), "4294967295",
          ErrorCode::kUnsupported);
  refused(GgufBuilder().tensor("bell\a\x80", kF32, {0}, Bytes(64)), "\"bell\\x07\\x80\"");
}

TEST(tensor_places) {
  refused(with_tensor().tensor_at("t", kF32, {1}, 33), "multiple of the alignment 32");
  refused(with_tensor().tensor_at("t", kF32, {1}, 40), "multiple of the alignment 32");
  refused(with_tensor().tensor_at("t", kF32, {1}, 32), "reaches past the end of the file");
  refused(with_tensor().tensor_at("t", kF32, {1}, uint64_t{1} << 63), "past the end");
  refused(with_tensor().tensor_at("t", kF32, {1}, ~uint64_t{31}), "past the end");
  refused(with_tensor().tensor_at("t", kF32, {4}, 0), "\"good\" and \"t\" overlap");
  refused(GgufBuilder().tensor("long", kF32, {16}, Bytes(64)).tensor_at("inside", kF32, {1}, 32),
          "\"long\" and \"inside\" overlap");
  // Whole by its own arithmetic, cut at the very end.
  Bytes bytes = with_tensor().bytes();
  bytes.pop_back();
  CHECK_THROWS(kBad, File::parse(bytes),
               "the tensor \"good\" (16 bytes from byte 64) reaches past");
}

TEST(tensors_may_lie_in_any_order_and_touch) {
  const Bytes bytes = GgufBuilder()
                          .tensor_at("last", kF32, {8}, 64)
                          .tensor("first", kF32, {8}, Bytes(32))
                          .tensor("middle", kF32, {8}, Bytes(64))  // with the bytes of "last"
                          .bytes();
  CHECK_EQ(File::parse(bytes).tensors().size(), size_t{3});
}

TEST(errors_of_a_file_on_disk_begin_with_its_name) {
  const TempFolder folder;
  const auto path =
      GgufBuilder().raw("k", ValueType::kBool, {std::byte{9}}).write(folder / "m.gguf");
  CHECK_THROWS(kBad, File::open(path), "m.gguf: a bool");
  const auto old = GgufBuilder().version(1).write(folder / "old.gguf");
  CHECK_THROWS(ErrorCode::kUnsupported, File::open(old), "old.gguf: GGUF version 1");
  CHECK_THROWS(ErrorCode::kFile, File::open(folder / "absent.gguf"), "absent.gguf");
}
