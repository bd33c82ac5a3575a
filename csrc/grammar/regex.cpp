// F2. Regular expressions as JavaScript's Unicode mode reads them, of which the whole text is a
// match. What cannot be kept to is refused: it would hold the text to something else.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/builder.h"

namespace cria::grammar {
namespace {

constexpr std::string_view kSyntax = "^$\\.*+?()[]{}|";

/// What `.` leaves out.
CharSet line_ends() {
  CharSet set;
  for (const uint32_t code : {0x0Au, 0x0Du, 0x2028u, 0x2029u}) set.add(code);
  return set;
}

CharSet digits() {
  CharSet set;
  set.add('0', '9');
  return set;
}

CharSet word_characters() {
  CharSet set = digits();
  set.add('a', 'z');
  set.add('A', 'Z');
  set.add('_');
  return set;
}

CharSet spaces() {
  CharSet set = line_ends();
  set.add(0x09, 0x0D);
  for (const uint32_t code : {0x20u, 0xA0u, 0x1680u, 0x202Fu, 0x205Fu, 0x3000u, 0xFEFFu})
    set.add(code);
  set.add(0x2000, 0x200A);
  return set;
}

class Regex {
 public:
  explicit Regex(std::string_view text) : source_("regex", text), builder_(source_) {}

  Program parse();

 private:
  /// An open parenthesis, or the whole.
  struct Group {
    size_t opened_at;
    std::vector<Part> branches = {};
    std::optional<Part> before = {};
    std::optional<Part> last = {};  // what a quantifier repeats
    bool quantified = false;        // the last has one
    bool ended = false;             // the branch, by $
  };

  Part parse_branches();
  void open_group(std::vector<Group>& open);
  void parse_end_anchor(Group& group, bool nested);
  Part parse_item();
  Part parse_class();
  void parse_class_member(CharSet& set);
  bool parse_quantifier(Group& group);
  /// The class that an escape such as \d means; nothing where it is no such escape.
  std::optional<CharSet> take_class_escape();
  uint32_t take_escape(bool in_class);
  uint32_t take_unicode_escape(size_t begin);
  Part one_of(const CharSet& set, size_t at);

  void add(Group& group, Part item);
  void close_branch(Group& group);

