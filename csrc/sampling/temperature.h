// F1. Temperature: logit / T, so that p ∝ p^(1/T) (Ackley, Hinton & Sejnowski 1985). Dynamic
// temperature chooses T by how sure the model is (kalomaze 2023, entropy-based "DynaTemp"):
//
//   T = lo + (hi - lo) · (H / log n)^x       lo, hi = temperature ∓ range, lo not below 0
//
// H is the entropy of the n candidates, log n the most it could be, x the exponent.
#pragma once

#include "sampling/candidates.h"
#include "sampling/sampling.h"

namespace cria {

void apply_temperature(Candidates& candidates, const Sampling& sampling);

}  // namespace cria
