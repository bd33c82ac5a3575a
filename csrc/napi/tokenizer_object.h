// F6. The JavaScript face of a tokenizer, and of a streaming decoder.
#pragma once

#include <napi.h>

#include <memory>

#include "napi/environment.h"
#include "text/tokenizer.h"

namespace cria::js {

class TokenizerObject : public Napi::ObjectWrap<TokenizerObject> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value wrap(Napi::Env env, std::shared_ptr<const text::Tokenizer> tokenizer);

  explicit TokenizerObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

 private:
  Napi::Value encode_sync(const Napi::CallbackInfo& info);
  Napi::Value encode(const Napi::CallbackInfo& info);
  Napi::Value decode(const Napi::CallbackInfo& info);
  Napi::Value piece_of(const Napi::CallbackInfo& info);
  Napi::Value id_of(const Napi::CallbackInfo& info);
  Napi::Value decoder(const Napi::CallbackInfo& info);

  std::shared_ptr<const text::Tokenizer> tokenizer_;
};

class DecoderObject : public Napi::ObjectWrap<DecoderObject> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value wrap(Napi::Env env, std::shared_ptr<const text::Tokenizer> tokenizer,
                          bool special);

  explicit DecoderObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

 private:
  Napi::Value push(const Napi::CallbackInfo& info);
  Napi::Value flush(const Napi::CallbackInfo& info);

  std::shared_ptr<const text::Tokenizer> tokenizer_;
  std::unique_ptr<text::StreamDecoder> decoder_;
};

}  // namespace cria::js
