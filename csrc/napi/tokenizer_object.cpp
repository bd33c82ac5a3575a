#include "napi/tokenizer_object.h"

#include "napi/convert.h"

namespace cria::js {

Napi::Function TokenizerObject::define(Napi::Env env) {
  return DefineClass(env, "NativeTokenizer",
                     {InstanceMethod<&TokenizerObject::encode_sync>("encodeSync"),
                      InstanceMethod<&TokenizerObject::encode>("encode"),
                      InstanceMethod<&TokenizerObject::decode>("decode"),
                      InstanceMethod<&TokenizerObject::piece_of>("pieceOf"),
                      InstanceMethod<&TokenizerObject::id_of>("idOf"),
                      InstanceMethod<&TokenizerObject::decoder>("decoder")});
}

Napi::Value TokenizerObject::wrap(Napi::Env env, std::shared_ptr<const text::Tokenizer> tokenizer) {
  const auto [object, self] = construct<TokenizerObject>(Environment::of(env).tokenizer_class);
  object.Set("vocab", from_vocab(env, *tokenizer));
  self->tokenizer_ = std::move(tokenizer);
  return object;
}

Napi::Value TokenizerObject::encode_sync(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto segments = to_segments(info[0], "segments");
    return from_ids(info.Env(), tokenizer_->encode(views(segments), to_bool(info[1], "bos")));
  });
}

Napi::Value TokenizerObject::encode(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Environment::of(info.Env())
        .run_async(
            info.Env(),
            [tokenizer = tokenizer_, segments = to_segments(info[0], "segments"),
             bos = to_bool(info[1], "bos")] { return tokenizer->encode(views(segments), bos); },
            [](Napi::Env env, const std::vector<int32_t>& ids) { return from_ids(env, ids); });
  });
}

Napi::Value TokenizerObject::decode(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto ids = to_ids(info[0], "ids");
    return from_text(info.Env(), tokenizer_->decode(ids, to_bool(info[1], "special")));
  });
}

Napi::Value TokenizerObject::piece_of(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const int64_t id = to_whole(info[0], "id", 0, tokenizer_->size() - 1);
    return from_text(info.Env(), tokenizer_->vocab().pieces[static_cast<size_t>(id)]);
  });
}

Napi::Value TokenizerObject::id_of(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return Napi::Number::New(info.Env(), tokenizer_->id_of(to_text(info[0], "piece")).value_or(-1));
  });
}

Napi::Value TokenizerObject::decoder(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return DecoderObject::wrap(info.Env(), tokenizer_, to_bool(info[0], "special"));
  });
}

Napi::Function DecoderObject::define(Napi::Env env) {
  return DefineClass(env, "NativeDecoder",
                     {InstanceMethod<&DecoderObject::push>("push"),
                      InstanceMethod<&DecoderObject::flush>("flush")});
}

Napi::Value DecoderObject::wrap(Napi::Env env, std::shared_ptr<const text::Tokenizer> tokenizer,
                                bool special) {
  const auto [object, self] = construct<DecoderObject>(Environment::of(env).decoder_class);
  self->decoder_ = std::make_unique<text::StreamDecoder>(*tokenizer, special);
  self->tokenizer_ = std::move(tokenizer);
  return object;
}

Napi::Value DecoderObject::push(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    std::string out;
    for (const int32_t id : to_ids(info[0], "ids")) decoder_->push(id, out);
    return from_text(info.Env(), out);
  });
}

Napi::Value DecoderObject::flush(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    std::string out;
    decoder_->flush(out);
    return from_text(info.Env(), out);
  });
}

}  // namespace cria::js
