#include "engine/loaded_model.h"

#include <algorithm>

#include "base/hash.h"
#include "engine/opened_load.h"

namespace cria {
namespace {

// Less room than this is no use: the default context is not bounded below it.
constexpr int kLeastDefaultContext = 256;

int64_t check_option(const char* name, int64_t value, int64_t max) {
  if (value < 0 || value > max)
    fail(ErrorCode::kBadArgument, name, ": expected a whole number from 1 to ", max, ", got ",
         value);
  return value;
}

/// The model's own context, or what half of the memory beside the weights has room for.
int64_t default_context(const Config& config, uint64_t page_bytes, uint64_t fixed,
                        int64_t sequences, uint64_t available) {
  const uint64_t left = (available - std::min(available, fixed)) / 2;
  const uint64_t fits = left / page_bytes / static_cast<uint64_t>(sequences) * kPageTokens;
  const uint64_t trained = static_cast<uint64_t>(config.trained_context);
  const uint64_t least = std::min<uint64_t>(trained, kLeastDefaultContext);
  return static_cast<int64_t>(std::clamp(fits, least, trained));
}

/// Touches every page of mapped weights, so that the first token finds them in memory, and tells
/// how far it is. A weight read twice (tied) counts once.
void read_ahead(const gguf::File& file, const LoadProgress& progress) {
  constexpr uint64_t kPage = 4096, kReport = uint64_t{16} << 20;
  uint64_t total = 0, loaded = 0, reported = 0;
  for (const gguf::Tensor& tensor : file.tensors()) total += tensor.bytes;
  if (!progress(0, total)) fail(ErrorCode::kAborted, "the load was cancelled");
  for (const gguf::Tensor& tensor : file.tensors()) {
    for (uint64_t at = 0; at < tensor.bytes; at += kPage) {
      static_cast<void>(*static_cast<const volatile std::byte*>(tensor.data + at));
      if (loaded + at - reported < kReport) continue;
      reported = loaded + at;
      if (!progress(reported, total)) fail(ErrorCode::kAborted, "the load was cancelled");
    }
    loaded += tensor.bytes;
  }
  file.check_intact();
  if (!progress(total, total)) fail(ErrorCode::kAborted, "the load was cancelled");
}

/// Of the metadata, the shapes, and the beginning, middle and end of every tensor: another training
/// of the same network changes them all, and reading gigabytes again would take too long.
uint64_t fingerprint(const gguf::File& file) {
  constexpr uint64_t kSample = 4096;
  Hash64 hash;
  const auto add_text = [&](std::string_view text) {
    hash.add_values(std::span(text.data(), text.size()));
  };
  for (const gguf::Entry& entry : file.entries()) {
    add_text(entry.key);
    std::visit(
        [&]<class T>(const T& value) {
          if constexpr (std::is_same_v<T, std::string_view>)
            add_text(value);
          else if constexpr (std::is_same_v<T, gguf::Array>)
            hash.add(value.bytes);
          else
            hash.add_values(std::span<const T>(&value, 1));
        },
        entry.value);
  }
  for (const gguf::Tensor& tensor : file.tensors()) {
    add_text(tensor.name);
    add_text(tensor.type->name);
    hash.add_values(std::span<const uint64_t>(tensor.shape));
    const uint64_t sample = std::min(kSample, tensor.bytes);
    for (const uint64_t at : {uint64_t{0}, (tensor.bytes - sample) / 2, tensor.bytes - sample})
      hash.add({tensor.data + at, sample});
  }
  file.check_intact();
  return hash.digest();
}

/// Bits of keys and values are the same within one device's kernels and one form of weights alone.
ModelIdentity identify(const gguf::File& file, const Config& config, const Device& device,
                       const LoadOptions& options) {
  const KvShape shape = kv_shape(config, options.kv_type);
  return {fingerprint(file),
          cat(device.is_gpu ? "cuda " : "cpu ", device.kernels,
              options.weights == WeightForm::kMapped ? " mapped" : " packed",
              options.kv_type == KvType::kQ8_0 ? " q8_0 " : " f16 ", kPageTokens),
          KvCache::bytes_per_page(*device.backend, shape), config.vocab};
}

}  // namespace

Config read_checked_config(const gguf::File& file) {
  Config config = read_config(file);
  check_weights(file, config);
  return config;
}

KvShape kv_shape(const Config& config, KvType type) {
  return {type, config.layers, config.kv_heads, config.head_width};
}

uint64_t cache_bytes(const Backend& backend, const KvShape& shape, int64_t pages) {
  // Beside its keys and values, a page has a place in the pool's list of free ones.
  const uint64_t page_bytes = KvCache::bytes_per_page(backend, shape) + sizeof(int32_t);
  constexpr uint64_t kMost = uint64_t{1} << 62;  // sums of such sizes still count in 64 bits
  if (pages > INT32_MAX || static_cast<uint64_t>(pages) > kMost / page_bytes)
    fail(ErrorCode::kOutOfMemory, "a cache for ", pages * kPageTokens, " tokens of this model is ",
         "larger than any machine holds; ask for a smaller contextSize");
  return page_bytes * static_cast<uint64_t>(pages);
}

MemoryPlan plan_memory(const gguf::File& file, const Config& config, const Backend& backend,
                       const LoadOptions& options, uint64_t available) {
  check_option("contextSize", options.context_size, config.trained_context);
  check_option("batchSize", options.batch_size, 1 << 16);
  const int64_t sequences =
      std::max<int64_t>(1, check_option("sequences", options.sequences, 4096));

  if (options.weights == WeightForm::kMapped && !backend.reads_files())
    fail(ErrorCode::kUnsupported, "mapped: only the CPU computes on weights as they lie in the ",
         "file; load without `mapped`, or compute on 'cpu'");
  MemoryPlan plan;
  plan.weight_bytes = weight_bytes(file, config, backend, options.weights);
  plan.limits.tokens = static_cast<int>(
      options.batch_size ? options.batch_size : std::min(kDefaultBatch, config.trained_context));
  plan.limits.logit_rows = std::min(plan.limits.tokens, kMaxRunning);
  // The network's, and the engine's copy of the logits on the host.
  plan.scratch_bytes = Transformer::scratch_bytes(config, backend, plan.limits) +
                       uint64_t{sizeof(float)} * static_cast<uint64_t>(plan.limits.logit_rows) *
                           static_cast<uint64_t>(config.vocab);

  const KvShape shape = kv_shape(config, options.kv_type);
  const uint64_t page_bytes = KvCache::bytes_per_page(backend, shape);
  plan.context_size = static_cast<int>(options.context_size
                                           ? options.context_size
                                           : default_context(config, page_bytes,
                                                             plan.weight_bytes + plan.scratch_bytes,
                                                             sequences, available));
  const int64_t pages = int64_t{KvCache::pages_for(plan.context_size)} * sequences;
  plan.kv_bytes = cache_bytes(backend, shape, pages);
  plan.kv_type = options.kv_type;
  plan.pages = static_cast<int>(pages);
  return plan;
}

struct LoadedModel::Parts {
  Opened opened;
  ModelWeights weights;
  ModelIdentity identity;
  std::unique_ptr<LoadedModel> draft;

