// F3, avx2. Attention of the query heads of one KV head over its keys and values in f16: an online
// softmax (Milakov & Gimelshein 2018) over tiles of 16 positions. Tiles lie at multiples of 16, so
// where they begin does not depend on how the prompt was cut, and none spans two pages.
//
// Per tile and head, with m the largest score so far, l the sum of weights so far:
//   s_p = scale · q·k_p      m' = max(m, max s_p)      w_p = exp(s_p − m')
//   l   = l · exp(m − m') + Σ w_p                      out = out · exp(m − m') + Σ w_p · v_p
// and at the end out /= l. Groups of 4 heads share one conversion of a key or value to f32.
#include "backend/backend.h"
#include "cpu/table.h"
#include "exp.h"
#include "float_tile.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

constexpr int kPositions = 16;  // of a tile
static_assert(kPageTokens % kPositions == 0);
constexpr int kHeads = 8;  // heads whose state is kept on the stack at a time

/// The softmax of one head so far, and its weights for the positions of the current tile.
struct Head {
  alignas(32) float scores[kPositions];  // then weights
  float most = -__builtin_inff();        // m
  float sum = 0;                         // l
  float shrink = 0;                      // exp(m − m')
};

/// scores → weights for the first n positions; the others weigh 0.
void weigh(Head& head, float scale, int n) {
  const __m256 factor = _mm256_set1_ps(scale), none = _mm256_set1_ps(-__builtin_inff());
  const auto scaled = [&](int i) {
    const int64_t here = n <= i ? 0 : smaller(n - i, kLanes);
    return _mm256_blendv_ps(none, _mm256_mul_ps(_mm256_load_ps(head.scores + i), factor),
                            _mm256_castsi256_ps(first_lanes(here)));
  };
  const __m256 s0 = scaled(0), s1 = scaled(kLanes);
  const float most = largest_lane(_mm256_max_ps(s0, s1));
  const float now = most > head.most ? most : head.most;
  const __m256 base = _mm256_set1_ps(now);
  const __m256 w0 = exp_lanes(_mm256_sub_ps(s0, base)), w1 = exp_lanes(_mm256_sub_ps(s1, base));
  _mm256_store_ps(head.scores, w0);
  _mm256_store_ps(head.scores + kLanes, w1);
  head.shrink = _mm256_cvtss_f32(exp_lanes(_mm256_set1_ps(head.most - now)));
  head.sum = head.sum * head.shrink + sum_lanes(_mm256_add_ps(w0, w1));
  head.most = now;
}

/// out[h] = out[h] · shrink + Σ_p w_p · v_p for kCount heads and the first n positions.
template <int kCount>
void add_values(const Head* heads, const std::byte* values, int n, int64_t width, float* out) {
  for (int64_t i = 0; i < width; i += kLanes) {
    const int64_t left = width - i;
    __m256 sums[kCount];
    for (int h = 0; h < kCount; ++h) {
      const __m256 shrink = _mm256_set1_ps(heads[h].shrink);
      sums[h] = _mm256_mul_ps(load_first(out + h * width + i, left), shrink);
    }
    for (int p = 0; p < n; ++p) {
      const std::byte* at = values + (p * width + i) * F16::kBytes;
      const __m256 v = left >= kLanes ? F16::load(at) : load_weights_first<F16>(at, left);
      for (int h = 0; h < kCount; ++h)
        sums[h] = _mm256_fmadd_ps(_mm256_set1_ps(heads[h].scores[p]), v, sums[h]);
    }
    for (int h = 0; h < kCount; ++h) store_first(out + h * width + i, sums[h], left);
  }
}

void add_values(const Head* heads, int count, const std::byte* values, int n, int64_t width,
                float* out) {
  for (; count >= 4; count -= 4, heads += 4, out += 4 * width)
    add_values<4>(heads, values, n, width, out);
  if (count == 3) add_values<3>(heads, values, n, width, out);
  if (count == 2) add_values<2>(heads, values, n, width, out);
  if (count == 1) add_values<1>(heads, values, n, width, out);
}

/// Up to kHeads heads; q and out at the first of them.
void attend(const AttentionArgs& a, const float* q, int count, float* out) {
  Head heads[kHeads];
  for (int64_t i = 0; i < count * int64_t{a.width}; ++i) out[i] = 0;
  MatmulArgs product;  // keys · queriesᵀ
  product.row_bytes = a.width * F16::kBytes;
  product.cols = a.width;
  product.x = reinterpret_cast<const std::byte*>(q);
  product.x_stride = a.width * static_cast<int64_t>(sizeof(float));
  product.tokens = count;
  product.out = heads[0].scores;
  product.out_stride = sizeof(Head) / sizeof(float);
  for (int p = 0; p < a.length; p += kPositions) {
    const int n = static_cast<int>(smaller(kPositions, a.length - p));
    const int64_t offset =
        a.pages[p / kPageTokens] * a.page_stride + int64_t{p % kPageTokens} * a.width;
    product.weights = reinterpret_cast<const std::byte*>(a.keys + offset);
    product.rows = n;
    for_tiles<FloatTile<F16>>(product);
    for (int h = 0; h < count; ++h) weigh(heads[h], a.scale, n);
    add_values(heads, count, reinterpret_cast<const std::byte*>(a.values + offset), n, a.width,
               out);
  }
  for (int h = 0; h < count; ++h)
    for (int64_t i = 0; i < a.width; ++i) out[h * int64_t{a.width} + i] /= heads[h].sum;
}

}  // namespace

void attention(const AttentionArgs& args) {
  for (int h = 0; h < args.heads; h += kHeads) {
    const int64_t first = int64_t{h} * args.width;
    const int count = static_cast<int>(smaller(kHeads, args.heads - h));
    attend(args, args.q + first, count, args.out + first);
  }
}

}  // namespace cria::cpu::CRIA_TABLE
