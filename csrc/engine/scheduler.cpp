#include "engine/scheduler.h"

#include <algorithm>

#include "model/kv_cache.h"

namespace cria {

void Step::clear() {
  ids.clear();
  slices.clear();
  tasks.clear();
  logit_rows.clear();
  drawing.clear();
  measuring.clear();
}

bool Scheduler::next(Step& step) {
  step.clear();
  admit();
  const std::vector<int> counts = share_budget();
  // Oldest first: only tasks behind the current one, not yet in the step, can be sent back.
  for (size_t i = 0; i < running_.size(); ++i) {
    if (counts[i] == 0) continue;
    Task& task = *running_[i];
    const int pages = KvCache::pages_for(task.cached + counts[i]);
    while (!make_room(task.pages, pages) && running_.size() > i + 1) send_back_youngest();
    if (make_room(task.pages, pages)) {
      append(step, task, counts[i]);
    } else if (i > 0) {
      send_back_youngest();  // this one: older requests hold all there is
    }
  }
  return !step.ids.empty();
}

void Scheduler::computed(const Step& step) {
  for (size_t i = 0; i < step.tasks.size(); ++i) step.tasks[i]->cached += step.slices[i].count;
}

void Scheduler::admit() {
  while (!waiting_.empty() && static_cast<int>(running_.size()) < limits_.running) {
    Task& task = *waiting_.front();
    const int pages = KvCache::pages_for(static_cast<int64_t>(task.tokens.size()));
    if (pages > pool_.free_pages() + idle_pages()) return;
    attach_idle(task);
    make_room(task.pages, pages);
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

/// Takes over as much of the conversation's cache as the prompt begins with.
void Scheduler::attach_idle(Task& task) {
  const auto found = idle_.find(task.request->sequence);
  if (task.request->sequence == 0 || found == idle_.end()) return;
  Idle idle = std::move(found->second);
  idle_.erase(found);
  const size_t most = std::min(idle.tokens.size(), static_cast<size_t>(task.reusable()));
  const auto end = idle.tokens.begin() + static_cast<std::ptrdiff_t>(most);
  task.cached = static_cast<int>(
      std::mismatch(idle.tokens.begin(), end, task.tokens.begin()).first - idle.tokens.begin());
  task.reused = std::min(task.cached, task.prompt_tokens);
  pool_.shrink(idle.pages, KvCache::pages_for(task.cached));
  task.pages = std::move(idle.pages);
}

bool Scheduler::make_room(std::vector<int32_t>& pages, int count) {
  while (!pool_.grow(pages, count))
    if (!evict_idle()) return false;
  return true;
}

bool Scheduler::evict_idle() {
  const auto oldest =
      std::min_element(idle_.begin(), idle_.end(),
                       [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
  if (oldest == idle_.end()) return false;
  drop_idle(oldest->first);
  return true;
}

void Scheduler::drop_idle(uint32_t sequence) {
  const auto found = idle_.find(sequence);
  if (found == idle_.end()) return;
  pool_.shrink(found->second.pages, 0);
  idle_.erase(found);
}

int Scheduler::idle_pages() const {
  size_t pages = 0;
  for (const auto& [sequence, idle] : idle_) pages += idle.pages.size();
  return static_cast<int>(pages);
}

void Scheduler::send_back_youngest() {
  std::unique_ptr<Task> task = std::move(running_.back());
  running_.pop_back();
  pool_.shrink(task->pages, 0);
  task->cached = 0;
  task->reused = 0;
  waiting_.push_front(std::move(task));
}

/// Tokens of each running task in the next step: one for those that generate, then prompt chunks.
std::vector<int> Scheduler::share_budget() const {
  std::vector<int> counts(running_.size(), 0);
  int left = limits_.step_tokens;
  for (const bool generating : {true, false}) {
    for (size_t i = 0; i < running_.size(); ++i) {
      const int pending = running_[i]->pending();
      if ((pending == 1) != generating) continue;
      counts[i] = std::min(pending, left);
      left -= counts[i];
    }
  }
  return counts;
}

void Scheduler::append(Step& step, Task& task, int count) const {
  Slice slice;
  slice.first_row = static_cast<int64_t>(step.ids.size());
  slice.count = count;
  slice.past = task.cached;
  slice.pages = task.pages.data();
  const auto from = task.tokens.begin() + task.cached;
  step.ids.insert(step.ids.end(), from, from + count);
  step.slices.push_back(slice);
  step.tasks.push_back(&task);
  if (task.measurement) {
    step.measuring.push_back(step.tasks.size() - 1);
  } else if (count == task.pending()) {
    step.logit_rows.push_back(static_cast<int64_t>(step.ids.size()) - 1);
    step.drawing.push_back(&task);
  }
}

std::unique_ptr<Task> Scheduler::remove(Task* task, bool keep) {
  const auto is_it = [task](const std::unique_ptr<Task>& other) { return other.get() == task; };
  std::unique_ptr<Task> taken;
  if (const auto at = std::find_if(running_.begin(), running_.end(), is_it); at != running_.end()) {
    taken = std::move(*at);
    running_.erase(at);
  } else if (const auto in = std::find_if(waiting_.begin(), waiting_.end(), is_it);
             in != waiting_.end()) {
    taken = std::move(*in);
    waiting_.erase(in);
  } else {
    return nullptr;
  }
  const uint32_t sequence = taken->request->sequence;
  if (keep && sequence != 0 && taken->cached > 0) {
    drop_idle(sequence);
    Idle& idle = idle_[sequence];
    idle.tokens.assign(taken->tokens.begin(), taken->tokens.begin() + taken->cached);
    idle.pages = std::move(taken->pages);
    idle.used = ++clock_;
    pool_.shrink(idle.pages, KvCache::pages_for(taken->cached));
  }
  pool_.shrink(taken->pages, 0);
  return taken;
}

void Scheduler::release_sequence(uint32_t sequence) {
  drop_idle(sequence);
  for (Task* task : tasks())
    if (task->request->sequence == sequence) task->request->sequence = 0;
}

std::vector<Task*> Scheduler::tasks() const {
  std::vector<Task*> all;
  for (const auto& task : running_) all.push_back(task.get());
  for (const auto& task : waiting_) all.push_back(task.get());
  return all;
}

}  // namespace cria
