// The table of tensor types.
#include "quant/dtype.h"

#include <set>
#include <string>

#include "quant/blocks.h"
#include "quant/formats.h"
#include "support/check.h"

using namespace cria;

TEST(every_id_of_the_format_is_known_by_its_name) {
  const std::pair<uint32_t, const char*> known[] = {
      {0, "F32"},     {1, "F16"},       {2, "Q4_0"},   {4, "Q4_2"},     {8, "Q8_0"},
      {9, "Q8_1"},    {12, "Q4_K"},     {15, "Q8_K"},  {16, "IQ2_XXS"}, {18, "IQ3_XXS"},
      {20, "IQ4_NL"}, {23, "IQ4_XS"},   {24, "I8"},    {28, "F64"},     {29, "IQ1_M"},
      {30, "BF16"},   {31, "Q4_0_4_4"}, {34, "TQ1_0"}, {39, "MXFP4"},
  };
  for (const auto& [id, name] : known) {
    CHECK(find_dtype(id) != nullptr);
    CHECK_EQ(find_dtype(id)->id, id);
    CHECK_EQ(std::string(find_dtype(id)->name), name);
  }
}

TEST(ids_beyond_the_format_are_unknown) {
  uint32_t id = 0;
  std::set<std::string> names;
  for (; find_dtype(id); ++id) {
    CHECK(find_dtype(id)->block_weights > 0);
    CHECK(find_dtype(id)->block_bytes > 0);
    CHECK(names.insert(find_dtype(id)->name).second);
  }
  CHECK_EQ(id, 43u);
  for (const uint32_t beyond : {id, id + 1, 1000u, 0x7fffffffu, 0x80000000u, 0xffffffffu})
    CHECK(find_dtype(beyond) == nullptr);
}

TEST(exactly_the_types_of_the_enum_are_computed) {
  std::set<uint32_t> computed;
  for (uint32_t id = 0; find_dtype(id); ++id)
    if (find_dtype(id)->computed) computed.insert(id);
  std::set<uint32_t> expected;
  for (const DType type : test::computed_types()) expected.insert(static_cast<uint32_t>(type));
  CHECK(computed == expected);
  CHECK_EQ(*computed.rbegin() + 1, kDTypeTableSize);
}

TEST(block_sizes_are_those_of_the_formats) {
  for (const test::Format& format : test::formats()) {
    CHECK_EQ(dtype_info(format.type).block_weights, static_cast<uint32_t>(format.weights));
    CHECK_EQ(dtype_info(format.type).block_bytes, static_cast<uint32_t>(format.bytes));
  }
  CHECK_EQ(dtype_info(DType::kF32).block_bytes, 4u);
  CHECK_EQ(dtype_info(DType::kF16).block_bytes, 2u);
  CHECK_EQ(dtype_info(DType::kBF16).block_bytes, 2u);
  CHECK_EQ(sizeof(BlockQ4_K) * 2, static_cast<size_t>(row_bytes(DType::kQ4_K, 512)));
  CHECK_EQ(row_bytes(DType::kQ8_0, 4096), int64_t{4352});
  CHECK_EQ(row_bytes(DType::kF32, 3), int64_t{12});
  CHECK_EQ(row_bytes(DType::kQ6_K, 0), int64_t{0});
}

TEST(facts_of_a_type_that_is_not_computed_are_refused) {
  CHECK_THROWS(ErrorCode::kUnsupported, dtype_info(static_cast<DType>(39)), "MXFP4");
  CHECK_THROWS(ErrorCode::kUnsupported, dtype_info(static_cast<DType>(1000)), "1000");
}
