// F3, emulation. Runs the blocks of a launch on the calling thread, one after the other and in
// random order: a fiber for each CUDA thread, of which one runs until it waits for others. Which of
// those that can run goes on next is drawn, too, so code that needs an order it has not asked for
// gives different results for different seeds.
//
// A mistake that hardware would answer with garbage or a hang ends the launch with a message: a
// barrier that not all threads reach, lanes of a warp in different operations, a write beyond an
// array of shared memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "cuda/emulation/vectors.h"

namespace cria::cuda::emulation {

struct Shape {
  dim3 grid, block;
  size_t dynamic_bytes = 0;  // of shared memory
};

/// Runs `thread` once for each thread of the grid. Empty, or what went wrong.
std::string run_grid(const Shape& shape, const std::function<void()>& thread);

/// Of the order of blocks and threads: CRIA_CUDA_SEED, else 1; or as it was set, for this thread.
uint64_t seed();
void set_seed(uint64_t seed);

// ---- what a kernel's built-in functions are made of; to be called within run_grid --------------

/// Ends the launch with a message.
[[noreturn]] void fault(std::string message);

/// Waits for all threads of the block.
void sync_block(const char* file, int line);

/// Waits for the lanes of `mask`, the caller's among them. The last to come calls
/// complete(lanes, mask) with the `arguments` of each lane (null where not of the mask), whose
/// stacks hold still; then all go on. `complete` is what tells one operation from another.
using Complete = void (*)(void* const* lanes, uint32_t mask);
void meet(uint32_t mask, Complete complete, void* arguments, const char* what);

/// The block's shared memory for `key`: the same for all its threads, begun with all bits set
/// (NaN in every float format), with a redzone on either side that is checked after the block.
void* shared_memory(const void* key, size_t bytes, size_t alignment);
void* dynamic_shared_memory();

/// cp.async. A copy happens when it is waited for, or at once: that is drawn. `filled` of `bytes`
/// are copied, the rest is zeroed.
void begin_copy(void* shared, const void* global, unsigned bytes, unsigned filled);
void end_copy_group();
void wait_copy_groups(unsigned left_open);

}  // namespace cria::cuda::emulation
