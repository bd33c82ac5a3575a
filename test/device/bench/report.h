// What gpu_bench measured: a table for people, JSON for programs.
#pragma once

#include <string>
#include <vector>

namespace cria::test {

/// One line. Of a kernel: bytes that it has to move and operations that it has to do; of a step of
/// the network: tokens.
struct Figure {
  std::string what;  // "project 4096×4096", "decode"
  std::string type;
  int64_t rows = 0;    // tokens at once
  double seconds = 0;  // of one call
  double bytes = 0, operations = 0;
  int64_t tokens = 0;  // 0: a kernel
};

struct Report {
  std::string device, build;
  double bandwidth = 0;  // bytes a second that a copy moves, read and written
  std::vector<Figure> figures;

  std::string table() const;
  std::string json() const;
};

}  // namespace cria::test
