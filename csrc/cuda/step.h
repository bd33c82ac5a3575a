// F3. A step of the network on its way to the device. Operations are held back until something
// needs what they give, and then go together:
//
//   embed ─ project ─ rope ─ attention ─ …  recorded: which function, which arguments
//                                   │
//   ids, slices, pages, rows ─▶ CriaCudaStep ─▶ one upload
//                                   │
//   a list seen before:         its graph, launched by one call
//   a list seen for the second time:  captured as a graph
//   a new list:                 called one by one
//
// Two lists are the same where every function and argument is. Arguments hold no count of a step,
// because rows are rounded up to a bucket (`bucket_rows`) and contexts to another
// (`bucket_tokens`); so the steps of a bucket share a graph.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <variant>
#include <vector>

#include "backend/backend.h"
#include "cuda/device.h"
#include "cuda/ring.h"

namespace cria::cuda {

/// Rows that a step of `rows` computes where there is room for `most`: the next power of two.
int64_t bucket_rows(int64_t rows, int64_t most);
/// The most cached tokens of the bucket of a context of `tokens`: a power of two from 256 on.
int32_t bucket_tokens(int64_t tokens);

class Step {
 public:
  explicit Step(std::shared_ptr<Device> device);
  ~Step();
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  // Each puts one operation at the end, with its bucket's `rows`; the pointers to the step are
  // filled in later. An operation whose inputs contradict those of the step under way begins
  // another one.
  void embed(const CriaCudaWeight& table, std::span<const int32_t> ids, int64_t rows, float* out);
  void gather(const float* x, int64_t cols, std::span<const int64_t> from, int64_t rows,
              float* out);
  void project(const CriaCudaProject& call, std::span<const CriaCudaProduct> products);
  void rope(const CriaCudaRope& call, std::span<const Slice> batch, int64_t alive);
  void attention(const CriaCudaAttention& call, std::span<const Slice> batch, int64_t alive);

  /// Whether bytes may be written to [to, to + bytes) ahead of what is held back: that is nothing,
  /// or a look-up of ids which writes elsewhere.
  bool lets_past(const void* to, size_t bytes) const;
  /// Copies host bytes there, ahead of what is held back.
  void upload(void* to, const void* from, size_t bytes);

  /// Puts what is held back on the stream.
  void launch();
  /// Forgets what is held back.
  void drop();
  /// Nothing is on the stream any more.
  void passed() { ring_.passed(); }

  /// Device memory that it has for steps of up to `tokens` rows, at first.
  static size_t block_bytes(int64_t tokens);
  void reserve(int64_t tokens);

  // For tests and reports.
  size_t graphs() const;
  uint64_t launched_graphs() const { return launched_graphs_; }

 private:
  struct Embed {
    CriaCudaWeight table;
    int64_t rows;
    float* out;
  };
  struct Gather {
    const float* x;
    int64_t cols, rows;
    float* out;
  };
  struct Project {
    CriaCudaProject call;
    size_t first;  // of products_
  };
  using Op = std::variant<Embed, Gather, Project, CriaCudaRope, CriaCudaAttention>;
  /// Offsets of CriaCudaStep and its arrays in the block, and the bytes of all.
  struct Layout {
    size_t head, ids, slices, slice_of_row, pages, gathered, bytes;
  };
  /// The functions and arguments of a list of operations, word by word.
  using Signature = std::vector<uint64_t>;
  struct SignatureHash {
    size_t operator()(const Signature& words) const;
  };

  void take_batch(std::span<const Slice> batch, int64_t alive);
  bool same_batch(std::span<const Slice> batch) const;
  void widen(int64_t rows);
  template <class... Values>
  void sign(Values... values);
  void sign(const CriaCudaWeight& weight);
  void sign(const CriaCudaKv& kv);

  Layout lay_out() const;
  void write(const Layout& layout, std::byte* host, const std::byte* device) const;
  void upload_inputs();
  void run();
  CriaCudaGraph* capture();
  void drop_graphs() noexcept;

  std::shared_ptr<Device> device_;
  Ring ring_;
  std::unique_ptr<CudaMemory> block_;  // CriaCudaStep and its arrays

  // Held back.
  std::vector<Op> ops_;
  std::vector<CriaCudaProduct> products_;
  Signature signature_;
  std::vector<int32_t> ids_, pages_, gathered_;
  std::vector<CriaCudaSlice> slices_;
  int64_t alive_ = 0, rows_ = 0;  // with a token; of the widest operation
  bool has_ids_ = false, has_batch_ = false, has_gathered_ = false;

  /// By what they compute; null: seen once.
  std::unordered_map<Signature, CriaCudaGraph*, SignatureHash> graphs_;
  uint64_t launched_graphs_ = 0;
};

}  // namespace cria::cuda
