#include "engine/engine.h"

#include <algorithm>

namespace cria {
namespace {

using Outcome = StatsRecorder::Outcome;

double milliseconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

Error disposed() {
  return {ErrorCode::kDisposed, "the model was disposed while the generation was running"};
}

Error timed_out(const Task& task) {
  return {ErrorCode::kTimeout,
          cat("the generation was not done within its timeout of ", task.request->timeout_ms,
              " ms: it had ", task.completion_tokens(), " tokens",
              task.paused    ? " and was paused for want of a reader"
              : task.kv.node ? ""
                             : " and was waiting for its turn")};
}

void check_texts(const Request& request) {
  for (const auto& [name, texts] :
       {std::pair{"stop", &request.stop}, std::pair{"banned", &request.banned}})
    if (std::ranges::any_of(*texts, &std::string::empty))
      fail(ErrorCode::kBadArgument, name, ": expected non-empty texts, got an empty one");
  if (request.logprobs < -1 || request.logprobs > kMostAlternatives)
    fail(ErrorCode::kBadArgument, "logprobs: expected a whole number from 0 to ", kMostAlternatives,
         ", got ", request.logprobs);
}

std::unique_ptr<Drafter> make_drafter(LoadedModel& model) {
  if (!model.draft) return nullptr;
  const auto bytes = [](const LoadedModel& of) {
    return static_cast<double>(of.plan.weight_bytes);
  };
  return std::make_unique<Drafter>(*model.draft, bytes(*model.draft) / bytes(model));
}

}  // namespace

Engine::Engine(std::unique_ptr<LoadedModel> model, UpdateSink& sink, size_t max_queue)
    : model_(std::move(model)),
      sink_(sink),
      max_queue_(max_queue),
      scheduler_({.step_tokens = model_->plan.limits.tokens,
                  .running = kMaxRunning,
                  .pages = model_->plan.pages,
                  .waiting = max_queue},
                 [this](int32_t from, int32_t to) {
                   model_->cache.copy_page(*model_->backend, from, to);
                 }),
      drafter_(make_drafter(*model_)),
      speculator_(drafter_.get()),
      logits_(static_cast<size_t>(model_->plan.limits.logit_rows) *
              static_cast<size_t>(model_->config.vocab)) {
  record_state();
  thread_ = std::thread([this] { run(); });
}

Engine::~Engine() {
  stop();
  thread_.join();
  drain();  // what was posted after the thread had ended
  publish();
}

// ---- any thread ---------------------------------------------------------------------------------

void Engine::post(std::shared_ptr<Request> request) {
  request->posted = Clock::now();
  recorder_.posted();
  auto command = std::make_unique<Command>();
  command->request = std::move(request);
  push(std::move(command));
}

void Engine::cancel(Request& request) {
  request.cancelled.store(true, std::memory_order_release);
  wake();
}

void Engine::pause(Request& request) {
  request.paused.store(true, std::memory_order_release);  // soon enough before the next step
}

void Engine::resume(Request& request) {
  request.paused.store(false, std::memory_order_release);
  wake();
}

void Engine::release_sequence(uint32_t sequence) {
  run_soon([this, sequence] { scheduler_.release_sequence(sequence); });
}

void Engine::fork_sequence(uint32_t from, uint32_t to) {
  run_soon([this, from, to] { scheduler_.fork_sequence(from, to); });
}

PendingSnapshot Engine::snapshot(uint32_t sequence) {
  const auto promise = std::make_shared<std::promise<PendingSnapshot::Outcome>>();
  run_soon([this, sequence, promise] {
    try {
      promise->set_value(take_snapshot(sequence));
    } catch (const Error& error) {
      promise->set_value(error);
    } catch (const std::exception& error) {
      promise->set_value(Error(ErrorCode::kOutOfMemory, error.what()));
    }
  });
  return PendingSnapshot(promise->get_future());
}

Snapshot PendingSnapshot::get() {
  Outcome outcome = outcome_.get();
  if (const Error* error = std::get_if<Error>(&outcome)) throw *error;
  return std::get<Snapshot>(std::move(outcome));
}

void Engine::restore(uint32_t sequence, Snapshot snapshot) {
  const auto kept = std::make_shared<Snapshot>(std::move(snapshot));
  run_soon([this, sequence, kept] { put_snapshot(sequence, std::move(*kept)); });
}

void Engine::run_soon(std::function<void()> work) {
  auto command = std::make_unique<Command>();
  command->work = std::move(work);
  push(std::move(command));
}

void Engine::stop() {
  stopping_.store(true, std::memory_order_release);
  wake();
}

void Engine::push(std::unique_ptr<Command> command) {
  Command* node = command.release();
  node->next = commands_.load(std::memory_order_relaxed);
  while (!commands_.compare_exchange_weak(node->next, node, std::memory_order_release,
                                          std::memory_order_relaxed)) {
  }
  wake();
}

void Engine::wake() {
  wakes_.fetch_add(1, std::memory_order_release);
  wakes_.notify_one();
}

// ---- the engine's thread ------------------------------------------------------------------------

void Engine::run() noexcept {
  while (true) {
    const uint32_t seen = wakes_.load(std::memory_order_acquire);
    const bool stopping = stopping_.load(std::memory_order_acquire);
    drain();
    if (stopping) break;
    if (!turn()) wakes_.wait(seen, std::memory_order_acquire);
  }
  fail_all(scheduler_.tasks(), disposed());
  publish();
}

/// One step; false when there was nothing to do.
bool Engine::turn() {
  bool busy = false;
  try {
    sweep();
    speculator_.propose(scheduler_.running_tasks(), model_->plan.limits.logit_rows,
                        model_->plan.context_size);
    busy = scheduler_.next(step_);
    if (step_.starved)
      finish(step_.starved, FinishReason::kError, {}, no_room_for_beams(*step_.starved));
    else if (busy)
      compute();
  } catch (const Error& error) {  // the device's, while pages were copied
    fail_all(scheduler_.tasks(), error);
  } catch (const std::exception& error) {  // out of memory in the engine's own bookkeeping
    fail_all(scheduler_.tasks(), {ErrorCode::kOutOfMemory, error.what()});
  }
  publish();
  return busy;
}

void Engine::drain() {
  Command* newest = commands_.exchange(nullptr, std::memory_order_acquire);
  Command* oldest = nullptr;
  while (newest) {  // the stack holds them in reverse
    Command* next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  while (oldest) {
    const std::unique_ptr<Command> command(oldest);
    oldest = command->next;
    if (command->request) {
      accept(std::move(command->request));
      continue;
    }
    try {
      command->work();
    } catch (const std::exception&) {
      // Out of memory: a conversation that is not known is computed again.
    }
  }
}

Snapshot Engine::take_snapshot(uint32_t sequence) {
  if (stopping_.load(std::memory_order_acquire)) throw disposed();
  Snapshot snapshot;
  const Conversation* conversation = scheduler_.conversation(sequence);
  if (!conversation) return snapshot;
  snapshot.tokens = conversation->tokens;
  snapshot.cache_key = conversation->cache_key;
  const auto [pages, held] =
      scheduler_.prefixes().find(conversation->cache_key, conversation->tokens);
  const uint64_t page_bytes = model_->identity.page_bytes;
  snapshot.state_tokens = held;
  snapshot.pages.resize(pages.size() * page_bytes);
  for (size_t i = 0; i < pages.size(); ++i)
    model_->cache.read_page(*model_->backend, pages[i], snapshot.pages.data() + i * page_bytes);
  return snapshot;
}

void Engine::put_snapshot(uint32_t sequence, Snapshot snapshot) {
  if (stopping_.load(std::memory_order_acquire)) return;
  std::vector<int32_t> pages = scheduler_.restore(
      sequence, {std::move(snapshot.tokens), std::move(snapshot.cache_key)}, snapshot.state_tokens);
  for (size_t i = 0; i < pages.size(); ++i)
    model_->cache.write_page(*model_->backend, pages[i],
                             snapshot.pages.data() + i * model_->identity.page_bytes);
  scheduler_.restored(sequence, std::move(pages), snapshot.state_tokens);
}

void Engine::accept(std::shared_ptr<Request> request) {
  try {
    if (stopping_.load(std::memory_order_acquire)) throw disposed();
    check_sampling(request->sampling, model_->config.vocab);
    check_texts(*request);
    if (request->grammar && &request->grammar->trie().tokenizer() != model_->tokenizer.get())
      fail(ErrorCode::kBadArgument, "grammar: expected one compiled for this model");
    auto task = std::make_unique<Task>(request, prompt_ids(*request), *model_->tokenizer);
    check_measurement(*request, task->prompt_tokens);
    task->measurement = make_measurement(*request, model_->config.width);
    if (scheduler_.submit(std::move(task)))
      fail(ErrorCode::kQueueFull, "the queue is full: ", max_queue_,
           " requests wait already; try again later, or load with a larger maxQueue");
  } catch (const Error& error) {
    refuse(*request, error);
  } catch (const std::exception& error) {  // out of memory
    refuse(*request,
           {ErrorCode::kOutOfMemory, cat("the request cannot be queued: ", error.what())});
  }
}

/// The prompt as ids, checked: refused before it is tokenized where it cannot possibly fit.
std::vector<int32_t> Engine::prompt_ids(const Request& request) const {
  const text::Tokenizer& tokenizer = *model_->tokenizer;
  const auto context = static_cast<size_t>(model_->plan.context_size);
  const bool answered = request.purpose == Purpose::kGenerate;
  const size_t most = answered ? context - 1 : context;
  const auto overflow = [&](const char* at_least, size_t tokens) {
    fail(ErrorCode::kContextOverflow, "the prompt has ", at_least, tokens,
         " tokens and the context holds ", context, answered ? ", one of them for the answer" : "",
         "; shorten the prompt or load with a larger contextSize");
  };
  std::vector<int32_t> ids = request.tokens;
  if (ids.empty()) {
    std::vector<text::Segment> segments;
    size_t bytes = 0;
    for (const PromptSegment& segment : request.segments) {
      segments.push_back({segment.text, segment.special});
      bytes += segment.text.size();
    }
    const size_t least = bytes / std::max<size_t>(1, tokenizer.max_piece_bytes());
    if (least > most) overflow("at least ", least);
    ids = tokenizer.encode(segments, request.bos && tokenizer.vocab().add_bos);
  }
  if (ids.empty())
    fail(ErrorCode::kBadArgument,
         "the prompt is empty and the vocabulary puts no token before a text; give some text");
  if (ids.size() > most) overflow("", ids.size());
  for (const int32_t id : ids)
    if (id < 0 || id >= tokenizer.size())
      fail(ErrorCode::kBadArgument, "prompt: expected token ids from 0 to ", tokenizer.size() - 1,
           ", got ", id);
  return ids;
}

/// Ends what was cancelled, and what is past its deadline; pauses and resumes.
void Engine::sweep() {
  const Clock::time_point now = Clock::now();
  for (Task* task : scheduler_.tasks()) {
    if (task->request->cancelled.load(std::memory_order_acquire))
      finish(task, FinishReason::kAbort);
    else if (task->past_deadline(now))
      finish(task, FinishReason::kError, {}, timed_out(*task));
    else if (task->request->paused.load(std::memory_order_acquire) != task->paused)
      task->paused ? scheduler_.resume(task) : scheduler_.pause(task);
  }
}

void Engine::compute() {
  const Clock::time_point now = Clock::now();
  for (Task* task : step_.tasks) {
    if (task->started != Clock::time_point{}) continue;
    task->started = now;
    recorder_.begun(task->prompt_tokens, task->reused);
  }
  try {
    const bool done = model_->transformer.forward({step_.ids, step_.slices, step_.logit_rows},
                                                  logits_.data(), [this] { return unwanted(); });
    model_->file.check_intact();
    if (!done) return;  // the next turn ends whom it was for
  } catch (const Error& error) {
    return fail_all(step_.tasks, error);
  } catch (const std::exception& error) {
    return fail_all(step_.tasks, {ErrorCode::kBackend, error.what()});
  }
  scheduler_.computed(step_);
  const auto rows = static_cast<int>(step_.ids.size());
  StepRecord record{.begin = now, .prompt_tokens = step_.prompt_tokens};
  std::span<float> logits = logits_;
  std::vector<Task*> searches;
  for (Task* task : step_.drawing) {
    const size_t count = (1 + task->guessed.size()) * static_cast<size_t>(model_->config.vocab);
    if (task->beam)
      offer(*task, logits.first(count), searches);
    else
      draw_run(*task, logits.first(count), record);
    logits = logits.subspan(count);
  }
  for (const size_t index : step_.measuring) measure(*step_.tasks[index], step_.slices[index]);
  advance(searches, record);
  record.end = Clock::now();
  recorder_.stepped(record);
  if (record.prompt_tokens == 0 && model_->time_steps)
    speculator_.record_step(rows, milliseconds(now, record.end));
}

/// Whether nobody waits for the running step any more.
bool Engine::unwanted() const {
  const Clock::time_point now = Clock::now();
  const auto over = [now](const Task* task) {
    return task->request->cancelled.load(std::memory_order_relaxed) || task->past_deadline(now);
  };
  return stopping_.load(std::memory_order_relaxed) || std::ranges::all_of(step_.tasks, over);
}

/// Takes the step's rows into what the task gathers, and ends it after the last one.
void Engine::measure(Task& task, const Slice& slice) {
  const auto cancelled = [this, &task] {
    return task.request->cancelled.load(std::memory_order_relaxed) ||
           stopping_.load(std::memory_order_relaxed);
  };
  try {
    const std::function<bool()> unwanted = cancelled;
    task.measurement->take(
        {slice, task.tokens, model_->transformer, logits_, model_->config.vocab, unwanted});
    if (task.pending() > 0 || cancelled()) return;  // a cancelled one ends with the next turn
    std::vector<float> values = task.measurement->result();
    finish(&task, FinishReason::kStop);
    updates_.back().values = std::move(values);
  } catch (const Error& error) {
    finish(&task, FinishReason::kError, {}, error);
  }
}

void Engine::finish(Task* task, FinishReason reason, std::string text, std::optional<Error> error) {
  const std::unique_ptr<Task> ended = scheduler_.remove(task, reason != FinishReason::kError);
  if (reason == FinishReason::kAbort) ended->text.flush(text);
  const Clock::time_point now = Clock::now();
  const auto or_now = [now](Clock::time_point t) { return t == Clock::time_point{} ? now : t; };
  const Clock::time_point started = or_now(ended->started), first = or_now(ended->first_token);
  End end;
  end.reason = reason;
  end.usage = {ended->prompt_tokens, ended->reused, ended->completion_tokens()};
  end.timings = {milliseconds(ended->request->posted, started), milliseconds(started, first),
                 milliseconds(first, now)};
  if (const auto& speculation = ended->speculation) {
    end.timings.guessed = speculation->made;
    end.timings.accepted = speculation->right;
  }
  end.error = std::move(error);
  if (ended->constraint)
    end.grammar_complete =
        reason != FinishReason::kError && !ended->cut && ended->constraint->complete();
  recorder_.ended(reason == FinishReason::kError   ? Outcome::kFailed
                  : reason == FinishReason::kAbort ? Outcome::kAborted
                                                   : Outcome::kFinished);
  updates_.push_back({ended->request->id, std::move(text), {}, std::move(end)});
  if (reason != FinishReason::kError) ended->tell(updates_.back(), 0);
}

void Engine::refuse(const Request& request, Error error) {
  End end;
  end.reason = FinishReason::kError;
  end.error = std::move(error);
  recorder_.ended(Outcome::kFailed);
  updates_.push_back({request.id, {}, {}, std::move(end)});
}

void Engine::fail_all(const std::vector<Task*>& tasks, const Error& error) {
  std::vector<Task*> whole;
  for (Task* task : tasks)
    if (std::ranges::find(whole, &task->whole()) == whole.end()) whole.push_back(&task->whole());
  for (Task* task : whole) finish(task, FinishReason::kError, {}, error);
}

void Engine::record_state() {
  recorder_.set_state(scheduler_.running_requests(), scheduler_.paused(), model_->plan.pages,
                      scheduler_.free_pages(), scheduler_.cached_pages());
}

void Engine::publish() {
  record_state();
  if (updates_.empty()) return;
  sink_.publish(std::move(updates_));
  updates_.clear();
}

}  // namespace cria
