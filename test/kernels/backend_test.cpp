// The CPU backend as a whole: the same bits for any number of threads, any chunking and any company
// in the batch; shape errors; memory; the choice of tables.
#include "backend/backend.h"

#include "cpu/cpu_backend.h"
#include "kernel_support.h"

namespace cria::test {
namespace {

using Floats = std::vector<float>;

Matrix matrix(Floats& data, int64_t rows) {
  return {data.data(), rows, static_cast<int64_t>(data.size()) / rows};
}

Floats normal(Random& random, int64_t count) {
  Floats data(static_cast<size_t>(count));
  random.fill_normal(data);
  return data;
}

bool same(const Floats& a, const Floats& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

std::unique_ptr<Backend> backend(std::string_view table, int threads) {
  auto made = cpu::make_backend({threads, std::string(table)});
  made->reserve(64, 2048);
  return made;
}

/// A weight as the file has it, held in that form or packed.
struct EncodedWeight {
  std::vector<std::byte> bytes;
  std::unique_ptr<DeviceMemory> memory;
  Weight weight;

  EncodedWeight(Backend& owner, DType type, int64_t rows, int64_t cols, Random& random, bool packed)
      : bytes(static_cast<size_t>(rows * row_bytes(type, cols))) {
    for (int64_t r = 0; r < rows; ++r)
      quantize_row(type, normal(random, cols).data(), bytes.data() + r * row_bytes(type, cols),
                   cols);
    if (packed) memory = owner.allocate(owner.weight_bytes(type, rows, cols));
    weight = owner.import_weight(type, rows, cols, bytes.data(), packed ? memory->data() : nullptr);
  }
};

/// Three products of one input, in three types and activation forms, one with a bias.
std::vector<Floats> project(std::string_view table, bool packed, int threads, int64_t tokens,
                            uint64_t seed) {
  auto cpu = backend(table, threads);
  Random random(seed);
  const int64_t cols = 512;
  EncodedWeight q(*cpu, DType::kQ4_K, 203, cols, random, packed),
      k(*cpu, DType::kQ8_0, 37, cols, random, packed),
      v(*cpu, DType::kF16, 1, cols, random, packed);
  const Floats bias = normal(random, 37);
  Floats x = normal(random, 17 * cols);
  x.resize(static_cast<size_t>(tokens * cols));
  std::vector<Floats> out{Floats(static_cast<size_t>(tokens * 203)),
                          Floats(static_cast<size_t>(tokens * 37)),
                          Floats(static_cast<size_t>(tokens))};
  cpu->project(matrix(x, tokens), {{q.weight, nullptr, matrix(out[0], tokens)},
                                   {k.weight, bias.data(), matrix(out[1], tokens)},
                                   {v.weight, nullptr, matrix(out[2], tokens)}});
  return out;
}

}  // namespace

TEST(backend_project_has_the_same_bits_for_any_threads_and_batch) {
  for (const Table& table : supported_tables()) {
    for (bool packed : {false, true}) {
      const std::vector<Floats> expected = project(table.variant, packed, 1, 17, 50);
      for (int threads : {2, 3}) {
        const std::vector<Floats> got = project(table.variant, packed, threads, 17, 50);
        for (size_t i = 0; i < got.size(); ++i) CHECK_SAY(same(got[i], expected[i]), table.variant);
      }
      for (int64_t tokens : {1, 2, 3, 5, 9}) {  // the first tokens of the same batch
        const std::vector<Floats> got = project(table.variant, packed, 2, tokens, 50);
        for (size_t i = 0; i < got.size(); ++i) {
          Floats first(expected[i].begin(),
                       expected[i].begin() + static_cast<std::ptrdiff_t>(got[i].size()));
          CHECK_SAY(same(got[i], first), table.variant, " T=", tokens);
        }
      }
    }
  }
}

// 1100 tokens are more than are multiplied at a time, 70 rows no whole number of units.
TEST(backend_project_of_many_tokens_equals_one_by_one) {
  Random random(57);
  auto cpu = cpu::make_backend({2, ""});
  cpu->reserve(1100, 64);
  EncodedWeight w(*cpu, DType::kQ8_0, 70, 64, random, true);
  Floats x = normal(random, 1100 * 64), all(1100 * 70), one(70);
  cpu->project(matrix(x, 1100), {{w.weight, nullptr, matrix(all, 1100)}});
  for (int64_t t : {0, 511, 512, 1023, 1024, 1099}) {
    cpu->project(Matrix{x.data() + t * 64, 1, 64}, {{w.weight, nullptr, matrix(one, 1)}});
    CHECK(std::equal(one.begin(), one.end(), all.begin() + t * 70));
  }
}

TEST(backend_project_adds_the_bias_and_matches_double) {
  Random random(51);
  for (bool packed : {false, true}) {
    auto cpu = backend("", 2);
    EncodedWeight w(*cpu, DType::kF32, 33, 40, random, packed);
    Floats x = normal(random, 3 * 40), out(3 * 33);
    const Floats bias = normal(random, 33);
    cpu->project(matrix(x, 3), {{w.weight, bias.data(), matrix(out, 3)}});
    const auto* weights = reinterpret_cast<const float*>(w.bytes.data());
    for (size_t t = 0; t < 3; ++t) {
      for (size_t n = 0; n < 33; ++n) {
        double exact = bias[n];
        for (size_t k = 0; k < 40; ++k)
          exact += double{x[t * 40 + k]} * double{weights[n * 40 + k]};
        CHECK(std::fabs(double{out[t * 33 + n]} - exact) < 1e-5);
      }
    }
  }
}

// What is computed on the way to a product, and after it, has the bits of the kernels one by one.
TEST(backend_project_norms_gates_and_accumulates) {
  Random random(54);
  for (const Table& table : supported_tables()) {
    for (DType type : {DType::kF32, DType::kQ4_0, DType::kQ6_K}) {
      for (int64_t tokens : {1, 11}) {
        auto cpu = backend(table.variant, 2);
        const int64_t cols = 256, rows = 40;
        EncodedWeight w(*cpu, type, rows, cols, random, true);
        Floats x = normal(random, tokens * cols);
        const Floats norm = normal(random, cols);
        Floats computed(x.size()), expected(static_cast<size_t>(tokens * rows));
        Floats out(expected.size());
        const auto expect = [&] {
          cpu->project(matrix(computed, tokens), {{w.weight, nullptr, matrix(expected, tokens)}});
        };
        for (int64_t t = 0; t < tokens; ++t)
          table.kernels->rmsnorm(x.data() + t * cols, norm.data(), 1e-5f, cols,
                                 computed.data() + t * cols);
        expect();
        cpu->project(normed(matrix(x, tokens), norm.data(), 1e-5f),
                     {{w.weight, nullptr, matrix(out, tokens)}});
        CHECK_SAY(same(out, expected), table.variant, " norm");

        Floats sum = normal(random, tokens * rows), before = sum;
        cpu->project(normed(matrix(x, tokens), norm.data(), 1e-5f),
                     {{w.weight, nullptr, matrix(sum, tokens), true}});
        for (size_t i = 0; i < sum.size(); ++i) CHECK_EQ(sum[i], before[i] + expected[i]);

        EncodedWeight g(*cpu, DType::kQ8_0, rows, cols, random, true);
        const Floats up_bias = normal(random, rows), gate_bias = normal(random, rows);
        Floats gate(expected.size()), up(expected.size());
        for (const bool biased : {false, true}) {
          const float *ub = biased ? up_bias.data() : nullptr,
                      *gb = biased ? gate_bias.data() : nullptr;
          cpu->project(matrix(x, tokens),
                       {{g.weight, gb, matrix(gate, tokens)}, {w.weight, ub, matrix(up, tokens)}});
          table.kernels->silu_mul(gate.data(), up.data(), tokens * rows, expected.data());
          cpu->project(matrix(x, tokens), {gated(g.weight, gb, w.weight, ub, matrix(out, tokens))});
          CHECK_SAY(same(out, expected), table.variant, " gate", biased ? " with biases" : "");
        }
      }
    }
  }
}

namespace {

/// One layer's cache and the tokens of some sequences; runs rope_store_kv and attention over any
/// cut of them into batches.
class Layer {
 public:
  static constexpr int kHeads = 8, kKvHeads = 2, kPairs = 8;

