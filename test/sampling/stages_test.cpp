// Each stage, and whole chains in any order, against test/sampling/reference.h.
#include <cmath>
#include <set>

#include "sampling/reference.h"
#include "sampling/sampler.h"
#include "sampling/temperature.h"
#include "sampling/truncation.h"
#include "sampling/xtc.h"
#include "support/check.h"

namespace cria::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Logits of many kinds: smooth, with ties, with what is impossible, one alone.
std::vector<float> random_logits(std::mt19937& random, size_t count) {
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> logits(count);
  const uint32_t kind = random() % 5;
  for (float& logit : logits) {
    logit = normal(random);
    if (kind == 1) logit = std::round(logit);
    if (kind == 2 && random() % 3 == 0) logit = random() % 2 == 0 ? -kInfinity : std::nanf("");
    if (kind == 3) logit = -kInfinity;
  }
  logits[random() % count] = normal(random);
  return logits;
}

std::vector<std::vector<float>> many_logits(uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::vector<float>> all;
  for (size_t count = 2; count <= 300; count += 1 + count / 8)
    for (int i = 0; i < 5; ++i) all.push_back(random_logits(random, count));
  all.push_back(random_logits(random, 32000));
  return all;
}

std::set<int32_t> ids_of(const Tokens& tokens) {
  std::set<int32_t> ids;
  for (const Token& t : tokens) ids.insert(t.id);
  return ids;
}
std::set<int32_t> ids_of(Candidates& candidates) {
  std::set<int32_t> ids;
  for (const Candidate& c : candidates.list()) ids.insert(c.id);
  return ids;
}

/// A stage on the logits themselves and on a list, ranked and not, keeps what the reference keeps.
void check_stage(auto stage, auto reference) {
  for (std::vector<float> logits : many_logits(7)) {
    const auto want = ids_of(reference(tokens_of(logits)));
    for (int form = 0; form < 3; ++form) {
      Candidates candidates;
      candidates.reset(logits);
      if (form == 1) candidates.list();
      if (form == 2) candidates.ranked();
      stage(candidates);
      CHECK(ids_of(candidates) == want);
      CHECK(std::ranges::is_sorted(candidates.ranked(), likelier));
      double sum = 0;
      for (const Candidate& c : candidates.weighed()) sum += c.p;
      CHECK(std::abs(sum - 1) < 1e-12);
    }
  }
}

std::vector<int32_t> random_history(std::mt19937& random, size_t vocab) {
  std::vector<int32_t> history(random() % 40);
  const auto few = static_cast<uint32_t>(std::min<size_t>(vocab, 2 + random() % 4));
  for (int32_t& id : history) id = static_cast<int32_t>(random() % few);
  return history;
}

float any_of(std::mt19937& random, std::initializer_list<float> values) {
  return values.begin()[random() % values.size()];
}

Sampling random_sampling(std::mt19937& random, size_t vocab) {
  Sampling s;
  std::shuffle(s.order.begin(), s.order.end(), random);
  if (random() % 4 == 0) s.order.resize(random() % (s.order.size() + 1));
  if (random() % 3 == 0) s.order = default_order();
  s.logit_bias = {{static_cast<int32_t>(random() % vocab), any_of(random, {2.5f, -1.5f})}};
  s.repeat_penalty = any_of(random, {1, 1, 1.25f});
  s.presence_penalty = any_of(random, {0, 0.5f});
  s.frequency_penalty = any_of(random, {0, 0.25f});
  s.repeat_window = static_cast<int>(random() % 20);
  s.dry_multiplier = any_of(random, {0, 0.5f, 1});
  s.dry_base = any_of(random, {1, 1.5f, 4});
  s.dry_allowed_length = static_cast<int>(1 + random() % 3);
  s.dry_window = static_cast<int>(random() % 3 * 10);
  s.top_n_sigma = any_of(random, {0, 0, 1.1f, 2});
  s.top_k = static_cast<int>(random() % 3 * 13);
  s.typical_p = any_of(random, {1, 1, 0.613f});
  s.top_p = any_of(random, {1, 0.9137f, 0.5713f});
  s.min_p = any_of(random, {0, 0.0513f, 0.3117f});
  s.xtc_probability = any_of(random, {0, 0.5f, 1});
  s.xtc_threshold = any_of(random, {0.0517f, 0.1171f, 0.3f});
  s.temperature = any_of(random, {0, 0.7f, 1, 1.5f});
  s.dynamic_range = any_of(random, {0, 0, 0.5f, 2});
  s.dynamic_exponent = any_of(random, {1, 0.5f, 0});
  s.mirostat = static_cast<Mirostat>(random() % 5 < 3 ? 0 : random() % 3);
  s.mirostat_tau = any_of(random, {1.3f, 3.1f, 5.7f});
  s.seed = random();
  return s;
}

}  // namespace

