// The masks of tokens against the question asked of each token by itself.
#include "grammar/json.h"
#include "grammar/reference.h"
#include "text/fixtures.h"

using namespace cria;
using namespace cria::test;

namespace {

using Shared = std::shared_ptr<const text::Tokenizer>;

Shared demo() {
  const gguf::File file = gguf::File::open("models/cria-demo-q8_0.gguf");
  Vocab vocab;
  const auto pieces = file.get_strings("tokenizer.ggml.tokens").value();
  vocab.pieces.assign(pieces.begin(), pieces.end());
  vocab.scores = file.get_floats("tokenizer.ggml.scores").value();
  const auto types = file.get_ints("tokenizer.ggml.token_type").value();
  for (const int64_t type : types) vocab.types.push_back(static_cast<PieceType>(type));
  vocab.unknown = 0;
  vocab.bos = 1;
  vocab.eos = 2;
  vocab.end_of_generation = {2};
  return std::make_shared<const text::Tokenizer>(std::move(vocab));
}

/// Draws random tokens that are allowed, and checks every token's bit each time.
void check_masks(const Shared& tokenizer, grammar::Syntax syntax, const std::string& text,
                 uint32_t seed, int tokens, bool drop_space = false) {
  grammar::Compiler compiler(tokenizer);
  const grammar::Program program =
      syntax == grammar::Syntax::kGbnf ? grammar::parse_gbnf(text) : grammar::parse_regex(text);
  grammar::States states(program);
  grammar::Matcher matcher(compiler.compile(syntax, text), drop_space);
  std::mt19937 random(seed);
  std::string written;
  for (int n = 0; n < tokens; ++n) {
    const grammar::TokenMask& mask = matcher.allowed();
    const Verdict so_far = judge(states, written);
    CHECK_EQ(matcher.can_end(), so_far == Verdict::kWhole);
    Ids allowed;
    for (int32_t id = 0; id < tokenizer->size(); ++id) {
      std::string bytes(tokenizer->bytes_of(id));
      bool expected = !bytes.empty();
      if (drop_space && n == 0 && bytes.starts_with(' ')) bytes.erase(0, 1);
      expected = expected && judge(states, written + bytes) != Verdict::kRefused;
      if (tokenizer->is_end_of_generation(id)) expected = so_far == Verdict::kWhole;
      if (mask[id] != expected)
        return report(__FILE__, __LINE__,
                      cat("token ", id, " \"", bytes, "\" after \"", written, "\": expected ",
                          expected, " by\n", text));
      if (expected && !tokenizer->is_end_of_generation(id)) allowed.push_back(id);
    }
    if (allowed.empty()) {
      CHECK(so_far == Verdict::kWhole);  // there is a token for every byte
      return;
    }
    written += matcher.take(allowed[random() % allowed.size()]);
    CHECK(judge(states, written) != Verdict::kRefused);
    if (matcher.finished()) return CHECK(judge(states, written) == Verdict::kWhole);
  }
}

}  // namespace

TEST(mask_json_on_the_demo_vocabulary) {
  const Shared tokenizer = demo();
  for (uint32_t seed = 0; seed < 8; ++seed)
    check_masks(tokenizer, grammar::Syntax::kGbnf, kJson, seed, 12);
}

TEST(mask_random_grammars) {
  const auto small = std::make_shared<const text::Tokenizer>(small_vocab());
  for (uint32_t seed = 0; seed < 300; ++seed) {
    const RandomGrammar made = GrammarMaker(seed, seed % 2 == 0).make();
    check_masks(small, grammar::Syntax::kGbnf, made.gbnf(), seed, 6, seed % 3 == 0);
    if (seed % 2 == 1) check_masks(small, grammar::Syntax::kRegex, made.regex(), seed, 6);
  }
}

TEST(mask_random_grammars_on_the_demo_vocabulary) {
  const Shared tokenizer = demo();
  for (uint32_t seed = 0; seed < 12; ++seed)
    check_masks(tokenizer, grammar::Syntax::kGbnf, GrammarMaker(seed, true).make().gbnf(), seed, 4);
}

TEST(mask_regex_of_words_begins_without_a_space_or_with_one) {
  const Shared tokenizer = demo();
  for (const bool drop : {false, true})
    for (uint32_t seed = 0; seed < 4; ++seed)
      check_masks(tokenizer, grammar::Syntax::kRegex, "[A-Z][a-z]+( [a-z]+){2}\\.", seed, 12, drop);
}

// What many texts led to is given up once it is too much; those that are under way go on.
TEST(mask_survives_a_full_automaton) {
  const auto tokenizer = std::make_shared<const text::Tokenizer>(small_vocab());
  grammar::Compiler compiler(tokenizer);
  const auto grammar = compiler.compile(grammar::Syntax::kRegex, "[ab]*a[ab]{14}");
  const int32_t a = *tokenizer->id_of("a"), b = *tokenizer->id_of("b");
  grammar::Matcher bystander(grammar);
  bystander.take(a);
  grammar::Matcher matcher(grammar);
  std::mt19937 random(1);
  std::string written;
  for (int n = 0; n < 40'000; ++n) {
    CHECK(matcher.allowed()[a] && matcher.allowed()[b]);
    const bool is_a = random() % 2 == 0;
    written += matcher.take(is_a ? a : b);
    if (written.size() >= 15) CHECK_EQ(matcher.can_end(), written[written.size() - 15] == 'a');
  }
  for (int n = 0; n < 14; ++n) {
    CHECK(bystander.allowed()[a]);
    CHECK(!bystander.can_end());
    bystander.take(b);
  }
  CHECK(bystander.can_end());
}

TEST(mask_vocabulary_without_bytes_may_have_no_token) {
  const auto tokenizer = std::make_shared<const text::Tokenizer>(small_vocab(false));
  grammar::Compiler compiler(tokenizer);
  grammar::Matcher matcher(compiler.compile(grammar::Syntax::kRegex, "z"));
  for (int32_t id = 0; id < tokenizer->size(); ++id) CHECK(!matcher.allowed()[id]);
}
