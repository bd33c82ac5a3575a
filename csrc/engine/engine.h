// F5. One native thread per model that owns all of its state. Callers post requests and cancel them
// from any thread; each step's news go to one sink.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "engine/drafter.h"
#include "engine/loaded_model.h"
#include "engine/request.h"
#include "engine/scheduler.h"
#include "engine/stats.h"

namespace cria {

/// A snapshot that the engine's thread takes soon. An error travels as a value: the count of who
/// holds an exception is none that a race detector sees into.
class PendingSnapshot {
 public:
  using Outcome = std::variant<Snapshot, Error>;
  explicit PendingSnapshot(std::future<Outcome> outcome) : outcome_(std::move(outcome)) {}

  /// Waits; throws what the taking failed with. Once.
  Snapshot get();

 private:
  std::future<Outcome> outcome_;
};

class Engine {
 public:
  /// Starts the thread. `sink` outlives the engine. No more than `max_queue` requests wait.
  Engine(std::unique_ptr<LoadedModel> model, UpdateSink& sink, size_t max_queue = SIZE_MAX);
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
  /// A paused request takes no part in steps, and holds no page, until it is resumed: the tokens
  /// are the same. It can be cancelled meanwhile, and its timeout goes on.
  void pause(Request& request);
  void resume(Request& request);
  /// Forgets a conversation: its cache is the next to give way.
  void release_sequence(uint32_t sequence);
  /// A new conversation goes on where another one is.
  void fork_sequence(uint32_t from, uint32_t to);
  /// The conversation between two turns, with its keys and values as far as they are cached.
  PendingSnapshot snapshot(uint32_t sequence);
  /// Makes a conversation known that was saved; requests posted later find its keys and values.
  void restore(uint32_t sequence, Snapshot snapshot);
  /// Every request ends with kDisposed; then the thread ends. Later posts are refused likewise.
  void stop();

 private:
  /// A message to the thread, in a lock-free stack (Treiber 1986) that it empties all at once.
  struct Command {
    std::shared_ptr<Request> request;  // to post, or
    std::function<void()> work;        // to do
    Command* next = nullptr;
  };

  void push(std::unique_ptr<Command> command);
  void wake();

  void run() noexcept;
  bool turn();
  void drain();
  void run_soon(std::function<void()> work);
  Snapshot take_snapshot(uint32_t sequence);
  void put_snapshot(uint32_t sequence, Snapshot snapshot);
  void accept(std::shared_ptr<Request> request);
  std::vector<int32_t> prompt_ids(const Request& request) const;
  void sweep();
  void compute();
  bool unwanted() const;
  void draw_run(Task& task, std::span<float> logits, StepRecord& record);
  std::optional<int32_t> draw(Task& task, std::span<float> logits);
  void offer(Task& task, std::span<float> logits, std::vector<Task*>& searches);
  void advance(const std::vector<Task*>& searches, StepRecord& record);
  void finish_search(Task& lead);
  void measure(Task& task, const Slice& slice);
  void take_back(Task& task, size_t count);
  void finish(Task* task, FinishReason reason, std::string text = {},
              std::optional<Error> error = std::nullopt);
  void refuse(const Request& request, Error error);
  void fail_all(const std::vector<Task*>& tasks, const Error& error);
  void record_state();
  void publish();

  const std::unique_ptr<LoadedModel> model_;
  UpdateSink& sink_;
  const size_t max_queue_;
  Scheduler scheduler_;
  const std::unique_ptr<Drafter> drafter_;  // null: the model has no draft
  Speculator speculator_;
  Step step_;
  std::vector<float> logits_;    // [logit_rows × V]
  std::vector<float> raw_;       // [V], a row of them as it was, where log-probabilities are wanted
  std::vector<Update> updates_;  // of the running step
  StatsRecorder recorder_;

  std::atomic<Command*> commands_{nullptr};
  std::atomic<uint32_t> wakes_{0};  // what the idle thread sleeps on
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace cria
