#include "engine/drafter.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "engine/loaded_model.h"
#include "engine/task.h"
#include "sampling/logprobs.h"

namespace cria {
namespace {

/// Without what depends on tokens drawn before, in ways that guesses would have to undo.
Sampling plain(Sampling sampling) {
  sampling.dry_multiplier = 0;
  sampling.xtc_probability = 0;
  sampling.mirostat = Mirostat::kOff;
  return sampling;
}

}  // namespace

Drafter::Line::Line(const Sampling& wanted) : sampling(plain(wanted)), sampler(sampling) {}

Drafter::Drafter(LoadedModel& model, double share)
    : model_(model),
      share_(share),
      cache_(
          model.plan.pages,
          [this](int32_t from, int32_t to) { model_.cache.copy_page(*model_.backend, from, to); }),
      logits_(static_cast<size_t>(model.plan.limits.logit_rows) *
              static_cast<size_t>(model.config.vocab)) {}

double Drafter::round_ms(int requests, double step_ms) const {
  if (!model_.time_steps) return 0;
  return cost_.seen() ? cost_.of(requests) : share_ * step_ms;
}

// ---- texts --------------------------------------------------------------------------------------

void Drafter::keep_only(std::span<Task* const> tasks) {
  std::erase_if(lines_, [&](auto& entry) {
    if (std::ranges::any_of(tasks, [&](const Task* t) { return t->serial == entry.first; }))
      return false;
    close(*entry.second);
    return true;
  });
}

Drafter::Line& Drafter::line_of(const Task& task) {
  std::unique_ptr<Line>& line = lines_[task.serial];
  if (!line) {
    line = std::make_unique<Line>(task.request->sampling);
    cache_.open(line->kv, task.request->cache_key);
  }
  return *line;
}

/// Takes back guesses that were wrong, and finds what the cache has of what is new. The last token
/// is always computed, for its logits are wanted.
void Drafter::catch_up(Line& line, const Task& task) {
  const std::vector<int32_t>& tokens = task.tokens;
  const auto differ = std::ranges::mismatch(line.tokens, tokens).in1;
  const auto same = std::min(static_cast<size_t>(differ - line.tokens.begin()), tokens.size() - 1);
  line.tokens.assign(tokens.begin(), tokens.end());
  line.certain = tokens.size();
  line.constraint = task.constraint;
  const auto reusable = std::span<const int32_t>(tokens).first(tokens.size() - 1);
  cache_.rewind(line.kv, static_cast<int>(same));
  cache_.publish(line.kv, line.tokens);
  cache_.follow(line.kv, reusable);
  const bool page_begun = line.kv.cached % kPageTokens != 0;
  if (!page_begun) cache_.copy_tail(line.kv, reusable);
}

/// What was computed of the task's own tokens stays in the cache.
void Drafter::close(Line& line) {
  if (!line.kv.node) return;
  const auto certain = static_cast<int>(line.certain);
  if (line.kv.cached > certain) cache_.rewind(line.kv, certain);
  cache_.publish(line.kv, line.tokens);
  cache_.keep_tail(line.kv, line.tokens);
  cache_.close(line.kv);
}

// ---- guesses ------------------------------------------------------------------------------------

void Drafter::draft(std::span<const Order> orders, double least) {
  if (failed_) return;
  std::vector<Running> running;
  for (const Order& order : orders) {
    const auto left = model_.plan.context_size - static_cast<int>(order.task->tokens.size());
    if (left < 1) continue;
    Line& line = line_of(*order.task);
    catch_up(line, *order.task);
    running.push_back({{order.task, std::min(order.most, left)}, &line});
  }
  try {
    while (!running.empty()) round(running, least);
  } catch (const Error&) {  // of the draft's file or device: no text needs it
    failed_ = true;
    for (const Order& order : orders) order.task->guessed.clear();
  }
}

/// Computes what is new of each text and draws one guess for those that are through with it.
void Drafter::round(std::vector<Running>& running, double least) {
  const auto before = std::chrono::steady_clock::now();
  if (!compute(running)) return running.clear();
  std::span<float> logits = logits_;
  const auto vocab = static_cast<size_t>(model_.config.vocab);
  for (Running& one : running) {
    one.line->kv.cached += one.feeds;
    if (one.line->kv.cached < static_cast<int>(one.line->tokens.size())) {
      one.order.most = 0;  // goes on next time
      continue;
    }
    const bool goes_on = draw(one, logits.first(vocab));
    logits = logits.subspan(vocab);
    if (!goes_on || one.probability < least) one.order.most = 0;
  }
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - before;
  if (ids_.size() == running.size()) cost_.record(static_cast<int>(running.size()), took.count());
  std::erase_if(running, [](const Running& one) {
    return one.order.most <= static_cast<int>(one.order.task->guessed.size());
  });
}

/// A forward pass; false where nobody takes part in it.
bool Drafter::compute(std::span<Running> running) {
  ids_.clear();
  slices_.clear();
  rows_.clear();
  int left = model_.plan.limits.tokens;
  auto wanted = model_.plan.limits.logit_rows;
  for (Running& one : running) {
    Line& line = *one.line;
    const auto size = static_cast<int>(line.tokens.size());
    one.feeds = std::min(size - line.kv.cached, left);
    const bool through = line.kv.cached + one.feeds == size;
    if (!cache_.make_room(line.kv, line.kv.cached + one.feeds) || (through && wanted == 0))
      one.feeds = 0;
    if (one.feeds == 0) continue;
    Slice slice;
    slice.first_row = static_cast<int64_t>(ids_.size());
    slice.count = one.feeds;
    slice.past = line.kv.cached;
    slice.pages = line.kv.pages.data();
    const auto from = line.tokens.begin() + line.kv.cached;
    ids_.insert(ids_.end(), from, from + one.feeds);
    slices_.push_back(slice);
    left -= one.feeds;
    if (!through) continue;
    rows_.push_back(slice.first_row + one.feeds - 1);
    --wanted;
  }
  if (ids_.empty()) return false;
  model_.transformer.forward({ids_, slices_, rows_}, logits_.data());
  model_.file.check_intact();
  return true;
}

/// Adds a guess; false where none may follow, or the text would end with it.
bool Drafter::draw(Running& one, std::span<float> logits) {
  Task& task = *one.order.task;
  Line& line = *one.line;
  int32_t id = -1;
  try {
    if (line.constraint) line.constraint->mask(logits);
    raw_.assign(logits.begin(), logits.end());
    const auto ahead = static_cast<uint64_t>(task.guessed.size());
    id = line.sampler.draw(logits, line.tokens, task.drawn + ahead);
  } catch (const Error&) {  // nothing may be drawn here, which the model will find too
    return false;
  }
  if (model_.tokenizer->is_end_of_generation(id)) return false;
  one.probability *= std::exp(token_logprob(raw_, id, 0).logprob);
  line.tokens.push_back(id);
  task.guessed.push_back(id);
  if (!line.constraint) return true;
  line.constraint->take(id);
  return !line.constraint->finished();
}

}  // namespace cria
