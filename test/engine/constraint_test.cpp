// Requests that are held to a grammar, on the engine's thread.
#include "engine/constraint.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "engine/engine.h"
#include "model/tiny_llama.h"
#include "support/check.h"
#include "text/fixtures.h"

using namespace cria;
using namespace cria::test;

namespace {

std::shared_ptr<const text::Tokenizer> tokenizer(bool bytes = true) {
  return std::make_shared<const text::Tokenizer>(small_vocab(bytes));
}

Ids open_ids(std::span<const float> logits) {
  Ids ids;
  for (size_t id = 0; id < logits.size(); ++id)
    if (!std::isinf(logits[id])) ids.push_back(static_cast<int32_t>(id));
  return ids;
}

}  // namespace

TEST(constraint_bans_what_may_not_come) {
  const auto words = tokenizer();
  grammar::Compiler compiler(words);
  Constraint constraint(compiler.compile(grammar::Syntax::kRegex, "(abc|é)+"), false);
  const auto masked = [&] {
    std::vector<float> logits(static_cast<size_t>(words->size()), 1.0f);
    constraint.mask(logits);
    return open_ids(logits);
  };
  const auto id = [&](std::string_view piece) { return words->id_of(piece).value(); };
  Ids expected = {id("<0x61>"), id("<0xC3>"), id("a"), id("é"), id("ab"), id("abc")};
  CHECK_EQ(shown(masked()), shown(expected));
  CHECK(!constraint.complete());
  CHECK_EQ(constraint.take(id("<0xC3>")), "\xC3");
  expected = {id("<0xA9>")};
  CHECK_EQ(shown(masked()), shown(expected));
  constraint.take(id("<0xA9>"));
  CHECK(constraint.complete() && !constraint.finished());
  expected = {2, id("<0x61>"), id("<0xC3>"), id("a"), id("é"), id("ab"), id("abc")};
  CHECK_EQ(shown(masked()), shown(expected));
  CHECK_THROWS(ErrorCode::kBackend, constraint.take(id("b")), "does not allow it");
}

TEST(constraint_keeps_logits_of_what_may_come) {
  const auto words = tokenizer();
  grammar::Compiler compiler(words);
  Constraint constraint(compiler.compile(grammar::Syntax::kGbnf, "root ::= [a-d]"), false);
  std::vector<float> logits(static_cast<size_t>(words->size()));
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i) * 0.25f - 30;
  const std::vector<float> before = logits;
  constraint.mask(logits);
  for (const int32_t id : open_ids(logits))
    CHECK_EQ(logits[static_cast<size_t>(id)], before[static_cast<size_t>(id)]);
}

// Tokens that are taken back leave a constraint as one that never took them: within an automaton,
// across a move to a new one, and as far back as the first token, which may have dropped a space.
TEST(constraint_rewinds) {
  const auto words = tokenizer();
  grammar::Compiler compiler(words);
  const auto nested =
      compiler.compile(grammar::Syntax::kGbnf,
                       "root ::= pair+\npair ::= \"a\" pair* \"b\" | \"c\" pair* \"d\" | \" \"");
  const auto may_come = [&](Constraint& constraint) {
    std::vector<float> logits(static_cast<size_t>(words->size()), 1.0f);
    constraint.mask(logits);
    return open_ids(logits);
  };
  std::mt19937 random(7);
  for (const bool trim_start : {false, true}) {
    Constraint constraint(nested, trim_start);
    Ids drawn;
    for (int round = 0; round < 400; ++round) {
      for (size_t n = random() % 24; n > 0; --n) {
        Ids ids = may_come(constraint);
        std::erase_if(ids, [&](int32_t id) { return words->is_end_of_generation(id); });
        drawn.push_back(ids[random() % ids.size()]);
        constraint.take(drawn.back());
      }
      const size_t back = round % 50 == 49 ? drawn.size() : random() % (round % 10 == 9 ? 100 : 8);
      drawn.resize(drawn.size() - std::min(back, drawn.size()));
      constraint.rewind(drawn);
      Constraint fresh(nested, trim_start);
      for (const int32_t id : drawn) fresh.take(id);
      CHECK_EQ(constraint.complete(), fresh.complete());
      CHECK_EQ(shown(may_come(constraint)), shown(may_come(fresh)));
    }
  }
}

TEST(constraint_without_a_token_is_an_error) {
  const auto words = tokenizer(false);
  grammar::Compiler compiler(words);
  Constraint constraint(compiler.compile(grammar::Syntax::kRegex, "z"), false);
  std::vector<float> logits(static_cast<size_t>(words->size()));
  CHECK_THROWS(ErrorCode::kBadArgument, constraint.mask(logits), "no token of the vocabulary");
}
