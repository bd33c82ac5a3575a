// Texts that are made to take long: each compiles or ends in a typed error, within a number of
// steps that is counted, and so does each mask.
#include <algorithm>

#include "grammar/source.h"
#include "grammar/texts.h"
#include "text/fixtures.h"

using namespace cria;
using namespace cria::test;

namespace {

/// What comes of a text: an error with these words, or a program that took so many steps at most.
struct Hostile {
  const char* name;
  grammar::Syntax syntax;
  std::string text;
  const char* refused = nullptr;
  size_t most_work = 0;
};

constexpr grammar::Syntax kGbnf = grammar::Syntax::kGbnf, kRegex = grammar::Syntax::kRegex;
constexpr size_t kAny = grammar::kMaxCompileWork;

template <class Make>
std::string each(size_t count, Make make) {
  std::string all;
  for (size_t i = 0; i < count; ++i) all += make(i);
  return all;
}

std::string rules(const char* begin, size_t count, const char* before, const char* after,
                  const char* end) {
  const auto rule = [&](size_t i) { return cat("r", i, " ::= ", before, "r", i + 1, after, "\n"); };
  return begin + each(count, rule) + cat("r", count, " ::= ", end);
}

std::string escaped_code(size_t code) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out = "\\U00000000";
  for (size_t i = 9; i > 1; --i, code >>= 4) out[i] = kDigits[code & 15];
  return out;
}

