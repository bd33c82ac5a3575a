// F3, avx512. Attention (cpu/attention_tile.h) on vectors of 16 floats.
#include "cpu/attention_tile.h"

#include "cpu/table.h"
#include "exp.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

struct Simd {
  using Vec = __m512;
  using Ints = __m512i;
  static constexpr int kLanes = cpu::kLanes;
  static constexpr int kRows = 8;

  static Vec zero() { return _mm512_setzero_ps(); }
  static Vec all(float x) { return _mm512_set1_ps(x); }
  static Vec pair(float x0, float x1) { return _mm512_setr4_ps(x0, x1, x0, x1); }
  static float lane0(Vec v) { return _mm512_cvtss_f32(v); }
  static float lane1(Vec v) { return _mm512_cvtss_f32(_mm512_movehdup_ps(v)); }
  static Vec load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, Vec v) { _mm512_storeu_ps(p, v); }
  static Vec load_first(const float* p, int n) { return cpu::load_first(p, n); }
  static void store_first(float* p, Vec v, int n) { cpu::store_first(p, v, n); }
  static Vec keep_first(Vec v, int n, float other) {
    return _mm512_mask_mov_ps(all(other), first_lanes(n), v);
  }

  static Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
  static Vec sub(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
  static Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
  static Vec div(Vec a, Vec b) { return _mm512_div_ps(a, b); }
  static Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
  static Vec larger(Vec a, Vec b) { return _mm512_max_ps(a, b); }
  static float sum(Vec v) { return _mm512_reduce_add_ps(v); }
  static float most(Vec v) { return _mm512_reduce_max_ps(v); }
  static Vec exp2(Vec x) { return exp2_lanes(x); }

  static Vec halves(const uint16_t* p) { return _mm512_cvtph_ps(load256(p)); }
  static Vec halves(const uint16_t* p, int n) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(n), p));
  }
  static Vec bytes(const int8_t* p) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load128(p))); }
  static Ints ints(int32_t x) { return _mm512_set1_epi32(x); }
  static Vec floats(Ints v) { return _mm512_cvtepi32_ps(v); }
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
