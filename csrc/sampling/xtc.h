// F1. XTC, "exclude top choices": with some probability, of the tokens from a threshold on all but
// the least likely are left out, so that the text leaves the beaten track but never for a token
// that the model finds implausible (p-e-w 2024, text-generation-webui pull request 6335).
#pragma once

#include <cstdint>

#include "sampling/candidates.h"
#include "sampling/sampling.h"

namespace cria {

/// `drawn`: how many tokens this request has drawn before.
void exclude_top_choices(Candidates& candidates, const Sampling& sampling, uint64_t drawn);

}  // namespace cria
