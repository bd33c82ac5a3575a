// F3, scalar. Attention of one query head at a time with an online softmax (Milakov & Gimelshein
// 2018): one pass over keys and values that keeps the largest score m so far, the sum
// l = Σ exp(score − m), and the weighted sum of values scaled to the same m.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/backend.h"
#include "base/half.h"
#include "cpu/table.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

/// The f16 row of position p.
const uint16_t* position(const AttentionArgs& a, const uint16_t* base, int p) {
  return base + a.pages[p / kPageTokens] * a.page_stride + int64_t{p % kPageTokens} * a.width;
}

void attend(const AttentionArgs& a, const float* q, float* out) {
  float most = -std::numeric_limits<float>::infinity();
  float sum = 0;
  std::fill_n(out, a.width, 0.0f);
  for (int p = 0; p < a.length; ++p) {
    const uint16_t* key = position(a, a.keys, p);
    double score = 0;
    for (int i = 0; i < a.width; ++i) score += double{q[i]} * double{f16_to_f32(key[i])};
    const float s = static_cast<float>(score) * a.scale;
    if (s > most) {
      const float shrink = std::exp(most - s);
      sum *= shrink;
      for (int i = 0; i < a.width; ++i) out[i] *= shrink;
      most = s;
    }
    const float weight = std::exp(s - most);
    const uint16_t* value = position(a, a.values, p);
    sum += weight;
    for (int i = 0; i < a.width; ++i) out[i] += weight * f16_to_f32(value[i]);
  }
  for (int i = 0; i < a.width; ++i) out[i] /= sum;
}

}  // namespace

void attention(const AttentionArgs& args) {
  for (int h = 0; h < args.heads; ++h)
    attend(args, args.q + int64_t{h} * args.width, args.out + int64_t{h} * args.width);
}

}  // namespace cria::cpu::CRIA_TABLE
