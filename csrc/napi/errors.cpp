#include "napi/errors.h"

#include <new>

namespace cria::js {

Napi::Value to_js_error(Napi::Env env, const Error& error) {
  const Napi::Value message = Napi::String::New(env, error.what());
  napi_value made = nullptr;
  napi_create_error(env, Napi::String::New(env, error_name(error.code())), message, &made);
  if (error.offset()) Napi::Object(env, made).Set("offset", static_cast<double>(*error.offset()));
  return {env, made};
}

Error current_error() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return {ErrorCode::kOutOfMemory, "out of memory"};
  } catch (const std::exception& error) {
    return {ErrorCode::kBackend, error.what()};
  } catch (...) {
    return {ErrorCode::kBackend, "an unknown error"};
  }
}

}  // namespace cria::js
