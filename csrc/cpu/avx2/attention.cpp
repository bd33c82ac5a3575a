// F3, avx2. Attention (cpu/attention_tile.h) on vectors of 8 floats.
#include "cpu/attention_tile.h"

#include "cpu/table.h"
#include "exp.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

struct Simd {
  using Vec = __m256;
  using Ints = __m256i;
  static constexpr int kLanes = cpu::kLanes;
  static constexpr int kRows = 4;

  static Vec zero() { return _mm256_setzero_ps(); }
  static Vec all(float x) { return _mm256_set1_ps(x); }
  static Vec pair(float x0, float x1) { return _mm256_setr_ps(x0, x1, x0, x1, x0, x1, x0, x1); }
  static float lane0(Vec v) { return _mm256_cvtss_f32(v); }
  static float lane1(Vec v) { return _mm256_cvtss_f32(_mm256_movehdup_ps(v)); }
  static Vec load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, Vec v) { _mm256_storeu_ps(p, v); }
  static Vec load_first(const float* p, int n) { return cpu::load_first(p, n); }
  static void store_first(float* p, Vec v, int n) { cpu::store_first(p, v, n); }
  static Vec keep_first(Vec v, int n, float other) {
    return _mm256_blendv_ps(all(other), v, _mm256_castsi256_ps(first_lanes(n)));
  }

  static Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
  static Vec sub(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
  static Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
  static Vec div(Vec a, Vec b) { return _mm256_div_ps(a, b); }
  static Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
  static Vec larger(Vec a, Vec b) { return _mm256_max_ps(a, b); }
  static float sum(Vec v) { return sum_lanes(v); }
  static float most(Vec v) { return largest_lane(v); }
  static Vec exp2(Vec x) { return exp2_lanes(x); }

  static Vec halves(const uint16_t* p) { return _mm256_cvtph_ps(load128(p)); }
  static Vec halves(const uint16_t* p, int n) {
    if (n >= kLanes) return halves(p);
    alignas(16) uint16_t first[kLanes] = {};
    for (int i = 0; i < n; ++i) first[i] = p[i];
    return halves(first);
  }
  static Vec bytes(const int8_t* p) {
    return _mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  static Ints ints(int32_t x) { return _mm256_set1_epi32(x); }
  static Vec floats(Ints v) { return _mm256_cvtepi32_ps(v); }
};

}  // namespace

void store_kv(const KvStoreArgs& args) {
  store(args,
        [](float x) { return static_cast<uint16_t>(_cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT)); });
}

void attention(const AttentionArgs& args) {
  attend<Simd>(args);
}

void merge_splits(const MergeArgs& args) {
  merge<Simd>(args);
}

}  // namespace cria::cpu::CRIA_TABLE