  Layer(std::string_view table, int threads, KvType type, std::vector<int> lengths, uint64_t seed)
      : cpu_(backend(table, threads)),
        lengths_(std::move(lengths)),
        width_(type == KvType::kF16 ? 20 : 32) {
    Random random(seed);
    int pages = 0;
    for (int length : lengths_) {
      page_tables_.emplace_back();
      for (int p = 0; p * kPageTokens < length; ++p) page_tables_.back().push_back(pages++);
      q_.push_back(normal(random, int64_t{length} * kHeads * width_));
      k_.push_back(normal(random, int64_t{length} * kKvHeads * width_));
      v_.push_back(normal(random, int64_t{length} * kKvHeads * width_));
      out_.emplace_back(q_.back().size());
    }
    for (auto& page_table : page_tables_)  // scattered: from the back, sequences mixed
      for (int32_t& page : page_table) page = (page * 5 + 3) % prime_above(pages);
    kv_.page_bytes = cpu_->kv_page_bytes(type, width_);
    kv_.head_bytes = prime_above(pages) * kv_.page_bytes;
    const auto bytes = static_cast<size_t>(kKvHeads * kv_.head_bytes);
    memory_ = cpu_->allocate(bytes);
    std::memset(memory_->data(), 0xff, bytes);  // what another sequence left there: NaN
    kv_.pages = static_cast<std::byte*>(memory_->data());
    kv_.type = type;
    kv_.kv_heads = kKvHeads;
    kv_.head_width = width_;
    past_.resize(lengths_.size());
  }

