// Rotation, and what is stored in the cache: the values that were rotated, coded as the CPU codes
// them, at their places and nowhere else. And rows that are gathered.
#include "backend/backend.h"
#include "cpu/kv_codes.h"
#include "cuda/device/ops.h"
#include "step_rig.h"
#include "support/check.h"

namespace cria::test_cuda {
namespace {

static_assert(cuda::kPageTokens == kPageTokens && cuda::kMaxHeadWidth == kMaxHeadWidth);
static_assert(cuda::kKvF16 == static_cast<int>(KvType::kF16));
static_assert(cuda::kKvQ8_0 == static_cast<int>(KvType::kQ8_0));

/// What the cache has to give back for head values x [width], element i.
double stored(int type, const float* x, int i) {
  if (type == cuda::kKvF16) return f16_to_f32(f32_to_f16(x[i]));
  int8_t codes[cpu::kKvGroup];
  const float scale = cpu::code_group(x + i / cpu::kKvGroup * cpu::kKvGroup, codes);
  return double{f16_to_f32(f32_to_f16(scale))} * codes[i % cpu::kKvGroup];
}

struct Shape {
  int type, heads, kv_heads, width, pairs;
};

void check(const Shape& s, const std::vector<Count>& counts, int rows, unsigned seed) {
  std::mt19937 random(seed);
  Device device;
  StepRig step(device, counts, rows, random);
  KvRig cache(device, s.type, s.kv_heads, s.width, step.pages());
  const auto t = static_cast<size_t>(rows);
  const auto q_cols = static_cast<size_t>(s.heads * s.width),
             kv_cols = static_cast<size_t>(s.kv_heads * s.width);
  std::vector<float> q = normal_values(t * q_cols, random), k = normal_values(t * kv_cols, random),
                     v = normal_values(t * kv_cols, random, 30), angles;
  std::fill_n(v.begin(), std::min<size_t>(v.size(), 32), 0.0f);  // a group of zeros
  for (int i = 0; i < rows * s.pairs; ++i) {
    const float angle = static_cast<float>(random() % 1000) * 0.01f;
    angles.push_back(std::cos(angle));
    angles.push_back(std::sin(angle));
  }
  DeviceArray<float> device_q(device, q), device_k(device, k), device_v(device, v),
      device_angles(device, angles);
  CriaCudaRope rope{};
  rope.step = step.step();
  rope.cos_sin = device_angles.data();
  rope.pairs = s.pairs;
  rope.rows = rows;
  rope.heads = s.heads;
  rope.q = device_q.data();
  rope.k = device_k.data();
  rope.v = device_v.data();
  rope.kv = cache.kv();
  CHECK_EQ(cuda::rope_store_kv(device.cuda(), &rope), 0);
  CHECK_EQ(device.wait(), "");

  const auto rotated = [&](const std::vector<float>& before, const float* after, size_t cols) {
    size_t wrong = 0;
    for (size_t i = 0; i < static_cast<size_t>(step.alive()) * cols; ++i) {
      const size_t row = i / cols, in_head = i % cols % static_cast<size_t>(s.width);
      double expected = before[i];
      if (in_head < 2 * static_cast<size_t>(s.pairs)) {
        const float* angle = &angles[row * 2 * static_cast<size_t>(s.pairs) + in_head / 2 * 2];
        const double other = in_head % 2 == 0 ? -before[i + 1] : before[i - 1];
        expected = before[i] * double{angle[0]} + other * double{angle[1]};
      }
      wrong += !(std::abs(after[i] - expected) < 1e-6 * (1 + std::abs(expected)));
    }
    CHECK_EQ(wrong, 0u);
  };
  rotated(q, device_q.data(), q_cols);
  rotated(k, device_k.data(), kv_cols);

  // What is read back, and that no other byte was touched: the same stored by plain code.
  KvRig expected(device, s.type, s.kv_heads, s.width, step.pages());
  size_t wrong = 0;
  for (int row = 0; row < step.alive(); ++row)
    for (int g = 0; g < s.kv_heads; ++g)
      for (int i = 0; i < s.width; ++i) {
        const int page = step.page_of(step.slice_of(row), step.position_of(row)),
                  position = step.position_of(row);
        const size_t at = static_cast<size_t>(row) * kv_cols + static_cast<size_t>(g * s.width);
        wrong += cache.key(page, g, position, i) != stored(s.type, device_k.data() + at, i);
        wrong += cache.value(page, g, position, i) != stored(s.type, device_v.data() + at, i);
        for (const bool key : {true, false}) {
          const float* x = (key ? device_k.data() : device_v.data()) + at;
          int8_t codes[cpu::kKvGroup];
          float scale = 1;
          if (s.type == cuda::kKvQ8_0) scale = cpu::code_group(x + i / 32 * 32, codes);
          const float code = s.type == cuda::kKvQ8_0 ? codes[i % 32] * scale : x[i];
          expected.set(key, page, g, position, i, code, scale == 0 ? 1e-30f : scale);
        }
      }
  CHECK_EQ(wrong, 0u);
  CHECK(cache.bytes() == expected.bytes());
}

TEST(rope_and_store) {
  const std::vector<Count> ragged = {{1, 0}, {5, 30}, {1, 95}, {40, 3}, {1, 64}};
  const auto rows = 48;
  check({cuda::kKvF16, 4, 2, 64, 32}, ragged, rows, 1);
  check({cuda::kKvF16, 3, 3, 8, 4}, ragged, rows + 8, 2);
  check({cuda::kKvF16, 8, 1, 128, 64}, ragged, rows, 3);
  check({cuda::kKvF16, 2, 2, 80, 16}, ragged, rows + 1, 4);
  check({cuda::kKvF16, 5, 1, 6, 1}, ragged, rows, 5);
  check({cuda::kKvF16, 1, 1, 1024, 512}, {{2, 31}}, 4, 6);
  check({cuda::kKvQ8_0, 4, 2, 64, 32}, ragged, rows, 7);
  check({cuda::kKvQ8_0, 3, 1, 96, 48}, ragged, rows + 3, 8);
  check({cuda::kKvQ8_0, 2, 2, 32, 8}, ragged, rows, 9);
  check({cuda::kKvQ8_0, 8, 2, 128, 64}, {{1, 0}}, 1, 10);
}

TEST(codes_of_what_is_no_number_are_those_of_the_cpu) {
  std::mt19937 random(3);
  Device device;
  StepRig step(device, {{4, 0}}, 4, random);
  KvRig cache(device, cuda::kKvQ8_0, 1, 32, step.pages());
  std::vector<float> k = normal_values(128, random);
  k[5] = INFINITY;
  k[40] = NAN;
  for (size_t i = 64; i < 96; ++i) k[i] = 1e-38f;
  DeviceArray<float> q(device, k), keys(device, k), values(device, k), angles(device, 1);
  CriaCudaRope rope{step.step(), angles.data(), 0,         4, 1, q.data(),
                    keys.data(), values.data(), cache.kv()};
  CHECK_EQ(cuda::rope_store_kv(device.cuda(), &rope), 0);
  CHECK_EQ(device.wait(), "");
  const int page = step.page_of(0, 0);
  for (int position = 0; position < 4; ++position)
    for (int i = 0; i < 32; ++i) {
      const double got = cache.key(page, 0, position, i),
                   expected = stored(cuda::kKvQ8_0, &k[static_cast<size_t>(32 * position)], i);
      CHECK(got == expected || (std::isnan(got) && std::isnan(expected)));
    }
}

TEST(a_page_has_the_bytes_its_head_needs) {
  CHECK_EQ(cuda::kv_page_bytes(cuda::kKvF16, 128), 2 * 2 * 32 * 128);
  CHECK_EQ(cuda::kv_page_bytes(cuda::kKvQ8_0, 128), 2 * (32 * 128 + 4 * 32 * 2));
  CHECK_EQ(cuda::kv_page_bytes(cuda::kKvQ8_0, 80), 0);
  CHECK_EQ(cuda::kv_page_bytes(cuda::kKvF16, 7), 0);
  CHECK_EQ(cuda::kv_page_bytes(cuda::kKvF16, 0), 0);
  CHECK_EQ(cuda::kv_page_bytes(cuda::kKvF16, 1026), 0);
  CHECK_EQ(cuda::kv_page_bytes(2, 64), 0);
  for (int width = 2; width <= 1024; width += 2) {
    CHECK_EQ(cuda::kv_page_bytes(cuda::kKvF16, width) % 64, 0);
    CHECK_EQ(cuda::kv_page_bytes(cuda::kKvQ8_0, width) % 64, 0);
  }
}

TEST(gathered_rows) {
  std::mt19937 random(4);
  Device device;
  for (const int64_t cols : {1, 33, 1024, 2500}) {
    const std::vector<int32_t> rows = {3, 0, 0, 6, 2};
    DeviceArray<float> x(device, normal_values(static_cast<size_t>(7 * cols), random)),
        out(device, static_cast<size_t>(5 * cols));
    DeviceArray<int32_t> gathered(device, rows);
    CriaCudaStep step{};
    step.gathered = gathered.data();
    DeviceArray<CriaCudaStep> device_step(device, std::vector<CriaCudaStep>{step});
    CHECK_EQ(cuda::gather(device.cuda(), device_step.data(), x.data(), cols, 5, out.data()), 0);
    CHECK_EQ(device.wait(), "");
    size_t wrong = 0;
    for (int64_t i = 0; i < 5 * cols; ++i)
      wrong += out.data()[i] != x.data()[rows[static_cast<size_t>(i / cols)] * cols + i % cols];
    CHECK_EQ(wrong, 0u);
  }
}

}  // namespace
}  // namespace cria::test_cuda
