// Configurations and shapes that a file may claim.
#include <map>
#include <random>

#include "base/temp_folder.h"
#include "cpu/cpu_backend.h"
#include "engine/loaded_model.h"
#include "model/tiny_llama.h"
#include "support/check.h"

namespace cria::test {
namespace {

constexpr uint64_t kPlenty = uint64_t{1} << 40;

/// A builder with the least a configuration needs.
GgufBuilder minimal() {
  GgufBuilder file;
  file.string("general.architecture", "llama");
  file.u32("llama.block_count", 1).u32("llama.embedding_length", 32);
  file.u32("llama.feed_forward_length", 64).u32("llama.context_length", 128);
  file.weights("token_embd.weight", DType::kF32, {32, 5}, std::vector<float>(160, 0.5f));
  return file;
}

Config config_of(const GgufBuilder& builder) {
  const Bytes bytes = builder.bytes();
  return read_config(gguf::File::parse(bytes));
}

void check_file(const GgufBuilder& builder) {
  const Bytes bytes = builder.bytes();
  const gguf::File file = gguf::File::parse(bytes);
  check_weights(file, read_config(file));
}

}  // namespace

TEST(config_defaults) {
  const Config config = config_of(minimal().u32("llama.attention.head_count", 4));
  CHECK_EQ(config.kv_heads, 4);
  CHECK_EQ(config.head_width, 8);
  CHECK_EQ(config.rope.pairs, 4);
  CHECK_EQ(config.vocab, 5);
  CHECK(config.rope.scaling == RopeScaling::kNone);
}

TEST(config_reads_whole_numbers_of_any_type) {
  GgufBuilder file = minimal();
  file.u64("llama.attention.head_count", 4).i32("llama.attention.head_count_kv", 2);
  file.u32("llama.attention.layer_norm_rms_epsilon", 1);
  CHECK_EQ(config_of(file).kv_heads, 2);
  CHECK_EQ(config_of(file).rms_epsilon, 1.0f);
}

TEST(config_refuses_other_architectures) {
  CHECK_THROWS(ErrorCode::kUnsupported,
               config_of(GgufBuilder().string("general.architecture", "mamba")), "\"mamba\"");
  CHECK_THROWS(ErrorCode::kBadGguf, config_of(GgufBuilder()), "general.architecture");
  CHECK_THROWS(
      ErrorCode::kUnsupported,
      config_of(minimal().u32("llama.attention.head_count", 4).u32("llama.expert_count", 8)),
      "mixture of experts");
}

TEST(config_refuses_missing_and_contradictory_values) {
  CHECK_THROWS(ErrorCode::kBadGguf, config_of(minimal()), "llama.attention.head_count");
  CHECK_THROWS(ErrorCode::kBadGguf, config_of(minimal().u32("llama.attention.head_count", 0)),
               "llama.attention.head_count");
  CHECK_THROWS(ErrorCode::kBadGguf, config_of(minimal().u32("llama.attention.head_count", 5)),
               "multiple of the 5 heads");
  CHECK_THROWS(
      ErrorCode::kBadGguf,
      config_of(
          minimal().u32("llama.attention.head_count", 4).u32("llama.attention.head_count_kv", 3)),
      "divisor");
  CHECK_THROWS(
      ErrorCode::kBadGguf,
      config_of(
          minimal().u32("llama.attention.head_count", 4).u32("llama.rope.dimension_count", 10)),
      "rope.dimension_count");
  CHECK_THROWS(
      ErrorCode::kBadGguf,
      config_of(minimal().u32("llama.attention.head_count", 4).f32("llama.rope.freq_base", -1)),
      "positive");
  CHECK_THROWS(
      ErrorCode::kUnsupported,
      config_of(
          minimal().u32("llama.attention.head_count", 4).string("llama.rope.scaling.type", "su")),
      "none, linear or yarn");
}

// Every key of the configuration, with every type it must not have.
TEST(config_type_matrix) {
  for (const char* key :
       {"llama.block_count", "llama.embedding_length", "llama.context_length",
        "llama.feed_forward_length", "llama.attention.head_count", "llama.attention.head_count_kv",
        "llama.rope.dimension_count", "llama.attention.layer_norm_rms_epsilon",
        "llama.rope.freq_base", "llama.rope.scaling.factor", "llama.attention.key_length"}) {
    for (int kind = 0; kind < 4; ++kind) {
      TinyLlama good({});
      GgufBuilder file;
      file.string("general.architecture", "llama");
      if (kind == 0) file.string(key, "7");
      if (kind == 1) file.boolean(key, true);
      if (kind == 2) file.floats(key, {1, 2});
      if (kind == 3) file.f64(key, std::nan(""));
      const std::vector<const char*> whole = {"llama.block_count", "llama.embedding_length",
                                              "llama.context_length", "llama.feed_forward_length",
                                              "llama.attention.head_count"};
      for (const char* other : whole)
        if (std::string(other) != key)
          file.u32(other, std::string(other) == "llama.embedding_length" ? 32 : 4);
      file.weights("token_embd.weight", DType::kF32, {32, 5}, std::vector<float>(160, 0.5f));
      try {
        config_of(file);
        report(__FILE__, __LINE__, cat(key, " of the wrong type ", kind, " was accepted"));
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::kBadGguf || error.code() == ErrorCode::kUnsupported);
        if (std::string(error.what()).find(key) == std::string::npos)
          report(__FILE__, __LINE__, cat(key, " of type ", kind, ": ", error.what()));
      }
    }
  }
}

