// GBNF: every construct, every error with its place, and what is made to break it.
#include <chrono>

#include "grammar/texts.h"

using namespace cria;
using namespace cria::test;
using grammar::parse_gbnf;

TEST(gbnf_texts_and_sequences) {
  CHECK_TEXTS(parse_gbnf("root ::= \"ab\" \"c\""), Texts({"abc"}),
              Texts({"", "ab", "abcd", "abd"}));
  CHECK_TEXTS(parse_gbnf("root ::="), Texts({""}), Texts({"a"}));
  CHECK_TEXTS(parse_gbnf("root ::= \"\""), Texts({""}), Texts({"a"}));
  CHECK_TEXTS(parse_gbnf("root ::= \"日本\" [é]"), Texts({"日本é"}), Texts({"日本", "日本e"}));
}

TEST(gbnf_branches) {
  CHECK_TEXTS(parse_gbnf("root ::= \"a\" | \"bc\" | "), Texts({"a", "bc", ""}),
              Texts({"b", "abc"}));
  CHECK_TEXTS(parse_gbnf("root ::= | \" \" | \"\\n\" [ \\t]{0,2}"), Texts({"", " ", "\n", "\n \t"}),
              Texts({"  ", "\n   "}));
  CHECK_TEXTS(parse_gbnf("root ::= \"a\" (\"b\" | (\"c\" | \"d\") \"e\") \"f\""),
              Texts({"abf", "acef", "adef"}), Texts({"af", "acf", "aef"}));
}

TEST(gbnf_escapes) {
  CHECK_TEXTS(parse_gbnf(R"(root ::= "\x41\u00e9\U0001F600\n\r\t\"\\\[\]")"),
              Texts({"Aé😀\n\r\t\"\\[]"}), Texts({"A"}));
  CHECK_TEXTS(parse_gbnf(R"(root ::= [\x41-\x43\]\[\\\-])"), Texts({"A", "B", "]", "[", "\\", "-"}),
              Texts({"D", ""}));
}

TEST(gbnf_classes) {
  CHECK_TEXTS(parse_gbnf("root ::= [a-cx]"), Texts({"a", "b", "c", "x"}), Texts({"d", "w", "-"}));
  CHECK_TEXTS(parse_gbnf("root ::= [a-]"), Texts({"a", "-"}), Texts({"b"}));
  CHECK_TEXTS(parse_gbnf("root ::= [^a-c\\n]"), Texts({"d", "é", "日", "😀", "^"}),
              Texts({"a", "\n", "\xC3", "\x80"}));
  CHECK_TEXTS(parse_gbnf("root ::= [ぁ-ゟ]+"), Texts({"ひらがな"}), Texts({"カ", ""}));
  CHECK_TEXTS(parse_gbnf("root ::= ."), Texts({"a", "\n", "é", "日", "😀", std::string(1, '\0')}),
              Texts({"", "ab", "\xED\xA0\x80", "\xC0\x80", "\xF4\x90\x80\x80", "\xFF"}));
}

TEST(gbnf_repetitions) {
  CHECK_TEXTS(parse_gbnf("root ::= \"a\"* \"b\"+ \"c\"?"), Texts({"b", "aabbc"}),
              Texts({"", "ac"}));
  CHECK_TEXTS(parse_gbnf("root ::= \"ab\"{2}"), Texts({"abab"}), Texts({"ab", "ababab"}));
  CHECK_TEXTS(parse_gbnf("root ::= [ab]{2,}"), Texts({"ab", "abab"}), Texts({"", "a"}));
  CHECK_TEXTS(parse_gbnf("root ::= (\"a\" | \"bb\"){ 1 , 3 }"), Texts({"a", "bb", "abba"}),
              Texts({"", "aaaa", "b"}));
  CHECK_TEXTS(parse_gbnf("root ::= \"a\"{0,2} \"b\"{0} \"c\"{1}"), Texts({"c", "aac"}),
              Texts({"bc", "aaac"}));
  CHECK_TEXTS(parse_gbnf("root ::= (\"a\"*)* (\"b\"?){2,3} (\"\"){3,} \"c\"?*"),
              Texts({"", "aabbb", "ccc"}), Texts({"bbbb"}));
  CHECK_TEXTS(parse_gbnf("root ::= \"é\"{2,3}"), Texts({"éé", "ééé"}), Texts({"é", "éééé"}));
}

