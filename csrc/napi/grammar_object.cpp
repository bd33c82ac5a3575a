#include "napi/grammar_object.h"

#include "napi/convert.h"

namespace cria::js {

Napi::Function GrammarObject::define(Napi::Env env) {
  return DefineClass(env, "NativeGrammar", {});
}

Napi::Value GrammarObject::wrap(Napi::Env env, std::shared_ptr<const grammar::Grammar> grammar) {
  const auto [object, self] = construct<GrammarObject>(Environment::of(env).grammar_class);
  self->grammar_ = std::move(grammar);
  return object;
}

std::shared_ptr<const grammar::Grammar> GrammarObject::of(const Napi::Value& value) {
  if (value.IsUndefined()) return nullptr;
  const Napi::Env env = value.Env();
  GrammarObject* self = nullptr;
  if (value.IsObject() &&
      value.As<Napi::Object>().InstanceOf(Environment::of(env).grammar_class.Value())) {
    // An object that only claims to be one has nothing behind it, which is no exception of ours.
    self = Unwrap(value.As<Napi::Object>());
    if (env.IsExceptionPending()) {
      env.GetAndClearPendingException();
      self = nullptr;
    }
  }
  if (!self || !self->grammar_)
    fail(ErrorCode::kBadArgument, "grammar: expected what compileGrammar gave");
  return self->grammar_;
}

}  // namespace cria::js
