// Log-probabilities against the plain formula.
#include "sampling/logprobs.h"

#include <cmath>
#include <random>

#include "sampling/reference.h"
#include "support/check.h"

namespace cria::test {

TEST(logprobs_are_the_log_softmax) {
  std::mt19937 random(4);
  std::normal_distribution<float> normal(0, 4);
  for (const size_t vocab : {size_t{2}, size_t{17}, size_t{300}, size_t{32000}})
    for (const int top : {0, 1, 5, 20}) {
      std::vector<float> logits(vocab);
      for (float& logit : logits) logit = std::round(2 * normal(random)) / 2;  // with ties
      logits[0] = -INFINITY;
      logits[vocab / 2] = std::nanf("");
      logits[vocab - 1] = 2.5f;
      const auto id = static_cast<int32_t>(vocab - 1);
      const TokenLogprob got = token_logprob(logits, id, top);
      Tokens all = tokens_of(logits);
      rank(all);
      const auto p = probabilities(all);
      CHECK_EQ(got.id, id);
      CHECK_EQ(got.top.size(), std::min(all.size(), static_cast<size_t>(top)));
      for (size_t i = 0; i < all.size(); ++i) {
        if (all[i].id == id) CHECK(std::abs(got.logprob - std::log(p[i])) < 1e-9);
        if (i >= got.top.size()) continue;
        CHECK_EQ(got.top[i].id, all[i].id);
        CHECK(std::abs(got.top[i].logprob - std::log(p[i])) < 1e-9);
      }
    }
}

TEST(what_is_impossible_has_no_probability) {
  std::vector<float> logits = {1, -INFINITY, std::nanf("")};
  CHECK_EQ(token_logprob(logits, 0, 5).logprob, 0.0);
  CHECK_EQ(token_logprob(logits, 0, 5).top.size(), size_t{1});
  for (const int32_t id : {1, 2}) CHECK_EQ(token_logprob(logits, id, 0).logprob, -INFINITY);
}

}  // namespace cria::test
