// A plugin for tests (libcria_cuda_plain.so): its device is host memory, its operations are plain
// loops in f32, and its stream is as late as the contract allows. What is put there runs when
// somebody waits for it and not before, so pinned memory that is written too early shows.
//
// CRIA_CUDA_FAULT makes it fail:
//   no-driver old-driver no-device   nothing can be asked of CUDA
//   old-architecture                 a device of compute capability 6.1
//   no-memory                        1 MiB of memory, all that is free
//   lost:N                           the device falls away after N operations
//   version incomplete               of another version; a table with a hole
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <string_view>
#include <vector>

#include "base/half.h"
#include "cuda/plugin.h"
#include "quant/codec.h"

namespace {

enum Status { kOk, kNoMemory, kNoDriver, kOldDriver, kBadDevice, kLost, kMisuse };

constexpr int kPageTokens = 32;
constexpr uint64_t kMemory = uint64_t{16} << 30, kLittleMemory = uint64_t{1} << 20;

std::string_view fault() {
  const char* text = std::getenv("CRIA_CUDA_FAULT");
  return text ? text : "";
}

using Work = std::function<void()>;

}  // namespace

struct CriaCudaGraph {
  std::shared_ptr<std::vector<Work>> work = std::make_shared<std::vector<Work>>();
};

struct CriaCuda {
  std::map<void*, size_t> memory;
  uint64_t taken = 0, limit = kMemory;
  std::deque<Work> stream;
  uint64_t put = 0, done = 0, marks[kCriaCudaMarks] = {};
  CriaCudaGraph* captured = nullptr;  // not null: being captured
  long long left = -1;                // operations until the device is lost; -1: never

  /// Runs what came before the `until`th operation.
  int run(uint64_t until) {
    for (; done < until && left != 0; ++done) {
      stream.front()();
      stream.pop_front();
      if (left > 0) --left;
    }
    return left == 0 ? kLost : kOk;
  }
  int add(Work work) {
    if (left == 0) return kLost;
    if (captured) {
      captured->work->push_back(std::move(work));
      return kOk;
    }
    stream.push_back(std::move(work));
    ++put;
    return kOk;
  }
};

