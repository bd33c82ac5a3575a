// F3. Shapes in words, and the checks that several operations share.
#pragma once

#include <string>

#include "backend/backend.h"
#include "base/error.h"

namespace cria::cpu {

inline std::string shape(int64_t rows, int64_t cols) {
  return cat("[", rows, "×", cols, "]");
}
inline std::string shape(const Matrix& m) {
  return shape(m.rows, m.cols);
}
inline std::string shape(const Weight& w) {
  return shape(w.rows, w.cols);
}

inline void check_same(const char* op, const char* a_name, const Matrix& a, const char* b_name,
                       const Matrix& b) {
  if (a.rows == b.rows && a.cols == b.cols) return;
  fail(ErrorCode::kBadArgument, op, ": ", a_name, " is ", shape(a), " but ", b_name, " is ",
       shape(b), "; both must have one shape");
}

}  // namespace cria::cpu
