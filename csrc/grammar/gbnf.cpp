// F2. GBNF: the grammar files of llama.cpp.
//
//   rules    := { name "::=" branches newline }
//   branches := { item [ quantifier … ] } { "|" … }
//   item     := "literal" | [class] | . | name | ( branches )
//
// A line's end ends a rule, but not inside parentheses and not after "::=" or "|".
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "grammar/builder.h"

namespace cria::grammar {
namespace {

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

class Gbnf {
 public:
  explicit Gbnf(std::string_view text) : source_("grammar", text), builder_(source_) {}

  Program parse();

 private:
  /// An open parenthesis, or the rule itself.
  struct Group {
    size_t opened_at;
    std::vector<Part> branches = {};  // whole ones
    std::optional<Part> before = {};  // of the branch being read, all but its last item
    std::optional<Part> last = {};    // what a quantifier repeats
  };
  struct Name {
    uint32_t rule;
    size_t seen_at;
    bool defined = false;
  };

  void skip_space(bool across_lines);
  std::string_view take_name();
  Name& rule_named(std::string_view name, size_t seen_at);
  void parse_rule();
  Part parse_branches();
  Part parse_item();
  Part parse_literal();
  Part parse_class();
  uint32_t take_escape();
  bool parse_quantifier(Group& group);

  static void add(Group& group, Part item, Builder& builder);
  void close_branch(Group& group);

