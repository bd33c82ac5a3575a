// F3, device. Several products of one input: which kernels compute them, and where in the scratch
// memory they leave what they share. The input is prepared once; neighbours whose weights have the
// same form are one launch.
//
//   scratch  half      f16 [T × 256·tiles]
//            exact     f32 [T × 256·tiles]
//            factor    f32 [T]
//            arrived   u32 [most_split_tiles]                     more than 8 rows only
//            sums      f32 [segment][most_split_tiles][64][128]   likewise
#include "cuda/device/products.h"
#include "cuda/device/weights.h"

namespace cria::cuda {
namespace {

constexpr int64_t kMostGemvRows = 8;

/// Offsets of the arrays in the scratch memory.
struct Layout {
  int64_t half, exact, factor, arrived, sums, bytes;
};
Layout lay_out(const CriaCuda* cuda, int64_t rows, int64_t cols) {
  const int64_t inputs = rows * input_tiles(cols) * kTileInputs;
  const int64_t split = rows > kMostGemvRows ? most_split_tiles(cuda) : 0;
  Layout at{};
  const auto take = [&at](int64_t bytes) {
    const int64_t begin = at.bytes;
    at.bytes += round_up(bytes, kAlignment);
    return begin;
  };
  at.half = take(2 * inputs);
  at.exact = take(4 * inputs);
  at.factor = take(4 * rows);
  at.arrived = take(4 * split);
  at.sums = take(split * kSegments * kGemmSums * kGemmThreads * 4);
  return at;
}

Packed packed(const CriaCudaWeight& weight, const float* bias) {
  if (!weight.data) return {};
  const auto* tiles = static_cast<const uint8_t*>(weight.data);
  const int64_t tile_bytes = with_form(
      form_of(weight.type), [](auto form) { return int64_t{decltype(form)::kTileBytes}; });
  const int64_t bytes = tiles_bytes(tile_bytes, weight.rows, weight.cols);
  return {tiles, reinterpret_cast<const float*>(tiles + bytes), bias};
}

/// Products of one input, launched as they have to be.
class Launches {
 public:
  Launches(CriaCuda* cuda, const Input& input, const Partials& partials)
      : cuda_(cuda), input_(input), partials_(partials) {}

  /// A status, as all functions here.
  int add(const CriaCudaProduct& product) {
    const Form form = form_of(product.weight.type), gate_form = form_of(product.gate.type);
    if (product.gate.data && gate_form != form) return add_apart(product, form, gate_form);
    const Epilogue epilogue = product.gate.data    ? Epilogue::kGate
                              : product.accumulate ? Epilogue::kAdd
                                                   : Epilogue::kStore;
    return put(form, make(packed(product.weight, product.bias),
                          packed(product.gate, product.gate_bias), product, epilogue));
  }

  int flush() {
    if (products_.count == 0) return cudaSuccess;
    Products products = products_;
    products_ = {};
    if (form_ == Form::kF32) return exact(cuda_, input_, products);
    if (input_.rows <= kMostGemvRows) return gemv(cuda_, form_, input_, products);
    return gemm(cuda_, form_, input_, products, partials_);
  }

 private:
  static Product make(const Packed& weight, const Packed& gate, const CriaCudaProduct& product,
                      Epilogue epilogue) {
    return {weight, gate, product.out, static_cast<int>(product.weight.rows), epilogue, 0};
  }

  int put(Form form, const Product& product) {
    if (form != form_ || products_.count == kMostProducts) {
      const int status = flush();
      if (status != cudaSuccess) return status;
    }
    form_ = form;
    products_.at[products_.count++] = product;
    return cudaSuccess;
  }

  /// Weight and gate of different forms: the gate's launch leaves silu(gate) in the output.
  int add_apart(const CriaCudaProduct& product, Form form, Form gate_form) {
    int status =
        put(gate_form, make(packed(product.gate, product.gate_bias), {}, product, Epilogue::kSilu));
    if (status == cudaSuccess) status = flush();
    if (status != cudaSuccess) return status;
    return put(form, make(packed(product.weight, product.bias), {}, product, Epilogue::kTimes));
  }

  CriaCuda* cuda_;
  Input input_;
  Partials partials_;
  Form form_ = Form::kNone;
  Products products_{};
};

/// Which forms of the input are read.
struct Readers {
  bool half = false, exact = false, unknown = false;
  void add(const CriaCudaWeight& weight) {
    if (!weight.data) return;
    const Form form = form_of(weight.type);
    (form == Form::kNone ? unknown : form == Form::kF32 ? exact : half) = true;
  }
};

}  // namespace

uint64_t project_scratch(CriaCuda* cuda, int64_t rows, int64_t most_cols) {
  return static_cast<uint64_t>(lay_out(cuda, rows, most_cols).bytes);
}

int project(CriaCuda* cuda, const CriaCudaProject* project) {
  if (project->rows == 0 || project->count == 0) return cudaSuccess;
  Readers readers;
  for (int i = 0; i < project->count; ++i) {
    readers.add(project->products[i].weight);
    readers.add(project->products[i].gate);
  }
  if (readers.unknown) return cudaErrorNotSupported;
  const Layout at = lay_out(cuda, project->rows, project->cols);
  auto* scratch = static_cast<uint8_t*>(project->scratch);
  const auto floats = [&](int64_t offset) { return reinterpret_cast<float*>(scratch + offset); };
  const Input input{readers.half ? reinterpret_cast<uint16_t*>(scratch + at.half) : nullptr,
                    readers.exact ? floats(at.exact) : nullptr, floats(at.factor),
                    static_cast<int>(project->rows), static_cast<int>(input_tiles(project->cols))};
  Partials partials{};
  if (project->rows > kMostGemvRows)
    partials = {floats(at.sums), reinterpret_cast<unsigned*>(scratch + at.arrived)};
  int status = prepare(cuda, *project, input, partials);
  Launches launches(cuda, input, partials);
  for (int i = 0; i < project->count && status == cudaSuccess; ++i)
    status = launches.add(project->products[i]);
  return status == cudaSuccess ? launches.flush() : status;
}

}  // namespace cria::cuda
