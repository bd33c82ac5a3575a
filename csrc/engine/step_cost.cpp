#include "engine/step_cost.h"

#include <algorithm>

namespace cria {

void StepCost::record(int rows, double ms) {
  if (rows < 1 || rows > kMostRows) return;
  seen_ = true;
  double& mean = ms_[static_cast<size_t>(rows)];
  // A machine that others use is now and then away for long: that says nothing of the step.
  mean = mean == 0 ? ms : mean + kNew * (std::min(ms, 2 * mean) - mean);
}

double StepCost::of(int rows) const {
  const auto seen = [this](int at) { return ms_[static_cast<size_t>(at)]; };
  int below = std::min(rows, kMostRows), above = rows;
  while (below > 0 && seen(below) == 0) --below;
  while (above <= kMostRows && seen(above) == 0) ++above;
  if (below == 0 && above > kMostRows) return 1 + kSlope * (rows - 1);
  if (below == 0) return seen(above) * (1 + kSlope * (rows - 1)) / (1 + kSlope * (above - 1));
  if (above > kMostRows)
    return seen(below) * (1 + kSlope * (rows - 1)) / (1 + kSlope * (below - 1));
  if (above == below) return seen(below);
  return seen(below) + (seen(above) - seen(below)) * (rows - below) / (above - below);
}

}  // namespace cria
