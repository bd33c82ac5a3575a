// Engine's part between a row of logits and what the caller hears of it.
#include <utility>

#include "engine/engine.h"

namespace cria {
namespace {

// Every time that tokens are taken back, one more is ruled out at a place, so it ends; but a model
// that insists could go through very many places before.
constexpr int kMostTakenBack = 1000;

}  // namespace

/// The rows of one task: one for its next token, and then as long as that is what was guessed.
void Engine::draw_run(Task& task, std::span<float> logits, StepRecord& record) {
  const std::vector<int32_t> guessed = std::exchange(task.guessed, {});
  const auto vocab = static_cast<size_t>(model_->config.vocab);
  const auto guesses = static_cast<int>(guessed.size());
  record.guessed += guesses;
  if (guesses > 0) task.speculation->made += guesses;
  for (int right = 0;; ++right) {
    ++record.generated_tokens;
    const auto id = draw(task, logits.subspan(static_cast<size_t>(right) * vocab, vocab));
    if (!id) return;  // the task may be gone
    if (right == guesses || *id != guessed[static_cast<size_t>(right)]) {
      if (guesses > 0) task.speculation->learn(right, guesses);
      return;
    }
    ++record.accepted;
    ++task.speculation->right;
    scheduler_.accept_guess(task);
  }
}

/// The token of a row; none where the task is over with it, or tokens were taken back.
std::optional<int32_t> Engine::draw(Task& task, std::span<float> logits) {
  const Request& request = *task.request;
  try {
    const bool logprobs = request.logprobs >= 0;
    if (logprobs) raw_.assign(logits.begin(), logits.end());
    if (task.constraint) task.constraint->mask(logits);
    const int32_t id = task.sampler.draw(logits, task.tokens, task.drawn++);
    if (task.first_token == Clock::time_point{}) task.first_token = Clock::now();
    std::string text;
    if (model_->tokenizer->is_end_of_generation(id)) {
      task.text.flush(text);
      finish(&task, FinishReason::kStop, std::move(text));
      return std::nullopt;
    }
    task.tokens.push_back(id);
    if (logprobs) task.logprobs.push_back(token_logprob(raw_, id, request.logprobs));
    const TextStream::Pushed pushed = task.constraint
                                          ? task.text.push(task.constraint->take(id), text)
                                          : task.text.push(id, text);
    if (pushed.taken_back > 0) {
      take_back(task, pushed.taken_back);
      return std::nullopt;
    }
    const bool full = static_cast<int>(task.tokens.size()) >= model_->plan.context_size;
    const bool enough = request.max_tokens > 0 && task.completion_tokens() >= request.max_tokens;
    const bool whole = task.constraint && task.constraint->finished();
    if (pushed.stopped || whole || full || enough) {
      if (!pushed.stopped) task.text.flush(text);
      task.cut = pushed.stopped;
      const bool stopped = pushed.stopped || whole;
      finish(&task, stopped ? FinishReason::kStop : FinishReason::kLength, std::move(text));
      return std::nullopt;
    }
    Update update{request.id, std::move(text), {}, std::nullopt};
    task.tell(update, task.text.held_tokens());
    if (update.tokens.empty() && update.text.empty()) return id;
    task.taken_back = 0;
    updates_.push_back(std::move(update));
    return id;
  } catch (const Error& error) {
    finish(&task, FinishReason::kError, {}, error);
    return std::nullopt;
  }
}

/// A banned text has begun in the first of the last `count` tokens: they never were, and that one
/// cannot come there any more.
void Engine::take_back(Task& task, size_t count) {
  if (++task.taken_back > kMostTakenBack)
    fail(ErrorCode::kBadArgument, "banned: tokens were taken back ", kMostTakenBack,
         " times in a row, for the model keeps coming back to these texts; ban fewer");
  const size_t position = task.tokens.size() - count;
  const int32_t first = task.tokens[position];
  scheduler_.rewind(task, position);
  task.sampler.ban(position, first);
}

}  // namespace cria
