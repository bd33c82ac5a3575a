#include "engine/scheduler.h"

#include <algorithm>

#include "model/kv_cache.h"

namespace cria {
namespace {

using Owned = std::unique_ptr<Task>;

bool before(const Task& a, const Task& b) {
  return a.rank != b.rank ? a.rank < b.rank : a.serial < b.serial;
}

void insert(auto& tasks, Owned task) {
  const auto at = std::upper_bound(tasks.begin(), tasks.end(), task,
                                   [](const Owned& a, const Owned& b) { return before(*a, *b); });
  tasks.insert(at, std::move(task));
}

Owned take(auto& tasks, const Task* task) {
  const auto at = std::find_if(tasks.begin(), tasks.end(),
                               [task](const Owned& other) { return other.get() == task; });
  if (at == tasks.end()) return nullptr;
  Owned taken = std::move(*at);
  tasks.erase(at);
  return taken;
}

}  // namespace

void Step::clear() {
  ids.clear();
  slices.clear();
  tasks.clear();
  logit_rows.clear();
  drawing.clear();
  measuring.clear();
  prompt_tokens = 0;
  starved = nullptr;
}

int Scheduler::default_prompt_tokens(int step_tokens) {
  return std::min(step_tokens, std::max(kPageTokens, step_tokens / 8));
}

Scheduler::Scheduler(Limits limits, CopyPage copy)
    : limits_(limits), cache_(limits.pages, std::move(copy)) {
  if (limits_.prompt_tokens == 0)
    limits_.prompt_tokens = default_prompt_tokens(limits_.step_tokens);
}

std::unique_ptr<Task> Scheduler::submit(std::unique_ptr<Task> task) {
  admit();  // whoever can run does not count as waiting
  const bool free_place = waiting_.empty() && running() < limits_.running;
  if (!free_place && waiting_.size() >= limits_.waiting) return task;
  task->rank = static_cast<int64_t>(steps_) - int64_t{task->request->priority} * kAgeing;
  task->serial = ++submitted_;
  insert(waiting_, std::move(task));
  return nullptr;
}

// ---- the next step ------------------------------------------------------------------------------

bool Scheduler::next(Step& step) {
  step.clear();
  admit();
  for (const Owned& task : running_)
    if (task->pending() > 1) {
      count_reused(*task, cache_.follow(task->kv, task->reusable()));
      copy_neighbour(*task);
    }
  // Where all whose turn it was had to give way, others have it.
  for (size_t before = 0; step.ids.empty() && !step.starved && running_.size() != before;) {
    before = running_.size();
    fill(step);
  }
  if (step.ids.empty()) return step.starved != nullptr;
  ++steps_;
  return true;
}

void Scheduler::fill(Step& step) {
  const std::vector<int> counts = share_budget();
  // In order: only tasks behind the current ones, not yet in the step, can be sent back.
  for (size_t i = 0, end = 0; i < running_.size(); i = end) {
    end = unit_end(i);
    while (!make_room(i, end, counts) && running_.size() > end) send_back_last();
    if (make_room(i, end, counts)) {
      for (size_t k = i; k < end; ++k) append_to(step, *running_[k], counts[k]);
    } else if (i > 0) {
      send_back_last();  // this one: those before it hold all there is
    } else {
      step.starved = running_[i].get();
      return;
    }
  }
}

/// The end of the task at `first`, or of the beam search that it stands for.
size_t Scheduler::unit_end(size_t first) const {
  size_t end = first + 1;
  while (end < running_.size() && running_[end]->lead == running_[first].get()) ++end;
  return end;
}

bool Scheduler::make_room(size_t first, size_t end, const std::vector<int>& counts) {
  for (size_t i = first; i < end; ++i)
    if (!cache_.make_room(running_[i]->kv, running_[i]->kv.cached + counts[i])) return false;
  return true;
}

void Scheduler::append_to(Step& step, Task& task, int count) {
  if (count == 0) return;
  fit_guesses(task, task.kv.cached + count);
  append(step, task, count);
}

/// Nobody gives a page up for a guess.
void Scheduler::fit_guesses(Task& task, int tokens) {
  const auto guesses = static_cast<int>(task.guessed.size());
  if (guesses > 0 && !cache_.make_room(task.kv, tokens + guesses)) task.guessed.clear();
}

/// Tokens of each running task in the next step. Guesses are bounded by what they leave.
std::vector<int> Scheduler::share_budget() {
  std::vector<int> counts(running_.size(), 0);
  std::vector<size_t> round;  // who generates, and the first prompt
  bool others_generate = false, prompt_found = false;
  for (size_t i = 0; i < running_.size(); ++i) {
    if (running_[i]->idle()) continue;
    const bool generating = running_[i]->generating();
    others_generate |= generating;
    if (generating || !prompt_found) round.push_back(i);
    prompt_found |= !generating;
  }
  std::ranges::sort(round, {}, [this](size_t i) { return running_[i]->served; });
  int left = limits_.step_tokens, prompts = others_generate ? limits_.prompt_tokens : left;
  for (const size_t i : round) {
    if (left == 0) break;
    counts[i] = 1;
    running_[i]->served = ++served_;
    --left;
    if (!running_[i]->generating()) --prompts;
  }
  for (size_t i = 0; i < running_.size(); ++i) {
    if (running_[i]->pending() <= 1 || waits_for_page(i, counts)) continue;
    const int more = std::min({running_[i]->pending() - counts[i], left, prompts});
    counts[i] += more;
    left -= more;
    prompts -= more;
  }
  for (const Owned& task : running_) {
    if (!task->generating()) task->guessed.clear();
    if (static_cast<int>(task->guessed.size()) > left)
      task->guessed.resize(static_cast<size_t>(left));
    left -= static_cast<int>(task->guessed.size());
  }
  return counts;
}

/// Whether a prompt before this one, in the same step, is at work on the very page that comes next:
/// then that is shared as soon as it is done, and not computed twice.
bool Scheduler::waits_for_page(size_t index, const std::vector<int>& counts) const {
  const Task& task = *running_[index];
  const PagedCache::Tokens tokens = task.reusable();
  const size_t begin = task.kv.shared * kPageTokens;
  if (begin >= tokens.size()) return false;
  // Where no whole page is left: all that may be copied of the last one.
  const size_t end = std::min(tokens.size(), begin + kPageTokens);
  if (end < static_cast<size_t>(task.kv.cached) + PagedCache::kLeastCopied) return false;
  const auto next = PagedCache::page_of(tokens, task.kv.shared, end);
  for (size_t i = 0; i < index; ++i) {
    const Task& other = *running_[i];
    if (counts[i] > 0 && other.kv.node == task.kv.node && end <= other.tokens.size() &&
        std::ranges::equal(next, PagedCache::page_of(other.tokens, other.kv.shared, end)))
      return true;
  }
  return false;
}

void Scheduler::append(Step& step, Task& task, int count) const {
  const auto guesses = static_cast<int>(task.guessed.size());
  Slice slice;
  slice.first_row = static_cast<int64_t>(step.ids.size());
  slice.count = count + guesses;
  slice.past = task.kv.cached;
  slice.pages = task.kv.pages.data();
  const auto from = task.tokens.begin() + task.kv.cached;
  step.ids.insert(step.ids.end(), from, from + count);
  step.ids.insert(step.ids.end(), task.guessed.begin(), task.guessed.end());
  if (task.drawn == 0 || count > 1) step.prompt_tokens += count;
  step.slices.push_back(slice);
  step.tasks.push_back(&task);
  if (task.measurement) {
    step.measuring.push_back(step.tasks.size() - 1);
  } else if (count == task.pending()) {
    for (int row = slice.count - 1 - guesses; row < slice.count; ++row)
      step.logit_rows.push_back(slice.first_row + row);
    step.drawing.push_back(&task);
  }
}

void Scheduler::computed(const Step& step) {
  for (size_t i = 0; i < step.tasks.size(); ++i) {
    Task& task = *step.tasks[i];
    task.kv.cached += step.slices[i].count - static_cast<int>(task.guessed.size());
    cache_.publish(task.kv, task.tokens);
  }
}

void Scheduler::accept_guess(Task& task) {
  ++task.kv.cached;
  cache_.publish(task.kv, task.tokens);
}

// ---- who runs -----------------------------------------------------------------------------------

void Scheduler::admit() {
  while (!waiting_.empty()) {
    Task& task = *waiting_.front();
    const auto all = static_cast<int>(task.tokens.size());
    begin(task);
    while (running() >= limits_.running || !cache_.has_room(task.kv, wanted_tokens(task))) {
      if (running_.empty() || !before(task, *running_.back())) return cache_.close(task.kv);
      send_back_last();
    }
    count_reused(task, cache_.copy_tail(task.kv, task.reusable()));
    cache_.make_room(task.kv, all);
    insert(running_, take(waiting_, &task));
  }
}

/// Holds what the cache has of the task.
void Scheduler::begin(Task& task) {
  if (!task.sent_back) task.reused = 0;  // it may have tried before
  cache_.open(task.kv, task.request->cache_key);
  count_reused(task, cache_.follow(task.kv, task.reusable()));
}

/// Goes on where another running task has more of the same in a page of its own: samples of one
/// prompt compute it once, but for its last token.
void Scheduler::copy_neighbour(Task& task) {
  const PagedCache::Tokens tokens = task.reusable();
  const size_t end = std::min(tokens.size(), (task.kv.shared + 1) * kPageTokens);
  for (const Owned& other : running_) {
    const auto has = static_cast<size_t>(other->kv.cached);
    if (has < end && !other->generating()) continue;  // soon it has more
    const auto theirs = PagedCache::Tokens(other->tokens).first(has);
    if (const int found = cache_.copy_other(task.kv, tokens, other->kv, theirs); found > 0)
      return count_reused(task, found);
  }
}

/// A task's own work does not count, found again after it was sent back.
void Scheduler::count_reused(Task& task, int tokens) const {
  if (!task.sent_back) task.reused += tokens;
}

/// Of a search, its prompt's task; the beams are given up.
void Scheduler::send_back_last() {
  disband(running_.back()->whole());
  Owned task = std::move(running_.back());
  running_.pop_back();
  task->sent_back = true;
  task->guessed.clear();
  cache_.close(task->kv);
  insert(waiting_, std::move(task));
}

void Scheduler::disband(Task& lead) {
  if (!lead.group) return;
  for (Task* beam : lead.group->beams) drop_beam(beam);
  lead.group = std::make_unique<BeamGroup>(*lead.request);
  lead.beam = std::make_unique<Beam>();
}

Task* Scheduler::fork(Task& from, bool& starved) {
  Task& lead = from.whole();
  auto child = std::make_unique<Task>(from);
  while (running() >= limits_.running || !cache_.fork(from.kv, child->kv)) {
    if (&running_.back()->whole() == &lead) {
      starved = running_.front().get() == &lead;
      if (!starved) send_back_last();
      return nullptr;
    }
    send_back_last();
  }
  Task* beam = child.get();
  insert(running_, std::move(child));
  return beam;
}

void Scheduler::drop_beam(Task* beam) {
  const Owned taken = take(running_, beam);
  cache_.close(taken->kv);
}

/// Room that a task is let in with: a beam search soon has pages for each beam.
int Scheduler::wanted_tokens(const Task& task) const {
  const int all = static_cast<int>(task.tokens.size());
  const int beams = task.group ? task.request->beams * kPageTokens : 0;
  return std::max(all, std::min(all + beams, limits_.pages * kPageTokens));
}

void Scheduler::rewind(Task& task, size_t size) {
  task.rewind(size);
  const size_t shared = task.kv.shared;
  cache_.rewind(task.kv, static_cast<int>(size) - 1);
  if (task.kv.shared == shared) return;
  task.sent_back = true;  // what is found again is its own work
  cache_.copy_tail(task.kv, task.reusable());
}

void Scheduler::pause(Task* task) {
  disband(*task);
  Owned taken = take(running_, task);
  if (!taken) taken = take(waiting_, task);
  if (!taken) return;
  taken->sent_back = taken->sent_back || taken->kv.cached > 0;
  keep(*taken);
  cache_.close(taken->kv);
  taken->paused = true;
  taken->guessed.clear();
  paused_.push_back(std::move(taken));
}

void Scheduler::resume(Task* task) {
  Owned taken = take(paused_, task);
  if (!taken) return;
  taken->paused = false;
  insert(waiting_, std::move(taken));
}

/// What is computed of a task becomes the cache's, the page that is not full as well, and its
/// conversation's.
void Scheduler::keep(Task& task) {
  if (task.kv.cached == 0) return;
  if (const uint32_t sequence = task.request->sequence)
    conversations_[sequence] = {{task.tokens.begin(), task.tokens.begin() + task.kv.cached},
                                task.request->cache_key};
  cache_.keep_tail(task.kv, task.tokens);
}

std::unique_ptr<Task> Scheduler::remove(Task* task, bool keep_state) {
  disband(*task);
  Owned taken = take(running_, task);
  if (!taken) taken = take(waiting_, task);
  if (!taken) taken = take(paused_, task);
  if (!taken) return nullptr;
  if (keep_state) keep(*taken);
  cache_.close(taken->kv);
  return taken;
}

// ---- conversations ------------------------------------------------------------------------------

void Scheduler::release_sequence(uint32_t sequence) {
  for (Task* task : tasks())
    if (task->request->sequence == sequence) task->request->sequence = 0;
  const auto found = conversations_.find(sequence);
  if (found == conversations_.end()) return;
  cache_.prefixes().demote(found->second.cache_key, found->second.tokens);
  conversations_.erase(found);
}

void Scheduler::fork_sequence(uint32_t from, uint32_t to) {
  if (const Conversation* conversation = this->conversation(from)) {
    Conversation copy = *conversation;  // a new entry may move the old one
    conversations_[to] = std::move(copy);
  }
}

const Conversation* Scheduler::conversation(uint32_t sequence) const {
  const auto found = conversations_.find(sequence);
  return found == conversations_.end() ? nullptr : &found->second;
}

std::vector<int32_t> Scheduler::restore(uint32_t sequence, Conversation conversation,
                                        int state_tokens) {
  conversations_[sequence] = std::move(conversation);
  return cache_.take_pages(KvCache::pages_for(state_tokens));
}

void Scheduler::restored(uint32_t sequence, std::vector<int32_t> pages, int state_tokens) {
  const Conversation& conversation = conversations_.at(sequence);
  cache_.put_pages(conversation.cache_key,
                   PagedCache::Tokens(conversation.tokens).first(static_cast<size_t>(state_tokens)),
                   pages);
}

std::vector<Task*> Scheduler::running_tasks() const {
  std::vector<Task*> tasks;
  for (const Owned& task : running_) tasks.push_back(task.get());
  return tasks;
}

int Scheduler::running_requests() const {
  return static_cast<int>(
      std::ranges::count_if(running_, [](const Owned& task) { return !task->lead; }));
}

std::vector<Task*> Scheduler::tasks() const {
  std::vector<Task*> all = running_tasks();
  std::erase_if(all, [](const Task* task) { return task->lead != nullptr; });
  for (const Owned& task : waiting_) all.push_back(task.get());
  for (const Owned& task : paused_) all.push_back(task.get());
  return all;
}

}  // namespace cria
