// F6. What one JavaScript environment (the main thread or a worker) owns: the way back to its
// thread, the threads that work for it, and the models it loaded. There is no process-wide state.
//
// The rule of this folder: convert and hand over, own no logic. C++ exceptions stop at `guarded`,
// a native thread reaches JavaScript only through `post`, and nothing here ever blocks on
// JavaScript.
#pragma once

#include <napi.h>

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <variant>
#include <vector>

#include "napi/errors.h"

namespace cria::js {

class ModelObject;

class Environment : public std::enable_shared_from_this<Environment> {
 public:
  /// Makes the environment's mailbox and its cleanup hook. JS thread, once.
  static std::shared_ptr<Environment> create(Napi::Env env);
  /// The one of this environment.
  static Environment& of(Napi::Env env);

  // Any thread.

  /// Runs `task` on the JS thread soon; dropped where the environment is closing.
  void post(std::function<void(Napi::Env)> task);
  /// Whether background work should give up.
  bool closing() const { return closing_.load(std::memory_order_acquire); }

  // JS thread only.

  /// While the count of retains is above that of releases, the event loop stays alive.
  void retain(Napi::Env env);
  void release(Napi::Env env);
  /// Runs `work` on a thread of its own, joined before the environment ends.
  void spawn(std::function<void()> work);
  /// `spawn` that settles a promise: `work()` runs there, `convert(env, result)` here.
  template <class Work, class Convert>
  Napi::Promise run_async(Napi::Env env, Work work, Convert convert);

  void add(ModelObject* model) { models_.insert(model); }
  void remove(ModelObject* model) { models_.erase(model); }

  Napi::FunctionReference model_class, tokenizer_class, decoder_class;
  /// Loads that can be cancelled, by the token JavaScript gave them.
  std::unordered_map<uint32_t, std::weak_ptr<std::atomic<bool>>> loads;

 private:
  static void deliver(napi_env env, napi_value, void* context, void*);
  void close(Napi::Env env);
  void join_finished(std::thread::id id);

  napi_threadsafe_function wake_ = nullptr;
  std::mutex mutex_;  // guards the three below
  std::vector<std::function<void(Napi::Env)>> inbox_;
  bool awake_ = false;  // a wake is on its way
  bool closed_ = false;
  std::atomic<bool> closing_{false};
  int retained_ = 0;
  std::list<std::thread> threads_;
  std::set<ModelObject*> models_;
};

template <class Work, class Convert>
Napi::Promise Environment::run_async(Napi::Env env, Work work, Convert convert) {
  using Result = std::invoke_result_t<Work>;
  const auto deferred = Napi::Promise::Deferred::New(env);
  retain(env);
  spawn([self = shared_from_this(), deferred, work = std::move(work),
         convert = std::move(convert)]() mutable {
    const auto result = std::make_shared<std::variant<std::monostate, Result, Error>>();
    try {
      *result = work();
    } catch (...) {
      *result = current_error();
    }
    // The closures go with the message, so that what they hold ends on the JS thread.
    self->post([id = std::this_thread::get_id(), deferred, result, work = std::move(work),
                convert = std::move(convert)](Napi::Env js) {
      Environment& environment = Environment::of(js);
      environment.join_finished(id);
      environment.release(js);
      if (const Error* error = std::get_if<Error>(result.get()))
        return deferred.Reject(to_js_error(js, *error));
      try {
        deferred.Resolve(convert(js, std::move(std::get<Result>(*result))));
      } catch (...) {
        deferred.Reject(to_js_error(js, current_error()));
      }
    });
  });
  return deferred.Promise();
}

}  // namespace cria::js
