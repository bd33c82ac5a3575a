// What a mask costs on a vocabulary of 32,000: printed, not judged, for a test asserts no times.
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "grammar/json.h"
#include "grammar/texts.h"
#include "text/fixtures.h"

using namespace cria;
using namespace cria::test;

namespace {

const char* const kDocument =
    R"({"name": "The quick brown fox", "age": 42, "tags": ["a", "bc", "日本"],
 "address": {"street": "12 Example Road", "lines": [[1, 2.5, -3e10], [true, false, null]],
 "note": "He said \"hello\" and left.\n"}, "empty": {}, "deep": [[[[{"x": [{"y": "z"}]}]]]]})";

using Clock = std::chrono::steady_clock;

void print(const char* what, std::vector<double> microseconds) {
  std::ranges::sort(microseconds);
  double sum = 0;
  for (const double one : microseconds) sum += one;
  const auto count = microseconds.size();
  std::printf("  %-28s %4zu tokens: mean %7.1f, median %7.1f, worst %7.1f us\n", what, count,
              sum / static_cast<double>(count), microseconds[count / 2], microseconds.back());
}

}  // namespace

TEST(mask_cost_on_the_llama2_vocabulary) {
  const auto tokenizer =
      std::make_shared<const text::Tokenizer>(shared_vocab("vocab/llama2-spm.gguf"));
  const Ids ids = tokenizer->encode(kDocument, false);
  grammar::Compiler compiler(tokenizer);
  const auto begin = Clock::now();
  compiler.compile(grammar::Syntax::kGbnf, kJson);
  const auto first = Clock::now();
  const auto json = compiler.compile(grammar::Syntax::kGbnf, kJson);
  const auto us = [](Clock::duration d) {
    return std::chrono::duration<double, std::micro>(d).count();
  };
  print("first compile", {us(first - begin)});
  print("next compile", {us(Clock::now() - first)});
  for (const char* const what : {"JSON, new states", "JSON, states seen before"}) {
    grammar::Matcher matcher(json, true);
    std::vector<double> times;
    for (const int32_t id : ids) {
      const auto start = Clock::now();
      const bool allowed = matcher.allowed()[id];
      times.push_back(us(Clock::now() - start));
      CHECK(allowed);
      if (allowed) matcher.take(id);
    }
    CHECK(matcher.can_end());
    print(what, std::move(times));
  }
  for (const auto& [what, regex] : {std::pair("[^\"]{1,200}", "[^\"]{1,200}"), {".*", ".*"}}) {
    grammar::Matcher matcher(compiler.compile(grammar::Syntax::kRegex, regex));
    std::vector<double> times;
    for (const int32_t id :
         tokenizer->encode("The quick brown fox jumps over the lazy dog", false)) {
      const auto start = Clock::now();
      CHECK(matcher.allowed()[id]);
      times.push_back(us(Clock::now() - start));
      matcher.take(id);
    }
    print(what, std::move(times));
  }
}
