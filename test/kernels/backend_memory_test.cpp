// The CPU backend's memory, what it imports, and the choice of its table.
#include "backend/backend.h"

#include <atomic>

#include "cpu/cpu_backend.h"
#include "kernel_support.h"

namespace cria::test {
namespace {

std::unique_ptr<Backend> backend(std::string_view table, int threads) {
  auto made = cpu::make_backend({threads, std::string(table)});
  made->reserve(64, 2048);
  return made;
}

}  // namespace

TEST(backend_imports_only_what_it_computes) {
  auto cpu = backend("", 1);
  const std::byte data[64] = {};
  CHECK_THROWS(ErrorCode::kUnsupported,
               cpu->import_weight(static_cast<DType>(4), 1, 32, data, nullptr), "4");
  CHECK_THROWS(ErrorCode::kUnsupported,
               cpu->import_weight(static_cast<DType>(999), 1, 32, data, nullptr), "999");
  CHECK_THROWS(ErrorCode::kBadArgument, cpu->import_weight(DType::kQ4_0, 1, 33, data, nullptr),
               "32");
  CHECK_THROWS(ErrorCode::kBadArgument, cpu->import_weight(DType::kQ4_0, 0, 32, data, nullptr),
               "[0×32]");
  CHECK_THROWS(ErrorCode::kBadArgument, cpu->import_weight(DType::kQ4_0, 1, 32, nullptr, nullptr),
               "without");
}

// Blocks that are copied out of a file give the same panels as blocks that lie in memory, whatever
// the threads and stretches: rows of 2 to 600 KB, and numbers of rows that fill no panel.
TEST(backend_packs_copied_blocks_as_those_in_memory) {
  Random random(7);
  const std::pair<int64_t, int64_t> shapes[] = {
      {1, 2048}, {33, 2048}, {1000, 512}, {40, 65536 * 2}};
  for (const DType type : {DType::kQ4_0, DType::kQ6_K, DType::kF32}) {
    for (const auto& [rows, cols] : shapes) {
      std::vector<std::byte> bytes(static_cast<size_t>(rows * row_bytes(type, cols)));
      for (std::byte& b : bytes) b = static_cast<std::byte>(random.integer(0, 255));
      for (const int threads : {1, 3}) {
        const auto cpu = cpu::make_backend({threads, "scalar"});
        const auto size = cpu->weight_bytes(type, rows, cols);
        const auto plain = cpu->allocate(size), copied = cpu->allocate(size);
        cpu->import_weight(type, rows, cols, bytes.data(), plain->data());

        std::vector<std::byte> elsewhere(bytes.size());  // where the blocks seem to lie
        std::atomic<size_t> total{0};
        Blocks blocks(elsewhere.data());
        blocks.copy = [&](std::span<const std::byte> from, std::byte* to) {
          std::memcpy(to, bytes.data() + (from.data() - elsewhere.data()), from.size());
          total += from.size();
        };
        cpu->import_weight(type, rows, cols, blocks, copied->data());
        CHECK_EQ(total.load(), bytes.size());
        CHECK_SAY(std::memcmp(plain->data(), copied->data(), size) == 0, dtype_info(type).name, " ",
                  rows, " × ", cols, " on ", threads, " threads");
      }
    }
  }
}

TEST(backend_memory_is_zeroed_and_its_lack_is_an_error) {
  auto cpu = backend("", 1);
  const auto memory = cpu->allocate(100000);
  CHECK_EQ(memory->bytes(), size_t{100000});
  CHECK_EQ(reinterpret_cast<uintptr_t>(memory->data()) % 64, uintptr_t{0});
  const auto* bytes = static_cast<const char*>(memory->data());
  CHECK(std::all_of(bytes, bytes + 100000, [](char b) { return b == 0; }));
  CHECK(cpu->allocate(0)->data() != nullptr);
  CHECK_THROWS(ErrorCode::kOutOfMemory, cpu->allocate(size_t{1} << 60), "1048576.0 TiB of memory");
  char from[5] = "abcd", to[5] = "";
  cpu->upload(memory->data(), from, 5);
  cpu->download(to, memory->data(), 5);
  CHECK_EQ(std::string(to), "abcd");
  CHECK(cpu->scratch_bytes(64, 2048) >= 64 * 2 * 2048);
}

TEST(backend_tables_can_be_forced_by_name) {
  CHECK(!cpu::tables().empty());
  CHECK_EQ(cpu::tables().back().name, "scalar");
  CHECK_EQ(cpu::selected_table("scalar").variant, "scalar");
  CHECK_EQ(cpu::selected_table("").variant, std::string(supported_tables().front().variant));
  for (const Table& table : supported_tables())
    CHECK_EQ(cpu::selected_table(table.variant).variant, std::string(table.variant));
  CHECK_THROWS(ErrorCode::kBadArgument, cpu::selected_table("mmx"), "this build has");
  for (const cpu::TableInfo& table : cpu::tables())
    if (!table.supported)
      CHECK_THROWS(ErrorCode::kUnsupported, cpu::selected_table(table.variant), "it runs");
  CHECK_THROWS(ErrorCode::kBadArgument, cpu::make_backend({257, ""}), "257");
  CHECK_THROWS(ErrorCode::kBadArgument, cpu::make_backend({-1, ""}), "-1");
  CHECK(cpu::default_threads() >= 1);
}

}  // namespace cria::test
