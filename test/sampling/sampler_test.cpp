// Each step of the sampler against its plain meaning.
#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "sampling/numbers.h"
#include "support/check.h"

namespace cria::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Everything off: plain sampling at temperature 1.
Sampling plain() {
  Sampling s;
  s.temperature = 1;
  s.top_k = 0;
  s.top_p = 1;
  s.min_p = 0;
  return s;
}

std::vector<float> random_logits(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> logits(count);
  for (float& logit : logits) logit = normal(random);
  return logits;
}

std::vector<double> softmax(const std::vector<float>& logits, double temperature = 1) {
  std::vector<double> p;
  double sum = 0;
  for (const float logit : logits) p.push_back(std::exp(logit / temperature));
  for (const double value : p) sum += value;
  for (double& value : p) value /= sum;
  return p;
}

/// How often each id comes in `draws` draws.
std::map<int32_t, int> count_draws(const Sampling& sampling, const std::vector<float>& logits,
                                   int draws, const std::vector<int32_t>& history = {}) {
  std::map<int32_t, int> counts;
  Sampler sampler(sampling);
  for (int i = 0; i < draws; ++i) {
    std::vector<float> copy = logits;
    ++counts[sampler.draw(copy, history, static_cast<uint64_t>(i))];
  }
  return counts;
}

std::set<int32_t> support(const Sampling& sampling, const std::vector<float>& logits) {
  std::set<int32_t> ids;
  for (const auto& [id, count] : count_draws(sampling, logits, 4000)) ids.insert(id);
  return ids;
}

/// Ids by falling logit.
std::vector<int32_t> ranked(const std::vector<float>& logits) {
  std::vector<int32_t> ids(logits.size());
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i);
  std::sort(ids.begin(), ids.end(), [&](int32_t a, int32_t b) {
    return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
  });
  return ids;
}

}  // namespace

TEST(portable_exp_is_exp) {
  for (double x = -700; x <= 20; x += 0.37)
    CHECK(std::abs(portable_exp(x) / std::exp(x) - 1) < 1e-14);
  CHECK_EQ(portable_exp(0), 1.0);
  CHECK_EQ(portable_exp(-1e9), 0.0);
  CHECK(std::isinf(portable_exp(1e9)));
  CHECK(std::isnan(portable_exp(std::nan(""))));
}

// SplitMix64's published first outputs for seed 1234567.
TEST(random_bits_are_splitmix64) {
  CHECK_EQ(random_bits(1234567, 0), 6457827717110365317u);
  CHECK_EQ(random_bits(1234567, 1), 3203168211198807973u);
  CHECK_EQ(random_bits(1234567, 2), 9817491932198370423u);
}

TEST(greedy_takes_the_first_of_the_likeliest) {
  Sampling greedy = plain();
  greedy.temperature = 0;
  std::vector<float> logits = {1, 5, std::nanf(""), 5, -kInfinity};
  CHECK_EQ(Sampler(greedy).draw(logits, {}, 0), 1);
  logits = {std::nanf(""), -3, -2};
  CHECK_EQ(Sampler(greedy).draw(logits, {}, 0), 2);
}

TEST(no_number_among_the_logits_is_an_error) {
  for (const float bad : {std::nanf(""), -kInfinity, kInfinity}) {
    std::vector<float> logits(5, bad);
    const Sampling sampling = plain();
    CHECK_THROWS(ErrorCode::kBackend, Sampler(sampling).draw(logits, {}, 0), "logits");
  }
}

TEST(a_bias_that_bans_everything_is_the_callers_fault) {
  Sampling sampling = plain();
  sampling.logit_bias = {{0, -kInfinity}, {1, -kInfinity}};
  std::vector<float> logits = {1, 2};
  CHECK_THROWS(ErrorCode::kBadArgument, Sampler(sampling).draw(logits, {}, 0), "logitBias");
}

TEST(frequencies_follow_the_softmax) {
  const std::vector<float> logits = {0, 1, 2, -1};
  for (const float temperature : {0.5f, 1.0f, 2.0f}) {
    Sampling sampling = plain();
    sampling.temperature = temperature;
    const auto p = softmax(logits, temperature);
    const int draws = 40000;
    const auto counts = count_draws(sampling, logits, draws);
    for (size_t i = 0; i < logits.size(); ++i) {
      const double expected = p[i] * draws, deviation = std::sqrt(expected * (1 - p[i]));
      const auto at = counts.find(static_cast<int32_t>(i));
      const double got = at == counts.end() ? 0 : at->second;
      CHECK(std::abs(got - expected) < 5 * deviation + 1);
    }
  }
}

TEST(a_seed_reproduces_and_another_differs) {
  const auto logits = random_logits(100, 3);
  Sampling a = plain(), b = plain();
  b.seed = 1;
  CHECK(count_draws(a, logits, 200) == count_draws(a, logits, 200));
  CHECK(count_draws(a, logits, 200) != count_draws(b, logits, 200));
}