TEST(gbnf_rules_comments_and_lines) {
  const char* const text =
      "# a list\r\n"
      "root ::= (\n"
      "  item # one\n"
      "  (\", \"\n"
      "   item)*\n"
      ")\n"
      "\n"
      "item::=word|\n"
      "   number-2 # after a bar a rule goes on\n"
      "word ::=\n"
      "   [a-z]+\n"
      "number-2 ::= [0-9]+  # the end";
  CHECK_TEXTS(parse_gbnf(text), Texts({"a", "ab, 12, c"}), Texts({"", "a,b", "A", "a1"}));
}

TEST(gbnf_recursion) {
  const char* const text =
      "root ::= value\n"
      "value ::= \"[\" (value (\",\" value)*)? \"]\" | [0-9]";
  CHECK_TEXTS(parse_gbnf(text),
              Texts({"1", "[]", "[1,[2,[]],3]", times("[", 500) + times("]", 500)}),
              Texts({"[", "[1", "[1,]", "]", times("[", 500) + times("]", 499)}));
  CHECK_TEXTS(parse_gbnf("root ::= \"a\" root | \"b\""), Texts({"b", "aaab"}), Texts({"a", "ba"}));
}

// A text of which every beginning can be finished: rules that never end lead nowhere.
TEST(gbnf_what_never_ends_is_left_out) {
  const grammar::Program program = parse_gbnf(
      "root ::= \"a\" endless | \"b\" | \"c\" \"d\" endless\n"
      "endless ::= \"x\" endless | mutual \"z\"\n"
      "mutual ::= \"y\" endless");
  grammar::States states(program);
  CHECK(judge(states, "a") == Verdict::kRefused);
  CHECK(judge(states, "c") == Verdict::kRefused);
  CHECK(judge(states, "b") == Verdict::kWhole);
  REFUSED(parse_gbnf("root ::= \"a\" root"), "no text ever ends");
}

TEST(gbnf_errors_say_where_and_what) {
  REFUSED(parse_gbnf(""), "expected a rule named root");
  REFUSED(parse_gbnf("rot ::= \"a\""), "expected a rule named root");
  REFUSED(parse_gbnf("root ::= \"a\"\nroot ::= \"b\""), "line 2, column 1: this rule is defined a");
  REFUSED(parse_gbnf("root ::= thing"), "line 1, column 10: rule thing is used, but nowhere");
  REFUSED(parse_gbnf("root = \"a\""), "line 1, column 6: expected ::=, got '='");
  REFUSED(parse_gbnf("root ::= \"é\" }"), "column 14: expected a rule's name, \"text\"");
  REFUSED(parse_gbnf("root ::= \"a"), "column 10: this text is never closed");
  REFUSED(parse_gbnf("root ::= [a"), "column 10: this class is never closed");
  REFUSED(parse_gbnf("root ::= [a-"), "column 10: this class is never closed");
  REFUSED(parse_gbnf("root ::= \"a\" (\n\n"), "column 14: this parenthesis is never closed");
  REFUSED(parse_gbnf("root ::= \"a\")"), "expected an item, | or the end of the rule, got ')'");
  REFUSED(parse_gbnf("root ::= *"), "expected an item before what repeats it");
  REFUSED(parse_gbnf("root ::= \"a\" | +"), "expected an item before what repeats it");
  REFUSED(parse_gbnf("root ::= \"a\"{x}"), "expected a number, got 'x'");
  REFUSED(parse_gbnf("root ::= \"a\"{3,2}"), "more first than last");
  REFUSED(parse_gbnf("root ::= \"a\"{99999999999}"), "at most 100000");
  REFUSED(parse_gbnf("root ::= \"a\"{1"), "expected }, got the end of the text");
  REFUSED(parse_gbnf("root ::= \"\\q\""), "expected after \\ one of");
  REFUSED(parse_gbnf("root ::= \"\\x4g\""), "expected 2 hexadecimal digits, got 'g'");
  REFUSED(parse_gbnf("root ::= \"\\UFFFFFFFF\""), "at most 10FFFF");
  REFUSED(parse_gbnf("root ::= \"\\uD800\""), "surrogate");
  REFUSED(parse_gbnf("root ::= []"), "no character is in this class");
  REFUSED(parse_gbnf("root ::= [z-a]"), "the range ends before it begins");
  REFUSED(parse_gbnf("root ::= <[1000]>"), "references to tokens are not supported");
  REFUSED(parse_gbnf("root ::= !</think>*"), "references to tokens are not supported");
  REFUSED(parse_gbnf("root ::= \"\xFF\""), "byte 10: expected UTF-8, got byte 255");
}

