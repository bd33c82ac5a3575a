// F3, avx512. Norm, rotation and the elementwise operations. The last few elements of a row go
// through the same instructions as the others, under a mask.
#include "cpu/table.h"
#include "exp.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

/// Rotates the pairs in lanes (2i, 2i+1) of x by the n/2 angles at `angles`, cosine and sine
/// interleaved; lanes from n on stay.
///
///   x        x0 x1      angles   c  s
///   result   x0·c − x1·s,  x1·c + x0·s
__m512 rotate(__m512 x, const float* angles, int64_t n) {
  const __mmask16 turned = first_lanes(n);
  const __m512 cs = _mm512_maskz_loadu_ps(turned, angles);
  const __m512 cross = _mm512_mul_ps(_mm512_permute_ps(x, 0xb1), _mm512_movehdup_ps(cs));
  return _mm512_mask_blend_ps(turned, x, _mm512_fmaddsub_ps(x, _mm512_moveldup_ps(cs), cross));
}

}  // namespace

void rmsnorm(const float* x, const float* weight, float eps, int64_t n, float* out) {
  __m512 squares = _mm512_setzero_ps();
  for (int64_t i = 0; i < n; i += kLanes) {
    const __m512 v = load_first(x + i, n - i);
    squares = _mm512_fmadd_ps(v, v, squares);
  }
  const float mean = _mm512_reduce_add_ps(squares) / static_cast<float>(n);
  const __m512 scale = _mm512_set1_ps(1.0f / __builtin_sqrtf(mean + eps));
  for (int64_t i = 0; i < n; i += kLanes) {
    const __m512 v = _mm512_mul_ps(load_first(x + i, n - i), scale);
    store_first(out + i, _mm512_mul_ps(v, load_first(weight + i, n - i)), n - i);
  }
}

void rope(const RopeArgs& rope, float* x) {
  const int64_t turned = 2 * int64_t{rope.pairs};
  for (int h = 0; h < rope.heads; ++h, x += rope.width) {
    for (int64_t i = 0; i < turned; i += kLanes) {
      const __m512 v = load_first(x + i, turned - i);
      store_first(x + i, rotate(v, rope.angles + i, turned - i), turned - i);
    }
  }
}

void silu_mul(const float* gate, const float* up, int64_t n, float* out) {
  const __m512 one = _mm512_set1_ps(1.0f), sign = _mm512_set1_ps(-0.0f);
  for (int64_t i = 0; i < n; i += kLanes) {
    const __m512 g = load_first(gate + i, n - i);
    const __m512 e = exp_lanes(_mm512_xor_ps(g, sign));
    const __m512 silu = _mm512_div_ps(g, _mm512_add_ps(one, e));
    store_first(out + i, _mm512_mul_ps(silu, load_first(up + i, n - i)), n - i);
  }
}

void add(float* x, const float* y, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const __m512 sum = _mm512_add_ps(load_first(x + i, n - i), load_first(y + i, n - i));
    store_first(x + i, sum, n - i);
  }
}

void exp(const float* x, int64_t n, float* out) {
  for (int64_t i = 0; i < n; i += kLanes)
    store_first(out + i, exp_lanes(load_first(x + i, n - i)), n - i);
}

}  // namespace cria::cpu::CRIA_TABLE
