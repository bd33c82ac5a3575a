// The emulated instructions (device/ptx.h) against what they mean.
#include "cuda/device/ptx.h"

#include <cmath>
#include <random>
#include <vector>

#include "base/half.h"
#include "cuda/device_memory.h"
#include "support/check.h"

using namespace cria::cuda;
using cria::test_cuda::Device;
using cria::test_cuda::DeviceArray;

namespace {

template <class... P, class... A>
void run(size_t shared, void (*kernel)(P...), A... arguments) {
  Device device;
  CHECK_EQ(launch(kernel, 1, 32, shared, device.stream(), arguments...), 0);
  CHECK_EQ(cudaStreamSynchronize(device.stream()), cudaSuccess);
}

enum class Kind { kF16, kBf16 };

/// D[16×8] = A[16×16] · B[8×16]ᵀ by one instruction. A comes through ldmatrix; of B every other
/// half comes through it transposed.
template <Kind kKind>
__global__ void multiply(const uint16_t* a, const uint16_t* b, float* d) {
  struct Tile {
    uint16_t a[16][24], b[8][24], b_transposed[16][8];
  };
  Tile& tile = shared<Tile>();
  const int lane = static_cast<int>(threadIdx.x), g = lane / 4, t = lane % 4;
  for (int i = lane; i < 256; i += 32) tile.a[i / 16][i % 16] = a[i];
  for (int i = lane; i < 128; i += 32) tile.b[i / 16][i % 16] = b[i];
  for (int i = lane; i < 128; i += 32) tile.b_transposed[i % 16][i / 16] = b[i];
  __syncwarp();
  uint32_t left[4], right[2], same[2];
  load_matrices<4>(left, &tile.a[lane % 16][8 * (lane / 16)]);
  load_matrices<2>(right, &tile.b[lane % 8][8 * (lane / 8 % 2)]);
  load_matrices<2, true>(same, &tile.b_transposed[lane % 16][0]);
  float sums[4] = {}, also[4] = {};
  if (kKind == Kind::kF16) {
    mma_f16(sums, left, right);
    mma_f16(also, left, same);
  } else {
    mma_bf16(sums, left, right);
    mma_bf16(also, left, same);
  }
  for (int i = 0; i < 4; ++i)
    d[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2] = also[i] == sums[i] ? sums[i] : NAN;
}

template <Kind kKind>
void check_multiply() {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  const auto from = [](uint16_t half) {
    return kKind == Kind::kF16 ? cria::f16_to_f32(half) : cria::bf16_to_f32(half);
  };
  std::vector<uint16_t> a(256), b(128);
  for (auto* values : {&a, &b})
    for (uint16_t& half : *values)
      half = kKind == Kind::kF16 ? cria::f32_to_f16(normal(random))
                                 : cria::f32_to_bf16(normal(random));
  std::vector<float> d(128);
  run(0, multiply<kKind>, a.data(), b.data(), d.data());
  for (size_t row = 0; row < 16; ++row)
    for (size_t col = 0; col < 8; ++col) {
      double sum = 0;
      for (size_t k = 0; k < 16; ++k) sum += double{from(a[row * 16 + k])} * from(b[col * 16 + k]);
      CHECK(std::abs(d[row * 8 + col] - sum) < 1e-5);
    }
}

TEST(mma_of_halves_is_a_product_of_matrices) {
  check_multiply<Kind::kF16>();
  check_multiply<Kind::kBf16>();
}

__global__ void multiply_bytes(const int8_t* a, const int8_t* b, int* d) {
  const int lane = static_cast<int>(threadIdx.x), g = lane / 4, t = lane % 4;
  const auto four = [](const int8_t* from) { return *reinterpret_cast<const uint32_t*>(from); };
  const uint32_t left[4] = {four(a + g * 32 + 4 * t), four(a + (g + 8) * 32 + 4 * t),
                            four(a + g * 32 + 4 * t + 16), four(a + (g + 8) * 32 + 4 * t + 16)};
  const uint32_t right[2] = {four(b + g * 32 + 4 * t), four(b + g * 32 + 4 * t + 16)};
  int sums[4] = {1, 2, 3, 4};
  mma_s8(sums, left, right);
  for (int i = 0; i < 4; ++i) d[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2] = sums[i] - 1 - i;
}

TEST(mma_of_bytes_is_a_product_of_matrices) {
  std::mt19937 random(2);
  alignas(4) int8_t a[16 * 32], b[8 * 32];
  for (int8_t& code : a) code = static_cast<int8_t>(random());
  for (int8_t& code : b) code = static_cast<int8_t>(random());
  std::vector<int> d(128);
  run(0, multiply_bytes, &a[0], &b[0], d.data());
  for (int row = 0; row < 16; ++row)
    for (int col = 0; col < 8; ++col) {
      int sum = 0;
      for (int k = 0; k < 32; ++k) sum += a[row * 32 + k] * b[col * 32 + k];
      CHECK_EQ(d[static_cast<size_t>(row * 8 + col)], sum);
    }
}

TEST(arithmetic_of_pairs_rounds_once) {
  std::mt19937 random(3);
  const auto number = [&] {  // a finite f16 of any size
    return static_cast<uint16_t>(random() % 0x7c00 | (random() & 0x8000));
  };
  for (int i = 0; i < 20000; ++i) {
    const uint16_t a = number(), b = number(), c = number();
    const double x = cria::f16_to_f32(a), y = cria::f16_to_f32(b), z = cria::f16_to_f32(c);
    // The nearest half: no other is closer. Compared by distance, in f64.
    const auto nearest = [](uint32_t pair, double exact) {
      const auto low = static_cast<uint16_t>(pair);
      if (!(std::abs(exact) < 65504)) return true;
      const double distance = std::abs(cria::f16_to_f32(low) - exact);
      return distance <= std::abs(cria::f16_to_f32(static_cast<uint16_t>(low + 1)) - exact) &&
             ((low & 0x7fff) == 0 ||
              distance <= std::abs(cria::f16_to_f32(static_cast<uint16_t>(low - 1)) - exact));
    };
    CHECK(nearest(fma_f16x2(a, b, c), x * y + z));
    CHECK(nearest(mul_f16x2(a, b), x * y));
    CHECK(nearest(add_f16x2(a, b), x + y));
    CHECK(nearest(sub_f16x2(a, b), x - y));
    CHECK_EQ(fma_f16x2(uint32_t{a} << 16, uint32_t{b} << 16, uint32_t{c} << 16) >> 16,
             fma_f16x2(a, b, c) & 0xffff);
  }
  CHECK_EQ(pack_f16(1.0f, -2.0f), 0xc0003c00u);
  CHECK_EQ(unpack_f16(0xc0003c00u).y, -2.0f);
  CHECK_EQ(pack_bf16(1.0f, -2.0f), 0xc0003f80u);
  CHECK_EQ(unpack_bf16(0xc0003f80u).x, 1.0f);
  CHECK_EQ(unpack_bf16(fma_bf16x2(pack_bf16(3, 4), pack_bf16(5, 6), pack_bf16(7, 8))).y, 32.0f);
}

TEST(bits) {
  const uint32_t a = 0x12345678, b = 0x0ff0a5c3, c = 0xdeadbeef;
  CHECK_EQ((lop3<(0xf0 & 0xcc) | 0xaa>(a, b, c)), (a & b) | c);
  CHECK_EQ((lop3<0xf0 ^ 0xcc ^ 0xaa>(a, b, c)), a ^ b ^ c);
  CHECK_EQ((lop3<0xff & (~0xf0) & 0xcc>(a, b, c)), ~a & b);
  CHECK_EQ(__byte_perm(0x33221100, 0x77665544, 0x7250), 0x77225500u);
  CHECK_EQ(__dp4a(0x01ff02fe, 0x03040506, 100), 100 + 1 * 3 - 1 * 4 + 2 * 5 - 2 * 6);
}

}  // namespace
