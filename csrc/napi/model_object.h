// F6. The JavaScript face of a loaded model: posts to its engine, brings its updates back.
#pragma once

#include <napi.h>

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/engine.h"
#include "grammar/grammar.h"
#include "napi/environment.h"

namespace cria::js {

/// Where the engine leaves its updates for the JS thread: however many steps pass, one message is
/// on its way at a time.
class UpdateBox final : public UpdateSink, public std::enable_shared_from_this<UpdateBox> {
 public:
  explicit UpdateBox(std::shared_ptr<Environment> environment)
      : environment_(std::move(environment)) {}

  void publish(std::vector<Update> updates) noexcept override;  // engine's thread
  void set_owner(ModelObject* owner) { owner_ = owner; }        // JS thread

 private:
  void deliver(Napi::Env env);

  const std::shared_ptr<Environment> environment_;
  ModelObject* owner_ = nullptr;  // JS thread only
  std::mutex mutex_;              // guards the two below
  std::vector<Update> updates_;
  bool on_its_way_ = false;
};

/// An engine and what takes its updates, made together on a load's thread.
struct RunningModel {
  std::shared_ptr<UpdateBox> box;  // outlives the engine
  std::unique_ptr<Engine> engine;
};

class ModelObject : public Napi::ObjectWrap<ModelObject> {
 public:
  static Napi::Function define(Napi::Env env);
  /// The JavaScript object of `model`, whose updates go to `on_updates`.
  static Napi::Value wrap(Napi::Env env, RunningModel model, const Napi::Value& info,
                          const Napi::Function& on_updates);

  explicit ModelObject(const Napi::CallbackInfo& info);
  ~ModelObject() override;

  // For the environment's end: both in a row end the engine.
  void stop();
  void join();

  /// Calls `onUpdates`. JS thread.
  void deliver(Napi::Env env, const std::vector<Update>& updates);

 private:
  Napi::Value generate(const Napi::CallbackInfo& info);
  Napi::Value compile_grammar(const Napi::CallbackInfo& info);
  Napi::Value measure(const Napi::CallbackInfo& info);
  void post(Napi::Env env, std::shared_ptr<Request> request);
  Napi::Value cancel(const Napi::CallbackInfo& info);
  Napi::Value pause(const Napi::CallbackInfo& info);
  Napi::Value resume(const Napi::CallbackInfo& info);
  Napi::Value release_sequence(const Napi::CallbackInfo& info);
  Napi::Value fork_sequence(const Napi::CallbackInfo& info);
  Napi::Value save_session(const Napi::CallbackInfo& info);
  Napi::Value restore_session(const Napi::CallbackInfo& info);
  Napi::Value stats(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  Engine& open_engine();  // throws kDisposed
  /// The running request of that id; null where there is none, or no engine any more.
  Request* running(const Napi::Value& id) const;

  std::shared_ptr<Environment> environment_;
  std::shared_ptr<grammar::Compiler> compiler_;
  RunningModel model_;  // without an engine once disposed
  /// While there are any, the object holds itself: it is not collected before their last updates.
  std::unordered_map<int32_t, std::shared_ptr<Request>> running_;
};

}  // namespace cria::js
