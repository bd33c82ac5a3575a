// F3. The communicator of a single rank: nothing to say to anyone.
#pragma once

#include "backend/comm.h"

namespace cria {

class CommSingle final : public Communicator {
 public:
  int rank() const override { return 0; }
  int ranks() const override { return 1; }
  void all_reduce(Matrix) override {}
  /// `local` is `full`: forward() gives a lone rank its logits in place.
  void all_gather(Matrix local, Matrix full) override;
};

}  // namespace cria
