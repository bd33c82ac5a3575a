#include "napi/environment.h"

#include <algorithm>
#include <system_error>

#include "napi/convert.h"
#include "napi/model_object.h"

namespace cria::js {
namespace {

/// An exception that a callback of ours let out is a defect: it is told as an uncaught one, and
/// does not keep the tasks behind it from running.
void report_pending(napi_env env) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) return;
  napi_value exception = nullptr;
  napi_get_and_clear_last_exception(env, &exception);
  napi_fatal_exception(env, exception);
}

}  // namespace

std::shared_ptr<Environment> Environment::create(Napi::Env env) {
  const auto environment = std::make_shared<Environment>();
  napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "cria"),
                                  0 /* unbounded: a call never blocks */, 1, nullptr, nullptr,
                                  environment.get(), deliver, &environment->wake_);
  napi_unref_threadsafe_function(env, environment->wake_);
  // The holder lives as long as the environment; the hook runs first, while JavaScript still can.
  env.SetInstanceData(new std::shared_ptr<Environment>(environment));
  env.AddCleanupHook([environment, env] { environment->close(env); });
  return environment;
}

Environment& Environment::of(Napi::Env env) {
  return **env.GetInstanceData<std::shared_ptr<Environment>>();
}

void Environment::post(std::function<void(Napi::Env)> task) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  inbox_.push_back(std::move(task));
  if (awake_) return;
  awake_ = napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking) == napi_ok;
}

/// The thread-safe function's callback: all that came since the last one. `env` is null while the
/// environment is torn down; then nothing else may be touched.
void Environment::deliver(napi_env env, napi_value, void* context, void*) {
  if (!env) return;
  auto* environment = static_cast<Environment*>(context);
  std::vector<std::function<void(Napi::Env)>> tasks;
  {
    const std::lock_guard lock(environment->mutex_);
    tasks.swap(environment->inbox_);
    environment->awake_ = false;
  }
  for (const auto& task : tasks) {
    const Napi::HandleScope scope(env);
    // A worker that is being terminated still runs this callback while its handles are closed, but
    // every call that would reach JavaScript fails: what came is dropped with its references.
    napi_value undefined = nullptr, text = nullptr;
    napi_get_undefined(env, &undefined);
    if (napi_coerce_to_string(env, undefined, &text) != napi_ok) return;
    task(env);
    report_pending(env);
  }
}

void Environment::retain(Napi::Env env) {
  if (retained_++ == 0) napi_ref_threadsafe_function(env, wake_);
}

void Environment::release(Napi::Env env) {
  if (--retained_ == 0) napi_unref_threadsafe_function(env, wake_);
}

void Environment::spawn(std::function<Rest()> work) {
  try {
    threads_.emplace_back([self = shared_from_this(), work = std::move(work)]() mutable {
      Rest rest = work();
      work = nullptr;  // what it still holds ends before the thread counts as finished
      self->post([id = std::this_thread::get_id(), rest = std::move(rest)](Napi::Env env) {
        Environment::of(env).join_finished(id);
        if (rest) rest(env);
      });
    });
  } catch (const std::system_error& error) {
    fail(ErrorCode::kOutOfMemory, "the system starts no further thread: ", error.what());
  }
}

void Environment::join_finished(std::thread::id id) {
  const auto at = std::find_if(threads_.begin(), threads_.end(),
                               [id](const std::thread& thread) { return thread.get_id() == id; });
  if (at == threads_.end()) return;
  at->join();
  threads_.erase(at);
}

/// Stops everything that works for this environment and waits for it. Runs on the JS thread.
void Environment::close(Napi::Env) {
  closing_.store(true, std::memory_order_release);
  for (ModelObject* model : models_) model->stop();
  for (ModelObject* model : models_) model->join();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  std::vector<std::function<void(Napi::Env)>> undelivered;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    undelivered.swap(inbox_);
  }
  undelivered.clear();  // on this thread, while the references they hold can still be deleted
  model_class.Reset();
  tokenizer_class.Reset();
  decoder_class.Reset();
  grammar_class.Reset();
  napi_release_threadsafe_function(wake_, napi_tsfn_abort);
}

std::function<bool()> stop_check(Napi::Env env, const Napi::Value& token) {
  Environment& environment = Environment::of(env);
  auto& loads = environment.loads;
  std::erase_if(loads, [](const auto& load) { return load.second.expired(); });
  auto flag = std::make_shared<std::atomic<bool>>(false);
  loads[static_cast<uint32_t>(to_whole(token, "token", 0, UINT32_MAX))] = flag;
  return [flag, owner = environment.shared_from_this()] {
    return flag->load(std::memory_order_relaxed) || owner->closing();
  };
}

}  // namespace cria::js
