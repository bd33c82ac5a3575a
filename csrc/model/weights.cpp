#include "model/weights.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "quant/codec.h"

namespace cria {
namespace {

/// A row of the table, for weights that every layer has. Shapes are functions of the configuration.
struct LayerRow {
  const char* name;
  int (*rows)(const Config&);
  int (*cols)(const Config&);
  Role role;
  bool required;
  Weight LayerWeights::*matrix;
  Vector LayerWeights::*vector;
};

int one(const Config&) {
  return 1;
}
int width(const Config& c) {
  return c.width;
}
int query_width(const Config& c) {
  return c.query_width();
}
int kv_width(const Config& c) {
  return c.kv_width();
}
int feed_forward(const Config& c) {
  return c.feed_forward;
}

using L = LayerWeights;
constexpr Role kCol = Role::kColumnSplit, kRow = Role::kRowSplit, kAll = Role::kReplicated;

// Name in the file, rows N, columns K, role, required, where it goes.
constexpr LayerRow kLayerRows[] = {
    {"attn_norm.weight", one, width, kAll, true, nullptr, &L::attn_norm},
    {"attn_q.weight", query_width, width, kCol, true, &L::query, nullptr},
    {"attn_k.weight", kv_width, width, kCol, true, &L::key, nullptr},
    {"attn_v.weight", kv_width, width, kCol, true, &L::value, nullptr},
    {"attn_q.bias", one, query_width, kCol, false, nullptr, &L::query_bias},
    {"attn_k.bias", one, kv_width, kCol, false, nullptr, &L::key_bias},
    {"attn_v.bias", one, kv_width, kCol, false, nullptr, &L::value_bias},
    {"attn_output.weight", width, query_width, kRow, true, &L::attn_output, nullptr},
    {"attn_output.bias", one, width, kAll, false, nullptr, &L::attn_output_bias},
    {"ffn_norm.weight", one, width, kAll, true, nullptr, &L::ffn_norm},
    {"ffn_gate.weight", feed_forward, width, kCol, true, &L::gate, nullptr},
    {"ffn_up.weight", feed_forward, width, kCol, true, &L::up, nullptr},
    {"ffn_gate.bias", one, feed_forward, kCol, false, nullptr, &L::gate_bias},
    {"ffn_up.bias", one, feed_forward, kCol, false, nullptr, &L::up_bias},
    {"ffn_down.weight", width, feed_forward, kRow, true, &L::down, nullptr},
    {"ffn_down.bias", one, width, kAll, false, nullptr, &L::down_bias},
};

constexpr const char* kRopeFactors = "rope_freqs.weight";

/// Tensors that old converters left in files and that the network does not use.
bool ignorable(std::string_view name) {
  return name.ends_with(".attn_rot_embd") || name.ends_with(".rope.freqs") ||
         name.ends_with("rope_inv_freq");
}

std::string shape_text(const WeightSpec& spec) {
  return spec.is_vector() ? cat("[", spec.cols, "]") : cat("[", spec.cols, ", ", spec.rows, "]");
}

void check_shape(const gguf::Tensor& tensor, const WeightSpec& spec) {
  const auto cols = static_cast<uint64_t>(spec.cols), rows = static_cast<uint64_t>(spec.rows);
  if (tensor.shape[0] != cols || tensor.shape[1] != rows || tensor.shape[2] != 1 ||
      tensor.shape[3] != 1)
    fail(ErrorCode::kBadGguf, spec.name, ": expected shape ", shape_text(spec),
         " from the file's metadata, got ", tensor.shape_text());
  if (!tensor.type->computed)
    fail(ErrorCode::kUnsupported, spec.name, " is of type ", tensor.type->name,
         ", which Cria does not compute; convert the model to another type, such as Q4_K or Q8_0");
}

const gguf::Tensor* find(const gguf::File& file, const WeightSpec& spec) {
  const gguf::Tensor* tensor = file.find_tensor(spec.name);
  if (!tensor && spec.required)
    fail(ErrorCode::kBadGguf, "the file has no tensor ", spec.name, ", which its ",
         "metadata calls for");
  return tensor;
}

std::vector<float> read_rope_factors(const gguf::File& file, const Config& config) {
  const gguf::Tensor* tensor = file.find_tensor(kRopeFactors);
  if (!tensor) return {};
  WeightSpec spec;
  spec.name = kRopeFactors;
  spec.cols = config.rope.pairs;
  spec.vector = &ModelWeights::output_norm;  // marks it as a vector for the shape's text
  check_shape(*tensor, spec);
  std::vector<float> factors(static_cast<size_t>(spec.cols));
  dequantize_row(DType{tensor->type->id}, tensor->data, factors.data(), spec.cols);
  for (const float factor : factors)
    if (!(factor > 0) || !std::isfinite(factor))
      fail(ErrorCode::kBadGguf, kRopeFactors, ": expected positive factors, got ", factor);
  return factors;
}

/// Whether a matrix is held in the backend's form. An embedding table that serves for nothing else
/// stays in the file where the backend can read it there: a token reads one row of it.
bool is_packed(const gguf::File& file, const WeightSpec& spec, const Backend& backend,
               WeightForm form) {
  if (!backend.reads_files()) return true;
  const bool lookup = spec.matrix == &ModelWeights::token_embedding;
  return form == WeightForm::kPacked && (!lookup || !file.find_tensor("output.weight"));
}

/// Reads the tensors of the table in the order of the file, into memory in the order of the
/// network.
class Loader {
 public:
  Loader(const gguf::File& file, const Config& config, Backend& backend, WeightForm form,
         const LoadProgress& progress)
      : file_(file), specs_(weight_specs(config)), backend_(backend), progress_(progress) {
    for (const gguf::Tensor& tensor : file.tensors()) total_ += tensor.bytes;
    // The globals come first in the table, but last in a step.
    for (const bool of_layer : {true, false})
      for (const WeightSpec& spec : specs_)
        if ((spec.layer >= 0) == of_layer) plan(spec, form);
    std::sort(parts_.begin(), parts_.end(),
              [](const Part& a, const Part& b) { return a.tensor->data < b.tensor->data; });
  }