TEST(top_n_sigma_is_its_formula) {
  for (const double n : {0.1, 1.0, 1.7, 100.0})
    check_stage([=](Candidates& c) { keep_top_n_sigma(c, n); },
                [=](const Tokens& t) { return plain_top_n_sigma(t, n); });
}
TEST(top_k_is_its_definition) {
  for (const int k : {0, 1, 2, 7, 40, 299, 5000})
    check_stage([=](Candidates& c) { keep_top_k(c, k); },
                [=](const Tokens& t) { return plain_top_k(t, k); });
}
TEST(typical_is_its_definition) {
  for (const double p : {1e-6, 0.2371, 0.9513, 1.0})
    check_stage([=](Candidates& c) { keep_typical(c, p); },
                [=](const Tokens& t) { return plain_typical(t, p); });
}
TEST(top_p_is_its_definition) {
  for (const double p : {1e-6, 0.3371, 0.9513, 1.0})
    check_stage([=](Candidates& c) { keep_top_p(c, p); },
                [=](const Tokens& t) { return plain_top_p(t, p); });
}
TEST(min_p_is_its_definition) {
  for (const double share : {0.0, 0.0513, 0.4177})
    check_stage([=](Candidates& c) { keep_min_p(c, share); },
                [=](const Tokens& t) { return plain_min_p(t, share); });
}
TEST(min_p_of_one_keeps_the_likeliest_alone) {
  std::vector<float> logits = {1, 3, 2, 3};
  Candidates candidates;
  candidates.reset(logits);
  keep_min_p(candidates, 1);
  CHECK(ids_of(candidates) == (std::set<int32_t>{1, 3}));
}
TEST(xtc_leaves_the_last_of_the_top_choices) {
  Sampling s;
  s.xtc_probability = 1;
  for (const float threshold : {0.0f, 0.0513f, 0.2f, 0.6f, 1.0f}) {
    s.xtc_threshold = threshold;
    check_stage([&](Candidates& c) { exclude_top_choices(c, s, 3); },
                [&](const Tokens& t) { return plain_xtc(t, double{threshold}); });
  }
}
TEST(xtc_acts_with_its_probability) {
  Sampling s;
  s.xtc_probability = 0.3f;
  int acted = 0;
  for (uint64_t drawn = 0; drawn < 10000; ++drawn) {
    std::vector<float> logits = {1, 1, 1};
    Candidates candidates;
    candidates.reset(logits);
    exclude_top_choices(candidates, s, drawn);
    acted += candidates.list().size() == 1;
  }
  CHECK(std::abs(acted - 3000) < 5 * 46);  // five standard deviations
}

TEST(temperature_is_its_formula) {
  for (const float range : {0.0f, 0.5f, 3.0f})
    for (const float exponent : {0.0f, 1.0f, 2.5f}) {
      Sampling s;
      s.temperature = 1.25f;
      s.dynamic_range = range;
      s.dynamic_exponent = exponent;
      for (std::vector<float> logits : many_logits(11)) {
        Candidates candidates;
        candidates.reset(logits);
        apply_temperature(candidates, s);
        Tokens want = plain_temperature(tokens_of(logits), s);
        rank(want);
        const auto p = probabilities(want);
        const auto& got = candidates.ranked_and_weighed();
        CHECK_EQ(got.size(), want.size());
        for (size_t i = 0; i < std::min(got.size(), p.size()); ++i)
          CHECK(std::abs(got[i].p - p[i]) < 1e-9);
      }
    }
}

TEST(functions_are_the_standard_ones) {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> exponent(-700, 700);
  for (int i = 0; i < 10000; ++i) {
    const double x = std::exp(exponent(random));
    CHECK(std::abs(portable_log(x) - std::log(x)) <= 4e-16 * std::abs(std::log(x)) + 1e-16);
  }
  for (double x = 0.5; x < 2; x += 0.00037)
    CHECK(std::abs(portable_log(x) - std::log(x)) <= 1e-15 * std::abs(std::log(x)) + 1e-18);
  CHECK_EQ(portable_log(1), 0.0);
  CHECK_EQ(portable_log(0), -INFINITY);
  CHECK(std::isnan(portable_log(-1)));
  CHECK(std::abs(portable_log(5e-324) / std::log(5e-324) - 1) < 1e-15);
  CHECK(std::abs(portable_pow(0.3, 1.7) / std::pow(0.3, 1.7) - 1) < 1e-14);
  CHECK_EQ(portable_pow(0, 0), 1.0);
  CHECK_EQ(portable_pow(0, 2), 0.0);
}

