// Times the kernels of a CUDA plugin, and steps of whole networks with random weights, through the
// backend that the engine uses. It is no check of results: scripts/gpu-check runs the tests first.
//
//   gpu_bench PLUGIN [--json FILE] [--tiny]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <random>
#include <string>

#include "base/error.h"
#include "cuda/cuda_backend.h"
#include "device/bench/random_network.h"
#include "device/bench/report.h"
#include "quant/codec.h"

namespace cria::test {
namespace {

using Clock = std::chrono::steady_clock;

/// What is measured: the real sizes, or some that an emulated device gets through.
struct Sizes {
  Config config;  // of the network, whose shapes the kernels are timed with, too
  std::vector<int64_t> rows;
  std::vector<int> batches, prompts;
  int context;          // tokens that each sequence of a batch has cached
  size_t spread_bytes;  // of weights that take turns, more than any cache holds
  size_t copied_bytes;
  double least_seconds;  // of a measurement
  std::vector<WeightMix> mixes;
};

Config shape(int layers, int width, int heads, int kv_heads, int feed_forward, int vocab) {
  Config c;
  c.architecture = "llama";
  c.layers = layers;
  c.width = width;
  c.heads = heads;
  c.kv_heads = kv_heads;
  c.head_width = width / heads;
  c.feed_forward = feed_forward;
  c.vocab = vocab;
  c.trained_context = 8192;
  c.rope.pairs = c.head_width / 2;
  return c;
}

Sizes real_sizes() {
  return {shape(32, 4096, 32, 32, 11008, 32000),
          {1, 8, 64, 512},
          {1, 8, 64},
          {512, 4096},
          512,
          size_t{512} << 20,
          size_t{1} << 30,
          0.1,
          {{"q4_0", DType::kQ4_0},
           {"q4_k_m", DType::kQ4_K, true},
           {"q8_0", DType::kQ8_0},
           {"f16", DType::kF16}}};
}

Sizes tiny_sizes() {
  return {shape(2, 256, 4, 2, 512, 320),
          {1, 3},
          {1, 2},
          {16},
          40,
          size_t{1} << 16,
          size_t{1} << 16,
          0,
          {{"q4_0", DType::kQ4_0}, {"q4_k_m", DType::kQ4_K, true}}};
}

class Bench {
 public:
  Bench(const std::string& plugin, const Sizes& sizes)
      : sizes_(sizes), backend_(cuda::make_backend({0, plugin})) {
    report_.device = backend_->facts().name;
    report_.build = backend_->build();
  }

  Report run() {
    const Config& c = sizes_.config;
    const auto tokens = static_cast<int>(*std::ranges::max_element(sizes_.rows));
    backend_->reserve(tokens, std::max(c.feed_forward, c.width));
    copies();
    for (const WeightMix& mix : sizes_.mixes) {
      products("project q", mix.type, c.width, c.width, false);
      products("project gate·up", mix.type, c.feed_forward, c.width, true);
      products("project down", mix.type, c.width, c.feed_forward, false);
    }
    for (const int batch : sizes_.batches) attention(batch, 1, sizes_.context);
    for (const int batch : sizes_.batches) attention(batch, 1, 4 * sizes_.context);
    attention(1, tokens, 0);
    for (const WeightMix& mix : sizes_.mixes) network(mix);
    return report_;
  }

 private:
  using Memory = std::unique_ptr<DeviceMemory>;

  Memory floats(int64_t count) {
    return backend_->allocate(static_cast<size_t>(count) * sizeof(float));
  }
  static float* data(const Memory& memory) { return static_cast<float*>(memory->data()); }

  void wait() {
    float value;
    backend_->download(&value, data(probe_), sizeof value);
  }

  /// Seconds of one `step`, which puts operations and ends them. The first calls become a graph.
  double time(const std::function<void()>& step) {
    for (int i = 0; i < 3; ++i) {
      step();
      wait();
    }
    for (int64_t count = 1;; count *= 2) {
      const auto begin = Clock::now();
      for (int64_t i = 0; i < count; ++i) step();
      wait();
      const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
      if (seconds >= sizes_.least_seconds) return seconds / static_cast<double>(count);
    }
  }