TEST(weights_of_the_wrong_shape) {
  GgufBuilder file = minimal();
  file.u32("llama.attention.head_count", 4);
  file.weights("output_norm.weight", DType::kF32, {31}, std::vector<float>(31, 1.0f));
  CHECK_THROWS(ErrorCode::kBadGguf, check_file(file), "expected shape [32]");
  CHECK_THROWS(ErrorCode::kBadGguf, check_file(file), "got [31]");
}

TEST(weights_missing_unknown_and_not_computed) {
  GgufBuilder file = minimal();
  file.u32("llama.attention.head_count", 4);
  CHECK_THROWS(ErrorCode::kBadGguf, check_file(file), "output_norm.weight");

  GgufBuilder extra = TinyLlama({}).file();
  extra.weights("blk.0.attn_sinks.weight", DType::kF32, {4}, std::vector<float>(4, 1.0f));
  CHECK_THROWS(ErrorCode::kUnsupported, check_file(extra), "attn_sinks");

  constexpr uint32_t kIQ2_XXS = 16, kBlockBytes = 66;
  GgufBuilder typed;
  typed.string("general.architecture", "llama").u32("llama.attention.head_count", 4);
  typed.u32("llama.block_count", 1).u32("llama.embedding_length", 256);
  typed.u32("llama.feed_forward_length", 64).u32("llama.context_length", 128);
  typed.tensor("token_embd.weight", kIQ2_XXS, {256, 2}, Bytes(2 * kBlockBytes));
  CHECK_THROWS(ErrorCode::kUnsupported, check_file(typed), "IQ2_XXS");
}

TEST(weight_table_covers_the_file) {
  const TinyLlama tiny({.biases = true});
  const Bytes bytes = tiny.file().bytes();
  const gguf::File file = gguf::File::parse(bytes);
  const Config config = read_config(file);
  uint64_t split = 0;
  for (const WeightSpec& spec : weight_specs(config)) {
    CHECK(file.find_tensor(spec.name) != nullptr);
    CHECK_EQ((spec.layer_matrix != nullptr) + (spec.layer_vector != nullptr) +
                 (spec.matrix != nullptr) + (spec.vector != nullptr),
             1);
    split += spec.role == Role::kRowSplit;
  }
  CHECK_EQ(split, uint64_t{2} * 2);  // o and down of each layer
}

TEST(plan_is_refused_before_anything_is_allocated) {
  TempFolder folder;
  const auto path = TinyLlama({.context = 100000000}).file().write(folder / "huge.gguf");
  LoadOptions options;
  options.context_size = 100000000;
  const auto never = [](uint64_t, uint64_t) { return true; };
  CHECK_THROWS(ErrorCode::kOutOfMemory, LoadedModel::load(path, options, never, uint64_t{1} << 30),
               "smaller contextSize");
  options.context_size = 0;  // bounded by memory
  const auto model = LoadedModel::load(path, options, never, uint64_t{1} << 30);
  CHECK(model->plan.context_size < 10000000);
  CHECK(model->plan.total() < uint64_t{1} << 30);
}