  /// The next `counts[s]` tokens of each sequence s, in one batch.
  void step(const std::vector<int>& counts) {
    std::vector<Slice> batch;
    int64_t rows = 0;
    for (size_t s = 0; s < counts.size(); ++s) {
      if (counts[s] == 0) continue;
      batch.push_back({rows, counts[s], past_[s], page_tables_[s].data()});
      rows += counts[s];
    }
    Floats q, k, v, angles;
    for (size_t s = 0; s < counts.size(); ++s) {
      append(q, q_[s], past_[s], counts[s], kHeads * width_);
      append(k, k_[s], past_[s], counts[s], kKvHeads * width_);
      append(v, v_[s], past_[s], counts[s], kKvHeads * width_);
      for (int p = past_[s]; p < past_[s] + counts[s]; ++p)
        for (int i = 0; i < kPairs; ++i) {
          angles.push_back(std::cos(static_cast<float>(p * (i + 1))));
          angles.push_back(std::sin(static_cast<float>(p * (i + 1))));
        }
    }
    Floats out(q.size());
    cpu_->rope_store_kv(batch, {angles.data(), kPairs}, matrix(q, rows), matrix(k, rows),
                        matrix(v, rows), kv_);
    cpu_->attention(batch, matrix(q, rows), kv_, 0.25f, matrix(out, rows));
    const size_t width = static_cast<size_t>(kHeads * width_);
    size_t row = 0;
    for (size_t s = 0; s < counts.size(); ++s) {
      const auto count = static_cast<size_t>(counts[s]);
      std::copy_n(out.begin() + static_cast<std::ptrdiff_t>(row * width), count * width,
                  out_[s].begin() + static_cast<std::ptrdiff_t>(past_[s]) * kHeads * width_);
      row += count;
      past_[s] += counts[s];
    }
  }

  const std::vector<Floats>& outputs() const { return out_; }

 private:
  static int prime_above(int pages) {  // multiplication by 5 then permutes the pages
    for (int p : {2, 3, 7, 11, 13, 17, 19, 23, 29, 31, 67, 127})
      if (p > pages) return p;
    throw Skip{"too many pages"};
  }
  static void append(Floats& to, const Floats& from, int past, int count, int width) {
    const auto first = from.begin() + std::ptrdiff_t{past} * width;
    to.insert(to.end(), first, first + std::ptrdiff_t{count} * width);
  }