// Whatever the order and the options: the sampler draws what plain code draws.
TEST(any_chain_draws_what_the_reference_draws) {
  std::mt19937 random(17);
  int apart = 0, draws = 0;
  for (int round = 0; round < 3000; ++round) {
    const size_t vocab = round % 500 == 0 ? 32000 : 2 + random() % 299;
    const Sampling s = random_sampling(random, vocab);
    Sampler sampler(s, [](int32_t) { return "x"; });
    std::vector<int32_t> history = random_history(random, vocab);
    double mu = 2.0 * s.mirostat_tau;
    for (uint64_t drawn = 0; drawn < 4; ++drawn) {
      std::vector<float> logits = random_logits(random, vocab);
      const int32_t want = plain_draw(logits, s, history, drawn, mu);
      const int32_t got = sampler.draw(logits, history, drawn);
      ++draws;
      if (got != want) {
        ++apart;
        break;  // their histories part
      }
      history.push_back(got);
    }
  }
  // Penalties are floats here and doubles there: once in many thousand draws a token stands on the
  // edge between them.
  CHECK(apart <= draws / 2000);
  CHECK(draws > 10000);
}

TEST(mirostat_holds_the_surprise_near_its_target) {
  std::mt19937 random(5);
  for (const Mirostat version : {Mirostat::kV1, Mirostat::kV2})
    for (const float tau : {3.0f, 4.0f}) {
      Sampling s;
      s.mirostat = version;
      s.mirostat_tau = tau;
      s.temperature = 1;
      s.seed = random();
      Sampler sampler(s);
      std::vector<int32_t> history;
      double sum = 0;
      const int draws = 600, skipped = 100;
      for (int i = 0; i < draws; ++i) {
        // Zipf's law: p ∝ rank^-1.1, of 2.5 bits of surprise and more.
        std::vector<float> logits(1000);
        for (size_t r = 0; r < logits.size(); ++r)
          logits[r] = -std::log(static_cast<float>(r + 1)) * 1.1f;
        const Tokens all = tokens_of(logits);
        const int32_t id = sampler.draw(logits, history, static_cast<uint64_t>(i));
        history.push_back(id);
        if (i >= skipped) sum += surprise(all, id) / (draws - skipped);
      }
      CHECK(std::abs(sum - tau) < 0.25);
    }
}

TEST(what_is_taken_back_leaves_no_trace) {
  std::mt19937 random(23);
  for (int round = 0; round < 200; ++round) {
    Sampling s = random_sampling(random, 50);
    s.mirostat = static_cast<Mirostat>(round % 3);
    s.dry_multiplier = 1;
    Sampler straight(s, [](int32_t) { return "x"; }), astray(s, [](int32_t) { return "x"; });
    std::vector<int32_t> history(10, 1), wrong;
    std::vector<std::vector<float>> rows;
    for (int i = 0; i < 8; ++i) rows.push_back(random_logits(random, 50));
    for (uint64_t i = 0; i < 8; ++i) {
      auto row = rows[i], same = rows[i];
      const int32_t id = straight.draw(row, history, i);
      if (i == 4) {  // the other one loses its way for two tokens
        wrong = history;
        for (uint64_t j = 0; j < 2; ++j) {
          auto other = random_logits(random, 50);
          wrong.push_back(astray.draw(other, wrong, 100 + j));
        }
        astray.rewind(history.size());
      }
      CHECK_EQ(astray.draw(same, history, i), id);
      history.push_back(id);
    }
  }
}

TEST(a_banned_token_is_not_drawn_there_and_is_elsewhere) {
  Sampling s;
  s.temperature = 0;
  Sampler sampler(s);
  std::vector<float> logits = {5, 4, 3};
  const auto draw = [&](std::vector<int32_t> history) {
    std::vector<float> copy = logits;
    return sampler.draw(copy, history, 0);
  };
  sampler.ban(2, 0);
  CHECK_EQ(draw({7, 7}), 1);
  CHECK_EQ(draw({7, 7, 7}), 0);
  sampler.ban(2, 1);
  CHECK_EQ(draw({7, 7}), 2);
  sampler.ban(2, 2);
  CHECK_THROWS(ErrorCode::kBadArgument, draw({7, 7}), "banned leaves no token");
  sampler.rewind(1);
  CHECK_EQ(draw({7}), 0);
  CHECK_EQ(draw({7, 7}), 0);
}

}  // namespace cria::test
