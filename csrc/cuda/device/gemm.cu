// F3, device. Products of more than 8 rows: the plain forms, and the way to the others. How: in
// gemm_tile.h.
#include "cuda/device/gemm_tile.h"

namespace cria::cuda {

int gemm(CriaCuda* cuda, Form form, const Input& x, Products& products, const Partials& partials) {
  using gemm_tile::launch_tiles;
  switch (form) {
    case Form::kHalf:
      return launch_tiles<HalfForm>(cuda, x, products, partials);
    case Form::kQ8:
      return launch_tiles<Q8Form>(cuda, x, products, partials);
    case Form::kQ4:
      return launch_tiles<Q4Form>(cuda, x, products, partials);
    case Form::kQ5m:
      return launch_tiles<Q5mForm>(cuda, x, products, partials);
    default:
      return gemm_super(cuda, form, x, products, partials);
  }
}

}  // namespace cria::cuda
