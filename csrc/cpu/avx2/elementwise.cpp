// F3, avx2. Norm, rotation and the elementwise operations. The last few elements of a row go
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
__m256 rotate(__m256 x, const float* angles, int64_t n) {
  if (n <= 0) return x;
  const __m256 cs = load_first(angles, n);
  const __m256 cross = _mm256_mul_ps(_mm256_permute_ps(x, 0xb1), _mm256_movehdup_ps(cs));
  const __m256 turned = _mm256_fmaddsub_ps(x, _mm256_moveldup_ps(cs), cross);
  if (n >= kLanes) return turned;
  return _mm256_blendv_ps(x, turned, _mm256_castsi256_ps(first_lanes(n)));
}

}  // namespace

void rmsnorm(const float* x, const float* weight, float eps, int64_t n, float* out) {
  __m256 squares = _mm256_setzero_ps();
  for (int64_t i = 0; i < n; i += kLanes) {
    const __m256 v = load_first(x + i, n - i);
    squares = _mm256_fmadd_ps(v, v, squares);
  }
  const float mean = sum_lanes(squares) / static_cast<float>(n);
  const __m256 scale = _mm256_set1_ps(1.0f / __builtin_sqrtf(mean + eps));
  for (int64_t i = 0; i < n; i += kLanes) {
    const __m256 v = _mm256_mul_ps(load_first(x + i, n - i), scale);
    store_first(out + i, _mm256_mul_ps(v, load_first(weight + i, n - i)), n - i);
  }
}

void rope(const RopeArgs& rope, float* x) {
  const int64_t turned = 2 * int64_t{rope.pairs};
  for (int h = 0; h < rope.heads; ++h, x += rope.width) {
    for (int64_t i = 0; i < turned; i += kLanes) {
      const __m256 v = load_first(x + i, turned - i);
      store_first(x + i, rotate(v, rope.angles + i, turned - i), turned - i);
    }
  }
}

void silu_mul(const float* gate, const float* up, int64_t n, float* out) {
  const __m256 one = _mm256_set1_ps(1.0f), sign = _mm256_set1_ps(-0.0f);
  for (int64_t i = 0; i < n; i += kLanes) {
    const __m256 g = load_first(gate + i, n - i);
    const __m256 e = exp_lanes(_mm256_xor_ps(g, sign));
    const __m256 silu = _mm256_div_ps(g, _mm256_add_ps(one, e));
    store_first(out + i, _mm256_mul_ps(silu, load_first(up + i, n - i)), n - i);
  }
}

void add(float* x, const float* y, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const __m256 sum = _mm256_add_ps(load_first(x + i, n - i), load_first(y + i, n - i));
    store_first(x + i, sum, n - i);
  }
}

void exp(const float* x, int64_t n, float* out) {
  for (int64_t i = 0; i < n; i += kLanes)
    store_first(out + i, exp_lanes(load_first(x + i, n - i)), n - i);
}

}  // namespace cria::cpu::CRIA_TABLE
