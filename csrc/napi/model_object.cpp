#include "napi/model_object.h"

#include "napi/convert.h"
#include "napi/grammar_object.h"
#include "napi/tokenizer_object.h"

namespace cria::js {

void UpdateBox::publish(std::vector<Update> updates) noexcept {
  {
    const std::lock_guard lock(mutex_);
    for (Update& update : updates) updates_.push_back(std::move(update));
    if (on_its_way_) return;
    on_its_way_ = true;
  }
  environment_->post([self = shared_from_this()](Napi::Env env) { self->deliver(env); });
}

void UpdateBox::deliver(Napi::Env env) {
  std::vector<Update> updates;
  {
    const std::lock_guard lock(mutex_);
    updates.swap(updates_);
    on_its_way_ = false;
  }
  if (owner_) owner_->deliver(env, updates);
}

Napi::Function ModelObject::define(Napi::Env env) {
  return DefineClass(
      env, "NativeModel",
      {InstanceMethod<&ModelObject::generate>("generate"),
       InstanceMethod<&ModelObject::compile_grammar>("compileGrammar"),
       InstanceMethod<&ModelObject::measure>("measure"),
       InstanceMethod<&ModelObject::cancel>("cancel"), InstanceMethod<&ModelObject::pause>("pause"),
       InstanceMethod<&ModelObject::resume>("resume"),
       InstanceMethod<&ModelObject::release_sequence>("releaseSequence"),
       InstanceMethod<&ModelObject::fork_sequence>("forkSequence"),
       InstanceMethod<&ModelObject::save_session>("saveSession"),
       InstanceMethod<&ModelObject::restore_session>("restoreSession"),
       InstanceMethod<&ModelObject::stats>("stats"),
       InstanceMethod<&ModelObject::dispose>("dispose")});
}

ModelObject::ModelObject(const Napi::CallbackInfo& info)
    : ObjectWrap(info), environment_(Environment::of(info.Env()).shared_from_this()) {
  environment_->add(this);
}

ModelObject::~ModelObject() {
  environment_->remove(this);
  if (model_.box) model_.box->set_owner(nullptr);
  if (!model_.engine || environment_->closing()) return;
  // Nobody holds the model any more: its thread ends on its own time, not the event loop's.
  model_.engine->stop();
  const auto ending = std::make_shared<RunningModel>(std::move(model_));
  try {
    environment_->spawn([ending]() -> Environment::Rest {
      ending->engine.reset();
      return {};
    });
  } catch (const Error&) {
    ending->engine.reset();  // no thread to be had: then here
  }
}

Napi::Value ModelObject::wrap(Napi::Env env, RunningModel model, const Napi::Value& info,
                              const Napi::Function& on_updates) {
  const auto [object, self] = construct<ModelObject>(Environment::of(env).model_class);
  object.Set("info", info);
  object.Set("tokenizer", TokenizerObject::wrap(env, model.engine->model().tokenizer));
  object.Set("onUpdates", on_updates);
  self->compiler_ = std::make_shared<grammar::Compiler>(model.engine->model().tokenizer);
  self->model_ = std::move(model);
  self->model_.box->set_owner(self);
  return object;
}

void ModelObject::stop() {
  if (model_.engine) model_.engine->stop();
}

void ModelObject::join() {
  model_.engine.reset();
}

Engine& ModelObject::open_engine() {
  if (!model_.engine)
    fail(ErrorCode::kDisposed, "the model was disposed; load it again to generate");
  return *model_.engine;
}

Request* ModelObject::running(const Napi::Value& id) const {
  const auto at = running_.find(static_cast<int32_t>(to_whole(id, "id", 1, INT32_MAX)));
  return model_.engine && at != running_.end() ? at->second.get() : nullptr;
}

Napi::Value ModelObject::generate(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::shared_ptr<Request> request = to_request(info[0]);
    request->grammar = GrammarObject::of(to_object(info[0], "request").Get("grammar"));
    post(info.Env(), request);
    return info.Env().Undefined();
  });
}

/// compileGrammar(syntax, text)
Napi::Value ModelObject::compile_grammar(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    open_engine();
    const std::string name = to_text(info[0], "syntax");
    if (name != "gbnf" && name != "regex")
      fail(ErrorCode::kBadArgument, "syntax: expected \"gbnf\" or \"regex\", got \"", name, "\"");
    const auto syntax = name == "gbnf" ? grammar::Syntax::kGbnf : grammar::Syntax::kRegex;
    return environment_->run_async(
        info.Env(),
        [compiler = compiler_, syntax, text = to_text(info[1], "text")] {
          return compiler->compile(syntax, text);
        },
        [](Napi::Env env, const std::shared_ptr<const grammar::Grammar>& grammar) {
          return GrammarObject::wrap(env, grammar);
        });
  });
}