  void copies() {
    const size_t bytes = sizes_.copied_bytes;
    const Memory from = backend_->allocate(bytes), to = backend_->allocate(bytes);
    report_.bandwidth = 2 * static_cast<double>(bytes) /
                        time([&] { backend_->copy(to->data(), from->data(), bytes); });
  }

  /// Weights that take turns, so that none is found in a cache: all of them are one graph.
  void products(const char* what, DType type, int rows, int cols, bool gated_product) {
    const uint64_t each = backend_->weight_bytes(type, rows, cols);
    const int inner = gated_product ? 2 : 1;
    const auto count = std::max<size_t>(2, sizes_.spread_bytes / each / static_cast<size_t>(inner));
    const auto row = static_cast<size_t>(row_bytes(type, cols));
    std::vector<std::byte> blocks(row * static_cast<size_t>(rows));
    const std::vector<float> values(static_cast<size_t>(cols), 0.01f);
    quantize_row(type, values.data(), blocks.data(), cols);
    for (size_t at = row; at < blocks.size(); at += row)
      std::memcpy(blocks.data() + at, blocks.data(), row);
    std::vector<Memory> memory;
    std::vector<Weight> weights;
    for (size_t i = 0; i < count * static_cast<size_t>(inner); ++i) {
      memory.push_back(backend_->allocate(each));
      weights.push_back(
          backend_->import_weight(type, rows, cols, Blocks(blocks.data()), memory.back()->data()));
    }
    const int64_t most = *std::ranges::max_element(sizes_.rows);
    const Memory x = floats(most * cols), out = floats(most * rows);
    for (const int64_t tokens : sizes_.rows) {
      const Matrix in{data(x), tokens, cols}, result{data(out), tokens, rows};
      const double seconds = time([&] {
        for (size_t i = 0; i < count; ++i) {
          if (gated_product)
            backend_->project(
                in, {gated(weights[2 * i], nullptr, weights[2 * i + 1], nullptr, result)});
          else
            backend_->project(in, {{weights[i], nullptr, result}});
        }
        backend_->end_step(true);
      });
      const double elements = static_cast<double>(rows) * cols * inner;
      const double moved = static_cast<double>(blocks.size()) * inner +
                           4.0 * static_cast<double>(tokens) * (rows + cols);
      add({what, dtype_info(type).name, tokens, seconds / static_cast<double>(count), moved,
           2 * elements * static_cast<double>(tokens), 0});
    }
  }

  /// `batch` sequences with `past` cached tokens and `count` new ones each.
  void attention(int batch, int count, int past) {
    const Config& c = sizes_.config;
    const int pages = KvCache::pages_for(past + count);
    const KvShape one{KvType::kF16, 4, c.kv_heads, c.head_width};  // layers that take turns
    const KvCache cache(*backend_, one, pages * batch);
    std::vector<int32_t> table(static_cast<size_t>(pages * batch));
    for (size_t i = 0; i < table.size(); ++i) table[i] = static_cast<int32_t>(i);
    std::vector<Slice> slices;
    for (int i = 0; i < batch; ++i)
      slices.push_back({int64_t{i} * count, count, past, table.data() + i * pages});
    const int64_t rows = int64_t{batch} * count;
    const Memory q = floats(rows * c.query_width()), out = floats(rows * c.query_width());
    const Matrix queries{data(q), rows, c.query_width()}, result{data(out), rows, c.query_width()};
    const double seconds = time([&] {
      for (int layer = 0; layer < one.layers; ++layer)
        backend_->attention(slices, queries, cache.layer(layer), 0.1f, result);
      backend_->end_step(true);
    });
    if (count > 1 || past == sizes_.context) stores(slices, rows, cache, one.layers);
    const double read = static_cast<double>(batch) * (past + count) * c.kv_width() * 2 * 2;
    const double pairs = static_cast<double>(rows) * (past + (count + 1) / 2.0);
    add({cat("attention ", past + count), "f16", rows, seconds / one.layers, read,
         4 * pairs * c.query_width(), 0});
  }