  std::unique_ptr<Backend> cpu_;
  std::vector<int> lengths_, past_;
  int width_;
  std::vector<std::vector<int32_t>> page_tables_;
  std::vector<Floats> q_, k_, v_, out_;
  std::unique_ptr<DeviceMemory> memory_;
  LayerKv kv_;
};

}  // namespace

TEST(backend_chunked_prefill_equals_token_by_token) {
  for (const Table& table : supported_tables()) {
    for (const KvType type : {KvType::kF16, KvType::kQ8_0}) {
      Layer whole(table.variant, 1, type, {70, 33, 5}, 52);
      whole.step({70, 33, 5});

      Layer single(table.variant, 1, type, {70, 33, 5}, 52);
      for (int t = 0; t < 70; ++t) single.step({1, t < 33 ? 1 : 0, t < 5 ? 1 : 0});

      Layer chunks(table.variant, 3, type, {70, 33, 5}, 52);
      chunks.step({0, 31, 1});
      chunks.step({32, 0, 4});
      chunks.step({1, 2, 0});
      chunks.step({30, 0, 0});
      chunks.step({7, 0, 0});
      for (size_t s = 0; s < 3; ++s) {
        CHECK_SAY(same(whole.outputs()[s], single.outputs()[s]), table.variant, " sequence ", s);
        CHECK_SAY(same(whole.outputs()[s], chunks.outputs()[s]), table.variant, " sequence ", s);
      }

      Layer other(table.variant, 1, type, {70, 33, 5}, 53);  // the test can fail
      other.step({70, 33, 5});
      CHECK(!same(whole.outputs()[0], other.outputs()[0]));
    }
  }
}

// Past kSplitPositions few tiles are shared out by splits, where there are threads for it. With 70
// threads those of 240 and 150 tokens are few, and the partial results of all their splits have no
// room at once.
TEST(backend_attention_over_long_contexts_has_the_same_bits_for_any_threads) {
  for (const Table& table : supported_tables()) {
    for (const KvType type : {KvType::kF16, KvType::kQ8_0}) {
      Layer whole(table.variant, 1, type, {1550, 600}, 54);
      whole.step({1550, 600});
      for (const int threads : {2, 3, 70}) {
        Layer parts(table.variant, threads, type, {1550, 600}, 54);
        parts.step({1020, 511});
        for (const int count : {1, 1, 1, 2, 3}) parts.step({count, 1});
        parts.step({20, 0});
        for (const int count : {240, 150, 90}) parts.step({count, 0});
        parts.step({0, 84});
        for (int t = 0; t < 22; ++t) parts.step({1, 0});
        for (size_t s = 0; s < 2; ++s)
          CHECK_SAY(same(whole.outputs()[s], parts.outputs()[s]), table.variant, " threads ",
                    threads, " sequence ", s);
      }
    }
  }
}

TEST(backend_gathers_rows) {
  auto cpu = backend("", 2);
  Random random(58);
  Floats x = normal(random, 5 * 24), gathered(3 * 24);
  const int64_t rows[] = {4, 0, 4};
  cpu->gather_rows(matrix(x, 5), rows, matrix(gathered, 3));
  for (size_t i = 0; i < gathered.size(); ++i)
    CHECK_EQ(gathered[i], x[static_cast<size_t>(rows[i / 24]) * 24 + i % 24]);
}

TEST(backend_embed_decodes_rows) {
  Random random(55);
  const int32_t ids[] = {19, 0, 19, 3};
  for (DType type : kAllTypes) {
    for (bool packed : {false, true}) {
      auto cpu = backend("", 2);
      const int64_t cols = dtype_info(type).block_weights * int64_t{3};
      EncodedWeight table(*cpu, type, 20, cols, random, packed);
      Floats out(static_cast<size_t>(4 * cols)), row(static_cast<size_t>(cols));
      cpu->embed(table.weight, ids, matrix(out, 4));
      for (int64_t t = 0; t < 4; ++t) {
        dequantize_row(type, table.bytes.data() + ids[t] * row_bytes(type, cols), row.data(), cols);
        CHECK(std::equal(row.begin(), row.end(), out.begin() + t * cols));
      }
    }
  }
  auto cpu = backend("", 2);
  EncodedWeight table(*cpu, DType::kQ6_K, 10, 256, random, false);
  Floats out(4 * 256);
  const int32_t bad[] = {1, 10, 2, 3}, negative[] = {1, -1, 2, 3};
  CHECK_THROWS(ErrorCode::kBadArgument, (cpu->embed(table.weight, bad, matrix(out, 4)), 0),
               "id 10 is not in [0, 10)");
  CHECK_THROWS(ErrorCode::kBadArgument, (cpu->embed(table.weight, negative, matrix(out, 4)), 0),
               "id -1");
  CHECK_THROWS(ErrorCode::kBadArgument, (cpu->embed(table.weight, negative, matrix(out, 2)), 0),
               "4 ids");
}

TEST(backend_refuses_wrong_shapes) {
  auto cpu = backend("", 1);
  Random random(56);
  EncodedWeight w(*cpu, DType::kQ8_0, 16, 64, random, true);
  Floats a(3 * 64), b(3 * 32), c(3 * 16), narrow(2 * 16);
  const auto code = ErrorCode::kBadArgument;
  CHECK_THROWS(code, (cpu->project(matrix(b, 3), {{w.weight, nullptr, matrix(c, 3)}}), 0),
               "[16×64]");
  CHECK_THROWS(code, (cpu->project(matrix(a, 3), {{w.weight, nullptr, matrix(narrow, 2)}}), 0),
               "gives [3×16]");
  CHECK_THROWS(code, (cpu->project(matrix(a, 3), {{Weight{}, nullptr, matrix(c, 3)}}), 0),
               "without data");
  Floats many(65 * 64), many_out(65 * 16);
  CHECK_THROWS(code,
               (cpu->project(matrix(many, 65), {{w.weight, nullptr, matrix(many_out, 65)}}), 0),
               "[64×2048] was reserved");
  EncodedWeight other(*cpu, DType::kQ8_0, 32, 64, random, true);
  const Projection gate = gated(other.weight, nullptr, w.weight, nullptr, matrix(c, 3));
  CHECK_THROWS(code, (cpu->project(matrix(a, 3), {gate}), 0), "gate is [32×64]");
  Projection both = gated(w.weight, nullptr, w.weight, nullptr, matrix(c, 3));
  both.accumulate = true;
  CHECK_THROWS(code, (cpu->project(matrix(a, 3), {both}), 0), "cannot accumulate");
  const int64_t rows[] = {0, 3};
  CHECK_THROWS(code, (cpu->gather_rows(matrix(a, 3), rows, {a.data(), 2, 64}), 0), "row 3");
}

TEST(backend_refuses_wrong_attention_shapes) {
  auto cpu = backend("", 1);
  const auto code = ErrorCode::kBadArgument;
  Floats q(3 * 32), k(3 * 8), out(3 * 32), angles(3 * 8);
  std::vector<std::byte> cache(static_cast<size_t>(cpu->kv_page_bytes(KvType::kF16, 8)));
  const int32_t page = 0;
  const auto kv_of = [&](int heads, int width, KvType type = KvType::kF16) {
    const auto bytes = static_cast<int64_t>(cache.size());
    return LayerKv{cache.data(), bytes, bytes, type, heads, width};
  };
  const LayerKv kv = kv_of(1, 8);
  const auto attend = [&](Slice slice, const LayerKv& cache_kv) {
    cpu->attention({&slice, 1}, matrix(q, 3), cache_kv, 1, matrix(out, 3));
    return 0;
  };
  CHECK_THROWS(code, attend({1, 3, 0, &page}, kv), "must lie in the batch");
  CHECK_THROWS(code, attend({0, 3, -1, &page}, kv), "must lie in the batch");
  CHECK_THROWS(code, attend({0, 3, 0, nullptr}, kv), "page table");
  CHECK_THROWS(code, attend({0, 3, 0, &page}, kv_of(1, 7)), "even width");
  CHECK_THROWS(code, attend({0, 3, 0, &page}, kv_of(1, 1026)), "up to 1024");
  CHECK_THROWS(code, attend({0, 3, 0, &page}, kv_of(0, 8)), "a cache of 0 heads");
  CHECK_THROWS(code, attend({0, 3, 0, &page}, kv_of(1, 16)), "pages need 2048");
  CHECK_THROWS(code, attend({0, 3, 0, &page}, kv_of(1, 6)), "multiple of 6");
  CHECK_THROWS(ErrorCode::kUnsupported, attend({0, 3, 0, &page}, kv_of(1, 8, KvType::kQ8_0)),
               "multiple of 32 elements, and this model's have 8; use the type f16");
  const Slice slice{0, 3, 0, &page};
  const auto store = [&](RopeAngles rope, Floats& keys) {
    cpu->rope_store_kv({&slice, 1}, rope, matrix(q, 3), matrix(keys, 3), matrix(keys, 3), kv);
    return 0;
  };
  CHECK_THROWS(code, store({angles.data(), 5}, k), "5 pairs");
  CHECK_THROWS(code, store({angles.data(), 4}, q), "expected [3×8]");
}

}  // namespace cria::test