  Source source_;
  Builder builder_;
  std::unordered_map<std::string, Name> names_;
};

Program Gbnf::parse() {
  rule_named("root", 0);
  for (skip_space(true); !source_.done(); skip_space(true)) parse_rule();
  if (!names_.at("root").defined)
    source_.complain(source_.at(), "expected a rule named root, with which every text begins");
  const Name* missing = nullptr;
  std::string_view missing_name;
  for (const auto& [name, rule] : names_) {
    if (rule.defined || (missing && missing->seen_at < rule.seen_at)) continue;
    missing = &rule;
    missing_name = name;
  }
  if (missing)
    source_.complain(missing->seen_at,
                     cat("rule ", missing_name, " is used, but nowhere defined; expected a line \"",
                         missing_name, " ::= …\""));
  return builder_.finish();
}

/// Spaces and comments, and line ends where they mean nothing.
void Gbnf::skip_space(bool across_lines) {
  for (; !source_.done(); source_.skip()) {
    const char c = source_.peek();
    if (c == '#') {
      while (!source_.done() && source_.peek() != '\n' && source_.peek() != '\r') source_.skip();
      if (source_.done()) return;
    }
    const bool line_end = source_.peek() == '\n' || source_.peek() == '\r';
    if (line_end ? !across_lines : c != '#' && c != ' ' && c != '\t') return;
  }
}

std::string_view Gbnf::take_name() {
  const size_t begin = source_.at();
  while (is_name_char(source_.peek())) source_.skip();
  if (source_.at() == begin) source_.refuse("the name of a rule");
  return source_.since(begin);
}

Gbnf::Name& Gbnf::rule_named(std::string_view name, size_t seen_at) {
  const auto [at, added] = names_.try_emplace(std::string(name), Name{0, seen_at});
  if (added) at->second.rule = builder_.add_rule(std::string(name), seen_at);
  return at->second;
}

void Gbnf::parse_rule() {
  const size_t begin = source_.at();
  Name& rule = rule_named(take_name(), begin);
  if (rule.defined) source_.complain(begin, "this rule is defined a second time; expected one");
  rule.defined = true;
  const uint32_t id = rule.rule;
  skip_space(false);
  if (!source_.take("::=")) source_.refuse("::=");
  skip_space(true);
  builder_.define(id, parse_branches());
}

Part Gbnf::parse_branches() {
  std::vector<Group> open;
  open.push_back({source_.at()});
  while (true) {
    const bool nested = open.size() > 1;
    skip_space(nested);
    const char c = source_.peek();
    const bool line_end = source_.done() || c == '\n' || c == '\r';
    if (line_end && nested)
      source_.complain(open.back().opened_at, "this parenthesis is never closed; expected )");
    if (line_end) {
      close_branch(open.back());
      return builder_.either(open.back().branches);
    }
    if (c == '(') {
      if (open.size() > kMaxNesting)
        source_.complain(source_.at(), cat("parentheses are open ", kMaxNesting,
                                           " deep; expected less: name a part as a rule"));
      open.push_back({source_.at()});
      source_.skip();
    } else if (c == ')') {
      if (!nested) source_.refuse("an item, | or the end of the rule");
      source_.skip();
      close_branch(open.back());
      const Part group = builder_.either(open.back().branches);
      open.pop_back();
      add(open.back(), group, builder_);
    } else if (c == '|') {
      source_.skip();
      close_branch(open.back());
      skip_space(true);
    } else if (!parse_quantifier(open.back())) {
      add(open.back(), parse_item(), builder_);
    }
  }
}

void Gbnf::add(Group& group, Part item, Builder& builder) {
  if (group.last)
    group.before = group.before ? builder.join(*group.before, *group.last) : group.last;
  group.last = item;
}

void Gbnf::close_branch(Group& group) {
  add(group, builder_.empty(), builder_);
  group.branches.push_back(group.before ? builder_.join(*group.before, *group.last) : *group.last);
  group.before.reset();
  group.last.reset();
}

Part Gbnf::parse_item() {
  const char c = source_.peek();
  if (c == '"') return parse_literal();
  if (c == '[') return parse_class();
  if (c == '.') {
    source_.skip();
    CharSet all;
    all.negate();
    return builder_.character(all);
  }
  if (c == '<' || c == '!')
    source_.refuse("characters: references to tokens are not supported; an item, | or )");
  const size_t begin = source_.at();
  if (!is_name_char(c)) source_.refuse("a rule's name, \"text\", [class], . or (");
  return builder_.call(rule_named(take_name(), begin).rule);
}

Part Gbnf::parse_literal() {
  const size_t begin = source_.at();
  source_.skip();
  Part all = builder_.empty();
  while (source_.peek() != '"' || source_.done()) {
    if (source_.done()) source_.complain(begin, "this text is never closed; expected \"");
    const size_t at = source_.at();
    while (!source_.done() && source_.peek() != '\\' && source_.peek() != '"') source_.skip();
    if (const std::string_view plain = source_.since(at); !plain.empty()) {
      all = builder_.join(all, builder_.text(plain));
      continue;
    }
    CharSet one;
    one.add(take_escape());
    if (one.ranges().empty()) source_.complain(at, "a surrogate is no character; expected one");
    all = builder_.join(all, builder_.character(one));
  }
  source_.skip();
  return all;
}

Part Gbnf::parse_class() {
  const size_t begin = source_.at();
  source_.skip();
  const bool negated = source_.take("^");
  CharSet set;
  while (source_.peek() != ']' || source_.done()) {
    if (source_.done()) source_.complain(begin, "this class is never closed; expected ]");
    const auto take = [&] { return source_.peek() == '\\' ? take_escape() : source_.take_code(); };
    const size_t at = source_.at();
    const uint32_t first = take();
    uint32_t last = first;
    if (source_.peek() == '-' && source_.peek(1) != ']') {
      source_.skip();
      if (source_.done()) continue;
      last = take();
    }
    if (last < first) source_.complain(at, "the range ends before it begins; expected first-last");
    set.add(first, last);
  }
  source_.skip();
  if (negated) set.negate();
  if (set.ranges().empty())
    source_.complain(begin, "no character is in this class; expected one that some are in");
  return builder_.character(set);
}

uint32_t Gbnf::take_escape() {
  source_.skip();
  const char c = source_.peek();
  if (!source_.done()) {
    constexpr std::string_view kItself = "\"\\[]-^", kNames = "nrt", kMeant = "\n\r\t";
    const size_t named = kNames.find(c);
    const bool itself = kItself.find(c) != std::string_view::npos;
    if (itself || named != std::string_view::npos || c == 'x' || c == 'u' || c == 'U') {
      source_.skip();
      if (itself) return static_cast<uint32_t>(c);
      if (named != std::string_view::npos) return static_cast<uint32_t>(kMeant[named]);
      return source_.take_hex(c == 'x' ? 2 : c == 'u' ? 4 : 8);
    }
  }
  source_.refuse("after \\ one of n r t \" \\ [ ] - ^, xHH, uHHHH or UHHHHHHHH");
}

/// False where none comes next.
bool Gbnf::parse_quantifier(Group& group) {
  const char c = source_.peek();
  if (c != '*' && c != '+' && c != '?' && c != '{') return false;
  const size_t begin = source_.at();
  if (!group.last) source_.refuse("an item before what repeats it");
  source_.skip();
  uint32_t least = c == '+' ? 1 : 0, most = c == '?' ? 1 : kNoMost;
  if (c == '{') {
    skip_space(true);
    most = least = source_.take_number(kMaxRepeats);
    skip_space(true);
    if (source_.take(",")) {
      skip_space(true);
      most = source_.at_digit() ? source_.take_number(kMaxRepeats) : kNoMost;
      skip_space(true);
    }
    if (!source_.take("}")) source_.refuse("}");
    if (most < least) source_.complain(begin, "expected {least,most}, got more first than last");
  }
  group.last = builder_.repeat(*group.last, least, most);
  return true;
}

}  // namespace

Program parse_gbnf(std::string_view text) {
  return Gbnf(text).parse();
}

}  // namespace cria::grammar
