// Random small grammars, and a plain matcher to hold the automaton against: it walks the expression
// itself, knows nothing of nodes or bytes, and tries everything.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/texts.h"

namespace cria::test {

struct Expression {
  enum class Kind { kText, kClass, kRule, kSequence, kBranches, kRepeat };
  Kind kind = Kind::kText;
  std::string text = {};               // kText; kClass: its characters, without ^
  bool negated = false;                // kClass
  size_t rule = 0;                     // kRule
  std::vector<Expression> parts = {};  // kSequence, kBranches; kRepeat: one
  int least = 0, most = -1;            // kRepeat; -1: any number
};

/// Rules r0, r1, …; r0 is the root.
struct RandomGrammar {
  std::vector<Expression> rules;

  std::string gbnf() const {
    std::string out = "root ::= r0\n";
    for (size_t i = 0; i < rules.size(); ++i) out += cat("r", i, " ::= ", spelt(rules[i]), "\n");
    return out;
  }

  /// As a regex; there must be one rule, without calls.
  std::string regex() const { return spelt(rules[0], true); }

  static std::string spelt(const Expression& e, bool regex = false) {
    using Kind = Expression::Kind;
    std::string out;
    switch (e.kind) {
      case Kind::kText:
        return regex ? e.text : "\"" + e.text + "\"";
      case Kind::kClass:
        return std::string(e.negated ? "[^" : "[") + e.text + "]";
      case Kind::kRule:
        return cat("r", e.rule);
      case Kind::kSequence:
        for (const Expression& part : e.parts) out += spelt(part, regex) + (regex ? "" : " ");
        return out;
      case Kind::kBranches:
        for (const Expression& part : e.parts)
          out += (out.empty() ? "(" : regex ? "|" : " | ") + spelt(part, regex);
        return out + ")";
      case Kind::kRepeat: {
        const std::string one = "(" + spelt(e.parts[0], regex) + ")";
        if (e.most < 0 && e.least < 2) return one + (e.least == 0 ? "*" : "+");
        if (e.least == 0 && e.most == 1) return one + "?";
        return one + "{" + std::to_string(e.least) + "," +
               (e.most < 0 ? "" : std::to_string(e.most)) + "}";
      }
    }
    return out;
  }
};

/// Every rule ends, and none begins with itself: a call of a rule that may lead back comes after a
/// character, and each rule has a branch without calls.
class GrammarMaker {
 public:
  GrammarMaker(uint32_t seed, bool calls) : random_(seed), calls_(calls) {}

  RandomGrammar make() {
    RandomGrammar grammar;
    rules_ = calls_ ? 1 + below(4) : 1;
    for (size_t i = 0; i < rules_; ++i) {
      Expression e = expression(3, i, true);
      if (calls_) e = {.kind = Expression::Kind::kBranches, .parts = {character(), e}};
      grammar.rules.push_back(std::move(e));
    }
    return grammar;
  }

  size_t below(size_t n) { return random_() % n; }

 private:
  Expression character() {
    static const char* const kTexts[] = {"a", "b", "c", "é", "ab", "日"};
    static const char* const kClasses[] = {"ab", "a-c", "é", "aé日", "c"};
    if (below(3) > 0) return {.kind = Expression::Kind::kText, .text = kTexts[below(6)]};
    return {.kind = Expression::Kind::kClass, .text = kClasses[below(5)], .negated = below(3) == 0};
  }

