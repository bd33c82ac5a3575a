// The loops that find a machine's limits do the work that they are timed for.
#include "kernel_support.h"

namespace cria::test {

// All factors are 1, so the sums count the products. A tile is 2 vectors × 3 or 6 columns.
TEST(ceiling_loops_do_the_operations_that_they_report) {
  for (const Table& table : supported_tables()) {
    const cpu::Ceilings& ceilings = table.kernels->ceilings;
    const int64_t dot = ceilings.dot(1), fma = ceilings.fma(1);
    CHECK_SAY(dot >= 2 * 4 * 6, table.variant, " ", dot);
    CHECK_SAY(fma >= 2 * 12, table.variant, " ", fma);
    for (int64_t iterations : {int64_t{0}, int64_t{2}, int64_t{7}, int64_t{8}, int64_t{1001}}) {
      CHECK_EQ(ceilings.dot(iterations), dot * iterations);
      CHECK_EQ(ceilings.fma(iterations), fma * iterations);
    }
  }
}

TEST(ceiling_loops_count_exactly_as_far_as_they_may_go) {
  for (const Table& table : supported_tables()) {
    if (table.name == "scalar") continue;  // the same template, and seconds without -O3
    const cpu::Ceilings& ceilings = table.kernels->ceilings;
    CHECK_EQ(ceilings.dot(cpu::kMostCeilingIterations),
             ceilings.dot(1) * cpu::kMostCeilingIterations);
    CHECK_EQ(ceilings.fma(cpu::kMostCeilingIterations),
             ceilings.fma(1) * cpu::kMostCeilingIterations);
  }
}

// One bit anywhere is seen, and nothing outside is touched: the buffer ends at a guard page.
TEST(ceiling_reads_see_every_bit) {
  Random random(7);
  int turns = 0;
  for (int64_t bytes : {int64_t{0}, int64_t{512}, int64_t{4096}, int64_t{8704}}) {
    Guarded<std::byte> buffer(bytes, Edge::kEnd);
    for (const Table& table : supported_tables()) {
      for (bool prefetch : {false, true}) {
        const auto read = [&] {
          return table.kernels->ceilings.read(buffer.data(), bytes, 1 + turns++ % 3, prefetch);
        };
        CHECK_EQ(read(), uint64_t{0});
        for (int turn = 0; turn < 200 && bytes > 0; ++turn) {
          const int64_t at = random.integer(0, bytes - 1);
          buffer[at] = std::byte{1};
          CHECK_SAY(read() == uint64_t{1} << at % 8 * 8, table.variant, " byte ", at, " of ",
                    bytes);
          buffer[at] = std::byte{0};
        }
      }
    }
  }
}

}  // namespace cria::test