  /// RoPE and what it stores.
  void stores(const std::vector<Slice>& slices, int64_t rows, const KvCache& cache, int layers) {
    const Config& c = sizes_.config;
    const Memory q = floats(rows * c.query_width()), k = floats(rows * c.kv_width()),
                 v = floats(rows * c.kv_width()), angles = floats(rows * c.head_width);
    const double seconds = time([&] {
      for (int layer = 0; layer < layers; ++layer)
        backend_->rope_store_kv(slices, {data(angles), c.rope.pairs},
                                {data(q), rows, c.query_width()}, {data(k), rows, c.kv_width()},
                                {data(v), rows, c.kv_width()}, cache.layer(layer));
      backend_->end_step(true);
    });
    const double moved = 8.0 * c.query_width() + 16.0 * c.kv_width() + 4.0 * c.head_width;
    add({"rope_store_kv", "f16", rows, seconds / layers, moved * static_cast<double>(rows), 0, 0});
  }

  void network(const WeightMix& mix) {
    const Config& c = sizes_.config;
    const int most_batch = *std::ranges::max_element(sizes_.batches);
    const int longest = *std::ranges::max_element(sizes_.prompts);
    const int each = KvCache::pages_for(sizes_.context + 1);
    const int pages = std::max(each * most_batch, KvCache::pages_for(longest));
    RandomNetwork network(*backend_, c, mix, {std::max(longest, most_batch), most_batch}, pages);
    std::vector<int32_t> table(static_cast<size_t>(pages));
    for (size_t i = 0; i < table.size(); ++i) table[i] = static_cast<int32_t>(i);
    std::vector<float> logits(static_cast<size_t>(most_batch * c.vocab));
    const auto forward = [&](int batch, int count, int past) {
      std::vector<Slice> slices;
      std::vector<int64_t> rows;
      for (int i = 0; i < batch; ++i) {
        slices.push_back({int64_t{i} * count, count, past, table.data() + i * each});
        rows.push_back(int64_t{i + 1} * count - 1);
      }
      const std::vector<int32_t> ids(static_cast<size_t>(batch * count), 7);
      network.transformer().forward({ids, slices, rows}, logits.data());
    };
    for (const int batch : sizes_.batches)
      add({cat("decode after ", sizes_.context), mix.name, batch,
           time([&] { forward(batch, 1, sizes_.context); }), 0, 0, batch});
    for (const int prompt : sizes_.prompts)
      add({"prefill", mix.name, prompt, time([&] { forward(1, prompt, 0); }), 0, 0, prompt});
  }

  void add(Figure figure) {
    std::printf("%s %s %lld: %.3f ms\n", figure.what.c_str(), figure.type.c_str(),
                static_cast<long long>(figure.rows), figure.seconds * 1e3);
    std::fflush(stdout);
    report_.figures.push_back(std::move(figure));
  }

  const Sizes sizes_;
  const std::unique_ptr<cuda::CudaBackend> backend_;
  const Memory probe_ = backend_->allocate(sizeof(float));
  Report report_;
};

int run(int argc, char** argv) {
  std::string plugin, json;
  bool tiny = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--tiny") == 0)
      tiny = true;
    else if (std::strcmp(argv[i], "--json") == 0 && i + 1 < argc)
      json = argv[++i];
    else if (plugin.empty())
      plugin = argv[i];
    else
      plugin.clear(), i = argc;
  }
  if (plugin.empty()) {
    std::fprintf(stderr, "usage: gpu_bench PLUGIN [--json FILE] [--tiny]\n");
    return 2;
  }
  const Report report = Bench(plugin, tiny ? tiny_sizes() : real_sizes()).run();
  std::printf("\n%s", report.table().c_str());
  if (!json.empty() && !(std::ofstream(json) << report.json()))
    fail(ErrorCode::kFile, json, ": the figures cannot be written");
  return 0;
}

}  // namespace
}  // namespace cria::test

int main(int argc, char** argv) {
  try {
    return cria::test::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gpu_bench: %s\n", error.what());
    return 1;
  }
}
