// F6. The JavaScript face of a compiled grammar: something to hand to `generate`.
#pragma once

#include <napi.h>

#include <memory>

#include "grammar/grammar.h"
#include "napi/environment.h"

namespace cria::js {

class GrammarObject : public Napi::ObjectWrap<GrammarObject> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value wrap(Napi::Env env, std::shared_ptr<const grammar::Grammar> grammar);
  /// The grammar behind a value; null for undefined. Throws kBadArgument for anything else.
  static std::shared_ptr<const grammar::Grammar> of(const Napi::Value& value);

  explicit GrammarObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

 private:
  std::shared_ptr<const grammar::Grammar> grammar_;
};

}  // namespace cria::js