TEST(top_k_keeps_k) {
  const std::vector<float> logits = {0, 0.1f, 0.2f, 0.3f, 0.4f, 0.5f};
  Sampling sampling = plain();
  sampling.top_k = 3;
  CHECK(support(sampling, logits) == (std::set<int32_t>{3, 4, 5}));
  sampling.top_k = 1000;
  CHECK_EQ(support(sampling, logits).size(), logits.size());
}

TEST(top_p_keeps_the_smallest_mass_that_reaches_p) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const auto logits = random_logits(12, seed);
    const auto p = softmax(logits);
    Sampling sampling = plain();
    sampling.top_p = 0.8f;
    std::set<int32_t> want;
    double mass = 0;
    for (const int32_t id : ranked(logits)) {
      if (mass >= sampling.top_p) break;
      want.insert(id);
      mass += p[static_cast<size_t>(id)];
    }
    for (const int32_t id : support(sampling, logits)) CHECK(want.contains(id));
    sampling.top_p = 1e-6f;
    CHECK_EQ(support(sampling, logits).size(), size_t{1});
  }
}

TEST(min_p_drops_what_is_far_below_the_best) {
  const std::vector<float> logits = {0, std::log(0.5f), std::log(0.2f), std::log(0.05f)};
  Sampling sampling = plain();
  sampling.min_p = 0.1f;
  CHECK(support(sampling, logits) == (std::set<int32_t>{0, 1, 2}));
  sampling.min_p = 1;
  CHECK(support(sampling, logits) == (std::set<int32_t>{0}));
}

// With one very likely token and many unlikely ones, the entropy is nearest to the unlikely ones'
// surprise when they hold most of the mass: the likeliest token goes first.
TEST(typical_keeps_what_is_near_the_entropy) {
  std::vector<float> logits(60, 0.0f);
  logits[7] = std::log(12.0f);  // 12 of 71
  Sampling sampling = plain();
  sampling.typical_p = 0.5f;
  const auto ids = support(sampling, logits);
  CHECK(!ids.contains(7));
  CHECK(ids.size() >= 30 && ids.size() <= 40);
}

TEST(logit_bias_adds_and_bans) {
  const std::vector<float> logits = {0, 0, 0};
  Sampling sampling = plain();
  sampling.logit_bias = {{0, -kInfinity}, {2, 50}};
  CHECK(support(sampling, logits) == (std::set<int32_t>{2}));
}

TEST(penalties_change_the_logits_as_defined) {
  Sampling sampling = plain();
  sampling.temperature = 0;
  sampling.repeat_penalty = 2;
  sampling.presence_penalty = 0.25f;
  sampling.frequency_penalty = 0.5f;
  sampling.repeat_window = 4;
  std::vector<float> logits = {8, -3, 1, 1};
  const std::vector<int32_t> history = {3, 0, 0, 1, 2};  // 3 is outside the window
  Sampler(sampling).draw(logits, history, 0);
  CHECK_EQ(logits[0], 8 / 2.0f - 0.25f - 2 * 0.5f);
  CHECK_EQ(logits[1], -3 * 2.0f - 0.25f - 0.5f);
  CHECK_EQ(logits[2], 1 / 2.0f - 0.25f - 0.5f);
  CHECK_EQ(logits[3], 1.0f);
}

TEST(values_out_of_range_are_refused) {
  const auto refused = [](auto change, const char* name) {
    Sampling s;
    change(s);
    CHECK_THROWS(ErrorCode::kBadArgument, (check_sampling(s, 100), 0), name);
  };
  const float nan = std::nanf("");
  for (const float bad : {nan, -0.1f, kInfinity}) {
    refused([=](Sampling& s) { s.temperature = bad; }, "temperature");
    refused([=](Sampling& s) { s.repeat_penalty = bad; }, "repeatPenalty");
    refused([=](Sampling& s) { s.min_p = bad; }, "minP");
  }
  for (const float bad : {nan, 0.0f, 1.1f}) {
    refused([=](Sampling& s) { s.top_p = bad; }, "topP");
    refused([=](Sampling& s) { s.typical_p = bad; }, "typicalP");
  }
  refused([](Sampling& s) { s.top_k = -1; }, "topK");
  refused([](Sampling& s) { s.repeat_window = -1; }, "repeatWindow");
  refused([](Sampling& s) { s.presence_penalty = 3; }, "presencePenalty");
  refused([](Sampling& s) { s.frequency_penalty = -3; }, "frequencyPenalty");
  refused([](Sampling& s) { s.logit_bias = {{100, 1}}; }, "logitBias");
  refused([](Sampling& s) { s.logit_bias = {{-1, 1}}; }, "logitBias");
  refused([=](Sampling& s) { s.logit_bias = {{1, nan}}; }, "logitBias");
  check_sampling({}, 100);
}

}  // namespace cria::test
