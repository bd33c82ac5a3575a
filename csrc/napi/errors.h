// F6. Where C++ exceptions end and JavaScript errors begin.
#pragma once

#include <napi.h>

#include "base/error.h"

namespace cria::js {

/// The JavaScript error of a native one: message, `code`, and `offset` where there is one.
Napi::Value to_js_error(Napi::Env env, const Error& error);
/// The exception being handled as an Error.
Error current_error();

/// Runs the body of a native call; an exception becomes a thrown JavaScript error.
template <class Body>
Napi::Value guarded(Napi::Env env, Body body) {
  try {
    return body();
  } catch (...) {
    napi_throw(env, to_js_error(env, current_error()));
    return env.Undefined();
  }
}

}  // namespace cria::js
