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

/// The tokens of page `index`, as far as `end`.
PrefixCache::Tokens page_of(const std::vector<int32_t>& tokens, size_t index, size_t end) {
  const size_t at = index * kPageTokens;
  return PrefixCache::Tokens(tokens).subspan(at, std::min<size_t>(kPageTokens, end - at));
}

int all_pages(const Task& task) {
  return KvCache::pages_for(static_cast<int64_t>(task.tokens.size()));
}

}  // namespace

void Step::clear() {
  ids.clear();
  slices.clear();
  tasks.clear();
  logit_rows.clear();
  drawing.clear();
  measuring.clear();
}

int Scheduler::default_prompt_tokens(int step_tokens) {
  return std::min(step_tokens, std::max(kPageTokens, step_tokens / 8));
}

Scheduler::Scheduler(Limits limits, CopyPage copy)
    : limits_(limits), copy_(std::move(copy)), pool_(limits.pages), cache_(pool_) {
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
    if (!task->generating()) {
      follow(*task);
      copy_neighbour(*task);
    }
  const std::vector<int> counts = share_budget();
  // In order: only tasks behind the current one, not yet in the step, can be sent back.
  for (size_t i = 0; i < running_.size(); ++i) {
    if (counts[i] == 0) continue;
    Task& task = *running_[i];
    const int pages = KvCache::pages_for(task.cached + counts[i]);
    while (!make_room(task.pages, pages) && running_.size() > i + 1) send_back_last();
    if (make_room(task.pages, pages)) {
      append(step, task, counts[i]);
    } else if (i > 0) {
      send_back_last();  // this one: those before it hold all there is
    }
  }
  if (step.ids.empty()) return false;
  ++steps_;
  return true;
}

/// Tokens of each running task in the next step.
std::vector<int> Scheduler::share_budget() {
  std::vector<int> counts(running_.size(), 0);
  std::vector<size_t> round;  // who generates, and the first prompt
  bool others_generate = false, prompt_found = false;
  for (size_t i = 0; i < running_.size(); ++i) {
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
    if (running_[i]->generating() || waits_for_page(i, counts)) continue;
    const int more = std::min({running_[i]->pending() - counts[i], left, prompts});
    counts[i] += more;
    left -= more;
    prompts -= more;
  }
  return counts;
}

