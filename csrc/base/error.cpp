#include "base/error.h"

namespace cria {

const char* error_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kFile:
      return "ERR_CRIA_FILE";
    case ErrorCode::kBadGguf:
      return "ERR_CRIA_BAD_GGUF";
    case ErrorCode::kUnsupported:
      return "ERR_CRIA_UNSUPPORTED";
    case ErrorCode::kBadArgument:
      return "ERR_CRIA_BAD_ARGUMENT";
    case ErrorCode::kContextOverflow:
      return "ERR_CRIA_CONTEXT_OVERFLOW";
    case ErrorCode::kOutOfMemory:
      return "ERR_CRIA_OUT_OF_MEMORY";
    case ErrorCode::kDisposed:
      return "ERR_CRIA_DISPOSED";
    case ErrorCode::kQueueFull:
      return "ERR_CRIA_QUEUE_FULL";
    case ErrorCode::kTimeout:
      return "ERR_CRIA_TIMEOUT";
    case ErrorCode::kBadSession:
      return "ERR_CRIA_BAD_SESSION";
    case ErrorCode::kNoDevice:
      return "ERR_CRIA_NO_DEVICE";
    case ErrorCode::kBackend:
      return "ERR_CRIA_BACKEND";
    case ErrorCode::kAborted:
      return "ERR_CRIA_ABORTED";
  }
  return "ERR_CRIA_BACKEND";
}

}  // namespace cria