  /// `first`: nothing of the rule's text comes before it, so that only later rules may be called.
  Expression expression(int depth, size_t rule, bool first) {
    using Kind = Expression::Kind;
    const size_t choice = depth == 0 ? below(2) : below(8);
    if (choice < 2) return character();
    if (choice == 2 && calls_) {
      if (!first) return {.kind = Kind::kRule, .rule = below(rules_)};
      if (rule + 1 < rules_)
        return {.kind = Kind::kRule, .rule = rule + 1 + below(rules_ - rule - 1)};
      return character();
    }
    Expression e;
    const size_t count = 1 + below(3);
    if (choice < 5) {
      e.kind = Kind::kSequence;
      bool begins = first;
      for (size_t i = 0; i < count; ++i) {
        e.parts.push_back(expression(depth - 1, rule, begins));
        begins =
            begins && e.parts.back().kind != Kind::kText && e.parts.back().kind != Kind::kClass;
      }
    } else if (choice == 5) {
      e.kind = Kind::kBranches;
      for (size_t i = 0; i < count; ++i) e.parts.push_back(expression(depth - 1, rule, first));
    } else {
      e.kind = Kind::kRepeat;
      e.parts.push_back(expression(depth - 1, rule, first));
      e.least = static_cast<int>(below(3));
      e.most = below(2) == 0 ? -1 : e.least + static_cast<int>(below(3));
    }
    return e;
  }

  std::mt19937 random_;
  bool calls_;
  size_t rules_ = 1;
};

/// By sets of places where a text's parts may end.
class Reference {
 public:
  explicit Reference(const RandomGrammar& grammar) : grammar_(grammar) {}

  Verdict judge(std::u32string_view text) {
    text_ = text;
    wanted_more_ = false;
    const std::set<size_t> ends = match(grammar_.rules[0], {0});
    return ends.contains(text.size()) ? Verdict::kWhole
           : wanted_more_             ? Verdict::kBegun
                                      : Verdict::kRefused;
  }

 private:
  using Places = std::set<size_t>;

  Places match(const Expression& e, const Places& from) {
    using Kind = Expression::Kind;
    Places out;
    if (from.empty()) return out;
    switch (e.kind) {
      case Kind::kText:
        out = from;
        for (const char32_t c : decode(e.text))
          out = take(out, [c](char32_t got) { return got == c; });
        return out;
      case Kind::kClass:
        return take(from, [&](char32_t got) { return in_class(e.text, got) != e.negated; });
      case Kind::kRule:
        return match(grammar_.rules[e.rule], from);
      case Kind::kSequence:
        out = from;
        for (const Expression& part : e.parts) out = match(part, out);
        return out;
      case Kind::kBranches:
        for (const Expression& part : e.parts) out.merge(match(part, from));
        return out;
      case Kind::kRepeat: {
        Places now = from;
        for (int i = 0; i < e.least; ++i) now = match(e.parts[0], now);
        out = now;
        for (int i = e.least; e.most < 0 || i < e.most; ++i) {
          now = match(e.parts[0], now);
          const size_t before = out.size();
          out.insert(now.begin(), now.end());
          if (e.most < 0 && out.size() == before) break;
        }
        return out;
      }
    }
    return out;
  }

  template <class Fits>
  Places take(const Places& from, Fits fits) {
    Places out;
    for (const size_t at : from) {
      if (at == text_.size())
        wanted_more_ = true;
      else if (fits(text_[at]))
        out.insert(at + 1);
    }
    return out;
  }

  static bool in_class(std::string_view spelt, char32_t got) {
    const std::u32string set = decode(spelt);
    for (size_t i = 0; i < set.size(); ++i) {
      if (i + 2 < set.size() && set[i + 1] == '-') {
        if (got >= set[i] && got <= set[i + 2]) return true;
        i += 2;
      } else if (got == set[i]) {
        return true;
      }
    }
    return false;
  }

 public:
  static std::u32string decode(std::string_view utf8) {
    std::u32string out;
    for (size_t i = 0; i < utf8.size();) {
      const auto byte = [&](size_t k) { return static_cast<uint8_t>(utf8[i + k]); };
      if (byte(0) < 0x80) {
        out += byte(0);
        i += 1;
      } else if (byte(0) < 0xE0) {
        out += static_cast<char32_t>((byte(0) & 0x1F) << 6 | (byte(1) & 0x3F));
        i += 2;
      } else {
        out +=
            static_cast<char32_t>((byte(0) & 0xF) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F));
        i += 3;
      }
    }
    return out;
  }

 private:
  const RandomGrammar& grammar_;
  std::u32string_view text_;
  bool wanted_more_ = false;
};

}  // namespace cria::test
