// forward() against the plain reference, and against itself in other batches.
#include <cstring>

#include "base/temp_folder.h"
#include "cpu/cpu_backend.h"
#include "engine/loaded_model.h"
#include "engine/page_pool.h"
#include "model/reference.h"
#include "support/check.h"

namespace cria::test {
namespace {

constexpr uint64_t kPlenty = uint64_t{1} << 40;

std::unique_ptr<LoadedModel> load(const TinyLlama& tiny, const std::string& kernels = "",
                                  int threads = 1, int64_t sequences = 1,
                                  KvType kv_type = KvType::kF16) {
  static TempFolder folder;
  LoadOptions options;
  options.device.kernels = kernels;
  options.device.threads = threads;
  options.sequences = sequences;
  options.kv_type = kv_type;
  const auto path = tiny.file().write(folder / "tiny.gguf");
  return LoadedModel::load(
      path, options, [](uint64_t, uint64_t) { return true; }, kPlenty);
}

std::vector<int32_t> random_ids(int count, int vocab, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> ids(static_cast<size_t>(count));
  for (int32_t& id : ids) id = static_cast<int32_t>(random() % static_cast<uint32_t>(vocab));
  return ids;
}

/// Logits of the last kMaxRunning positions (or all) of one sequence, fed `chunk` tokens at a time.
std::vector<float> run(LoadedModel& model, const std::vector<int32_t>& ids, size_t chunk) {
  PagePool pool(model.plan.pages);
  std::vector<int32_t> pages;
  pool.grow(pages, KvCache::pages_for(static_cast<int64_t>(ids.size())));
  const auto vocab = static_cast<size_t>(model.config.vocab);
  const size_t wanted = std::min<size_t>(ids.size(), kMaxRunning);
  std::vector<float> logits(wanted * vocab);
  float* next = logits.data();
  for (size_t first = 0; first < ids.size(); first += chunk) {
    const size_t count = std::min(chunk, ids.size() - first);
    const Slice slice{0, static_cast<int>(count), static_cast<int>(first), pages.data()};
    std::vector<int64_t> rows;
    for (size_t i = 0; i < count; ++i)
      if (first + i >= ids.size() - wanted) rows.push_back(static_cast<int64_t>(i));
    model.transformer.forward({std::span(ids).subspan(first, count), {&slice, 1}, rows}, next);
    next += rows.size() * vocab;
  }
  return logits;
}

/// Σ(a − b)² / Σb²
double normalized_error(const std::vector<float>& got, const std::vector<Reference::Row>& want) {
  double error = 0, energy = 0;
  size_t i = 0;
  for (const auto& row : want)
    for (const double value : row) {
      error += (got[i] - value) * (got[i] - value);
      energy += value * value;
      ++i;
    }
  return error / energy;
}

std::vector<std::string> kernel_tables() {
  std::vector<std::string> names;
  for (const auto& table : cpu::tables())
    if (table.supported) names.push_back(table.variant);
  return names;
}

/// The file's model on every table against the reference. f16 keys and values leave ~1e-7.
void hold_to_reference(const TinyLlama& tiny, const Reference& reference, double bound) {
  const std::vector<int32_t> ids = random_ids(29, tiny.shape().vocab, 5);
  const auto want = reference.logits(ids);
  for (const std::string& table : kernel_tables()) {
    const double error = normalized_error(run(*load(tiny, table, 2), ids, 29), want);
    if (!(error < bound)) report(__FILE__, __LINE__, cat(table, ": normalised error ", error));
  }
}

}  // namespace

TEST(forward_gqa_untied) {
  const TinyLlama tiny({});
  hold_to_reference(tiny, Reference(tiny), 1e-6);
}

TEST(forward_multi_head_tied_biases) {
  const TinyLlama tiny({.heads = 4, .kv_heads = 4, .tied = true, .biases = true});
  hold_to_reference(tiny, Reference(tiny), 1e-6);
}

TEST(forward_odd_widths) {
  const TinyLlama tiny({.width = 60, .heads = 6, .kv_heads = 1, .feed_forward = 37});
  hold_to_reference(tiny, Reference(tiny), 1e-6);
}

TEST(forward_rope_factors) {
  const TinyLlama tiny({.rope_factors = true});
  Reference reference(tiny);
  reference.frequency = [](const TinyLlama& m, int pair) {
    return std::pow(10000.0, -2.0 * pair / m.shape().head_width()) /
           m.weights("rope_freqs.weight")[static_cast<size_t>(pair)];
  };
  hold_to_reference(tiny, reference, 1e-6);
}

TEST(forward_linear_scaling) {
  const TinyLlama tiny(
      {.floats = {{"rope.scaling.factor", 4}}, .texts = {{"rope.scaling.type", "linear"}}});
  Reference reference(tiny);
  reference.frequency = [](const TinyLlama& m, int pair) {
    return std::pow(10000.0, -2.0 * pair / m.shape().head_width()) / 4;
  };
  hold_to_reference(tiny, reference, 1e-6);
}

// YaRN §3.2: λ of each pair is its wavelength; r = L/λ turns over the original context L. In pairs
// of a 16-wide head with base 10000 and L = 64: pair i turns 64·10000^(−i/8)/2π times, which
// is 10.2 at i = 0 and 1 near i = 2.02. Pairs up to floor(i at 32 turns) = none keep their
// frequency fully.
TEST(forward_yarn) {
  const TinyLlama tiny(
      {.floats = {{"rope.scaling.factor", 4}, {"rope.scaling.original_context_length", 64}},
       .texts = {{"rope.scaling.type", "yarn"}}});
  Reference reference(tiny);
  reference.rope_magnitude = 1 + 0.1 * std::log(4.0);
  reference.frequency = [](const TinyLlama& m, int pair) {
    const double plain = std::pow(10000.0, -2.0 * pair / m.shape().head_width());
    // The ramp runs from pair 0 to ceil(2.02) = 3.
    const double kept = 1 - std::min(1.0, pair / 3.0);
    return plain * kept + plain / 4 * (1 - kept);
  };
  // The magnitude sharpens the attention, and with it what f16 keys leave.
  hold_to_reference(tiny, reference, 2e-6);
}

TEST(forward_every_type) {
  // The reference has the same rounded weights, so what is left is the rounding of activations.
  for (const DType type : {DType::kF16, DType::kBF16, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0,
                           DType::kQ5_1, DType::kQ8_0, DType::kIQ4_NL, DType::kQ2_K, DType::kQ3_K,
                           DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kIQ4_XS}) {
    const TinyLlama tiny(
        {.layers = 1, .width = 256, .heads = 8, .kv_heads = 4, .feed_forward = 512, .type = type});
    const bool exact = type == DType::kF16 || type == DType::kBF16;
    hold_to_reference(tiny, Reference(tiny), exact ? 1e-6 : 1e-3);
  }
}

TEST(chunks_and_threads_give_the_same_bits) {
  for (const DType type : {DType::kF32, DType::kQ4_0, DType::kQ4_K, DType::kQ6_K}) {
    const TinyLlama tiny(
        {.layers = 2, .width = 256, .heads = 4, .kv_heads = 2, .feed_forward = 256, .type = type});
    const std::vector<int32_t> ids = random_ids(71, 300, 9);
    for (const std::string& table : kernel_tables()) {
      const auto model = load(tiny, table, 2);
      const auto want = run(*model, ids, 71);
      for (const size_t chunk : {1, 7, 32, 33})
        CHECK_EQ(std::memcmp(run(*model, ids, chunk).data(), want.data(), want.size() * 4), 0);
      CHECK_EQ(
          std::memcmp(run(*load(tiny, table, 1), ids, 16).data(), want.data(), want.size() * 4), 0);
    }
  }
}

// A code of 8 bits rounds a normal number by about 0.6%, in queries, keys and values. The scores of
// these weights (gain 2 in queries and keys) are some 4 wide, so they move by 4 · 0.6% · √2 = 0.03,
// and weights by 3%: a normalised error of 1e-3.
TEST(forward_with_keys_and_values_in_8_bits) {
  const TinyLlama tiny({.width = 128, .heads = 4, .kv_heads = 2});
  const std::vector<int32_t> ids = random_ids(29, 300, 5);
  const auto want = Reference(tiny).logits(ids);
  for (const std::string& table : kernel_tables()) {
    const double error =
        normalized_error(run(*load(tiny, table, 2, 1, KvType::kQ8_0), ids, 29), want);
    if (!(error > 1e-6 && error < 2e-3))  // it is not f16, and it is not wrong
      report(__FILE__, __LINE__, cat(table, ": normalised error ", error));
  }
}

TEST(chunks_and_threads_give_the_same_bits_in_8_bits) {
  const TinyLlama tiny({.width = 256, .heads = 8, .kv_heads = 2, .context = 700});
  const std::vector<int32_t> ids = random_ids(600, 300, 9);  // more than one split of attention
  for (const std::string& table : kernel_tables()) {
    if (table == "scalar") continue;  // minutes; test/kernels holds it to the same
    const auto want = run(*load(tiny, table, 1, 1, KvType::kQ8_0), ids, 512);
    for (const size_t chunk : {33, 200, 511})
      CHECK_EQ(std::memcmp(run(*load(tiny, table, 3, 1, KvType::kQ8_0), ids, chunk).data(),
                           want.data(), want.size() * 4),
               0);
  }
}

TEST(keys_and_values_in_8_bits_take_8_5_bits_and_whole_groups) {
  const auto kv_bytes = [](const TinyLlama& tiny, KvType type) {
    return load(tiny, "", 1, 1, type)->plan.kv_bytes;
  };
  const TinyLlama fits({.width = 128, .heads = 4, .kv_heads = 2, .context = 256});
  const uint64_t lists = 256 / kPageTokens * 4;  // 4 bytes a page for the list of free ones
  const uint64_t elements =
      uint64_t{2} * 2 * 2 * 32 * 256;  // keys, values · layers · heads · width
  CHECK_EQ(kv_bytes(fits, KvType::kF16), elements * 2 + lists);
  CHECK_EQ(kv_bytes(fits, KvType::kQ8_0), elements * 17 / 16 + lists);
  CHECK_THROWS(ErrorCode::kUnsupported, kv_bytes(TinyLlama({}), KvType::kQ8_0),
               "multiple of 32 elements, and this model's have 16; use the type f16");
}

TEST(a_batch_equals_its_singles) {
  const TinyLlama tiny(
      {.width = 256, .heads = 4, .kv_heads = 1, .feed_forward = 256, .type = DType::kQ4_K});
  const auto model = load(tiny, "", 2, 3);
  const auto vocab = static_cast<size_t>(model->config.vocab);
  std::vector<std::vector<int32_t>> sequences = {random_ids(40, 300, 1), random_ids(3, 300, 2),
                                                 random_ids(65, 300, 3)};
  std::vector<std::vector<float>> alone;
  for (const auto& ids : sequences) alone.push_back(run(*model, ids, 64));

  // Now together, pages dealt out in turns, each sequence in two uneven parts.
  PagePool pool(model->plan.pages);
  std::vector<std::vector<int32_t>> pages(sequences.size());
  for (int count = 1; count <= 3; ++count)
    for (size_t s = 0; s < pages.size(); ++s) pool.grow(pages[s], count);
  const std::vector<std::vector<int>> parts = {{13, 27}, {1, 2}, {33, 32}};
  for (size_t part = 0; part < 2; ++part) {
    std::vector<int32_t> ids;
    std::vector<Slice> slices;
    for (size_t s = 0; s < sequences.size(); ++s) {
      const int past = part == 0 ? 0 : parts[s][0];
      slices.push_back({static_cast<int64_t>(ids.size()), parts[s][part], past, pages[s].data()});
      const auto from = sequences[s].begin() + past;
      ids.insert(ids.end(), from, from + parts[s][part]);
    }
    std::vector<int64_t> rows;
    for (const Slice& slice : slices) rows.push_back(slice.first_row + slice.count - 1);
    std::vector<float> logits(rows.size() * vocab);
    model->transformer.forward({ids, slices, rows}, logits.data());
    for (size_t s = 0; s < sequences.size(); ++s) {
      const auto end = static_cast<size_t>(slices[s].past + slices[s].count);
      const size_t before =
          sequences[s].size() - std::min<size_t>(sequences[s].size(), kMaxRunning);
      if (end <= before) continue;  // its logits were not kept
      const size_t position = end - 1 - before;
      CHECK_EQ(
          std::memcmp(logits.data() + s * vocab, alone[s].data() + position * vocab, vocab * 4), 0);
    }
  }
}

TEST(forward_stops_between_layers_when_told_and_can_be_repeated) {
  const auto model = load(TinyLlama({.layers = 3}));
  const std::vector<int32_t> ids = random_ids(9, 300, 4);
  const auto want = run(*model, ids, 9);
  const std::vector<int32_t> pages = {0};
  const Slice slice{0, 9, 0, pages.data()};
  int asked = 0;
  std::vector<float> logits(static_cast<size_t>(model->config.vocab));
  const int64_t last = 8;
  const Batch batch{ids, {&slice, 1}, {&last, 1}};
  CHECK(!model->transformer.forward(batch, logits.data(), [&] { return ++asked == 2; }));
  CHECK_EQ(asked, 2);
  CHECK(model->transformer.forward(batch, logits.data(), [] { return false; }));
  CHECK_EQ(std::memcmp(logits.data(), want.data() + 8 * logits.size(), logits.size() * 4), 0);
}

TEST(forward_refuses_more_than_its_limits) {
  const auto model = load(TinyLlama({}));
  const std::vector<int32_t> ids(static_cast<size_t>(model->plan.limits.tokens) + 1, 1);
  CHECK_THROWS(ErrorCode::kBackend, model->transformer.forward({ids, {}, {}}, nullptr), "expected");
}

}  // namespace cria::test