Napi::Value ModelObject::measure(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    post(info.Env(), to_measurement(info[0]));
    return info.Env().Undefined();
  });
}

void ModelObject::post(Napi::Env env, std::shared_ptr<Request> request) {
  Engine& engine = open_engine();
  if (env.IsExceptionPending()) return;
  if (!running_.emplace(request->id, request).second)
    fail(ErrorCode::kBadArgument, "id: request ", request->id, " is running already");
  environment_->retain(env);
  if (running_.size() == 1) Ref();
  engine.post(std::move(request));
}

Napi::Value ModelObject::cancel(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    if (Request* request = running(info[0])) model_.engine->cancel(*request);
    return info.Env().Undefined();
  });
}

/// A request that waits for its reader is no reason for the process to go on.
Napi::Value ModelObject::pause(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    if (Request* request = running(info[0]); request && !request->paused) {
      model_.engine->pause(*request);
      environment_->release(info.Env());
    }
    return info.Env().Undefined();
  });
}

Napi::Value ModelObject::resume(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    if (Request* request = running(info[0]); request && request->paused) {
      environment_->retain(info.Env());
      model_.engine->resume(*request);
    }
    return info.Env().Undefined();
  });
}

Napi::Value ModelObject::release_sequence(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto sequence = static_cast<uint32_t>(to_whole(info[0], "sequence", 1, UINT32_MAX));
    if (model_.engine) model_.engine->release_sequence(sequence);
    return info.Env().Undefined();
  });
}

namespace {

uint32_t to_sequence(const Napi::Value& value) {
  return static_cast<uint32_t>(to_whole(value, "sequence", 1, UINT32_MAX));
}

}  // namespace

Napi::Value ModelObject::fork_sequence(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    open_engine().fork_sequence(to_sequence(info[0]), to_sequence(info[1]));
    return info.Env().Undefined();
  });
}

/// saveSession(sequence, path, text)
Napi::Value ModelObject::save_session(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Engine& engine = open_engine();
    const auto path = to_path(info[1]);
    const std::string text = to_text(info[2], "text");
    const auto snapshot =
        std::make_shared<PendingSnapshot>(model_.engine->snapshot(to_sequence(info[0])));
    using Written = std::pair<uint64_t, int>;
    return environment_->run_async(
        info.Env(),
        [=, identity = engine.model().identity] {
          const Snapshot taken = snapshot->get();
          return Written{write_session(path, identity, taken, text), taken.state_tokens};
        },
        [](Napi::Env env, const Written& written) {
          const Napi::Object out = Napi::Object::New(env);
          out.Set("bytes", static_cast<double>(written.first));
          out.Set("tokens", written.second);
          return out;
        });
  });
}

/// restoreSession(sequence, path)
Napi::Value ModelObject::restore_session(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Engine& engine = open_engine();
    const uint32_t sequence = to_sequence(info[0]);
    const auto path = to_path(info[1]);
    // The file is read elsewhere; what it holds goes to the engine from here, if there still is
    // one.
    const auto self = std::make_shared<Napi::ObjectReference>(Napi::Persistent(Value()));
    return environment_->run_async(
        info.Env(),
        [path, identity = engine.model().identity] { return read_session(path, identity); },
        [self, sequence](Napi::Env env, SavedSession saved) {
          Unwrap(self->Value())->open_engine().restore(sequence, std::move(saved.snapshot));
          return from_text(env, saved.text);
        });
  });
}

Napi::Value ModelObject::stats(const Napi::CallbackInfo& info) {
  return guarded(info.Env(),
                 [&]() -> Napi::Value { return from_stats(info.Env(), open_engine().stats()); });
}

Napi::Value ModelObject::dispose(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    stop();
    const auto ending = std::make_shared<RunningModel>(model_.box, std::move(model_.engine));
    // The engine's last updates are posted while its thread ends, so they arrive before the
    // promise.
    return environment_->run_async(
        info.Env(),
        [ending] {
          ending->engine.reset();
          return true;
        },
        [](Napi::Env env, bool) { return env.Undefined(); });
  });
}

void ModelObject::deliver(Napi::Env env, const std::vector<Update>& updates) {
  const Napi::Array array = Napi::Array::New(env, updates.size());
  for (uint32_t i = 0; i < updates.size(); ++i) array.Set(i, from_update(env, updates[i]));
  const Napi::Value callback = Value().Get("onUpdates");
  for (const Update& update : updates) {
    const auto at = running_.find(update.request);
    if (!update.end || at == running_.end()) continue;
    if (!at->second->paused) environment_->release(env);
    running_.erase(at);
    if (running_.empty()) Unref();
  }
  if (callback.IsFunction()) callback.As<Napi::Function>().Call({array});
}

}  // namespace cria::js
