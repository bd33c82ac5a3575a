// F1. Chooses the encoder for a vocabulary.
#include "text/plain_encoder.h"

#include "text/byte_bpe.h"
#include "text/spm.h"

namespace cria::text {

std::unique_ptr<const PlainEncoder> make_plain_encoder(const Vocab& vocab) {
  if (vocab.algorithm == Algorithm::kByteBpe) return std::make_unique<ByteBpe>(vocab);
  return std::make_unique<Spm>(vocab);
}

}  // namespace cria::text