TEST(gbnf_left_recursion_is_refused) {
  REFUSED(parse_gbnf("root ::= root \"a\" | \"b\""), "rule root begins with itself");
  REFUSED(parse_gbnf("root ::= a\na ::= b \"x\"\nb ::= c?\nc ::= b \"y\""),
          "left recursion: b → c → b");
  REFUSED(parse_gbnf("root ::= e* root | \"b\"\ne ::= \"x\" | "), "begins with itself");
  REFUSED(parse_gbnf("root ::= (root){2} | \"b\""), "begins with itself");
}

// Each of these ends within a tenth of a second, one way or the other, and none in a deep
// recursion.
TEST(gbnf_hostile_texts) {
  const auto parsed = [](const std::string& text) {
    try {
      const grammar::Program program = parse_gbnf(text);
      grammar::States states(program);
      states.allow_work(size_t{1} << 22);
      for (const char* const begun : {"a", "aaaa", "((((", "bb"}) judge(states, begun);
      return true;
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kBadArgument);
      return false;
    }
  };
  const size_t deep = 100'000;
  CHECK(!parsed("root ::= " + times("(", deep) + "\"a\"" + times(")", deep)));
  CHECK(parsed("root ::= " + times("(", 5000) + "\"a\"" + times(")*", 5000)));
  CHECK(!parsed("root ::= " + times("(", deep)));
  CHECK(parsed("root ::= \"a\"{100000}"));
  CHECK(!parsed("root ::= [^a]{100000} .{100000} .{100000} .{100000}"));
  CHECK(parsed("root ::= ((((\"a\"{1000}){1000}){1000}){1000}){1000}"));
  CHECK(parsed("root ::= (((((\"a\"*)*)*)*)*)* \"b\""));
  parsed("root ::= ((((\"a\"{0,1000}){0,1000}){0,1000}){0,1000}){0,1000}");
  parsed("root ::= (\"a\"?){100000} (\"a\"?){100000}");
  std::string chain = "root ::= r0\n", calls = "root ::= r0\n", wide = "root ::= \"a\"";
  for (size_t i = 0; i < 50'000; ++i) {
    chain += cat("r", i, " ::= r", i + 1, "\n");
    calls += cat("r", i, " ::= r", i + 1, " \"x\"\n");
  }
  parsed(chain + "r50000 ::= \"a\"");
  parsed(calls + "r50000 ::= \"a\"");
  CHECK(!parsed(chain + "r50000 ::= r0"));
  for (size_t i = 0; i < 10'000; ++i) wide += cat(" | \"name-", i * 7919 % 10'000, "\"");
  CHECK(parsed(wide));
  CHECK(!parsed("root ::= " + times("\"a\" ", 250'000)));
  std::string classes = "root ::= ";
  for (size_t i = 0; i < 100'000; ++i)
    classes += cat("[\\u", 1000 + i % 8000, "-\\uF", 100 + i % 800, "]");
  parsed(classes);
}

// A text that can be read in ever more ways ends in an error, never in a text that is not held to
// it.
TEST(gbnf_too_many_ways_end_in_an_error) {
  const grammar::Program program =
      parse_gbnf("root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"d\"");
  grammar::States states(program);
  REFUSED(judge(states, times("a", 40)), "too ambiguous");
  CHECK(judge(states, "aaadbcb") == Verdict::kWhole);  // and leaves the automaton as it was
  grammar::States tired(program);
  tired.allow_work(100);
  REFUSED(judge(tired, "aaaaaaa"), "too ambiguous");
}
