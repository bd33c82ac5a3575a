// F3, scalar. Attention of one query at a time, as plainly as it can be said: over each split
// (cpu/attention.h) all scores, the largest of them, the weights, and the weighted sum of values.
#include <algorithm>
#include <cmath>

#include "base/half.h"
#include "cpu/kv_codes.h"
#include "cpu/table.h"

namespace cria::cpu::CRIA_TABLE {
namespace {

/// One KV head's pages, element by element.
class Pages {
 public:
  explicit Pages(const AttentionArgs& args) : a_(args), layout_(kv_layout(args.type, args.width)) {}

  /// q·k of position p.
  double score(const float* q, int p) const {
    const auto* keys = halves(p, 0);
    double sum = 0;
    for (int i = 0; i < a_.width; ++i)
      sum += double{q[i]} * double{f16_to_f32(keys[i * kPageTokens + p % kPageTokens])};
    return sum;
  }
  /// The same of a query in codes, with a scale for each group of 32.
  double score(const int8_t* q, const float* scales, int p) const {
    const auto* codes = reinterpret_cast<const uint8_t*>(page(p)) + 4 * (p % kPageTokens);
    double sum = 0;
    for (int g = 0; g < a_.width / kKvGroup; ++g) {
      int32_t dot = 0;
      for (int i = g * kKvGroup; i < (g + 1) * kKvGroup; ++i)
        dot += (codes[i / 4 * 4 * kPageTokens + i % 4] - kKeyOffset) * q[i];
      sum += double{scale(p, layout_.key_scales, g)} * double{scales[g]} * dot;
    }
    return sum;
  }
  double value(int p, int i) const {
    const int64_t at = int64_t{p % kPageTokens} * a_.width + i;
    if (a_.type == KvType::kF16) return f16_to_f32(halves(p, layout_.values)[at]);
    const auto* codes = reinterpret_cast<const int8_t*>(page(p) + layout_.values);
    return double{scale(p, layout_.value_scales, i / kKvGroup)} * codes[at];
  }

 private:
  const std::byte* page(int p) const {
    return a_.pages + a_.page_table[p / kPageTokens] * a_.page_bytes;
  }
  const uint16_t* halves(int p, int64_t at) const {
    return reinterpret_cast<const uint16_t*>(page(p) + at);
  }
  float scale(int p, int64_t at, int group) const {
    return f16_to_f32(halves(p, at)[group * kPageTokens + p % kPageTokens]);
  }

  const AttentionArgs& a_;
  const KvLayout layout_;
};

/// (m, l, o) of positions [begin, end) for one query.
void attend(const AttentionArgs& a, const float* q, int begin, int end, float* partial) {
  const Pages pages(a);
  int8_t codes[kMaxHeadWidth];
  float scales[kMaxHeadWidth / kKvGroup];
  if (a.type == KvType::kQ8_0)
    for (int g = 0; g < a.width / kKvGroup; ++g)
      scales[g] = code_group(q + g * kKvGroup, codes + g * kKvGroup);
  double weights[kSplitPositions];
  double most = -HUGE_VAL, sum = 0;
  for (int p = begin; p < end; ++p) {
    const double score = a.type == KvType::kF16 ? pages.score(q, p) : pages.score(codes, scales, p);
    weights[p - begin] = score * double{a.scale};
    most = std::max(most, weights[p - begin]);
  }
  for (int p = begin; p < end; ++p) sum += weights[p - begin] = std::exp(weights[p - begin] - most);
  partial[0] = static_cast<float>(most);
  partial[1] = static_cast<float>(sum);
  for (int i = 0; i < a.width; ++i) {
    double out = 0;
    for (int p = begin; p < end; ++p) out += weights[p - begin] * pages.value(p, i);
    partial[2 + i] = static_cast<float>(out);
  }
}

/// total = total + partial, both to the larger m.
void fold(float* total, const float* partial, int width, bool begins) {
  const float most = begins ? partial[0] : std::max(total[0], partial[0]);
  const float old = begins ? 0 : std::exp(total[0] - most), fresh = std::exp(partial[0] - most);
  total[0] = most;
  for (int i = 1; i < width + 2; ++i) total[i] = (begins ? 0 : total[i] * old) + partial[i] * fresh;
}

void finish(const float* total, int width, float* out) {
  for (int i = 0; i < width; ++i) out[i] = total[2 + i] / total[1];
}

}  // namespace

void store_kv(const KvStoreArgs& args) {
  store(args, f32_to_f16);
}

void attention(const AttentionArgs& a) {
  float *total = a.workspace->total, *partial = a.workspace->out;
  for (int t = 0; t < a.tokens; ++t) {
    const int length = a.past + t + 1;
    for (int h = 0; h < a.heads; ++h) {
      const int64_t at = t * a.row + int64_t{h} * a.width;
      if (a.partials) {
        const int begin = a.split * kSplitPositions,
                  end = std::min(begin + kSplitPositions, length);
        float* out = a.partials + t * a.partial_row + h * partial_floats(a.width);
        if (begin < end) attend(a, a.q + at, begin, end, out);
        continue;
      }
      for (int begin = 0; begin < length; begin += kSplitPositions) {
        attend(a, a.q + at, begin, std::min(begin + kSplitPositions, length), partial);
        fold(total, partial, a.width, begin == 0);
      }
      finish(total, a.width, a.out + at);
    }
  }
}

void merge_splits(const MergeArgs& a) {
  for (int s = 0; s < a.count; ++s)
    fold(a.total, a.partials + s * a.stride, a.width, a.begins && s == 0);
  if (a.out) finish(a.total, a.width, a.out);
}

}  // namespace cria::cpu::CRIA_TABLE