  void load(ModelWeights& weights) {
    weights.vectors = backend_.allocate(floats_ * sizeof(float));
    weights.matrices = backend_.allocate(bytes_);
    report(0);
    uint64_t loaded = 0;
    for (size_t i = 0; i < parts_.size(); ++i) {
      if (i + 1 < parts_.size()) file_.will_need(*parts_[i + 1].tensor);
      load(parts_[i], weights);
      loaded += parts_[i].tensor->bytes;
      report(loaded);
    }
    report(total_);
    file_.check_intact();
  }

 private:
  struct Part {
    const WeightSpec* spec;
    const gguf::Tensor* tensor;
    uint64_t offset;  // in `vectors` (floats) or `matrices` (bytes)
    bool packed;
  };

  void plan(const WeightSpec& spec, WeightForm form) {
    const gguf::Tensor* tensor = find(file_, spec);
    if (!tensor) return;
    Part part{&spec, tensor, floats_, false};
    if (spec.is_vector()) {
      floats_ += static_cast<uint64_t>(spec.cols);
    } else if (is_packed(file_, spec, backend_, form)) {
      part.packed = true;
      part.offset = bytes_;
      bytes_ += backend_.weight_bytes(DType{tensor->type->id}, spec.rows, spec.cols);
    }
    parts_.push_back(part);
  }

  void load(const Part& part, ModelWeights& weights) {
    const WeightSpec& spec = *part.spec;
    LayerWeights* layer =
        spec.layer >= 0 ? &weights.layers[static_cast<size_t>(spec.layer)] : nullptr;
    const DType type{part.tensor->type->id};
    if (spec.is_vector()) {
      (layer ? layer->*spec.layer_vector : weights.*spec.vector) =
          load_vector(type, part, static_cast<float*>(weights.vectors->data()) + part.offset);
      return;
    }
    auto* memory = static_cast<std::byte*>(weights.matrices->data());
    Blocks blocks(part.tensor->data);
    blocks.copy = [&](std::span<const std::byte> bytes, std::byte* to) {
      file_.copy(*part.tensor, bytes, to);
    };
    (layer ? layer->*spec.layer_matrix : weights.*spec.matrix) = backend_.import_weight(
        type, spec.rows, spec.cols, blocks, part.packed ? memory + part.offset : nullptr);
  }

