// The CUDA backend over the plain plugin: operations against the CPU's, steps and their graphs.
#include "cuda/step.h"

#include <algorithm>

#include "device/device.h"
#include "device/kv.h"

namespace cria::test {
namespace {

constexpr int64_t kTokens = 32, kCols = 256;
/// Of attention over a cache of binary16, which the CPU has as well.
constexpr double kKvNoise = 1e-6;

std::unique_ptr<cuda::CudaBackend> reserved_backend() {
  auto backend = tested_backend();
  backend->reserve(kTokens, kCols);
  return backend;
}

}  // namespace

TEST(device_rows_and_tokens_have_buckets) {
  const std::pair<int, int> rows[] = {{1, 1}, {2, 2}, {3, 4}, {5, 8}, {17, 32}, {33, 40}, {40, 40}};
  for (const auto& [given, bucket] : rows) CHECK_EQ(cuda::bucket_rows(given, 40), bucket);
  CHECK_EQ(cuda::bucket_rows(3, 3), 3);
  CHECK_EQ(cuda::bucket_tokens(0), 256);
  CHECK_EQ(cuda::bucket_tokens(256), 256);
  CHECK_EQ(cuda::bucket_tokens(257), 512);
  CHECK_EQ(cuda::bucket_tokens(INT64_C(1) << 40), 1 << 30);
}

TEST(device_copies_bytes_of_any_size) {
  auto backend = tested_backend();
  std::mt19937 random(1);
  for (const int64_t count : {1, 1000, 300'000, 3'000'000}) {
    OnDevice a(*backend, 1, count), b(*backend, 1, count);
    CHECK(std::ranges::all_of(a.get(), [](float x) { return x == 0; }));
    Floats values = normal(random, count);
    const Floats before = values;
    a.put(values);
    std::ranges::fill(values, 0.0f);  // upload was through with it
    backend->copy(b.matrix.data, a.matrix.data, static_cast<size_t>(count) * sizeof(float));
    CHECK(b.get() == before);
  }
}

TEST(device_weights_of_any_size_and_type_are_packed_whole) {
  auto backend = reserved_backend();
  auto cpu = cpu::make_backend({1, "scalar"});
  cpu->reserve(kTokens, kCols);
  std::mt19937 random(2);
  // 40,000 rows of f32 are several ranges of the staging memory.
  for (const auto& [type, rows] : {std::pair{DType::kF32, int64_t{40'000}},
                                   {DType::kQ4_K, int64_t{70}},
                                   {DType::kQ8_0, int64_t{64}}}) {
    OnDeviceWeight there(*backend, type, rows, kCols, 3), here(*cpu, type, rows, kCols, 3);
    OnDevice out(*backend, 3, kCols), expected(*cpu, 3, kCols);
    const int32_t ids[] = {static_cast<int32_t>(rows - 1), 0, static_cast<int32_t>(rows / 2)};
    backend->embed(there.weight, ids, out.matrix);
    cpu->embed(here.weight, ids, expected.matrix);
    CHECK(noise(out.get(), expected.get()) < most_noise(1e-6));
  }
}

TEST(device_attention_over_chunks_matches_the_cpu) {
  auto backend = reserved_backend();
  auto cpu = cpu::make_backend({1, ""});
  cpu->reserve(kTokens, kCols);
  const std::vector<std::vector<int>> steps = {{20, 3}, {12, 0}, {0, 30}, {1, 1}, {1, 1}, {2, 1}};
  const Floats here = KvDrive(*cpu, {64, 64}, 7).run(steps);
  for (const int64_t spare : {0, 16}) {
    KvDrive drive(*backend, {64, 64}, 7, spare);
    CHECK(noise(drive.run(steps), here) < kKvNoise);
  }
  const Floats other = KvDrive(*cpu, {64, 64}, 8).run(steps);
  CHECK(noise(other, here) > 0.1);  // the test can fail
}

TEST(device_attention_over_codes_is_near_that_over_halves) {
  if (is_plain()) {
    auto plain = reserved_backend();
    CHECK_THROWS(ErrorCode::kUnsupported, KvDrive(*plain, {64}, 7, 0, KvType::kQ8_0), "type q8_0");
    return;
  }
  auto backend = reserved_backend();
  const std::vector<std::vector<int>> steps = {{20, 3}, {12, 19}, {1, 1}, {1, 1}};
  const Floats halves = KvDrive(*backend, {64, 64}, 7).run(steps);
  for (const int64_t spare : {0, 16}) {
    const double rounded =
        noise(KvDrive(*backend, {64, 64}, 7, spare, KvType::kQ8_0).run(steps), halves);
    CHECK(rounded > 1e-8 && rounded < 1e-3);
  }
}

TEST(device_steps_of_a_bucket_share_a_graph) {
  auto backend = reserved_backend();
  KvDrive drive(*backend, {300, 300}, 9, 16);
  drive.run({{1, 1}});
  CHECK_EQ(backend->counts().graphs, size_t{0});  // a list is captured when it comes again
  drive.run({{1, 1}});
  CHECK_EQ(backend->counts().graphs, size_t{1});
  CHECK_EQ(backend->counts().launched, uint64_t{1});
  for (int i = 0; i < 5; ++i) drive.run({{1, 1}});
  CHECK_EQ(backend->counts().graphs, size_t{1});
  CHECK_EQ(backend->counts().launched, uint64_t{6});
  drive.run({{2, 1}});
  drive.run({{2, 2}});  // of four rows, as the one before
  CHECK_EQ(backend->counts().graphs, size_t{2});
  drive.run({{8, 8}});
  drive.run({{16, 0}});  // a part of a prompt
  CHECK_EQ(backend->counts().graphs, size_t{2});
  drive.run({{9, 1}});
  CHECK_EQ(backend->counts().graphs, size_t{3});
}

TEST(device_graphs_survive_a_larger_page_table) {
  auto backend = reserved_backend();
  auto cpu = cpu::make_backend({1, ""});
  cpu->reserve(kTokens, kCols);
  KvDrive there(*backend, {64, 64}, 10, 16), here(*cpu, {64, 64}, 10);
  for (int i = 0; i < 3; ++i) CHECK(noise(there.run({{1, 1}}), here.run({{1, 1}})) < kKvNoise);
  // A page table past what the step's memory has room for moves it.
  KvDrive wide(*backend, {40'000 * kPageTokens}, 11);
  wide.skip(0, 20'000 * kPageTokens);
  wide.run({{0}});
  for (int i = 0; i < 3; ++i) CHECK(noise(there.run({{1, 1}}), here.run({{1, 1}})) < kKvNoise);
}

TEST(device_forgets_an_abandoned_step) {
  auto backend = reserved_backend();
  OnDeviceWeight table(*backend, DType::kF32, 10, kCols, 12);
  OnDevice out(*backend, 2, kCols), expected(*backend, 2, kCols);
  const int32_t first[] = {1, 2}, second[] = {3, 4};
  backend->embed(table.weight, first, expected.matrix);
  const Floats kept = expected.get();
  backend->embed(table.weight, first, out.matrix);
  backend->end_step(true);
  backend->embed(table.weight, second, out.matrix);
  backend->end_step(false);
  CHECK(out.get() == kept);
  backend->embed(table.weight, second, out.matrix);  // one held back runs before the next begins
  backend->embed(table.weight, first, expected.matrix);
  CHECK(expected.get() == kept);
  CHECK(out.get() != kept);
}

TEST(device_keeps_the_order_of_operations_and_copies) {
  auto backend = reserved_backend();
  OnDeviceWeight table(*backend, DType::kF32, 10, kCols, 13);
  OnDevice x(*backend, 2, kCols), y(*backend, 2, kCols);
  const int32_t ids[] = {1, 2};
  const size_t bytes = 2 * kCols * sizeof(float);
  backend->embed(table.weight, ids, x.matrix);
  const Floats embedded = x.get();
  const Floats ones(2 * kCols, 1.0f);
  backend->embed(table.weight, ids, x.matrix);
  x.put(ones);  // comes after the embedding
  CHECK(x.get() == ones);
  backend->embed(table.weight, ids, x.matrix);
  backend->copy(y.matrix.data, x.matrix.data, bytes);
  x.put(ones);
  CHECK(y.get() == embedded);
  const int64_t swapped[] = {1, 0};
  backend->embed(table.weight, ids, x.matrix);
  backend->gather_rows(x.matrix, swapped, y.matrix);
  backend->gather_rows(y.matrix, swapped, x.matrix);  // two in a row
  CHECK(x.get() == embedded);
  CHECK(y.get() != embedded);
}

TEST(device_refuses_wrong_shapes) {
  auto backend = reserved_backend();
  const auto code = ErrorCode::kBadArgument;
  OnDeviceWeight w(*backend, DType::kQ8_0, 16, 64, 14);
  OnDevice a(*backend, 3, 64), c(*backend, 3, 16), many(*backend, 33, 64), out(*backend, 33, 16);
  CHECK_THROWS(code, (backend->project(c.matrix, {{w.weight, nullptr, c.matrix}}), 0), "[16×64]");
  CHECK_THROWS(code, (backend->project(many.matrix, {{w.weight, nullptr, out.matrix}}), 0),
               "[32×256] was reserved");
  const int32_t bad[] = {1, 16, 2};
  CHECK_THROWS(code, (backend->embed(w.weight, bad, a.matrix), 0), "id 16 is not in [0, 16)");
  const int64_t rows[] = {0, 3, 0};
  CHECK_THROWS(code, (backend->gather_rows(a.matrix, rows, a.matrix), 0), "row 3");
  CHECK_THROWS(code, backend->kv_page_bytes(KvType::kF16, 7), "even width");
  CHECK_THROWS(ErrorCode::kUnsupported, plain_backend()->kv_page_bytes(KvType::kQ8_0, 64),
               "stores no keys");
  CHECK_THROWS(ErrorCode::kUnsupported, backend->weight_bytes(DType{29}, 4, 256), "no kernel");
  const std::vector<std::byte> blocks(16 * 68);
  CHECK_THROWS(ErrorCode::kUnsupported,
               backend->import_weight(DType::kQ8_0, 16, 64, Blocks(blocks.data()), nullptr),
               "load without `mapped`");
}

// ---- faults -------------------------------------------------------------------------------------

TEST(device_without_memory_says_how_much_there_is) {
  const Fault fault("no-memory");
  CHECK_THROWS(ErrorCode::kOutOfMemory, plain_backend()->allocate(size_t{4} << 20),
               "could not take 4.0 MiB of device memory; 1.0 MiB of the device's");
}

TEST(device_that_falls_away_fails_every_later_call) {
  for (int after = 0; after < 40; ++after) {
    const std::string name = cat("lost:", after);
    const Fault fault(name.c_str());
    std::string first;
    std::unique_ptr<cuda::CudaBackend> backend;
    std::unique_ptr<DeviceMemory> memory;
    try {
      backend = plain_backend();
      backend->reserve(kTokens, kCols);
      memory = backend->allocate(64);
      KvDrive drive(*backend, {300, 300}, 15, 16);
      for (int i = 0; i < 40; ++i) drive.run({{1, 1}});
    } catch (const Error& error) {
      CHECK_EQ(std::string(error_name(error.code())), "ERR_CRIA_BACKEND");
      first = error.what();
    }
    CHECK(first.find("illegal memory access") != std::string::npos);
    CHECK(first.find("cuda:0 (plain)") != std::string::npos);
    if (!backend || !memory) continue;
    float value = 0;
    CHECK_THROWS(ErrorCode::kBackend, (backend->download(&value, memory->data(), 4), 0),
                 first.c_str());
    CHECK_THROWS(ErrorCode::kBackend, backend->allocate(64), first.c_str());
  }
}

}  // namespace cria::test
