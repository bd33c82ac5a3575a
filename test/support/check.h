// A test runner in one header, so that the core's tests need nothing but a compiler (they also run
// on machines without Node and without a network).
//
//   TEST(name) { CHECK(cond); CHECK_EQ(a, b); CHECK_THROWS(code, expression, "part of message"); }
//
// `program [substring]` runs the tests whose name has the substring; exit status 1 if any failed.
#pragma once

#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"

namespace cria::test {

struct Case {
  const char* name;
  void (*run)();
};
inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}
inline int& failures() {
  static int count = 0;
  return count;
}
struct Register {
  Register(const char* name, void (*run)()) { cases().push_back({name, run}); }
};
/// A test throws this to say that it cannot run here, and why.
struct Skip {
  std::string reason;
};

inline void report(const char* file, int line, const std::string& what) {
  std::printf("  %s:%d: %s\n", file, line, what.c_str());
  ++failures();
}

template <class A, class B>
void check_eq(const A& a, const B& b, const char* text, const char* file, int line) {
  if (a == b) return;
  std::ostringstream out;
  out << text << "\n    left:  " << a << "\n    right: " << b;
  report(file, line, out.str());
}

template <class Body>
void check_throws(ErrorCode code, Body body, const char* part, const char* file, int line) {
  try {
    body();
  } catch (const Error& error) {
    if (error.code() != code)
      report(file, line, cat("threw ", error_name(error.code()), ": ", error.what()));
    if (std::string(error.what()).find(part) == std::string::npos)
      report(file, line, cat("message lacks \"", part, "\": ", error.what()));
    return;
  } catch (const std::exception& error) {
    report(file, line, cat("threw another exception: ", error.what()));
    return;
  }
  report(file, line, "threw nothing");
}

inline int run_all(int argc, char** argv) {
  const char* only = argc > 1 ? argv[1] : "";
  int passed = 0, failed = 0, skipped = 0;
  for (const Case& test : cases()) {
    if (!std::strstr(test.name, only)) continue;
    const int before = failures();
    try {
      test.run();
    } catch (const Skip& skip) {
      std::printf("skip %s: %s\n", test.name, skip.reason.c_str());
      ++skipped;
      continue;
    } catch (const std::exception& error) {
      report(test.name, 0, cat("uncaught: ", error.what()));
    }
    const bool ok = failures() == before;
    std::printf("%s %s\n", ok ? "ok  " : "FAIL", test.name);
    std::fflush(stdout);
    ++(ok ? passed : failed);
  }
  std::printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
  return failed == 0 ? 0 : 1;
}

}  // namespace cria::test

#define TEST(name)                                                       \
  static void test_##name();                                             \
  static const cria::test::Register register_##name(#name, test_##name); \
  static void test_##name()
#define CHECK(condition) \
  ((condition) ? (void)0 : cria::test::report(__FILE__, __LINE__, "CHECK(" #condition ")"))
#define CHECK_EQ(a, b) cria::test::check_eq((a), (b), #a " == " #b, __FILE__, __LINE__)
#define CHECK_THROWS(code, expression, part) \
  cria::test::check_throws(                  \
      code, [&] { (void)(expression); }, part, __FILE__, __LINE__)