namespace {

const char* error_text(int status) {
  switch (status) {
    case kNoMemory:
      return "out of memory";
    case kNoDriver:
      return "no CUDA driver is installed";
    case kOldDriver:
      return "the driver is older than the runtime: it knows CUDA 11.4";
    case kBadDevice:
      return "invalid device ordinal";
    case kLost:
      return "an illegal memory access was encountered";
    case kMisuse:
      return "operation not permitted while a stream is captured";
  }
  return "no error";
}
int32_t is_out_of_memory(int status) {
  return status == kNoMemory;
}

// ---- devices ------------------------------------------------------------------------------------

int device_count(int32_t* count) {
  if (fault() == "no-driver") return kNoDriver;
  if (fault() == "old-driver") return kOldDriver;
  *count = fault() == "no-device" ? 0 : 1;
  return kOk;
}

int device_info(int32_t device, CriaCudaDevice* info) {
  if (device != 0) return kBadDevice;
  *info = {};
  std::strcpy(info->name, "plain");
  info->major = fault() == "old-architecture" ? 6 : 9;
  info->minor = fault() == "old-architecture" ? 1 : 0;
  info->multiprocessors = 1;
  info->driver = 13000;
  info->memory_bytes = info->free_bytes = fault() == "no-memory" ? kLittleMemory : kMemory;
  return kOk;
}

int open(int32_t device, CriaCuda** opened) {
  if (device != 0) return kBadDevice;
  *opened = new (std::nothrow) CriaCuda;
  if (!*opened) return kNoMemory;
  if (fault() == "no-memory") (*opened)->limit = kLittleMemory;
  if (fault().starts_with("lost:")) (*opened)->left = std::atoll(fault().data() + 5);
  return kOk;
}
void close(CriaCuda* cuda) {
  for (const auto& [memory, bytes] : cuda->memory) std::free(memory);
  delete cuda;
}

// ---- memory and the stream ----------------------------------------------------------------------

int allocate(CriaCuda* cuda, size_t bytes, void** memory) {
  const size_t whole = (bytes + 255) / 256 * 256;
  if (cuda->left == 0) return kLost;
  if (cuda->captured) return kMisuse;
  if (cuda->taken + whole > cuda->limit) return kNoMemory;
  *memory = std::aligned_alloc(256, whole);
  if (!*memory) return kNoMemory;
  std::memset(*memory, 0, whole);
  cuda->memory[*memory] = whole;
  cuda->taken += whole;
  return kOk;
}
void release(CriaCuda* cuda, void* memory) {
  cuda->run(cuda->put);
  const auto found = cuda->memory.find(memory);
  if (found == cuda->memory.end()) return;
  cuda->taken -= found->second;
  std::free(memory);
  cuda->memory.erase(found);
}
int allocate_pinned(CriaCuda* cuda, size_t bytes, void** memory) {
  if (cuda->left == 0) return kLost;
  *memory = std::malloc(bytes);
  return *memory ? kOk : kNoMemory;
}
void release_pinned(CriaCuda* cuda, void* memory) {
  cuda->run(cuda->put);
  std::free(memory);
}
int copy(CriaCuda* cuda, void* to, const void* from, size_t bytes) {
  return cuda->add([=] { std::memcpy(to, from, bytes); });
}
int synchronize(CriaCuda* cuda) {
  return cuda->captured ? kMisuse : cuda->run(cuda->put);
}
int mark(CriaCuda* cuda, int32_t index) {
  if (cuda->captured) return kMisuse;
  cuda->marks[index] = cuda->put;
  return cuda->left == 0 ? kLost : kOk;
}
int wait(CriaCuda* cuda, int32_t index) {
  return cuda->captured ? kMisuse : cuda->run(cuda->marks[index]);
}

int begin_capture(CriaCuda* cuda) {
  if (cuda->captured) return kMisuse;
  cuda->captured = new CriaCudaGraph;
  return kOk;
}
int end_capture(CriaCuda* cuda, CriaCudaGraph** graph) {
  if (!cuda->captured) return kMisuse;
  *graph = cuda->captured;
  cuda->captured = nullptr;
  return kOk;
}
int launch_graph(CriaCuda* cuda, CriaCudaGraph* graph) {
  return cuda->add([work = graph->work] {
    for (const Work& one : *work) one();
  });
}
void free_graph(CriaCuda*, CriaCudaGraph* graph) {
  delete graph;
}

// ---- operations ---------------------------------------------------------------------------------

/// The packed form is the file's own: rows of blocks.
uint64_t weight_bytes(uint32_t type, int64_t rows, int64_t cols) {
  const cria::DTypeInfo* facts = cria::find_dtype(type);
  if (!facts || !facts->computed || cols % facts->block_weights != 0) return 0;
  const int64_t bytes = rows * cria::row_bytes(cria::DType{type}, cols);
  return static_cast<uint64_t>((bytes + 255) / 256 * 256);
}
int pack_weight(CriaCuda* cuda, uint32_t type, int64_t, int64_t cols, int64_t first, int64_t count,
                const void* blocks, void* packed) {
  const int64_t row = cria::row_bytes(cria::DType{type}, cols);
  return copy(cuda, static_cast<char*>(packed) + first * row, blocks,
              static_cast<size_t>(count * row));
}

void decode(const CriaCudaWeight& w, int64_t row, float* out) {
  const cria::DType type{w.type};
  cria::dequantize_row(type, static_cast<const char*>(w.data) + row * cria::row_bytes(type, w.cols),
                       out, w.cols);
}

int embed(CriaCuda* cuda, const CriaCudaStep* step, CriaCudaWeight table, int64_t rows,
          float* out) {
  return cuda->add([=] {
    for (int64_t r = 0; r < rows; ++r) decode(table, step->ids[r], out + r * table.cols);
  });
}

int gather(CriaCuda* cuda, const CriaCudaStep* step, const float* x, int64_t cols, int64_t rows,
           float* out) {
  return cuda->add([=] {
    for (int64_t r = 0; r < rows; ++r)
      std::memcpy(out + r * cols, x + step->gathered[r] * cols,
                  static_cast<size_t>(cols) * sizeof(float));
  });
}

void normalize(const CriaCudaProject& p, const float* x, double* out) {
  double squares = 0;
  for (int64_t k = 0; k < p.cols; ++k) squares += double{x[k]} * double{x[k]};
  const double scale = 1 / std::sqrt(squares / static_cast<double>(p.cols) + double{p.epsilon});
  for (int64_t k = 0; k < p.cols; ++k)
    out[k] = p.norm ? x[k] * scale * double{p.norm[k]} : double{x[k]};
}

double dot(const std::vector<float>& weight, const double* x) {
  double sum = 0;
  for (size_t k = 0; k < weight.size(); ++k) sum += double{weight[k]} * x[k];
  return sum;
}

void compute(const CriaCudaProject& p, const std::vector<CriaCudaProduct>& products) {
  const auto cols = static_cast<size_t>(p.cols);
  std::vector<double> input(static_cast<size_t>(p.rows) * cols);
  for (int64_t r = 0; r < p.rows; ++r)
    normalize(p, p.x + r * p.cols, input.data() + static_cast<size_t>(r) * cols);
  std::vector<float> weight(cols), gate(cols);
  for (const CriaCudaProduct& product : products) {
    for (int64_t n = 0; n < product.weight.rows; ++n) {
      decode(product.weight, n, weight.data());
      if (product.gate.data) decode(product.gate, n, gate.data());
      for (int64_t r = 0; r < p.rows; ++r) {
        const double* x = input.data() + static_cast<size_t>(r) * cols;
        double value = dot(weight, x) + (product.bias ? double{product.bias[n]} : 0);
        if (product.gate.data) {
          const double g = dot(gate, x) + (product.gate_bias ? double{product.gate_bias[n]} : 0);
          value *= g / (1 + std::exp(-g));
        }
        float& out = product.out[r * product.weight.rows + n];
        out = static_cast<float>(product.accumulate ? double{out} + value : value);
      }
    }
  }
}

int project(CriaCuda* cuda, const CriaCudaProject* call) {
  std::vector<CriaCudaProduct> products(call->products, call->products + call->count);
  return cuda->add([p = *call, products = std::move(products)] { compute(p, products); });
}

/// Keys, then values, [32 × K] of binary16 each. Caches of 8-bit codes it does not have.
int64_t kv_page_bytes(int32_t type, int32_t width) {
  return type == 0 ? int64_t{2} * kPageTokens * width * 2 : 0;
}
uint16_t* kv_row(const CriaCudaKv& kv, int32_t page, int head, int position, bool value) {
  return reinterpret_cast<uint16_t*>(kv.pages + head * kv.head_bytes + page * kv.page_bytes) +
         ((value ? kPageTokens : 0) + position % kPageTokens) * kv.head_width;
}

void rotate(const float* cos_sin, int pairs, int heads, int width, float* x) {
  for (int h = 0; h < heads; ++h)
    for (int i = 0; i < pairs; ++i) {
      float* at = x + h * width + 2 * i;
      const float c = cos_sin[2 * i], s = cos_sin[2 * i + 1], a = at[0], b = at[1];
      at[0] = a * c - b * s;
      at[1] = a * s + b * c;
    }
}

int rope_store_kv(CriaCuda* cuda, const CriaCudaRope* call) {
  return cuda->add([p = *call] {
    const CriaCudaKv& kv = p.kv;
    const int64_t group = int64_t{kv.kv_heads} * kv.head_width;
    for (int64_t r = 0; r < p.rows; ++r) {
      const int32_t index = p.step->slice_of_row[r];
      if (index < 0) continue;
      const CriaCudaSlice& slice = p.step->slice[index];
      const auto position = static_cast<int>(slice.past + r - slice.first_row);
      const float* angles = p.cos_sin + r * p.pairs * 2;
      rotate(angles, p.pairs, p.heads, kv.head_width, p.q + r * p.heads * kv.head_width);
      rotate(angles, p.pairs, kv.kv_heads, kv.head_width, p.k + r * group);
      const int32_t page = p.step->pages[slice.first_page + position / kPageTokens];
      for (int g = 0; g < kv.kv_heads; ++g)
        for (int i = 0; i < kv.head_width; ++i) {
          const int64_t at = r * group + g * kv.head_width + i;
          kv_row(kv, page, g, position, false)[i] = cria::f32_to_f16(p.k[at]);
          kv_row(kv, page, g, position, true)[i] = cria::f32_to_f16(p.v[at]);
        }
    }
  });
}

void attend(const CriaCudaAttention& p, int64_t r, int head) {
  const CriaCudaKv& kv = p.kv;
  const CriaCudaSlice& slice = p.step->slice[p.step->slice_of_row[r]];
  const auto length = static_cast<int>(slice.past + r - slice.first_row) + 1;
  const int g = head / (p.heads / kv.kv_heads), width = kv.head_width;
  const int64_t at = (r * p.heads + head) * width;
  const auto row = [&](int t, bool value) {
    return kv_row(kv, p.step->pages[slice.first_page + t / kPageTokens], g, t, value);
  };
  std::vector<double> weights(static_cast<size_t>(length)), out(static_cast<size_t>(width));
  double most = -std::numeric_limits<double>::infinity(), sum = 0;
  for (int t = 0; t < length; ++t) {
    double score = 0;
    for (int i = 0; i < width; ++i)
      score += double{p.q[at + i]} * double{cria::f16_to_f32(row(t, false)[i])};
    weights[static_cast<size_t>(t)] = score * double{p.scale};
    most = std::max(most, score * double{p.scale});
  }
  for (double& weight : weights) sum += weight = std::exp(weight - most);
  for (int t = 0; t < length; ++t)
    for (int i = 0; i < width; ++i)
      out[static_cast<size_t>(i)] +=
          weights[static_cast<size_t>(t)] / sum * double{cria::f16_to_f32(row(t, true)[i])};
  for (int i = 0; i < width; ++i) p.out[at + i] = static_cast<float>(out[static_cast<size_t>(i)]);
}

int attention(CriaCuda* cuda, const CriaCudaAttention* call) {
  return cuda->add([p = *call] {
    for (int64_t r = 0; r < p.rows; ++r)
      for (int head = 0; head < p.heads && p.step->slice_of_row[r] >= 0; ++head) attend(p, r, head);
  });
}

uint64_t no_scratch(CriaCuda*, int64_t, int64_t) {
  return 0;
}

/// Greedy alone: what the engine does not ask for is no part of a plain plugin.
int sample(CriaCuda* cuda, const CriaCudaSample* call) {
  return cuda->add([p = *call] {
    for (int64_t r = 0; r < p.rows; ++r) {
      const float* row = p.logits + r * p.vocab;
      p.ids[r] = static_cast<int32_t>(std::max_element(row, row + p.vocab) - row);
    }
  });
}

CriaCudaTable make_table() {
  CriaCudaTable t{};
  t.version = CRIA_CUDA_VERSION;
  t.bytes = sizeof t;
  t.build = "plain loops on the CPU, for tests";
  t.error_text = error_text;
  t.is_out_of_memory = is_out_of_memory;
  t.device_count = device_count;
  t.device_info = device_info;
  t.open = open;
  t.close = close;
  t.allocate = allocate;
  t.release = release;
  t.allocate_pinned = allocate_pinned;
  t.release_pinned = release_pinned;
  t.upload = t.download = t.copy = copy;
  t.synchronize = synchronize;
  t.mark = mark;
  t.wait = wait;
  t.begin_capture = begin_capture;
  t.end_capture = end_capture;
  t.launch_graph = launch_graph;
  t.free_graph = free_graph;
  t.weight_bytes = weight_bytes;
  t.pack_weight = pack_weight;
  t.embed = embed;
  t.gather = gather;
  t.project_scratch = t.attention_scratch = t.sample_scratch = no_scratch;
  t.project = project;
  t.kv_page_bytes = kv_page_bytes;
  t.rope_store_kv = rope_store_kv;
  t.attention = attention;
  t.sample = sample;
  return t;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const CriaCudaTable* cria_cuda_table(
    uint32_t version) {
  static const CriaCudaTable whole = make_table();
  static const CriaCudaTable holed = [] {
    CriaCudaTable table = make_table();
    table.gather = nullptr;
    return table;
  }();
  if (version != CRIA_CUDA_VERSION || fault() == "version") return nullptr;
  return fault() == "incomplete" ? &holed : &whole;
}
