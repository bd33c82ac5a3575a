// F3, device. Draws the next token of each row with the engine's semantics (sampling/sampler.h):
// top-k, top-p, min-p, then temperature and one random number. Candidates are in the order of
// falling logits, the lower id first among equals; every stage keeps the first of them up to some
// place, so what is left is told by the last one, and no more than it takes is ever put in order.
//
//   top-k   the first k
//   top-p   the fewest whose softmax reaches p
//   min-p   logit ≥ max + log(min_p)
//   draw    the first whose weight e^((logit − max) / temperature), with all before it, exceeds
//           uniform · their sum
//
// `next` gives the candidates in order, some at a time, for two passes over the logits: each thread
// finds its best; where the n-th of the threads' bests is, at least n candidates are not worse, and
// few more as a rule; those are collected and sorted. Up to kFew candidates (top-k) are kept in
// memory, and sums go over them in order in f64, as on the host: the same bits. Without top-k the
// sum over all the vocabulary is one of f32 weights in fixed point, which no order can change.
//
// Shapes: logits [T × V], draws and ids [T]. Grid (T), 1024 threads. Bytes moved: 4V for the
// largest logit, which is all of it at temperature 0, and 8V more with top-k up to some hundreds.
#include "cuda/device/ops.h"
#include "cuda/device/ptx.h"
#include "cuda/device/sample_numbers.h"

namespace cria::cuda {
namespace {

constexpr int kThreads = 1024;
constexpr int kFew = 1024;  // candidates that are kept in memory
// Candidates that are asked for at once, at first and later, where it is not known how many it
// takes. Where logits lie in no order, −1024 · log(1 − n / 1024) are found when n are asked for:
// 137 for 128, 710 for 512.
constexpr int kChunk = 128, kMostChunk = 512;
constexpr uint64_t kNone = ~uint64_t{0};

/// A candidate as a number that rises in the order of candidates: the falling logit, then the id.
__device__ uint64_t candidate(float logit, int64_t id) {
  if (!(logit > -INFINITY)) return kNone;
  const uint32_t bits = __float_as_uint(logit + 0.0f);  // -0 becomes 0, which it equals
  const uint32_t rising = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return uint64_t{~rising} << 32 | static_cast<uint32_t>(id);
}
__device__ float logit_of(uint64_t candidate) {
  const uint32_t rising = ~static_cast<uint32_t>(candidate >> 32);
  return __uint_as_float(rising & 0x80000000u ? rising & 0x7fffffffu : ~rising);
}

struct Row {
  const float* logits;
  int64_t vocab;

