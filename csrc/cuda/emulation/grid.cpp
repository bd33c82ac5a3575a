#include "cuda/emulation/grid.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cuda/emulation/fiber.h"
#include "cuda/emulation/shared_arena.h"

constinit thread_local uint3 threadIdx{}, blockIdx{};
constinit thread_local dim3 blockDim{}, gridDim{};

namespace cria::cuda::emulation {
namespace {

constexpr unsigned kWarp = 32, kMaxThreads = 1024;

/// xorshift64* (Vigna 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u | 1) {}
  uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1du >> 16;
  }
  /// Of n < 2^32.
  size_t below(size_t n) { return (next() & 0xffffffffu) * n >> 32; }

 private:
  uint64_t state_;
};

struct Copy {
  void* to;
  const void* from;
  unsigned bytes, filled;
  void run() const {
    std::memcpy(to, from, filled);
    std::memset(static_cast<char*>(to) + filled, 0, bytes - filled);
  }
};

struct Thread {
  Fiber fiber;
  uint3 index{};
  unsigned number = 0;
  enum { kReady, kAtBarrier, kInWarp, kDone } state = kReady;
  const char* file = nullptr;  // of the barrier it waits at
  int line = 0;
  const char* what = nullptr;  // the warp operation it waits in
  std::vector<Copy> copies;
  std::vector<size_t> groups;  // where each group of copies ends
};

/// Lanes that meet in one operation.
struct Meeting {
  uint32_t mask = 0, arrived = 0;
  Complete complete = nullptr;
  const char* what = nullptr;
  void* lanes[kWarp] = {};
};

/// A block of threads; its stacks serve one block after the other.
class Block {
 public:
  std::string run(const Shape& shape, const std::function<void()>& thread, uint3 index,
                  Random& random);

  [[noreturn]] void fault(std::string message);
  void sync(const char* file, int line);
  void meet(uint32_t mask, Complete complete, void* arguments, const char* what);
  SharedArena& shared() { return shared_; }
  Thread& current() { return *current_; }
  Random& random() { return *random_; }

 private:
  static void run_thread(void* block);
  void order_warps();
  size_t draw_ready();
  void wake(Thread& thread);
  std::string deadlock() const;

  std::vector<std::unique_ptr<Thread>> threads_;  // as many as any block had
  unsigned count_ = 0, waiting_ = 0, done_ = 0;
  unsigned draws_ = 1;                // of ready threads, of which the first warp's goes on
  std::vector<unsigned> warp_order_;  // rank of each warp
  std::vector<Thread*> ready_;
  std::vector<std::vector<Meeting>> meetings_;  // of each warp
  Thread* current_ = nullptr;
  const std::function<void()>* body_ = nullptr;
  Random* random_ = nullptr;
  SharedArena shared_;
  std::optional<std::string> fault_;
};

thread_local Block* running = nullptr;

Block& block() {
  if (!running) fail(ErrorCode::kBackend, "a function of CUDA kernels was called outside of one");
  return *running;
}

std::string Block::run(const Shape& shape, const std::function<void()>& body, uint3 index,
                       Random& random) {
  count_ = shape.block.x * shape.block.y * shape.block.z;
  waiting_ = done_ = 0;
  body_ = &body;
  random_ = &random;
  fault_.reset();
  ready_.clear();
  meetings_.assign((count_ + kWarp - 1) / kWarp, {});
  shared_.reset(shape.dynamic_bytes);
  while (threads_.size() < count_) threads_.push_back(std::make_unique<Thread>());
  for (unsigned i = 0; i < count_; ++i) {
    Thread& thread = *threads_[i];
    thread.index = {i % shape.block.x, i / shape.block.x % shape.block.y,
                    i / (shape.block.x * shape.block.y)};
    thread.number = i;
    thread.copies.clear();
    thread.groups.clear();
    thread.fiber.begin(run_thread, this);
    wake(thread);
  }
  blockDim = shape.block;
  gridDim = shape.grid;
  blockIdx = index;
  order_warps();
  while (!ready_.empty()) {
    const size_t at = draw_ready();
    current_ = ready_[at];
    ready_[at] = ready_.back();
    ready_.pop_back();
    threadIdx = current_->index;
    current_->fiber.enter();
    if (fault_) return *fault_;
  }
  return done_ == count_ ? shared_.check() : deadlock();
}