TEST(a_cache_that_64_bits_do_not_count_is_refused) {
  const auto backend = open_device({}).backend;
  KvShape shape{KvType::kF16, 1024, 4096, 1024};  // 2^39 bytes a page, 4 in the list of free pages
  const uint64_t page = (uint64_t{1} << 39) + 4;
  CHECK_EQ(cache_bytes(*backend, shape, 1), page);
  const auto most = static_cast<int64_t>((uint64_t{1} << 62) / page);
  CHECK_EQ(cache_bytes(*backend, shape, most), page * static_cast<uint64_t>(most));
  CHECK_THROWS(ErrorCode::kOutOfMemory, cache_bytes(*backend, shape, most + 1),
               "smaller contextSize");
  CHECK_THROWS(ErrorCode::kOutOfMemory, cache_bytes(*backend, shape, int64_t{1} << 25),
               "contextSize");
  shape = {KvType::kF16, 1, 1, 2};
  CHECK_THROWS(ErrorCode::kOutOfMemory, cache_bytes(*backend, shape, int64_t{INT32_MAX} + 1),
               "contextSize");
}

// Any value a header may hold for any key: an error or a model, never anything else.
TEST(hostile_configurations) {
  const std::vector<uint64_t> values = {0,       1,          2,          3,          7,
                                        8,       16,         63,         64,         65,
                                        1 << 10, 1 << 16,    1 << 20,    1u << 31,   UINT32_MAX,
                                        1 << 30, 1ull << 33, 1ull << 62, 1ull << 63, UINT64_MAX};
  const std::vector<const char*> keys = {
      "block_count",          "embedding_length",     "feed_forward_length",
      "attention.head_count", "context_length",       "attention.head_count_kv",
      "rope.dimension_count", "attention.key_length", "attention.value_length",
      "rope.freq_base",       "rope.scaling.factor",  "expert_count"};
  std::mt19937 random(11);
  TempFolder folder;
  int loaded = 0;
  for (int round = 0; round < 400; ++round) {
    // Most keys stay right, so that some files get through to the shapes and to the plan.
    std::map<std::string, uint64_t> right = {
        {"block_count", 2},      {"embedding_length", 64},    {"feed_forward_length", 96},
        {"context_length", 256}, {"attention.head_count", 4}, {"attention.head_count_kv", 2}};
    for (int change = 0; change < 2; ++change)
      right[keys[random() % keys.size()]] = values[random() % values.size()];
    TinyLlama tiny({.keyless = true});
    GgufBuilder file = tiny.file();
    for (const auto& [key, value] : right) file.u64("llama." + key, value);
    LoadOptions options;
    options.context_size = random() % 2 ? 0 : static_cast<int64_t>(values[random() % 12]);
    options.sequences = static_cast<int64_t>(values[random() % 8]);
    try {
      LoadedModel::load(
          file.write(folder / "hostile.gguf"), options, [](uint64_t, uint64_t) { return true; },
          uint64_t{1} << 30);
      ++loaded;
    } catch (const Error& error) {
      CHECK(error.code() != ErrorCode::kBackend);
    }
  }
  CHECK(loaded > 10);
}

TEST(options_out_of_range) {
  TempFolder folder;
  const auto path = TinyLlama({}).file().write(folder / "tiny.gguf");
  const auto load = [&](LoadOptions options) {
    return LoadedModel::load(
        path, options, [](uint64_t, uint64_t) { return true; }, kPlenty);
  };
  LoadOptions options;
  options.context_size = 257;
  CHECK_THROWS(ErrorCode::kBadArgument, load(options), "contextSize");
  options = {};
  options.batch_size = -1;
  CHECK_THROWS(ErrorCode::kBadArgument, load(options), "batchSize");
  options = {};
  options.device.threads = 1000;
  CHECK_THROWS(ErrorCode::kBadArgument, load(options), "threads");
  options = {};
  options.device.kernels = "avx9000";
  CHECK_THROWS(ErrorCode::kBadArgument, load(options), "avx9000");
  options = {};
  options.device.device = "cuda";
  CHECK_THROWS(ErrorCode::kNoDevice, load(options), "cuda");
}

TEST(load_can_be_cancelled) {
  TempFolder folder;
  const auto path = TinyLlama({}).file().write(folder / "tiny.gguf");
  CHECK_THROWS(ErrorCode::kAborted,
               LoadedModel::load(
                   path, {}, [](uint64_t, uint64_t) { return false; }, kPlenty),
               "cancelled");
}

}  // namespace cria::test
