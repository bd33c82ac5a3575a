// Regular expressions: what is understood, and what is refused with its place.
#include "grammar/texts.h"

using namespace cria;
using namespace cria::test;
using grammar::parse_regex;

TEST(regex_items) {
  CHECK_TEXTS(parse_regex("ab|c"), Texts({"ab", "c"}), Texts({"a", "abc", ""}));
  CHECK_TEXTS(parse_regex(""), Texts({""}), Texts({"a"}));
  CHECK_TEXTS(parse_regex("a|"), Texts({"", "a"}), Texts({"b"}));
  CHECK_TEXTS(parse_regex("."), Texts({"a", "é", "😀", "\t"}),
              Texts({"\n", "\r", "\xE2\x80\xA8", ""}));
  CHECK_TEXTS(parse_regex("日[本-語]"), Texts({"日本"}), Texts({"日"}));
  CHECK_TEXTS(parse_regex("a-b c,=#\"'<>&%@!~`_/:;"), Texts({"a-b c,=#\"'<>&%@!~`_/:;"}),
              Texts({"a"}));
}

TEST(regex_classes) {
  CHECK_TEXTS(parse_regex("[a-c_-]"), Texts({"a", "c", "_", "-"}), Texts({"d", "^"}));
  CHECK_TEXTS(parse_regex("[^a-c]"), Texts({"d", "\n", "é"}), Texts({"a", ""}));
  CHECK_TEXTS(parse_regex("\\d\\w\\s"), Texts({"1_ ", "0Z\n", "9a\xC2\xA0"}),
              Texts({"a__", "1é "}));
  CHECK_TEXTS(parse_regex("\\D\\W\\S"), Texts({"a-b", "éé日"}), Texts({"1-b", "aab", "a- "}));
  CHECK_TEXTS(parse_regex("[\\d.\\-\\]]"), Texts({"5", ".", "-", "]"}), Texts({"\\", "d"}));
  CHECK_TEXTS(parse_regex("[\\S]"), Texts({"a"}), Texts({" "}));
}

TEST(regex_escapes) {
  CHECK_TEXTS(parse_regex(R"(\n\r\t\f\v\0\x41\u00e9\u{1F600}\uD83D\uDE00\.\/\$)"),
              Texts({std::string("\n\r\t\f\v\0Aé😀😀./$", 20)}), Texts({"a"}));
}

TEST(regex_groups_and_repetitions) {
  CHECK_TEXTS(parse_regex("(a|bc)+"), Texts({"a", "bca"}), Texts({"", "b"}));
  CHECK_TEXTS(parse_regex("(?:ab)?c"), Texts({"c", "abc"}), Texts({"ac"}));
  CHECK_TEXTS(parse_regex("(?<year>\\d{4})-(?<month>\\d{1,2})"), Texts({"2024-1", "2024-12"}),
              Texts({"202-1", "2024-123"}));
  CHECK_TEXTS(parse_regex("a*?b+?c??d{2,}?"), Texts({"bdd", "aabbcddd"}), Texts({"dd", "bd"}));
  CHECK_TEXTS(parse_regex("(a*)*b{0}c{0,}"), Texts({"", "aacc"}), Texts({"b"}));
}

TEST(regex_anchors_at_the_ends) {
  CHECK_TEXTS(parse_regex("^ab$"), Texts({"ab"}), Texts({"a", "^ab$"}));
  CHECK_TEXTS(parse_regex("^a|b$|^$"), Texts({"a", "b", ""}), Texts({"ab"}));
  REFUSED(parse_regex("a^b"), "regex, line 1, column 2: expected another item: ^ is supported");
  REFUSED(parse_regex("a$b"), "column 3: expected nothing after $");
  REFUSED(parse_regex("(^a)"), "^ is supported at the beginning alone");
  REFUSED(parse_regex("(a$)"), "$ is supported at the end alone");
  REFUSED(parse_regex("^*"), "expected an item before what repeats it");
  REFUSED(parse_regex("a$*"), "expected nothing after $");
}

TEST(regex_refuses_the_rest) {
  REFUSED(parse_regex("(?=a)"), "column 2: expected (…), (?:…) or (?<name>…)");
  REFUSED(parse_regex("(?!a)"), "assertions and modifiers are not supported");
  REFUSED(parse_regex("(?<=a)b"), "assertions and modifiers are not supported");
  REFUSED(parse_regex("(?i:a)"), "assertions and modifiers are not supported");
  REFUSED(parse_regex("(a)\\1"), "column 4: expected an escape that is supported");
  REFUSED(parse_regex("\\bword"), "expected an escape that is supported");
  REFUSED(parse_regex("\\p{L}"), "expected an escape that is supported");
  REFUSED(parse_regex("\\cA"), "expected an escape that is supported");
  REFUSED(parse_regex("\\00"), "expected an escape that is supported");
  REFUSED(parse_regex("\\a"), "expected an escape that is supported");
  REFUSED(parse_regex("a**"), "expected an item before what repeats it");
  REFUSED(parse_regex("a*+"), "expected an item before what repeats it");
  REFUSED(parse_regex("+a"), "expected an item before what repeats it");
  REFUSED(parse_regex("a{,2}"), "expected a number, got ','");
  REFUSED(parse_regex("a{2"), "expected }");
  REFUSED(parse_regex("a{3,1}"), "more first than last");
  REFUSED(parse_regex("a}"), "expected an item; \\} stands for the character, got '}'");
  REFUSED(parse_regex("a]"), "expected an item; \\] stands for the character");
  REFUSED(parse_regex("(a"), "column 1: this parenthesis is never closed");
  REFUSED(parse_regex("a)"), "column 2: expected no ) without its (");
  REFUSED(parse_regex("[a"), "this class is never closed");
  REFUSED(parse_regex("[]"), "no character is in this class");
  REFUSED(parse_regex("[b-a]"), "the range ends before it begins");
  REFUSED(parse_regex("[\\d-z]"), "expected no range from a class");
  REFUSED(parse_regex("[a-\\d]"), "expected no range to a class");
  REFUSED(parse_regex("\\"), "expected a character after \\");
  REFUSED(parse_regex("\\u{110000}"), "at most 10FFFF");
  REFUSED(parse_regex("\\u{}"), "hexadecimal digits");
  REFUSED(parse_regex("\\uD800"), "no character is in this class");
  REFUSED(parse_regex("(?<a"), "this name is never closed");
}

// The classical exponential ones cost nothing: a state is a set of ways, and equal ways are one.
TEST(regex_exponential_ones) {
  const std::string as(5000, 'a');
  for (const char* const regex : {"(a*)*b", "(a|a)*b", "(a|aa)+b", "(a*a*)*b", "((a+)+)+b"}) {
    const grammar::Program program = parse_regex(regex);
    grammar::States states(program);
    states.allow_work(1'000'000);
    CHECK(judge(states, as) == Verdict::kBegun);
    CHECK(judge(states, as + "b") == Verdict::kWhole);
    CHECK(judge(states, as + "c") == Verdict::kRefused);
  }
}
