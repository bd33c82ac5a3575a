// F5. What steps of a network take, by the rows in them: learnt from what was seen.
#pragma once

#include <array>

namespace cria {

class StepCost {
 public:
  static constexpr int kMostRows = 64;

  void record(int rows, double ms);
  /// Milliseconds of a step of so many rows; in units of a step of one before any was seen.
  double of(int rows) const;
  bool seen() const { return seen_; }

 private:
  static constexpr double kNew = 0.2;    // weight of the newest
  static constexpr double kSlope = 0.1;  // what a row adds to a step of one, where none was seen
  std::array<double, kMostRows + 1> ms_{};
  bool seen_ = false;
};

}  // namespace cria
