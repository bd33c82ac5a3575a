// F3, avx2 and avx_vnni. What the machine does at most with these instructions:
// cpu/ceiling_loops.h.
#include "cpu/ceiling_loops.h"
#include "cpu/table.h"
#include "lanes.h"

namespace cria::cpu::CRIA_TABLE {

int64_t dot_ceiling(int64_t iterations) {
  return run_dots<Lanes, kCeilingColumns>(iterations);
}
int64_t fma_ceiling(int64_t iterations) {
  return run_fmas<Lanes, 6>(iterations);
}
uint64_t read_ceiling(const std::byte* p, int64_t bytes, int64_t times, bool prefetch) {
  return read_all<Lanes>(p, bytes, times, prefetch);
}

}  // namespace cria::cpu::CRIA_TABLE