  Source source_;
  Builder builder_;
};

Program Regex::parse() {
  const uint32_t root = builder_.add_rule("the regex", 0);
  builder_.define(root, parse_branches());
  return builder_.finish();
}

Part Regex::parse_branches() {
  std::vector<Group> open;
  open.push_back({0});
  while (!source_.done()) {
    Group& group = open.back();
    const bool nested = open.size() > 1;
    const char c = source_.peek();
    if (group.ended && c != '|')
      source_.refuse("nothing after $, which is supported at the end alone");
    if (c == '(') {
      open_group(open);
    } else if (c == ')') {
      if (!nested) source_.refuse("no ) without its (");
      source_.skip();
      close_branch(group);
      const Part part = builder_.either(group.branches);
      open.pop_back();
      add(open.back(), part);
    } else if (c == '|') {
      source_.skip();
      close_branch(group);
    } else if (c == '^') {
      if (nested || group.last)
        source_.refuse("another item: ^ is supported at the beginning alone");
      source_.skip();
    } else if (c == '$') {
      parse_end_anchor(group, nested);
    } else if (!parse_quantifier(group)) {
      add(group, parse_item());
    }
  }
  if (open.size() > 1)
    source_.complain(open.back().opened_at, "this parenthesis is never closed; expected )");
  close_branch(open.back());
  return builder_.either(open.back().branches);
}

void Regex::open_group(std::vector<Group>& open) {
  if (open.size() > kMaxNesting)
    source_.complain(source_.at(),
                     cat("parentheses are open ", kMaxNesting, " deep; expected less"));
  open.push_back({source_.at()});
  source_.skip();
  if (source_.peek() != '?' || source_.take("?:")) return;
  if (source_.peek(1) == '<' && source_.peek(2) != '=' && source_.peek(2) != '!') {
    const size_t begin = source_.at();
    while (!source_.done() && source_.peek() != '>') source_.skip();
    if (!source_.take(">")) source_.complain(begin, "this name is never closed; expected >");
    return;
  }
  source_.refuse("(…), (?:…) or (?<name>…): assertions and modifiers are not supported");
}

void Regex::parse_end_anchor(Group& group, bool nested) {
  if (nested) source_.refuse("another item: $ is supported at the end alone");
  source_.skip();
  group.ended = true;
}

void Regex::add(Group& group, Part item) {
  if (group.last)
    group.before = group.before ? builder_.join(*group.before, *group.last) : group.last;
  group.last = item;
  group.quantified = false;
}

void Regex::close_branch(Group& group) {
  add(group, builder_.empty());
  group.branches.push_back(group.before ? builder_.join(*group.before, *group.last) : *group.last);
  group.before.reset();
  group.last.reset();
  group.ended = false;
}

Part Regex::one_of(const CharSet& set, size_t at) {
  if (set.ranges().empty())
    source_.complain(at, "no character is in this class; expected one that some are in");
  return builder_.character(set);
}

Part Regex::parse_item() {
  const size_t begin = source_.at();
  const char c = source_.peek();
  if (c == '[') return parse_class();
  if (c == '\\') {
    if (const auto set = take_class_escape()) return builder_.character(*set);
    CharSet one;
    one.add(take_escape(false));
    return one_of(one, begin);
  }
  if (c == '.') {
    source_.skip();
    CharSet set = line_ends();
    set.negate();
    return builder_.character(set);
  }
  if (kSyntax.find(c) != std::string_view::npos)
    source_.refuse(cat("an item; \\", std::string(1, c), " stands for the character"));
  CharSet one;
  one.add(source_.take_code());
  return builder_.character(one);
}

Part Regex::parse_class() {
  const size_t begin = source_.at();
  source_.skip();
  const bool negated = source_.take("^");
  CharSet set;
  while (source_.peek() != ']' || source_.done()) {
    if (source_.done()) source_.complain(begin, "this class is never closed; expected ]");
    parse_class_member(set);
  }
  source_.skip();
  if (negated) set.negate();
  return one_of(set, begin);
}

void Regex::parse_class_member(CharSet& set) {
  const size_t begin = source_.at();
  const auto take = [&] {
    return source_.peek() == '\\' ? take_escape(true) : source_.take_code();
  };
  const auto named = take_class_escape();
  const bool range = source_.peek() == '-' && source_.peek(1) != ']';
  if (named) {
    if (range) source_.refuse("no range from a class");
    builder_.spend(Builder::range_work(named->size()));
    return set.add(*named);
  }
  const uint32_t first = take();
  if (source_.peek() != '-' || source_.peek(1) == ']') return set.add(first);
  source_.skip();
  if (source_.done()) return;
  if (take_class_escape()) source_.complain(begin, "expected no range to a class");
  const uint32_t last = take();
  if (last < first) source_.complain(begin, "the range ends before it begins");
  set.add(first, last);
}

std::optional<CharSet> Regex::take_class_escape() {
  if (source_.peek() != '\\') return std::nullopt;
  CharSet set;
  switch (source_.peek(1)) {
    case 'd':
    case 'D':
      set = digits();
      break;
    case 'w':
    case 'W':
      set = word_characters();
      break;
    case 's':
    case 'S':
      set = spaces();
      break;
    default:
      return std::nullopt;
  }
  if (source_.peek(1) < 'a') set.negate();
  source_.skip(2);
  return set;
}

uint32_t Regex::take_escape(bool in_class) {
  const size_t begin = source_.at();
  source_.skip();
  const char c = source_.peek();
  if (source_.done()) source_.complain(begin, "expected a character after \\, got the end");
  constexpr std::string_view kNames = "nrtfv", kMeant = "\n\r\t\f\v";
  if (const size_t named = kNames.find(c); named != std::string_view::npos) {
    source_.skip();
    return static_cast<uint32_t>(kMeant[named]);
  }
  if (c == 'x') {
    source_.skip();
    return source_.take_hex(2);
  }
  if (c == 'u') return take_unicode_escape(begin);
  const char after = source_.peek(1);
  if (c == '0' && !(after >= '0' && after <= '9')) {
    source_.skip();
    return 0;
  }
  if (kSyntax.find(c) != std::string_view::npos || c == '/' || (in_class && c == '-')) {
    source_.skip();
    return static_cast<uint32_t>(c);
  }
  source_.refuse(
      begin,
      "an escape that is supported: \\d \\w \\s \\D \\W \\S \\n \\r \\t \\f \\v \\0 \\xHH "
      "\\uHHHH \\u{H…}, or \\ before one of ^$\\.*+?()[]{}|/");
}

/// \uHHHH, two of them that are one character, or \u{H…}.
uint32_t Regex::take_unicode_escape(size_t begin) {
  source_.skip();
  if (source_.take("{")) {
    uint32_t code = 0;
    int digits = 0;
    for (; !source_.done() && source_.peek() != '}'; ++digits) {
      code = code << 4 | source_.take_hex(1);
      if (code > 0x10FFFF) source_.complain(begin, "expected a code point, at most 10FFFF");
    }
    if (digits == 0 || !source_.take("}")) source_.refuse("hexadecimal digits and }");
    return code;
  }
  const uint32_t code = source_.take_hex(4);
  if (code < 0xD800 || code > 0xDBFF || !source_.starts_with("\\u")) return code;
  source_.skip(2);
  const uint32_t low = source_.take_hex(4);
  if (low < 0xDC00 || low > 0xDFFF)
    source_.complain(begin, "expected the other surrogate after it");
  return 0x10000 + ((code - 0xD800) << 10 | (low - 0xDC00));
}

/// False where none comes next. A ? after it changes which match is found first, not which texts
/// match.
bool Regex::parse_quantifier(Group& group) {
  const char c = source_.peek();
  if (c != '*' && c != '+' && c != '?' && c != '{') return false;
  const size_t begin = source_.at();
  if (!group.last || group.quantified) source_.refuse("an item before what repeats it");
  source_.skip();
  uint32_t least = c == '+' ? 1 : 0, most = c == '?' ? 1 : kNoMost;
  if (c == '{') {
    most = least = source_.take_number(kMaxRepeats);
    if (source_.take(",")) most = source_.at_digit() ? source_.take_number(kMaxRepeats) : kNoMost;
    if (!source_.take("}")) source_.refuse("}");
    if (most < least) source_.complain(begin, "expected {least,most}, got more first than last");
  }
  source_.take("?");
  group.last = builder_.repeat(*group.last, least, most);
  group.quantified = true;
  return true;
}

}  // namespace

Program parse_regex(std::string_view text) {
  return Regex(text).parse();
}

}  // namespace cria::grammar
