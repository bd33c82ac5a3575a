// F5. One native thread per model that owns all of its state. Callers post requests and cancel them
// from any thread; each step's news go to one sink.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "engine/loaded_model.h"
#include "engine/request.h"
#include "engine/scheduler.h"
#include "engine/stats.h"

namespace cria {

class Engine {
 public:
  /// Starts the thread. `sink` outlives the engine.
  Engine(std::unique_ptr<LoadedModel> model, UpdateSink& sink);
  /// Stops, as `stop` does, and waits for the thread.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const LoadedModel& model() const { return *model_; }

  // Any thread; these never block.

  /// What was done and how things stand.
  Stats stats() const { return recorder_.read(Clock::now()); }

  /// Queues a request. All that can be wrong with it comes back as the error of its End.
  void post(std::shared_ptr<Request> request);
  /// Ends a posted request within a step; its last update says kAbort.
  void cancel(Request& request);
  /// Gives a conversation's cache back.
  void release_sequence(uint32_t sequence);
  /// Every request ends with kDisposed; then the thread ends. Later posts are refused likewise.
  void stop();

 private:
  /// A message to the thread, in a lock-free stack (Treiber 1986) that it empties all at once.
  struct Command {
    std::shared_ptr<Request> request;  // to post, or
    uint32_t released = 0;             // sequence to release
    Command* next = nullptr;
  };

  void push(std::unique_ptr<Command> command);
  void wake();

  void run() noexcept;
  bool turn();
  void drain();
  void accept(std::shared_ptr<Request> request);
  std::vector<int32_t> prompt_ids(const Request& request) const;
  void sweep_cancelled();
  void compute();
  bool unwanted() const;
  void draw(Task& task, std::span<float> logits);
  void measure(Task& task, const Slice& slice);
  void finish(Task* task, FinishReason reason, std::string text = {},
              std::vector<int32_t> tokens = {}, std::optional<Error> error = std::nullopt);
  void refuse(const Request& request, Error error);
  void fail_all(const std::vector<Task*>& tasks, const Error& error);
  void record_state();
  void publish();

  const std::unique_ptr<LoadedModel> model_;
  UpdateSink& sink_;
  Scheduler scheduler_;
  Step step_;
  std::vector<float> logits_;    // [logit_rows × V]
  std::vector<Update> updates_;  // of the running step
  StatsRecorder recorder_;

  std::atomic<Command*> commands_{nullptr};
  std::atomic<uint32_t> wakes_{0};  // what the idle thread sleeps on
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace cria