std::vector<Hostile> hostile() {
  const char* const kStates = "more than 524288 states";
  const char* const kWays = "in more than 16384 ways at once";
  const char* const kMask = "takes more than 4194304 steps of work to find";
  return {
      {"groups 100,000 deep", kGbnf, "root ::= " + times("(", 100'000) + "\"a\"",
       "open 10000 deep"},
      {"groups 100,000 deep", kRegex, times("(", 100'000) + "a", "open 10000 deep"},
      {"groups 9,999 deep", kRegex, times("(", 9'999) + "a" + times(")*", 9'999), nullptr, 400'000},
      {"100,000 equal branches", kGbnf, "root ::= \"a\"" + times("|\"b\"", 100'000), kWays},
      {"100,000 branches", kRegex, "a" + each(100'000, [](size_t i) { return cat("|", i); }),
       kStates},
      {"10,000 branches", kRegex, "a" + each(10'000, [](size_t i) { return cat("|", i); }), nullptr,
       kAny},
      {"a million empty branches", kRegex, times("|", 1'000'000), kStates},
      {"optional ones", kGbnf, "root ::= (\"a\"?){100000} (\"a\"?){100000}", kMask},
      {"equal branches repeated", kRegex, "(a|a)*b", nullptr, 200},
      {"equal branches repeated, counted", kRegex, "((a|a)*){100000}", kMask},
      {"plus inside of plus", kRegex, "(x+x+)+y", nullptr, 200},
      {"counts inside of counts", kRegex, "(((a{1000}){1000}){1000}){1000}", nullptr, 50'000},
      {"counts from none", kRegex, "(((.{0,1000}){0,1000}){0,1000}){0,1000}", kWays},
      {"quantifiers of quantifiers", kGbnf, "root ::= \"a\"" + times("{2}", 300'000), kStates},
      {"question marks", kGbnf, "root ::= \"a\"" + times("?", 500'000), kMask},
      {"left recursion", kGbnf, rules("root ::= r0\n", 40'000, "", " \"x\"", "r0"),
       "begins with itself"},
      {"left recursion past nothing", kGbnf, rules("root ::= r0\n", 40'000, "\"x\"? ", "", "r0"),
       "begins with itself"},
      {"right recursion", kGbnf, rules("root ::= r0\n", 40'000, "\"x\" ", "", "r0 | \"a\""),
       nullptr, kAny},
      {"rules that begin with rules", kGbnf, rules("root ::= r0\n", 40'000, "", " \"x\"", "\"a\""),
       nullptr, kAny},
      {"rules that are nowhere", kGbnf,
       "root ::= " + each(90'000, [](size_t i) { return cat("r", i, "|"); }), "nowhere defined"},
      {"a text of a megabyte", kGbnf, "root ::= \"" + times("a", 1'000'000) + "\"", kStates},
      {"a text of half of it", kGbnf, "root ::= \"" + times("a", 500'000) + "\"", nullptr, kAny},
      {"a text beyond the most", kRegex, times("a", grammar::kMaxTextBytes + 1),
       "at most 1048576 bytes"},
      {"any character, a million times", kRegex, times(".", 1'000'000), kStates},
      {"a class of 100,000 characters", kGbnf,
       "root ::= [" +
           each(100'000, [](size_t i) { return escaped_code(0x10000 + i * 7919 % 0xF0000); }) + "]",
       kWays},
      {"a class of all characters again and again", kGbnf,
       "root ::= [" + times("\\x00-\\U0010FFFF", 60'000) + "]", nullptr, kAny},
      {"a class of classes", kRegex, "[" + times("\\W\\D\\S", 170'000) + "]",
       "more than 8388608 steps of work to compile"},
      {"a class of fewer classes", kRegex, "[" + times("\\W\\D\\S", 50'000) + "]", nullptr, kAny},
      {"many different classes", kGbnf,
       "root ::= " + each(40'000,
                          [](size_t i) {
                            return cat("[", escaped_code(0x1000 + i * 7919 % 0xC000), "-\\U0010F",
                                       100 + i * 31 % 900, "]");
                          }),
       kStates},
  };
}

}  // namespace

TEST(limits_of_hostile_texts) {
  grammar::Compiler compiler(std::make_shared<const text::Tokenizer>(small_vocab(true)));
  for (const Hostile& one : hostile()) {
    try {
      const grammar::Program program =
          one.syntax == kGbnf ? grammar::parse_gbnf(one.text) : grammar::parse_regex(one.text);
      if (program.work > std::max(one.most_work, size_t{1}) && !one.refused)
        report(__FILE__, __LINE__, cat(one.name, ": ", program.work, " steps"));
      CHECK(program.work > 0 && program.work <= grammar::kMaxCompileWork);
      compiler.compile(one.syntax, one.text);
      if (one.refused) report(__FILE__, __LINE__, cat(one.name, ": expected an error"));
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kBadArgument);
      if (!one.refused ||
          std::string_view(error.what()).find(one.refused) == std::string_view::npos)
        report(__FILE__, __LINE__, cat(one.name, ": ", error.what()));
    }
  }
}

// Twice the text is twice the work.
TEST(limits_work_is_linear) {
  const auto work = [](const std::string& text) { return grammar::parse_regex(text).work; };
  for (const char* const part : {"a", "[^a]", "(a|b)*", "\\W", "[\\W\\D]", "x{7}", ".?", "(|a)"}) {
    const double once = static_cast<double>(work(times(part, 500)));
    const double twice = static_cast<double>(work(times(part, 1000)));
    if (twice < 1.9 * once || twice > 2.1 * once)
      report(__FILE__, __LINE__, cat(part, ": ", once, " steps, and ", twice));
  }
}

// Long texts of one byte each, whose every place is a state with an edge for each byte: without a
// limit, the mask of a large vocabulary could fill the memory.
TEST(limits_of_states_in_one_mask) {
  constexpr uint8_t kBytes = 0x80;
  std::string text = "root ::= [A-Z]";
  for (size_t byte = 1; byte < kBytes; ++byte) text += cat(" | [", escaped_code(byte), "]{2000}");
  const grammar::Program program = grammar::parse_gbnf(text);
  CHECK_EQ(program.groups, size_t{128});
  grammar::States states(program);
  states.allow_work(grammar::kMaxWork);
  size_t made = 0;
  const auto walk = [&] {
    for (uint8_t byte = 1; byte < kBytes; ++byte) {
      uint32_t state = states.initial();
      for (size_t i = 0; i < 2000; ++i, ++made) state = states.step(state, byte);
    }
  };
  REFUSED(walk(), "takes more than 4194304 steps of work to find");
  CHECK(made > 10'000 && made * program.groups / 2 <= grammar::kMaxWork);
  CHECK(states.full());
  // What was found stays good, and goes on with new work allowed.
  states.allow_work(grammar::kMaxWork);
  CHECK(judge(states, "Q") == Verdict::kWhole);
  CHECK(judge(states, times("~", 1999)) == Verdict::kBegun);
  CHECK(judge(states, times("~", 2000)) == Verdict::kWhole);
}

// The first mask of a vocabulary takes what the vocabulary's tree is large, not what the text is
// long.
TEST(limits_of_ordinary_grammars_are_far) {
  for (const char* const regex : {"[^\"]{1,4000}", ".*", "(\\d{4}-\\d\\d\\n)+"}) {
    const grammar::Program program = grammar::parse_regex(regex);
    CHECK(program.work < 50'000);
    grammar::States states(program);
    states.allow_work(grammar::kMaxWork);
    for (int a = 0; a < 0x80; ++a)
      for (int b = 0; b < 0x80; ++b) {
        const uint32_t first = states.step(states.initial(), static_cast<uint8_t>(a));
        states.step(first, static_cast<uint8_t>(b));
      }
    CHECK(states.work_left() > grammar::kMaxWork - grammar::kMaxWork / 100);
  }
}
