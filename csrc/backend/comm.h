// F2. What the ranks of a tensor-parallel model say to each other. With one rank every call is a
// no-op. (Shoeybi et al. 2019, Megatron-LM §3.)
#pragma once

#include "backend/backend.h"

namespace cria {

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int ranks() const = 0;

  /// Every rank's x becomes the sum of all ranks' x.
  virtual void all_reduce(Matrix x) = 0;
  /// Joins the ranks' columns, in rank order: local[T×n_r] → full[T×Σn_r]. `local` may be `full`
  /// when there is one rank.
  virtual void all_gather(Matrix local, Matrix full) = 0;
};

}  // namespace cria
