// What a program makes of texts, and how the tests say so.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/grammar.h"
#include "support/check.h"

namespace cria::test {

enum class Verdict { kRefused, kBegun, kWhole };

/// A text under a program: whole, the beginning of a whole one, or neither.
inline Verdict judge(grammar::States& states, std::string_view text) {
  uint32_t state = states.initial();
  for (const char byte : text) state = states.step(state, static_cast<uint8_t>(byte));
  if (states.can_end(state)) return Verdict::kWhole;
  return states.can_go_on(state) ? Verdict::kBegun : Verdict::kRefused;
}

inline const char* shown(Verdict verdict) {
  return verdict == Verdict::kWhole ? "whole" : verdict == Verdict::kBegun ? "begun" : "refused";
}

/// Checks texts against a program: all of `whole` belong to it, none of `other` does.
inline void check_texts(const grammar::Program& program, const std::vector<std::string>& whole,
                        const std::vector<std::string>& other, const char* file, int line) {
  grammar::States states(program);
  for (const std::string& text : whole)
    if (judge(states, text) != Verdict::kWhole)
      report(file, line, "should be whole: \"" + text + "\"");
  for (const std::string& text : other)
    if (judge(states, text) == Verdict::kWhole)
      report(file, line, "should not be whole: \"" + text + "\"");
}

using Texts = std::vector<std::string>;

inline std::string times(std::string_view part, size_t count) {
  std::string all;
  all.reserve(part.size() * count);
  for (size_t i = 0; i < count; ++i) all += part;
  return all;
}

}  // namespace cria::test

#define CHECK_TEXTS(program, whole, other) \
  cria::test::check_texts((program), (whole), (other), __FILE__, __LINE__)
#define REFUSED(expression, part) CHECK_THROWS(cria::ErrorCode::kBadArgument, (expression), part)
