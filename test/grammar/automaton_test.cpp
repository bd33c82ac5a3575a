// The automaton against the plain matcher: random grammars, texts of all kinds.
#include "grammar/reference.h"

using namespace cria;
using namespace cria::test;

namespace {

constexpr std::string_view kLetters[] = {"a", "b", "c", "é", "日", "d"};

/// All texts of up to `length` letters.
std::vector<std::string> all_texts(size_t length) {
  std::vector<std::string> texts = {""};
  size_t begin = 0;
  for (size_t n = 0; n < length; ++n) {
    const size_t end = texts.size();
    for (size_t i = begin; i < end; ++i)
      for (const std::string_view letter : kLetters)
        texts.push_back(texts[i] + std::string(letter));
    begin = end;
  }
  return texts;
}

void compare(const RandomGrammar& made, const grammar::Program& program, const std::string& spelt,
             const std::vector<std::string>& texts) {
  grammar::States states(program);
  Reference reference(made);
  for (const std::string& text : texts) {
    const Verdict expected = reference.judge(Reference::decode(text));
    const Verdict got = judge(states, text);
    if (expected == got) continue;
    report(__FILE__, __LINE__,
           cat("\"", text, "\": expected ", shown(expected), ", got ", shown(got), " by\n", spelt));
    return;
  }
}

}  // namespace

TEST(automaton_random_grammars) {
  const std::vector<std::string> texts = all_texts(4);
  for (uint32_t seed = 0; seed < 400; ++seed) {
    const RandomGrammar made = GrammarMaker(seed, true).make();
    compare(made, grammar::parse_gbnf(made.gbnf()), made.gbnf(), texts);
  }
}

TEST(automaton_random_regexes) {
  const std::vector<std::string> texts = all_texts(4);
  for (uint32_t seed = 0; seed < 400; ++seed) {
    const RandomGrammar made = GrammarMaker(seed, false).make();
    compare(made, grammar::parse_regex(made.regex()), made.regex(), texts);
    compare(made, grammar::parse_gbnf(made.gbnf()), made.gbnf(), texts);
  }
}

TEST(automaton_every_code_point) {
  const grammar::Program any = grammar::parse_gbnf("root ::= .");
  const grammar::Program some = grammar::parse_gbnf("root ::= [\\x7E-\\u0905\\uF000-\\U00012345]");
  grammar::States any_states(any), some_states(some);
  for (uint32_t code = 0; code <= 0x10FFFF; code += code < 0x11000 ? 1 : 7) {
    if (code >= 0xD800 && code < 0xE000) continue;
    std::string text;
    const auto put = [&](uint32_t byte) { text += static_cast<char>(byte); };
    if (code < 0x80) {
      put(code);
    } else {
      if (code < 0x800) put(0xC0 | code >> 6);
      if (code >= 0x800 && code < 0x10000) put(0xE0 | code >> 12);
      if (code >= 0x10000) {
        put(0xF0 | code >> 18);
        put(0x80 | (code >> 12 & 0x3F));
      }
      if (code >= 0x800) put(0x80 | (code >> 6 & 0x3F));
      put(0x80 | (code & 0x3F));
    }
    const bool in_some = (code >= 0x7E && code <= 0x905) || (code >= 0xF000 && code <= 0x12345);
    const bool right = judge(any_states, text) == Verdict::kWhole &&
                       judge(some_states, text) == (in_some ? Verdict::kWhole : Verdict::kRefused);
    if (in_some || right) CHECK(right);
    if (!right && !in_some && judge(some_states, text) == Verdict::kWhole) CHECK(false);
  }
}

// A new automaton takes a text over where an old one is.
TEST(automaton_moves) {
  const grammar::Program program = grammar::parse_gbnf(
      "root ::= value\nvalue ::= \"[\" (value (\",\" value)*)? \"]\" | \"{\" value \"}\" | [0-9]");
  const std::string text = "[1,{[{[2,3]}]},[[]],{7}]";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    grammar::States first(program);
    uint32_t state = first.initial();
    for (size_t i = 0; i < cut; ++i) state = first.step(state, static_cast<uint8_t>(text[i]));
    grammar::States second(program);
    uint32_t moved = second.import(first, state);
    CHECK_EQ(second.can_end(moved), cut == text.size());
    for (size_t i = cut; i < text.size(); ++i) {
      CHECK_EQ(second.step(moved, '}') == grammar::kRefused,
               first.step(state, '}') == grammar::kRefused);
      moved = second.step(moved, static_cast<uint8_t>(text[i]));
      state = first.step(state, static_cast<uint8_t>(text[i]));
    }
    CHECK(second.can_end(moved) && !second.can_go_on(moved));
  }
}

// The same list again is the same state: a text of any length needs no more of them.
TEST(automaton_states_come_back) {
  const grammar::Program program =
      grammar::parse_gbnf("root ::= item rest\nrest ::= \",\" item rest | \"\"\nitem ::= [0-9]+");
  grammar::States states(program);
  uint32_t state = states.initial();
  for (int i = 0; i < 3; ++i)
    for (const char c : {'1', ','}) state = states.step(state, static_cast<uint8_t>(c));
  const uint32_t again = state;
  for (const char c : {'7', ','}) state = states.step(state, static_cast<uint8_t>(c));
  CHECK_EQ(state, again);
}
