// Real files, where they are at hand.
#include <cmath>

#include "gguf/gguf.h"
#include "gguf/inspect.h"
#include "quant/codec.h"
#include "support/check.h"

using namespace cria;
using cria::gguf::File;

namespace {

std::vector<std::filesystem::path> files_in(const char* folder) {
  std::vector<std::filesystem::path> files;
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(folder, absent))
    if (entry.path().extension() == ".gguf") files.push_back(entry.path());
  if (files.empty()) throw test::Skip{cat("no model files in ", folder)};
  return files;
}

}  // namespace

TEST(real_models_are_read_whole) {
  for (const auto& path : files_in("../shared/models")) {
    const File file = File::open(path);
    CHECK_EQ(*file.get_string("general.architecture"), "llama");
    const uint64_t width = *file.get_uint("llama.embedding_length", 1, 1 << 20);
    const gguf::Tensor* embedding = file.find_tensor("token_embd.weight");
    CHECK(embedding && embedding->shape[0] == width);
    CHECK_EQ(file.get_strings("tokenizer.ggml.tokens")->size(), size_t{embedding->shape[1]});
    CHECK_EQ(file.file_bytes(), std::filesystem::file_size(path));
    test::touch(file);
    file.check_intact();
  }
}

TEST(weights_of_real_models_are_ordinary_numbers) {
  for (const auto& path : files_in("../shared/models")) {
    const File file = File::open(path);
    for (const gguf::Tensor& tensor : file.tensors()) {
      std::vector<float> weights(tensor.elements());
      dequantize_row(static_cast<DType>(tensor.type->id), tensor.data, weights.data(),
                     std::ssize(weights));
      double squares = 0;
      for (const float weight : weights) squares += double{weight} * weight;
      const double rms = std::sqrt(squares / static_cast<double>(weights.size()));
      CHECK(rms > 1e-4 && rms < 100.0);
    }
  }
}

TEST(real_vocabularies_are_read_whole) {
  for (const auto& path : files_in("../shared/vocab")) {
    const File file = File::open(path);
    CHECK(file.get_strings("tokenizer.ggml.tokens")->size() > 100);
    test::touch(file);
  }
}
