// Whole models on the device against the CPU and against the plain reference.
#include "base/temp_folder.h"
#include "device/device.h"
#include "engine/loaded_model.h"
#include "engine/page_pool.h"
#include "engine/placement.h"
#include "model/reference.h"

namespace cria::test {
namespace {

constexpr uint64_t kPlenty = uint64_t{1} << 40;

LoadOptions options_for(const std::string& device) {
  LoadOptions options;
  options.device.device = device;
  options.device.threads = 1;
  options.device.cuda_plugin = CRIA_PLAIN_PLUGIN;
  return options;
}

/// On the plugin under test.
LoadOptions tested_options() {
  LoadOptions options = options_for("cuda");
  options.device.cuda_plugin = plugin_path();
  return options;
}

std::unique_ptr<LoadedModel> load(const TinyLlama& tiny, const LoadOptions& options) {
  static TempFolder folder;
  return LoadedModel::load(
      tiny.file().write(folder / "tiny.gguf"), options, [](uint64_t, uint64_t) { return true; },
      kPlenty);
}

/// Logits of every token of two sequences, which are computed in turns: whole prompts, chunks with
/// and without logits, single tokens, some of them abandoned and computed again.
Floats drive(LoadedModel& model) {
  const int vocab = model.config.vocab, count = 40;
  PagePool pool(model.plan.pages);
  std::vector<int32_t> pages[2];
  std::mt19937 random(3);
  std::vector<int32_t> ids[2];
  for (int s = 0; s < 2; ++s) {
    pool.grow(pages[s], KvCache::pages_for(count));
    for (int t = 0; t < count; ++t)
      ids[s].push_back(static_cast<int32_t>(random() % static_cast<unsigned>(vocab)));
  }
  Floats all, logits(static_cast<size_t>(model.plan.limits.logit_rows * vocab));
  int past[2] = {};
  const auto step = [&](int first, int second, bool wanted) {
    Floats result;
    std::vector<Slice> slices;
    std::vector<int32_t> batch;
    std::vector<int64_t> rows;
    for (const auto& [s, take] : {std::pair{0, first}, std::pair{1, second}}) {
      if (take == 0) continue;
      slices.push_back({static_cast<int64_t>(batch.size()), take, past[s], pages[s].data()});
      batch.insert(batch.end(), ids[s].begin() + past[s], ids[s].begin() + past[s] + take);
      if (wanted) rows.push_back(static_cast<int64_t>(batch.size()) - 1);
      past[s] += take;
    }
    const Batch work{batch, slices, rows};
    int asked = 0;
    CHECK(!model.transformer.forward(work, logits.data(), [&] { return ++asked == 2; }));
    CHECK(model.transformer.forward(work, logits.data()));
    all.insert(all.end(), logits.begin(),
               logits.begin() + static_cast<std::ptrdiff_t>(rows.size()) * vocab);
    if (wanted) return;
    const int64_t last = static_cast<int64_t>(batch.size()) - 1;
    model.transformer.read_logits({&last, 1}, logits.data());
    all.insert(all.end(), logits.begin(), logits.begin() + vocab);
    Floats state(static_cast<size_t>(model.config.width));
    model.transformer.read_state(last, state);
    all.insert(all.end(), state.begin(), state.end());
  };
  step(17, 0, true);
  step(3, 9, false);
  step(0, 11, true);
  for (int i = 0; i < 12; ++i) step(1, 1, true);
  step(1, 3, true);
  return all;
}

}  // namespace

TEST(device_models_match_the_cpu) {
  TinyShape grouped{.layers = 2, .width = 128, .heads = 4, .kv_heads = 2, .feed_forward = 96};
  TinyShape biased = grouped, tied = grouped, wide = grouped;
  biased.biases = biased.rope_factors = true;
  tied.tied = true;
  wide.heads = 2;
  wide.kv_heads = 1;
  wide.feed_forward = 352;
  for (const TinyShape& shape : {grouped, biased, tied, wide}) {
    const TinyLlama tiny(shape);
    const auto device = load(tiny, tested_options()), host = load(tiny, options_for("cpu"));
    CHECK_EQ(device->device, "cuda:0");
    CHECK(noise(drive(*device), drive(*host)) < 1e-6);
  }
}

TEST(device_models_of_all_types_match_the_reference) {
  for (const DType type :
       {DType::kF32, DType::kF16, DType::kBF16, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0,
        DType::kQ5_1, DType::kQ8_0, DType::kQ2_K, DType::kQ3_K, DType::kQ4_K, DType::kQ5_K,
        DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS}) {
    const TinyShape shape{
        .layers = 2, .width = 256, .heads = 4, .kv_heads = 2, .feed_forward = 512, .type = type};
    const TinyLlama tiny(shape);
    const auto device = load(tiny, tested_options());
    std::vector<int32_t> ids, pages;
    std::mt19937 random(4);
    for (int t = 0; t < 12; ++t) ids.push_back(static_cast<int32_t>(random() % 300));
    PagePool pool(device->plan.pages);
    pool.grow(pages, 1);
    const Slice slice{0, 12, 0, pages.data()};
    const int64_t rows[] = {0, 5, 11};
    Floats logits(3 * 300), expected;
    CHECK(device->transformer.forward({ids, {&slice, 1}, rows}, logits.data()));
    const auto exact = Reference(tiny).logits(ids);
    for (const int64_t row : rows)
      for (const double value : exact[static_cast<size_t>(row)])
        expected.push_back(static_cast<float>(value));
    CHECK(noise(logits, expected) < (type == DType::kF32 || is_plain() ? 1e-6 : 1e-4));
  }
}

/// A sequence's last logits, its tokens computed in these chunks, beside `others` more tokens.
Floats last_logits(LoadedModel& model, const std::vector<int>& chunks, int others) {
  const int vocab = model.config.vocab;
  std::vector<int32_t> pages[2];
  PagePool pool(model.plan.pages);
  for (auto& table : pages) pool.grow(table, 3);
  Floats logits(static_cast<size_t>(vocab));
  int past = 0;
  for (const int count : chunks) {
    std::vector<int32_t> ids;
    for (int t = 0; t < count; ++t) ids.push_back((past + t) * 7 % vocab);
    std::vector<Slice> slices = {{0, count, past, pages[0].data()}};
    if (others > 0) slices.push_back({count, others, 0, pages[1].data()});
    for (int t = 0; t < others; ++t) ids.push_back(t * 5 % vocab);
    const int64_t last = count - 1;
    CHECK(model.transformer.forward({ids, slices, {&last, 1}}, logits.data()));
    past += count;
  }
  return logits;
}

// Not bit for bit: a kernel for few rows may sum in another order than one for many.
TEST(device_logits_depend_on_no_other_row) {
  for (const DType type : {DType::kF32, DType::kQ4_K}) {
    const TinyShape shape{
        .layers = 2, .width = 256, .heads = 4, .kv_heads = 2, .feed_forward = 512, .type = type};
    const TinyLlama tiny(shape);
    LoadOptions options = tested_options();
    options.context_size = 256;
    const auto device = load(tiny, options);
    const Floats whole = last_logits(*device, {40}, 0);
    for (const auto& [chunks, others] : {std::pair{std::vector<int>{17, 22, 1}, 0},
                                         {std::vector<int>{39, 1}, 3},
                                         {std::vector<int>{3, 37}, 20},
                                         {std::vector<int>(40, 1), 11}}) {
      const Floats got = last_logits(*device, chunks, others);
      CHECK(noise(got, whole) < most_noise(1e-5));
    }
  }
}

TEST(device_state_is_of_its_kernels) {
  const TinyLlama tiny({});
  const auto device = load(tiny, options_for("cuda")), host = load(tiny, options_for("cpu"));
  CHECK_EQ(device->identity.fingerprint, host->identity.fingerprint);
  CHECK(device->identity.state_format != host->identity.state_format);
  CHECK(device->identity.state_format.starts_with("cuda CUDA 9.0, plain"));
}

TEST(placement_takes_a_gpu_with_room) {
  static TempFolder folder;
  const TinyLlama tiny({});
  const gguf::File file = gguf::File::open(tiny.file().write(folder / "tiny.gguf"));
  const Config config = read_checked_config(file);
  const auto placed = [&](const LoadOptions& options) {
    return place(file, config, options, kPlenty).device.name;
  };
  LoadOptions options = options_for("auto");
  CHECK_EQ(placed(options), "cuda:0");
  LoadOptions mapped = options, elsewhere = options;
  mapped.weights = WeightForm::kMapped;
  CHECK_EQ(placed(mapped), "cpu");
  elsewhere.device.cuda_plugin = (folder / "none.so").string();
  CHECK_EQ(placed(elsewhere), "cpu");
  for (const char* name :
       {"no-driver", "old-driver", "no-device", "no-memory", "old-architecture", "version"}) {
    const Fault fault(name);
    CHECK_EQ(placed(options), "cpu");
  }
}

TEST(placement_refuses_what_does_not_fit) {
  const TinyLlama tiny({});
  const Fault fault("no-memory");
  CHECK_THROWS(ErrorCode::kOutOfMemory, load(tiny, options_for("cuda")),
               "of the memory of cuda:0 are available");
}

TEST(placement_says_what_is_wrong_with_a_device) {
  const TinyLlama tiny({});
  LoadOptions mapped = options_for("cuda");
  mapped.weights = WeightForm::kMapped;
  CHECK_THROWS(ErrorCode::kUnsupported, load(tiny, mapped), "only the CPU computes on weights");
  CHECK_THROWS(ErrorCode::kNoDevice, load(tiny, options_for("cuda:3")), "no cuda:3");
  for (const char* name : {"gpu", "cuda:", "cuda:x", "cuda:-1", "cuda0", "cuda:1:2", ""})
    CHECK_THROWS(ErrorCode::kBadArgument, load(tiny, options_for(name)), "expected \"cpu\"");
}

}  // namespace cria::test
