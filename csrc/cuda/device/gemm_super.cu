// F3, device. Products of more than 8 rows: the forms with scales of scales. How: in gemm_tile.h.
#include "cuda/device/gemm_tile.h"

namespace cria::cuda {

int gemm_super(CriaCuda* cuda, Form form, const Input& x, Products& products,
               const Partials& partials) {
  using gemm_tile::launch_tiles;
  switch (form) {
    case Form::kQ4k:
      return launch_tiles<Q4kForm>(cuda, x, products, partials);
    case Form::kQ5k:
      return launch_tiles<Q5kForm>(cuda, x, products, partials);
    case Form::kQ6k:
      return launch_tiles<Q6kForm>(cuda, x, products, partials);
    case Form::kQ2k:
      return launch_tiles<Q2kForm>(cuda, x, products, partials);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace cria::cuda