void Block::run_thread(void* self) {
  auto* block = static_cast<Block*>(self);
  (*block->body_)();
  Thread& thread = *block->current_;
  thread.state = Thread::kDone;
  ++block->done_;
  thread.fiber.finish();
}

/// Where all threads are as likely, none gets far ahead of the others. So in every second block
/// some warps are preferred.
void Block::order_warps() {
  draws_ = random_->below(2) == 0 ? 1 : 8;
  warp_order_.resize((count_ + kWarp - 1) / kWarp);
  std::iota(warp_order_.begin(), warp_order_.end(), 0u);
  for (size_t i = warp_order_.size(); i > 1; --i)
    std::swap(warp_order_[i - 1], warp_order_[random_->below(i)]);
}

size_t Block::draw_ready() {
  const auto rank = [this](size_t at) { return warp_order_[ready_[at]->number / kWarp]; };
  size_t best = random_->below(ready_.size());
  for (unsigned i = 1; i < draws_; ++i) {
    const size_t other = random_->below(ready_.size());
    if (rank(other) < rank(best)) best = other;
  }
  return best;
}

void Block::wake(Thread& thread) {
  thread.state = Thread::kReady;
  ready_.push_back(&thread);
}

void Block::fault(std::string message) {
  {  // nobody destroys what is left on this stack
    const std::string taken = std::move(message);
    fault_ = cat("thread ", current_->number, ": ", taken);
  }
  current_->fiber.finish();
}

void Block::sync(const char* file, int line) {
  Thread& thread = *current_;
  thread.file = file;
  thread.line = line;
  if (++waiting_ < count_) {
    thread.state = Thread::kAtBarrier;
    thread.fiber.leave();
    return;
  }
  waiting_ = 0;
  for (unsigned i = 0; i < count_; ++i) {
    Thread& other = *threads_[i];
    if (other.line != line || std::strcmp(other.file, file) != 0)
      fault(cat("__syncthreads at ", file, ":", line, " meets thread ", i, " at ", other.file, ":",
                other.line));
    if (&other != &thread) wake(other);
  }
}

void Block::meet(uint32_t mask, Complete complete, void* arguments, const char* what) {
  Thread& thread = *current_;
  const unsigned lane = thread.number % kWarp, warp = thread.number / kWarp;
  if (!(mask >> lane & 1)) fault(cat(what, ": lane ", lane, " is not in its own mask"));
  std::vector<Meeting>& open = meetings_[warp];
  size_t at = 0;
  while (at < open.size() && open[at].mask != mask) ++at;
  if (at == open.size()) {
    open.emplace_back();
    open[at].mask = mask;
    open[at].complete = complete;
    open[at].what = what;
  }
  if (open[at].complete != complete)
    fault(cat("lane ", lane, " is in ", what, ", others of its warp in ", open[at].what));
  open[at].arrived |= 1u << lane;
  open[at].lanes[lane] = arguments;
  if (open[at].arrived != mask) {
    thread.state = Thread::kInWarp;
    thread.what = what;
    thread.fiber.leave();
    return;
  }
  const Meeting meeting = open[at];
  open.erase(open.begin() + static_cast<std::ptrdiff_t>(at));
  complete(meeting.lanes, mask);
  for (unsigned i = 0; i < kWarp; ++i)
    if ((mask >> i & 1) && i != lane) wake(*threads_[warp * kWarp + i]);
}

std::string Block::deadlock() const {
  for (unsigned i = 0; i < count_; ++i) {
    const Thread& thread = *threads_[i];
    if (thread.state == Thread::kInWarp)
      return cat("thread ", i, " waits in ", thread.what, " for lanes that do not come (", done_,
                 " threads have left the kernel, ", waiting_, " are at a barrier)");
  }
  for (unsigned i = 0; i < count_; ++i) {
    const Thread& thread = *threads_[i];
    if (thread.state == Thread::kAtBarrier)
      return cat(waiting_, " threads wait at __syncthreads (thread ", i, ": ", thread.file, ":",
                 thread.line, "), ", done_, " have left the kernel");
  }
  return "threads wait for nothing";
}

