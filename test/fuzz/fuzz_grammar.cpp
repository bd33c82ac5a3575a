// libFuzzer entry: a grammar or a regex, and after a NUL a text that is led through its automaton.
// Whatever they are, there is an automaton or a kBadArgument, soon.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "grammar/states.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();  // how a fuzz target reports a finding
}

void lead(const cria::grammar::Program& program, std::string_view text) {
  cria::grammar::States states(program);
  states.allow_work(size_t{1} << 20);
  uint32_t state = states.initial();
  for (const char byte : text) {
    // What is begun can be finished: a state is refused, or ends, or goes on.
    require(state == cria::grammar::kRefused || states.can_end(state) || states.can_go_on(state));
    state = states.step(state, static_cast<uint8_t>(byte));
  }
  cria::grammar::States other(program);
  const uint32_t moved = other.import(states, state);
  require(other.can_end(moved) == states.can_end(state));
  require(other.can_go_on(moved) == states.can_go_on(state));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t end = input.find('\0');
  const std::string_view text = end == std::string_view::npos ? "" : input.substr(end + 1);
  try {
    const std::string_view grammar = input.substr(0, end);
    lead(data[0] & 1 ? cria::grammar::parse_regex(grammar) : cria::grammar::parse_gbnf(grammar),
         text);
  } catch (const cria::Error& error) {
    require(error.code() == cria::ErrorCode::kBadArgument);
  }
  return 0;
}
