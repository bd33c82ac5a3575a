// F3, scalar. What plain code does at most: cpu/ceiling_loops.h with one lane, as the compiler
// makes it.
#include "cpu/ceiling_loops.h"
#include "cpu/table.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

struct Lanes {
  using Ints = int32_t;
  using Floats = float;

  static Ints quad(const std::byte* p) {
    int32_t word;
    std::memcpy(&word, p, sizeof word);
    return word;
  }
  static Floats broadcast(const std::byte* p) {
    float value;
    std::memcpy(&value, p, sizeof value);
    return value;
  }
  /// sum + four neighbouring products of unsigned and signed bytes.
  template <int>
  static Ints dot(Ints sum, Ints w, Ints a) {
    for (int shift = 0; shift < 32; shift += 8)
      sum += static_cast<uint8_t>(w >> shift) * static_cast<int8_t>(a >> shift);
    return sum;
  }
  static Floats fma(Floats a, Floats b, Floats c) { return a * b + c; }
};

/// A word of the machine, for reading.
struct Word {
  using Ints = uint64_t;
  static Ints no_ints() { return 0; }
  static Ints load(const std::byte* p) {
    uint64_t word;
    std::memcpy(&word, p, sizeof word);
    return word;
  }
  static Ints either(Ints a, Ints b) { return a | b; }
};

}  // namespace

int64_t dot_ceiling(int64_t iterations) {
  return run_dots<Lanes, 3>(iterations);
}
int64_t fma_ceiling(int64_t iterations) {
  return run_fmas<Lanes, 6>(iterations);
}
uint64_t read_ceiling(const std::byte* p, int64_t bytes, int64_t times, bool prefetch) {
  return read_all<Word>(p, bytes, times, prefetch);
}

}  // namespace cria::cpu::CRIA_TABLE
