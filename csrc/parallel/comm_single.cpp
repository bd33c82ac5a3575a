#include "parallel/comm_single.h"

#include "base/error.h"

namespace cria {

void CommSingle::all_gather(Matrix local, Matrix full) {
  if (local.data != full.data)
    fail(ErrorCode::kBackend,
         "all_gather on one rank: expected the local matrix to be the full one");
}

}  // namespace cria