thread_local std::optional<uint64_t> own_seed;

}  // namespace

uint64_t seed() {
  if (own_seed) return *own_seed;
  const char* set = std::getenv("CRIA_CUDA_SEED");
  return set ? std::strtoull(set, nullptr, 10) : 1;
}

void set_seed(uint64_t seed) {
  own_seed = seed;
}

std::string run_grid(const Shape& shape, const std::function<void()>& thread) {
  const uint64_t threads = uint64_t{shape.block.x} * shape.block.y * shape.block.z;
  const uint64_t blocks = uint64_t{shape.grid.x} * shape.grid.y * shape.grid.z;
  if (threads == 0 || threads > kMaxThreads || threads % kWarp != 0)
    return cat("a block of ", threads, " threads; expected whole warps, up to ", kMaxThreads);
  if (blocks == 0) return "a grid without blocks";
  thread_local Block block;
  Random random(seed());
  // Blocks in the order first, first + step, … modulo their number, which the step has no common
  // factor with.
  uint64_t step = 1 + random.below(blocks), at = random.below(blocks);
  while (std::gcd(step, blocks) != 1) ++step;
  running = &block;
  std::string wrong;
  for (uint64_t i = 0; i < blocks && wrong.empty(); ++i, at = (at + step) % blocks) {
    const uint3 index{static_cast<unsigned>(at % shape.grid.x),
                      static_cast<unsigned>(at / shape.grid.x % shape.grid.y),
                      static_cast<unsigned>(at / shape.grid.x / shape.grid.y)};
    wrong = block.run(shape, thread, index, random);
    if (!wrong.empty()) wrong = cat("block (", index.x, ", ", index.y, ", ", index.z, "), ", wrong);
  }
  running = nullptr;
  return wrong;
}

void fault(std::string message) {
  block().fault(std::move(message));
}
void sync_block(const char* file, int line) {
  block().sync(file, line);
}
void meet(uint32_t mask, Complete complete, void* arguments, const char* what) {
  block().meet(mask, complete, arguments, what);
}
void* shared_memory(const void* key, size_t bytes, size_t alignment) {
  void* memory = block().shared().at(key, bytes, alignment);
  if (!memory) fault(cat("no room for ", bytes, " bytes of shared memory"));
  return memory;
}
void* dynamic_shared_memory() {
  return block().shared().dynamic();
}

void begin_copy(void* shared, const void* global, unsigned bytes, unsigned filled) {
  if (reinterpret_cast<uintptr_t>(shared) % bytes != 0 ||
      reinterpret_cast<uintptr_t>(global) % bytes != 0)
    fault(cat("cp.async of ", bytes, " bytes at an address that is not a multiple of it"));
  if (!block().shared().has(shared, bytes)) fault("cp.async to memory that is not shared");
  const Copy copy{shared, global, bytes, filled};
  if (block().random().below(4) == 0) return copy.run();
  block().current().copies.push_back(copy);
}

void end_copy_group() {
  block().current().groups.push_back(block().current().copies.size());
}

void wait_copy_groups(unsigned left_open) {
  Thread& thread = block().current();
  if (thread.groups.size() <= left_open) return;
  const size_t closed = thread.groups.size() - left_open, end = thread.groups[closed - 1];
  for (size_t i = 0; i < end; ++i) thread.copies[i].run();
  thread.copies.erase(thread.copies.begin(),
                      thread.copies.begin() + static_cast<std::ptrdiff_t>(end));
  thread.groups.erase(thread.groups.begin(),
                      thread.groups.begin() + static_cast<std::ptrdiff_t>(closed));
  for (size_t& group : thread.groups) group -= end;
}

}  // namespace cria::cuda::emulation
