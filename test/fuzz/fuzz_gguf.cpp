// libFuzzer entry for the GGUF reader (-DCRIA_FUZZ=ON with Clang): any bytes are a File or an
// Error, and everything a File offers lies within the bytes.
// Built with -DCRIA_SANITIZE=fuzzer-no-link,address,undefined the libraries report coverage, too.
//
//   fuzz_gguf [corpus folder] -max_total_time=60
#include <cstddef>
#include <cstdint>

#include "../gguf/inspect.h"
#include "gguf/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    const cria::gguf::File file = cria::gguf::File::parse(bytes);
    for (const cria::gguf::Tensor& tensor : file.tensors())
      if (!cria::test::within({tensor.data, tensor.bytes}, bytes)) __builtin_trap();
    cria::test::touch(file);
  } catch (const cria::Error&) {
  }
  return 0;
}