/// Whether a prompt before this one, in the same step, is at work on the very page that comes next:
/// then that is shared as soon as it is done, and not computed twice.
bool Scheduler::waits_for_page(size_t index, const std::vector<int>& counts) const {
  const Task& task = *running_[index];
  const auto end = static_cast<size_t>(task.reusable());
  if (task.shared * kPageTokens >= end) return false;
  // Where no whole page is left: all that may be copied of the last one.
  const auto next = page_of(task.tokens, task.shared, end);
  if (task.shared * kPageTokens + next.size() < static_cast<size_t>(task.cached) + kLeastCopied)
    return false;
  for (size_t i = 0; i < index; ++i) {
    const Task& other = *running_[i];
    if (counts[i] > 0 && other.node == task.node &&
        task.shared * kPageTokens + next.size() <= other.tokens.size() &&
        std::ranges::equal(
            next, page_of(other.tokens, other.shared, task.shared * kPageTokens + next.size())))
      return true;
  }
  return false;
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

void Scheduler::computed(const Step& step) {
  for (size_t i = 0; i < step.tasks.size(); ++i) {
    step.tasks[i]->cached += step.slices[i].count;
    publish(*step.tasks[i]);
  }
}

/// Full pages become the prefix cache's.
void Scheduler::publish(Task& task) {
  while ((task.shared + 1) * kPageTokens <= static_cast<size_t>(task.cached)) {
    const auto tokens = page_of(task.tokens, task.shared, task.tokens.size());
    int32_t& page = task.pages[task.shared++];
    task.node = cache_.add(*task.node, tokens, page);
    page = task.node->page;
  }
}

// ---- who runs -----------------------------------------------------------------------------------

void Scheduler::admit() {
  while (!waiting_.empty()) {
    Task& task = *waiting_.front();
    begin(task);
    while (running() >= limits_.running || !has_room(task)) {
      if (running_.empty() || !before(task, *running_.back())) return give_up(task);
      send_back_last();
    }
    copy_tail(task);
    make_room(task.pages, all_pages(task));
    insert(running_, take(waiting_, &task));
  }
}

/// Holds what the cache has of the task.
void Scheduler::begin(Task& task) {
  if (!task.sent_back) task.reused = 0;  // it may have tried before
  task.node = cache_.hold_root(task.request->cache_key);
  follow(task);
}

bool Scheduler::has_room(const Task& task) const {
  return all_pages(task) - static_cast<int>(task.shared) <= pool_.free_pages() + cache_.evictable();
}

/// Goes on where the cache has whole pages of the task's next tokens.
void Scheduler::follow(Task& task) {
  const auto end = static_cast<size_t>(task.reusable());
  while ((task.shared + 1) * kPageTokens <= end) {
    PrefixCache::Node* next = cache_.hold_child(*task.node, page_of(task.tokens, task.shared, end));
    if (!next) return;
    task.node = next;
    if (task.shared == task.pages.size()) task.pages.push_back(-1);
    int32_t& page = task.pages[task.shared++];
    if (page >= 0) pool_.give_back(page);  // begun here, done elsewhere
    page = next->page;
    const int cached = static_cast<int>(task.shared) * kPageTokens;
    count_reused(task, cached - task.cached);
    task.cached = cached;
  }
}

/// Begins the task's own page with a copy of the cached one that shares most with it.
void Scheduler::copy_tail(Task& task) {
  const auto end = static_cast<size_t>(task.reusable());
  if (task.shared * kPageTokens >= end) return;
  const auto [near, tokens] =
      cache_.hold_nearest(*task.node, page_of(task.tokens, task.shared, end));
  if (!near) return;
  if (tokens >= kLeastCopied && make_room(task.pages, static_cast<int>(task.shared) + 1)) {
    copy_(near->page, task.pages.back());
    task.cached += tokens;
    count_reused(task, tokens);
  }
  cache_.release_nearest(*near);
}

/// Goes on where another running task has more of the same in a page of its own: samples of one
/// prompt compute it once, but for its last token.
void Scheduler::copy_neighbour(Task& task) {
  const size_t begin = task.shared * kPageTokens;
  const auto end = std::min<size_t>(static_cast<size_t>(task.reusable()), begin + kPageTokens);
  if (begin >= end) return;
  for (const Owned& other : running_) {
    if (other->node != task.node || other->pages.size() <= other->shared) continue;
    const size_t has = std::min(static_cast<size_t>(other->cached), end);
    if (has < static_cast<size_t>(task.cached) + kLeastCopied) continue;
    if (has < end && !other->generating()) continue;  // soon it has more
    if (!std::ranges::equal(page_of(task.tokens, task.shared, has),
                            page_of(other->tokens, task.shared, has)))
      continue;
    if (!make_room(task.pages, static_cast<int>(task.shared) + 1)) return;
    copy_(other->pages[task.shared], task.pages[task.shared]);
    count_reused(task, static_cast<int>(has) - task.cached);
    task.cached = static_cast<int>(has);
    return;
  }
}

/// A task's own work does not count, found again after it was sent back.
void Scheduler::count_reused(Task& task, int tokens) const {
  if (!task.sent_back) task.reused += tokens;
}

bool Scheduler::make_room(std::vector<int32_t>& pages, int count) {
  while (!pool_.grow(pages, count))
    if (!cache_.evict()) return false;
  return true;
}

void Scheduler::send_back_last() {
  Owned task = std::move(running_.back());
  running_.pop_back();
  task->sent_back = true;
  give_up(*task);
  insert(waiting_, std::move(task));
}

void Scheduler::rewind(Task& task, size_t size) {
  task.rewind(size);
  task.cached = std::min(task.cached, static_cast<int>(size) - 1);
  const auto cached = static_cast<size_t>(task.cached);
  if (cached >= task.shared * kPageTokens) return;
  // Pages that are the cache's never change: it goes on before them, on a page of its own.
  while (task.pages.size() > task.shared) {
    pool_.give_back(task.pages.back());
    task.pages.pop_back();
  }
  while (cached < task.shared * kPageTokens) {
    PrefixCache::Node& last = *task.node;
    task.node = last.parent;
    cache_.release_nearest(last);
    --task.shared;
  }
  task.pages.resize(task.shared);
  task.cached = static_cast<int>(task.shared) * kPageTokens;
  task.sent_back = true;  // what is found again is its own work
  copy_tail(task);
}

void Scheduler::pause(Task* task) {
  Owned taken = take(running_, task);
  if (!taken) taken = take(waiting_, task);
  if (!taken) return;
  taken->sent_back = taken->sent_back || taken->cached > 0;
  keep(*taken);
  give_up(*taken);
  taken->paused = true;
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
  if (task.cached == 0) return;
  const auto cached = static_cast<size_t>(task.cached);
  if (const uint32_t sequence = task.request->sequence)
    conversations_[sequence] = {{task.tokens.begin(), task.tokens.begin() + task.cached},
                                task.request->cache_key};
  if (cached <= task.shared * kPageTokens) return;
  const auto tail = task.pages.begin() + static_cast<std::ptrdiff_t>(task.shared);
  cache_.add_partial(*task.node, page_of(task.tokens, task.shared, cached), *tail);
  task.pages.erase(tail);
}

/// Lets go of all pages; full ones stay in the cache.
void Scheduler::give_up(Task& task) {
  if (!task.node) return;
  while (task.pages.size() > task.shared) {
    pool_.give_back(task.pages.back());
    task.pages.pop_back();
  }
  cache_.release(*task.node);
  task.node = nullptr;
  task.pages.clear();
  task.shared = 0;
  task.cached = 0;
}

std::unique_ptr<Task> Scheduler::remove(Task* task, bool keep_state) {
  Owned taken = take(running_, task);
  if (!taken) taken = take(waiting_, task);
  if (!taken) taken = take(paused_, task);
  if (!taken) return nullptr;
  if (keep_state) keep(*taken);
  give_up(*taken);
  return taken;
}

// ---- conversations ------------------------------------------------------------------------------

void Scheduler::release_sequence(uint32_t sequence) {
  for (Task* task : tasks())
    if (task->request->sequence == sequence) task->request->sequence = 0;
  const auto found = conversations_.find(sequence);
  if (found == conversations_.end()) return;
  cache_.demote(found->second.cache_key, found->second.tokens);
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
  std::vector<int32_t> pages;
  const int wanted = KvCache::pages_for(state_tokens);
  make_room(pages, std::min(wanted, pool_.free_pages() + cache_.evictable()));
  return pages;
}

void Scheduler::restored(uint32_t sequence, std::vector<int32_t> pages, int state_tokens) {
  const Conversation& conversation = conversations_.at(sequence);
  PrefixCache::Node* node = cache_.hold_root(conversation.cache_key);
  for (size_t i = 0; i < pages.size(); ++i) {
    const auto tokens = page_of(conversation.tokens, i, static_cast<size_t>(state_tokens));
    if (tokens.size() == kPageTokens)
      node = cache_.add(*node, tokens, pages[i]);
    else
      cache_.add_partial(*node, tokens, pages[i]);
  }
  cache_.release(*node);
}

std::vector<Task*> Scheduler::tasks() const {
  std::vector<Task*> all;
  for (const Owned& task : running_) all.push_back(task.get());
  for (const Owned& task : waiting_) all.push_back(task.get());
  for (const Owned& task : paused_) all.push_back(task.get());
  return all;
}

}  // namespace cria
