// F1. Stages that leave out unlikely tokens. Each keeps one at least, and does nothing at the value
// that stands first.
#pragma once

#include "sampling/candidates.h"

namespace cria {

/// 0 · Keeps logits from max - n·σ on, σ being the standard deviation of all logits that are left
/// (Tang et al. 2024, top-nσ: "Not all logits are you need").
void keep_top_n_sigma(Candidates& candidates, double n);

/// 0 · The k likeliest (Fan et al. 2018).
void keep_top_k(Candidates& candidates, int k);

/// 1 · The fewest tokens that together reach the probability p, in the order of | -log pᵢ - H |:
/// how far their surprise is from the entropy (Meister et al. 2023, locally typical sampling).
void keep_typical(Candidates& candidates, double p);

/// 1 · The fewest and likeliest tokens that together reach the probability p (Holtzman et al. 2020,
/// nucleus sampling).
void keep_top_p(Candidates& candidates, double p);

/// 0 · pᵢ ≥ share · max p (Nguyen et al. 2024).
void keep_min_p(Candidates& candidates, double share);

}  // namespace cria