  template <class Visit>
  __device__ void each(Visit visit) const {
    for (int64_t i = threadIdx.x; i < vocab; i += kThreads) visit(candidate(logits[i], i));
  }
};

struct Memory {
  uint64_t best[kThreads];   // of each thread, sorted
  uint64_t found[kThreads];  // the candidates that `next` found, in order
  uint64_t list[kFew];
  double weights[kThreads];
  unsigned long long sum;
  uint64_t place;  // of a candidate that was looked for
  double running;  // a sum that goes on from chunk to chunk
  int count;
  bool done;     // the candidates that follow are not wanted
  bool reached;  // what was looked for was found
};

/// Sorts the first `size` (a power of 2) by the network of Batcher (1968).
__device__ void sort(uint64_t* values, int size) {
  const int i = static_cast<int>(threadIdx.x);
  for (int whole = 2; whole <= size; whole *= 2)
    for (int distance = whole / 2; distance > 0; distance /= 2) {
      const int other = i ^ distance;
      if (other > i && i < size) {
        const uint64_t a = values[i], b = values[other];
        if ((a > b) == ((i & whole) == 0)) values[i] = b, values[other] = a;
      }
      __syncthreads();
    }
}

/// The first candidates behind `after`, at least one where there is one and `wanted` as a rule, to
/// memory.found. Returns how many.
__device__ int next(Memory& memory, const Row& row, uint64_t after, int wanted) {
  const int thread = static_cast<int>(threadIdx.x);
  uint64_t best = kNone;
  row.each([&](uint64_t each) {
    if (each > after && each < best) best = each;
  });
  memory.best[thread] = best;
  __syncthreads();
  sort(memory.best, kThreads);
  for (;; wanted /= 2) {  // down to 1, which finds one
    const uint64_t last = memory.best[wanted - 1];
    if (thread == 0) memory.count = 0;
    __syncthreads();
    row.each([&](uint64_t each) {
      if (each <= after || each > last || each == kNone) return;
      const int at = atomicAdd(&memory.count, 1);
      if (at < kThreads) memory.found[at] = each;
    });
    __syncthreads();
    const int count = memory.count;
    __syncthreads();
    if (count > kThreads) continue;
    int size = 1;
    while (size < count) size *= 2;
    if (thread >= count && thread < size) memory.found[thread] = kNone;
    __syncthreads();
    sort(memory.found, size);
    return count;
  }
}

/// Calls visit(count) for stretch after stretch of candidates in memory.found, until it says that
/// it has what it wants (memory.done) or there are no more. All threads see what it left.
template <class Visit>
__device__ void stream(Memory& memory, const Row& row, Visit visit) {
  if (threadIdx.x == 0) memory.done = false, memory.running = 0;
  uint64_t after = 0;
  for (int wanted = kChunk;; wanted = min(2 * wanted, kMostChunk)) {
    const int count = next(memory, row, after, wanted);
    if (count == 0) return;
    after = memory.found[count - 1];
    visit(count);
    __syncthreads();
    if (memory.done) return;
  }
}

/// memory.weights[i] = e^((logit − most) / temperature) of the candidates in `list`, as the host
/// computes it.
__device__ void weigh(Memory& memory, const uint64_t* list, int count, double most,
                      double temperature) {
  const int i = static_cast<int>(threadIdx.x);
  if (i < count)
    memory.weights[i] = portable_exp(double{logit_of(list[i])} / temperature - most / temperature);
  __syncthreads();
}

/// The sum of the weights of all candidates up to `end`. Behind a barrier, so that what was found
/// before has been read by all when the next search begins.
__device__ double weight_of_all(Memory& memory, const Row& row, uint64_t end, float most,
                                float temperature) {
  constexpr float kOne = 0x1p40f;
  if (threadIdx.x == 0) memory.sum = 0;
  __syncthreads();
  const float rate = 1.44269504f / temperature;
  unsigned long long sum = 0;
  row.each([&](uint64_t each) {
    if (each <= end && each != kNone)
      sum += static_cast<unsigned long long>(fast_exp2((logit_of(each) - most) * rate) * kOne);
  });
  for (int other = kWarp / 2; other > 0; other /= 2) sum += __shfl_xor_sync(kAllLanes, sum, other);
  if (threadIdx.x % kWarp == 0) atomicAdd(&memory.sum, sum);
  __syncthreads();
  return static_cast<double>(memory.sum) / kOne;
}

/// The last candidate of min-p: whatever has this logit or more.
__device__ uint64_t end_of_min_p(float share, float most) {
  if (!(share > 0)) return kNone - 1;
  const double least = most + portable_log(share);
  auto logit = static_cast<float>(least);
  if (double{logit} < least) {  // the next one up
    const uint32_t bits = __float_as_uint(logit);
    logit = logit == 0       ? __uint_as_float(1)
            : bits >> 31 & 1 ? __uint_as_float(bits - 1)
                             : __uint_as_float(bits + 1);
  }
  return candidate(logit, 0) | 0xffffffffu;
}

/// Of a list in order: how many top-p leaves, and what is drawn of those that all stages leave. One
/// thread adds, as the host does.
__device__ void draw_of_list(Memory& memory, int count, const CriaCudaDraw& draw, float most) {
  if (draw.top_p < 1) weigh(memory, memory.list, count, most, 1);
  if (threadIdx.x == 0) {
    int kept = count;
    if (draw.top_p < 1) {
      double sum = 0, mass = 0;
      for (int i = 0; i < count; ++i) sum += memory.weights[i];
      for (kept = 0; kept < count && mass < draw.top_p; ++kept) mass += memory.weights[kept] / sum;
    }
    const uint64_t end = end_of_min_p(draw.min_p, most);
    while (kept > 1 && memory.list[kept - 1] > end) --kept;
    memory.count = kept;
  }
  __syncthreads();
  const int kept = memory.count;
  weigh(memory, memory.list, kept, most, draw.temperature);
  if (threadIdx.x != 0) return;
  double sum = 0;
  for (int i = 0; i < kept; ++i) sum += memory.weights[i];
  double left = draw.uniform * sum;
  memory.place = memory.list[0];  // where rounding eats the last of the mass
  for (int i = 0; i < kept; ++i) {
    if (left < memory.weights[i]) {
      memory.place = memory.list[i];
      break;
    }
    left -= memory.weights[i];
  }
}

/// memory.place = the candidate with which `reached` first holds of the running sum of weights, or
/// the last one up to `end`.
template <class Reached>
__device__ void find_place(Memory& memory, const Row& row, uint64_t end, float most,
                           double temperature, Reached reached) {
  if (threadIdx.x == 0) memory.reached = false;
  stream(memory, row, [&](int count) {
    weigh(memory, memory.found, count, most, temperature);
    if (threadIdx.x != 0) return;
    for (int i = 0; i < count && !memory.done; ++i) {
      if (memory.found[i] > end) {
        memory.done = true;
        break;
      }
      memory.running += memory.weights[i];
      memory.place = memory.found[i];
      memory.done = memory.reached = reached(memory.running);
    }
  });
}

/// The k-th candidate.
__device__ uint64_t end_of_top_k(Memory& memory, const Row& row, int k) {
  stream(memory, row, [&](int count) {
    if (threadIdx.x != 0) return;
    const int before = static_cast<int>(memory.running);
    if (before + count >= k) {
      memory.place = memory.found[k - before - 1];
      memory.done = true;
    }
    memory.running += count;
  });
  return memory.done ? memory.place : kNone - 1;
}

/// Without a list: more candidates than are kept in memory may be left.
__device__ void draw_of_all(Memory& memory, const Row& row, const CriaCudaDraw& draw,
                            uint64_t best) {
  const float most = logit_of(best);
  uint64_t end = kNone - 1;
  if (draw.top_k > 0 && draw.top_k < row.vocab) end = end_of_top_k(memory, row, draw.top_k);
  if (draw.top_p < 1) {
    const double wanted = draw.top_p * weight_of_all(memory, row, end, most, 1);
    find_place(memory, row, end, most, 1, [&](double mass) { return !(mass < wanted); });
    end = memory.place;
  }
  const uint64_t last = end_of_min_p(draw.min_p, most);
  if (last < end) end = last;
  const double wanted = draw.uniform * weight_of_all(memory, row, end, most, draw.temperature);
  find_place(memory, row, end, most, draw.temperature, [&](double mass) { return wanted < mass; });
  // As on the host, where rounding eats the last of the mass.
  if (threadIdx.x == 0 && !memory.reached) memory.place = best;
}

/// The first candidate; in every thread.
__device__ uint64_t best_of_all(Memory& memory, const Row& row) {
  uint64_t best = kNone;
  row.each([&](uint64_t each) { best = each < best ? each : best; });
  for (int other = kWarp / 2; other > 0; other /= 2) {
    const uint64_t theirs = __shfl_xor_sync(kAllLanes, best, other);
    best = theirs < best ? theirs : best;
  }
  if (threadIdx.x % kWarp == 0) memory.best[threadIdx.x / kWarp] = best;
  __syncthreads();
  for (int i = 0; i < kThreads / kWarp; ++i) best = memory.best[i] < best ? memory.best[i] : best;
  __syncthreads();
  return best;
}

__global__ void __launch_bounds__(kThreads, 1) sample_kernel(CriaCudaSample a) {
  Memory& memory = shared<Memory>();
  const Row row{a.logits + blockIdx.x * a.vocab, a.vocab};
  const CriaCudaDraw draw = a.draws[blockIdx.x];
  const uint64_t best = best_of_all(memory, row);
  const float most = best == kNone ? INFINITY : logit_of(best);
  const bool possible = most < INFINITY;
  if (!possible || draw.temperature == 0) {
    if (threadIdx.x == 0) a.ids[blockIdx.x] = possible ? static_cast<int32_t>(best) : -1;
    return;
  }
  if (draw.top_k > 0 && draw.top_k <= kFew) {
    uint64_t after = 0;
    int have = 0;
    while (have < draw.top_k) {
      const int wanted = draw.top_k - have < kChunk ? draw.top_k - have : kChunk;
      const int count = next(memory, row, after, wanted);
      if (count == 0) break;
      after = memory.found[count - 1];
      const int taken = count < draw.top_k - have ? count : draw.top_k - have;
      const int i = static_cast<int>(threadIdx.x);
      if (i < taken) memory.list[have + i] = memory.found[i];
      have += taken;
      __syncthreads();
    }
    draw_of_list(memory, have, draw, most);
  } else {
    draw_of_all(memory, row, draw, best);
  }
  if (threadIdx.x == 0) a.ids[blockIdx.x] = static_cast<int32_t>(memory.place);
}

}  // namespace

uint64_t sample_scratch(CriaCuda*, int64_t, int64_t) {
  return 0;
}

int sample(CriaCuda* cuda, const CriaCudaSample* sample) {
  return launch(sample_kernel, static_cast<unsigned>(sample->rows), kThreads, 0, cuda->stream,
                *sample);
}

}  // namespace cria::cuda
