// Packed weights: their size, their packing in pieces, and rows of them (embed).
#include <limits>

#include "cuda/products.h"

using namespace cria;
using namespace cria::test_cuda;

namespace {

uint32_t id(DType type) {
  return static_cast<uint32_t>(type);
}

/// Rows of a packed table, by their numbers.
std::vector<float> embed(OpenDevice& device, const PackedWeight& table,
                         const std::vector<int32_t>& ids) {
  const DeviceArray<int32_t> on_device(device, ids);
  CriaCudaStep values{};
  values.ids = on_device.data();
  const DeviceArray<CriaCudaStep> step(device, std::vector<CriaCudaStep>{values});
  const DeviceArray<float> out(device, ids.size() * static_cast<size_t>(table.file().cols));
  CHECK_EQ(cuda::embed(device, step.data(), table.weight(), static_cast<int64_t>(ids.size()),
                       out.data()),
           0);
  device.wait();
  return out.values();
}

TEST(project_pack_takes_as_much_memory_as_the_file) {
  const DType fast[] = {DType::kF32,  DType::kF16,  DType::kBF16, DType::kQ8_0,
                        DType::kQ4_0, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K};
  for (const DType type : fast) {  // and a factor for each row
    CHECK_EQ(cuda::weight_bytes(id(type), 4096, 11008),
             static_cast<uint64_t>(4096 * (row_bytes(type, 11008) + 4)));
  }
  for (const DType type : kAllTypes) {
    const uint64_t bytes = cuda::weight_bytes(id(type), 65, 256);
    CHECK_EQ(bytes % 256, 0u);
    CHECK(bytes >= static_cast<uint64_t>(128 * row_bytes(type, 256)));
  }
  CHECK_EQ(cuda::weight_bytes(15, 64, 256), 0u);  // Q8_K
  CHECK_EQ(cuda::weight_bytes(4711, 64, 256), 0u);
}

TEST(project_pack_in_pieces_is_pack_at_once) {
  OpenDevice device;
  for (const DType type : kAllTypes) {
    const FileWeight file(type, 200, 512, id(type));
    const PackedWeight whole(device, file), pieces(device, file, 64), halves(device, file, 128);
    CHECK_SAY(whole.bytes() == pieces.bytes(), dtype_info(type).name);
    CHECK_SAY(whole.bytes() == halves.bytes(), dtype_info(type).name);
  }
}

TEST(project_pack_refuses_what_it_cannot_place) {
  OpenDevice device;
  const DeviceArray<uint8_t> memory(device, cuda::weight_bytes(id(DType::kQ8_0), 200, 256));
  const auto pack = [&](DType type, int64_t first, int64_t count) {
    return cuda::pack_weight(device, id(type), 200, 256, first, count, memory.data(),
                             memory.data());
  };
  CHECK(pack(DType::kQ8_0, 32, 64) != 0);    // begins within a tile
  CHECK(pack(DType::kQ8_0, 64, 63) != 0);    // ends within one
  CHECK(pack(DType::kQ8_0, 128, 128) != 0);  // beyond the weight
  CHECK(pack(static_cast<DType>(15), 0, 64) != 0);
  CHECK_EQ(pack(DType::kQ8_0, 64, 0), 0);
}

/// The largest difference from the file's row in units of its largest weight.
double distance(const std::vector<float>& row, const float* got) {
  double most = 0, error = 0;
  for (size_t k = 0; k < row.size(); ++k) {
    most = std::max(most, std::abs(double{row[k]}));
    error = std::max(error, std::abs(double{row[k]} - got[k]));
  }
  return error / most;
}

/// Of weights in f16, whose scales are in f16. Half a step (2^-11) each for the scale and for the
/// product; with a minimum, that and the product it is added to are twice the largest weight at
/// most.
double allowed_distance(DType type) {
  switch (type) {
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
      return 0;
    case DType::kQ4_1:
    case DType::kQ5_1:
    case DType::kQ2_K:
    case DType::kQ4_K:
    case DType::kQ5_K:
      return 0x1p-9;
    default:
      return 0x1p-10;
  }
}

void check_embed(OpenDevice& device, const FileWeight& file, const std::vector<int32_t>& ids) {
  const PackedWeight table(device, file);
  const std::vector<float> out = embed(device, table, ids);
  const double allowed = allowed_distance(file.type);
  for (size_t t = 0; t < ids.size(); ++t) {
    const std::vector<float> row = file.row(ids[t]);
    const double apart = distance(row, out.data() + t * static_cast<size_t>(file.cols));
    CHECK_SAY(apart <= allowed, dtype_info(file.type).name, ", ", file.cols, " columns, row ",
              ids[t], ": ", apart);
  }
}

TEST(project_embed_is_the_dequantized_row) {
  OpenDevice device;
  for (const DType type : kAllTypes) {
    const auto block = static_cast<int64_t>(dtype_info(type).block_weights);
    check_embed(device, FileWeight(type, 130, 512, id(type)),
                {0, 1, 7, 8, 15, 16, 63, 64, 129, 64});
    if (block <= 32) check_embed(device, FileWeight(type, 17, 288, id(type)), {16, 9, 0});
    if (block == 1) check_embed(device, FileWeight(type, 5, 31, id(type)), {4, 2});
  }
  // More tiles than one block has.
  check_embed(device, FileWeight(DType::kQ4_K, 3, 9216, 5), {2, 0});
}

/// Each row of a size of its own, down to where f16 has few bits or none.
TEST(project_embed_keeps_rows_of_any_size) {
  OpenDevice device;
  for (const DType type : {DType::kQ4_K, DType::kQ6_K, DType::kQ2_K, DType::kBF16, DType::kF16}) {
    const int64_t rows = 16, cols = 256;
    std::vector<float> values = normal_floats(static_cast<size_t>(rows * cols), 3);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] *= std::ldexp(1.0f, static_cast<int>(i / 256) - 12);
    if (type == DType::kBF16)
      for (size_t i = 0; i < values.size(); ++i)
        values[i] *= std::ldexp(1.0f, static_cast<int>(i / 256) * 8 - 60);
    check_embed(device, FileWeight(type, rows, cols, values), {0, 1, 4, 8, 12, 15});
  }
}

/// Blocks of any bytes: every code and every scale of sub-blocks has its place.
TEST(project_embed_of_random_blocks) {
  OpenDevice device;
  std::mt19937 random(9);
  for (const DType type : kAllTypes) {
    const DTypeInfo& info = dtype_info(type);
    if (info.block_weights == 1) continue;
    FileWeight file(type, 64, 512, 1);
    const std::vector<uint8_t> valid = file.blocks;
    for (uint8_t& byte : file.blocks) byte = static_cast<uint8_t>(random());
    // Where d, m, dmin lie: as in the blocks that were encoded, so that they are of some sense.
    const size_t bytes = info.block_bytes;
    const bool at_end = type == DType::kQ2_K || type == DType::kQ3_K || type == DType::kQ6_K;
    const bool two = type == DType::kQ4_1 || type == DType::kQ5_1 || type == DType::kQ2_K ||
                     type == DType::kQ4_K || type == DType::kQ5_K;
    const size_t scales = two ? 4 : 2;
    for (size_t at = 0; at < valid.size(); at += bytes)
      std::memcpy(&file.blocks[at + (at_end ? bytes - scales : 0)],
                  &valid[at + (at_end ? bytes - scales : 0)], scales);
    check_embed(device, file, {0, 8, 17, 33, 63});
  }
}

}  // namespace
