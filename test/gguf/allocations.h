// Counts what the test program allocates, to bound what a hostile header can cost.
#pragma once

#include <cstddef>

namespace cria::test {

/// Bytes asked of `operator new` since the last call of `reset_allocations`.
size_t allocated_bytes();
void reset_allocations();

}  // namespace cria::test
