// Draws on the device against the engine's own chain, with the same logits and random numbers.
#include <cmath>
#include <limits>

#include "cuda/device/ops.h"
#include "sampling/numbers.h"
#include "sampling/sampler.h"
#include "step_rig.h"
#include "support/check.h"

namespace cria::test_cuda {
namespace {

/// What a model might say: some logits stand out of a wide rest.
std::vector<float> logits_of(int vocab, float deviation, std::mt19937& random) {
  std::vector<float> out = normal_values(static_cast<size_t>(vocab), random, deviation);
  for (int i = 0; i < 5; ++i) out[random() % out.size()] += 3 * deviation;
  return out;
}

struct Options {
  float temperature;
  int top_k;
  float top_p, min_p;
};

std::string say(const Options& o) {
  return cat("temperature ", o.temperature, " top-k ", o.top_k, " top-p ", o.top_p, " min-p ",
             o.min_p);
}

int32_t draw_on_host(std::vector<float> logits, const Options& o, uint64_t seed, uint64_t drawn) {
  Sampling sampling;
  sampling.temperature = o.temperature;
  sampling.top_k = o.top_k;
  sampling.top_p = o.top_p;
  sampling.min_p = o.min_p;
  sampling.seed = seed;
  return Sampler(sampling).draw(logits, {}, drawn);
}

/// Each row with options of its own, as a step has them.
void check(const std::vector<std::vector<float>>& rows, const std::vector<Options>& options,
           uint64_t drawn) {
  constexpr uint64_t kSeed = 42;
  Device device;
  std::vector<float> logits;
  std::vector<CriaCudaDraw> draws;
  for (size_t r = 0; r < rows.size(); ++r) {
    logits.insert(logits.end(), rows[r].begin(), rows[r].end());
    const Options& o = options[r];
    draws.push_back(
        {o.temperature, o.top_k, o.top_p, o.min_p, random_unit(kSeed, Draw::kToken, drawn + r)});
  }
  DeviceArray<float> device_logits(device, logits);
  DeviceArray<CriaCudaDraw> device_draws(device, draws);
  DeviceArray<int32_t> ids(device, rows.size());
  const CriaCudaSample sample{device_logits.data(),
                              static_cast<int64_t>(rows.size()),
                              static_cast<int64_t>(rows[0].size()),
                              device_draws.data(),
                              ids.data(),
                              nullptr};
  CHECK_EQ(cuda::sample(device.cuda(), &sample), 0);
  CHECK_EQ(device.wait(), "");
  for (size_t r = 0; r < rows.size(); ++r) {
    const int32_t expected = draw_on_host(rows[r], options[r], kSeed, drawn + r);
    if (ids.data()[r] != expected) std::printf("  %s\n", say(options[r]).c_str());
    CHECK_EQ(ids.data()[r], expected);
  }
}

const std::vector<Options> kOptions = {
    {0, 40, 0.95f, 0.05f}, {0.8f, 40, 0.95f, 0.05f}, {1, 40, 1, 0},
    {1.5f, 1, 1, 0},       {0.7f, 5, 0.5f, 0},       {1, 200, 0.9f, 0},
    {1, 1000, 1, 0},       {2, 1024, 0.99f, 0.001f}, {1, 0, 0.9f, 0},
    {1, 0, 1, 0.1f},       {0.6f, 0, 0.3f, 0.02f},   {1, 0, 1, 0},
    {3, 0, 0.999f, 0},     {1, 2000, 0.97f, 0},      {1.2f, 1500, 1, 0},
    {0.01f, 0, 1, 0},      {1, 40, 0.0001f, 0},      {1, 40, 1, 1}};

TEST(draws_are_those_of_the_engine) {
  std::mt19937 random(1);
  uint64_t drawn = 0;
  const auto draw = [&](int vocab, float deviation) {
    std::vector<std::vector<float>> rows;
    for (size_t r = 0; r < kOptions.size(); ++r)
      rows.push_back(logits_of(vocab, deviation, random));
    check(rows, kOptions, drawn);
    drawn += rows.size();
  };
  for (const int vocab : {512, 3000})
    for (const float deviation : {0.5f, 3.0f, 12.0f}) draw(vocab, deviation);
  draw(12000, 4);
}

TEST(among_equal_logits_the_lower_id_comes_first) {
  std::mt19937 random(2);
  uint64_t drawn = 0;
  for (int i = 0; i < 4; ++i) {
    std::vector<std::vector<float>> rows;
    for (size_t r = 0; r < kOptions.size(); ++r) {
      std::vector<float> row = normal_values(2100, random);
      for (float& logit : row) logit = std::round(logit * 2) / 2;  // 0 and -0 among them
      rows.push_back(row);
    }
    check(rows, kOptions, drawn);
    drawn += rows.size();
  }
}

TEST(all_equal_and_all_in_one_place) {
  const std::vector<Options> few(kOptions.begin() + 1, kOptions.end());
  check(std::vector(few.size(), std::vector<float>(1500, -2.5f)), few, 0);
  // Falling, and rising over the ids; the best in some threads' parts, so that far more candidates
  // than were asked for are not worse than the best of other threads.
  std::vector<float> falling, threads(6 * 1024, -8.0f);
  for (int i = 0; i < 2500; ++i) falling.push_back(-0.01f * static_cast<float>(i));
  for (size_t i = 0; i < threads.size(); ++i)
    if (i % 1024 < 300) threads[i] = 1 + 1e-3f * static_cast<float>(i / 1024);
  check(std::vector(few.size(), falling), few, 20);
  std::reverse(falling.begin(), falling.end());
  check(std::vector(few.size(), falling), few, 40);
  check(std::vector(few.size(), threads), few, 60);
}

TEST(what_is_no_number_is_no_candidate) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::mt19937 random(3);
  std::vector<std::vector<float>> rows;
  for (size_t r = 0; r < kOptions.size(); ++r) {
    std::vector<float> row = logits_of(700, 2, random);
    for (float& logit : row)
      if (random() % 3 == 0) logit = random() % 2 == 0 ? NAN : -kInfinity;
    rows.push_back(row);
  }
  check(rows, kOptions, 7);
  for (std::vector<float>& row : rows) {  // one is left
    std::fill(row.begin(), row.end(), -kInfinity);
    row[123] = -7;
  }
  check(rows, kOptions, 8);
}

TEST(logits_without_a_number_give_no_id) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  Device device;
  std::vector<float> logits(300, -kInfinity);
  std::fill(logits.begin() + 100, logits.begin() + 200, NAN);
  logits[250] = kInfinity;
  for (const float temperature : {0.0f, 1.0f}) {
    DeviceArray<float> device_logits(device, logits);
    DeviceArray<CriaCudaDraw> draws(
        device, std::vector<CriaCudaDraw>(3, CriaCudaDraw{temperature, 40, 1, 0, 0.5}));
    DeviceArray<int32_t> ids(device, 3);
    const CriaCudaSample sample{device_logits.data(), 3, 100, draws.data(), ids.data(), nullptr};
    CHECK_EQ(cuda::sample(device.cuda(), &sample), 0);
    CHECK_EQ(device.wait(), "");
    for (int r = 0; r < 3; ++r) CHECK_EQ(ids.data()[r], -1);
  }
}

}  // namespace
}  // namespace cria::test_cuda
