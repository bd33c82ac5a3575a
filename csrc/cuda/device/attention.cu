// F3, device. Attention of a step: which kernel computes what, and the merge of decode's splits.
//
//   m = max mₛ      out = Σ oₛ · 2^(mₛ − m) / Σ lₛ · 2^(mₛ − m)        over the row's splits s
//
// Merge: grid (H, T), a thread for each element up to 128. Bytes moved: the partial results once.
#include "cuda/device/attention_decode.h"
#include "cuda/device/attention_prefill.h"
#include "cuda/device/ops.h"
#include "cuda/device/ptx.h"

namespace cria::cuda {
namespace {

constexpr int kThreads = 128;
/// Blocks that a multiprocessor is to have of a single row.
constexpr int kBlocksForOne = 2;

__global__ void __launch_bounds__(kThreads) merge_kernel(DecodeArgs args) {
  const int64_t row = args.first_row + blockIdx.y;
  const int head = static_cast<int>(blockIdx.x), width = args.a.kv.head_width;
  const RowPlace place = row_place(*args.a.step, row);
  if (place.slice < 0 || !args.takes(place)) return;
  const int length = place.position + 1;
  const int splits = ceil_div(length, split_tokens(length, args.most_splits));
  if (splits == 1) return;  // its result is there
  const Partials& partials = args.partials;
  float most = -INFINITY, sum = 0;
  for (int s = 0; s < splits; ++s)
    most = fmaxf(most, partials.ends[partials.at(blockIdx.y, s, head)].x);
  for (int s = 0; s < splits; ++s) {
    const float2 end = partials.ends[partials.at(blockIdx.y, s, head)];
    sum = fmaf(end.y, fast_exp2(end.x - most), sum);
  }
  for (int i = static_cast<int>(threadIdx.x); i < width; i += kThreads) {
    float o = 0;
    for (int s = 0; s < splits; ++s) {
      const int64_t at = partials.at(blockIdx.y, s, head);
      o = fmaf(partials.o[at * width + i], fast_exp2(partials.ends[at].x - most), o);
    }
    args.a.out[(row * args.a.heads + head) * width + i] = o / sum;
  }
}

/// Splits that a row may have on this device: as many blocks as keep it busy with one row.
int most_splits(const CriaCuda& cuda, const CriaCudaAttention& a) {
  const int blocks = a.kv.kv_heads * ceil_div(a.heads / a.kv.kv_heads, kDecodeHeads);
  const int wanted = ceil_div(kBlocksForOne * cuda.multiprocessors, blocks);
  return wanted < kMostSplits ? wanted : kMostSplits;
}

int decode(CriaCuda* cuda, const CriaCudaAttention& a) {
  const int width = a.kv.head_width;
  const int most = most_splits(*cuda, a), wanted = ceil_div(a.most_tokens, kLeastSplit);
  const int splits = wanted < 1 ? 1 : wanted < most ? wanted : most;
  const bool fast = has_decode_kernel(a.kv.type, width);
  // Partial results of so many rows find room at once.
  const auto floats =
      static_cast<int64_t>(attention_scratch(cuda, a.rows, int64_t{a.heads} * width) / 4);
  const int64_t row_floats = int64_t{splits} * a.heads * (width + 2);
  const int64_t fit = splits == 1 ? a.rows : floats / row_floats;
  for (int64_t first = 0; first < a.rows; first += fit) {
    const int64_t rows = a.rows - first < fit ? a.rows - first : fit;
    DecodeArgs args{a, {}, first, most};
    auto* ends = static_cast<float2*>(a.scratch);
    args.partials = {reinterpret_cast<float*>(ends + rows * splits * a.heads), ends, splits,
                     a.heads, width};
    const auto count = static_cast<int>(rows);
    if (const int status = fast ? launch_decode(cuda, args, splits, count)
                                : launch_decode_any_width(cuda, args, splits, count))
      return status;
    if (splits == 1) continue;
    const dim3 grid(static_cast<unsigned>(a.heads), static_cast<unsigned>(rows));
    if (const int status = launch(merge_kernel, grid, kThreads, 0, cuda->stream, args))
      return status;
  }
  return 0;
}

}  // namespace

/// Room for kScratchRows rows and one more, which is what heads of two elements need besides.
uint64_t attention_scratch(CriaCuda*, int64_t rows, int64_t query_cols) {
  const int64_t at_once = (rows < kScratchRows ? rows : kScratchRows) + 1;
  return static_cast<uint64_t>(at_once * kMostSplits * query_cols) * sizeof(float);
}

/// Rows of slices up to kFewRows long are computed one by one, as in a step without longer ones; so
/// the tokens of a sequence are the same bits beside a prompt as without.
int attention(CriaCuda* cuda, const CriaCudaAttention* given) {
  CriaCudaAttention a = *given;
  if (!has_prefill_kernel(*cuda, a)) a.prefill = 0;
  if (const int status = decode(cuda, a)) return status;
  return a.prefill ? launch_prefill(cuda, a) : 0;
}

}  // namespace cria::cuda
