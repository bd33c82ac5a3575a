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
#include <utility>
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
  /// What is left to do on the JS thread after work elsewhere; may be empty.
  using Rest = std::function<void(Napi::Env)>;
  /// Runs `work`, which must not throw, on a thread of its own; then joins the thread and runs the
  /// rest that `work` gave back on the JS thread. The rest is dropped, but the thread joined, where
  /// the environment closes meanwhile. Throws kOutOfMemory where no thread can be started.
  void spawn(std::function<Rest()> work);
  /// `spawn` that settles a promise: `work()` runs there, `convert(env, result)` here.
  template <class Work, class Convert>
  Napi::Value run_async(Napi::Env env, Work work, Convert convert);

  void add(ModelObject* model) { models_.insert(model); }
  void remove(ModelObject* model) { models_.erase(model); }

  Napi::FunctionReference model_class, tokenizer_class, decoder_class, grammar_class;
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

/// Whether a long call should give up: `cancelLoad(token)` was called, or the environment ends.
/// Made on the JS thread, asked on any.
std::function<bool()> stop_check(Napi::Env env, const Napi::Value& token);

/// A new JavaScript object of a class, and the native one behind it. Throws kBackend where there is
/// none: while a worker is terminated, any call into JavaScript may fail.
template <class T>
std::pair<Napi::Object, T*> construct(const Napi::FunctionReference& type) {
  const Napi::Object object = type.New({});
  T* native = object.IsEmpty() ? nullptr : T::Unwrap(object);
  if (!native) fail(ErrorCode::kBackend, "the environment makes no further object");
  return {object, native};
}

/// Settles a promise with what `make` gives or throws, also where a value could not be made (a text
/// that is too long for JavaScript, say) and left an exception behind.
template <class Make>
void settle(Napi::Env env, napi_deferred deferred, Make make) {
  Napi::Value value;
  try {
    value = make();
  } catch (...) {
    napi_reject_deferred(env, deferred, to_js_error(env, current_error()));
    return;
  }
  if (!env.IsExceptionPending()) {
    napi_resolve_deferred(env, deferred, value);
    return;
  }
  const std::string reason = env.GetAndClearPendingException().Message();
  napi_reject_deferred(env, deferred, to_js_error(env, {ErrorCode::kBackend, reason}));
}

template <class Work, class Convert>
Napi::Value Environment::run_async(Napi::Env env, Work work, Convert convert) {
  using Result = std::invoke_result_t<Work>;
  napi_deferred deferred = nullptr;
  napi_value promise = nullptr;
  // Fails while a worker is terminated; then nobody is left to wait.
  if (napi_create_promise(env, &deferred, &promise) != napi_ok) return {};
  // Work and convert go back with the rest, so that what they hold ends on the JS thread.
  spawn([deferred, work = std::move(work), convert = std::move(convert)]() mutable -> Rest {
    const auto result = std::make_shared<std::variant<std::monostate, Result, Error>>();
    try {
      *result = work();
    } catch (...) {
      *result = current_error();
    }
    return [deferred, result, work = std::move(work), convert = std::move(convert)](Napi::Env js) {
      Environment::of(js).release(js);
      settle(js, deferred, [&]() -> Napi::Value {
        if (const Error* error = std::get_if<Error>(result.get())) throw *error;
        return convert(js, std::move(std::get<Result>(*result)));
      });
    };
  });
  retain(env);
  return {env, promise};
}

}  // namespace cria::js