  const float* load_vector(DType type, const Part& part, float* to) {
    row_.resize(static_cast<size_t>(part.spec->cols));
    dequantize_row(type, part.tensor->data, row_.data(), part.spec->cols);
    backend_.upload(to, row_.data(), row_.size() * sizeof(float));
    return to;
  }

  void report(uint64_t loaded) const {
    if (!progress_(loaded, total_)) fail(ErrorCode::kAborted, "the load was cancelled");
  }

  const gguf::File& file_;
  const std::vector<WeightSpec> specs_;
  Backend& backend_;
  const LoadProgress& progress_;
  std::vector<Part> parts_;
  uint64_t floats_ = 0, bytes_ = 0, total_ = 0;
  std::vector<float> row_;
};

}  // namespace

std::vector<WeightSpec> weight_specs(const Config& config) {
  std::vector<WeightSpec> specs;
  const auto global = [&](const char* name, int64_t rows, Role role, bool required) -> WeightSpec& {
    WeightSpec& spec = specs.emplace_back();
    spec.name = name;
    spec.rows = rows;
    spec.cols = config.width;
    spec.role = role;
    spec.required = required;
    return spec;
  };
  global("token_embd.weight", config.vocab, kAll, true).matrix = &ModelWeights::token_embedding;
  global("output_norm.weight", 1, kAll, true).vector = &ModelWeights::output_norm;
  global("output.weight", config.vocab, kCol, false).matrix = &ModelWeights::output;
  for (int layer = 0; layer < config.layers; ++layer) {
    for (const LayerRow& row : kLayerRows) {
      WeightSpec& spec = specs.emplace_back();
      spec.name = cat("blk.", layer, ".", row.name);
      spec.rows = row.rows(config);
      spec.cols = row.cols(config);
      spec.role = row.role;
      spec.required = row.required;
      spec.layer = layer;
      spec.layer_matrix = row.matrix;
      spec.layer_vector = row.vector;
    }
  }
  return specs;
}

void check_weights(const gguf::File& file, const Config& config) {
  std::unordered_set<std::string_view> known;
  const std::vector<WeightSpec> specs = weight_specs(config);
  for (const WeightSpec& spec : specs) {
    if (const gguf::Tensor* tensor = find(file, spec)) check_shape(*tensor, spec);
    known.insert(spec.name);
  }
  read_rope_factors(file, config);
  for (const gguf::Tensor& tensor : file.tensors())
    if (!known.contains(tensor.name) && tensor.name != kRopeFactors && !ignorable(tensor.name))
      fail(ErrorCode::kUnsupported, "the file has a tensor ", gguf::quoted(tensor.name),
           " that a Llama network of this shape has no place for; computing without it would give ",
           "wrong text");
}

uint64_t weight_bytes(const gguf::File& file, const Config& config, const Backend& backend,
                      WeightForm form) {
  uint64_t bytes = 0;
  for (const WeightSpec& spec : weight_specs(config)) {
    const gguf::Tensor* tensor = find(file, spec);
    if (!tensor) continue;
    if (spec.is_vector()) {
      bytes += static_cast<uint64_t>(spec.cols) * sizeof(float);
    } else if (is_packed(file, spec, backend, form)) {
      bytes += backend.weight_bytes(DType{tensor->type->id}, spec.rows, spec.cols);
    } else {
      bytes += tensor->bytes;
    }
  }
  return bytes;
}

ModelWeights load_weights(const gguf::File& file, const Config& config, Backend& backend,
                          WeightForm form, const LoadProgress& progress) {
  ModelWeights weights;
  weights.layers.resize(static_cast<size_t>(config.layers));
  weights.rope_factors = read_rope_factors(file, config);
  Loader(file, config, backend, form, progress).load(weights);
  if (!weights.output) weights.output = weights.token_embedding;  // tied
  return weights;
}

}  // namespace cria