  /// Reads the weights.
  static Parts read(Opened opened, std::unique_ptr<LoadedModel> draft,
                    const LoadProgress& progress) {
    const LoadOptions& options = opened.options;
    const Device& device = opened.placed.device;
    const bool mapped = options.weights == WeightForm::kMapped;
    if (mapped) read_ahead(opened.file, progress);
    const LoadProgress quiet = [](uint64_t, uint64_t) { return true; };
    ModelWeights weights = load_weights(opened.file, opened.config, *device.backend,
                                        options.weights, mapped ? quiet : progress);
    ModelIdentity identity = identify(opened.file, opened.config, device, options);
    return {std::move(opened), std::move(weights), std::move(identity), std::move(draft)};
  }
};

std::unique_ptr<LoadedModel> LoadedModel::load(const std::filesystem::path& path,
                                               const LoadOptions& options,
                                               const LoadProgress& progress, uint64_t available) {
  OpenedLoad load = open_load(path, options, available);
  if (!load.model.tokenizer) read_tokenizer(load.model);
  check_fits(load.model.placed);
  std::unique_ptr<LoadedModel> draft;
  if (load.draft)
    draft.reset(new LoadedModel(Parts::read(std::move(*load.draft), nullptr, progress)));
  return std::unique_ptr<LoadedModel>(
      new LoadedModel(Parts::read(std::move(load.model), std::move(draft), progress)));
}

LoadedModel::LoadedModel(Parts parts)
    : file(std::move(parts.opened.file)),
      config(std::move(parts.opened.config)),
      tokenizer(std::move(parts.opened.tokenizer)),
      device(std::move(parts.opened.placed.device.name)),
      kernels(std::move(parts.opened.placed.device.kernels)),
      threads(parts.opened.placed.device.threads),
      backend(std::move(parts.opened.placed.device.backend)),
      plan(parts.opened.placed.plan),
      time_steps(parts.opened.options.time_steps),
      weights(std::move(parts.weights)),
      cache(*backend, kv_shape(config, plan.kv_type), plan.pages),
      identity(std::move(parts.identity)),
      comm(make_communicator()),
      transformer(config, weights, *backend, *comm, cache, plan.limits),
      draft(std::move(parts.draft)) {}

}  // namespace cria
