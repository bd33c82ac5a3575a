// F5. Which tokens the next step computes, and who holds which pages.
//
// Order. A request's rank is the step it came in, less its priority times kAgeing steps: the lowest
// goes first. Ranks do not change, so whoever waits is overtaken by higher priorities for a bounded
// number of steps and then by none. Requests are admitted in that order, once there is room for
// the whole prompt.
//
// A step has one token of every request that generates, and then prompts in order. Where its budget
// is smaller than that, those not served for longest come first; the first prompt is one of them.
// While others generate, no more than `prompt_tokens` of a step are prompts. Guesses
// (Task::guessed) come along as far as the budget and the pages go.
//
// Pages. They are shared (engine/paged_cache.h), also while the first of those that begin alike
// runs: a prompt waits for a page that one before it is at work on, or for the rest of a prompt
// that both have, and copies that. When a page is wanted and there is none, the request of the
// highest rank is sent back to the queue, and computed again later, which by batch invariance
// yields the same tokens. The lowest is never sent back and the pool holds one full context at
// least, so every request ends. A paused one holds no page: what it has computed is cached, and
// gives way as all that is.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "backend/backend.h"
#include "engine/paged_cache.h"
#include "engine/task.h"

namespace cria {

/// A ragged batch, and the task behind each slice.
struct Step {
  std::vector<int32_t> ids;
  std::vector<Slice> slices;
  std::vector<Task*> tasks;  // of each slice
  std::vector<int64_t> logit_rows;
  std::vector<Task*> drawing;     // of the rows of logits: each with a row, and one for each guess
  std::vector<size_t> measuring;  // slices of tasks that draw nothing
  int prompt_tokens = 0;
  Task* starved = nullptr;  // a beam search for which all pages there are do not suffice

  void clear();
};

/// What a conversation has computed so far: its tokens, and the key they are cached under.
struct Conversation {
  std::vector<int32_t> tokens;
  std::string cache_key;
};

class Scheduler {
 public:
  struct Limits {
    int step_tokens;            // most tokens in a step
    int running;                // most requests at once
    int pages;                  // of the pool
    int prompt_tokens = 0;      // most of a step while others generate; 0: as default_prompt_tokens
    size_t waiting = SIZE_MAX;  // most requests in the queue
  };
  using CopyPage = PagedCache::CopyPage;

  /// An eighth of the step's budget, a page of tokens at least.
  static int default_prompt_tokens(int step_tokens);
  /// Steps that a request of one priority more may have come later and still go first.
  static constexpr int kAgeing = 64;

  Scheduler(Limits limits, CopyPage copy);

  /// Queues a task; null where it was taken, the task where the queue is full.
  std::unique_ptr<Task> submit(std::unique_ptr<Task> task);

  /// Fills `step` with the next batch; false when there is nothing to compute.
  bool next(Step& step);
  /// Records that the step's tokens are in the cache now. Guesses are not tokens yet.
  void computed(const Step& step);
  /// The first guess beyond the task's tokens was right, and is one of them.
  void accept_guess(Task& task);

  /// Takes drawn tokens of a running task back, from `size` on. The one before them is computed
  /// again, for its logits are wanted again.
  void rewind(Task& task, size_t size);

  // A beam search is its prompt's task and, right behind that in the order, a task for each beam.
  // They get pages for a step together. Where they must give way the beams are given up, and the
  // search begins again.

  /// A new beam that goes on where `from` is. Null where there is no place or page for it: then its
  /// search has begun again, or, where all before it have given way in vain, is starved.
  Task* fork(Task& from, bool& starved);
  /// A beam that is not followed any further.
  void drop_beam(Task* beam);

  /// Takes a task out, wherever it is. Without `keep_state` its conversation stays as it was.
  std::unique_ptr<Task> remove(Task* task, bool keep_state);
  /// Takes a task out of the steps, with all its pages left to the cache, …
  void pause(Task* task);
  /// … and back into the queue, where its rank puts it.
  void resume(Task* task);
  /// Forgets a conversation: what is cached of it alone is the next to give way.
  void release_sequence(uint32_t sequence);

  /// `to` goes on where `from` is.
  void fork_sequence(uint32_t from, uint32_t to);

  /// The conversation between two turns; null for one that has computed nothing yet.
  const Conversation* conversation(uint32_t sequence) const;
  /// Makes one that was computed elsewhere known. Gives the pages that the caller is to fill for
  /// `state_tokens` of its tokens, as far as there is room; `restored` then puts them in the cache.
  std::vector<int32_t> restore(uint32_t sequence, Conversation conversation, int state_tokens);
  void restored(uint32_t sequence, std::vector<int32_t> pages, int state_tokens);

  /// Every task there is, but beams: running ones first, paused ones last.
  std::vector<Task*> tasks() const;
  std::vector<Task*> running_tasks() const;
  int waiting() const { return static_cast<int>(waiting_.size()); }
  int running() const { return static_cast<int>(running_.size()); }
  int running_requests() const;
  int paused() const { return static_cast<int>(paused_.size()); }
  int free_pages() const { return cache_.pool().free_pages(); }
  /// Pages that no request holds, kept for those that begin with the same tokens.
  int cached_pages() const { return cache_.prefixes().evictable(); }
  const PrefixCache& prefixes() const { return cache_.prefixes(); }

 private:
  void admit();
  void begin(Task& task);
  void copy_neighbour(Task& task);
  void count_reused(Task& task, int tokens) const;
  void send_back_last();
  void disband(Task& lead);
  size_t unit_end(size_t first) const;
  bool make_room(size_t first, size_t end, const std::vector<int>& counts);
  int wanted_tokens(const Task& task) const;
  void keep(Task& task);
  void fill(Step& step);
  std::vector<int> share_budget();
  bool waits_for_page(size_t index, const std::vector<int>& counts) const;
  void fit_guesses(Task& task, int tokens);
  void append_to(Step& step, Task& task, int count);
  void append(Step& step, Task& task, int count) const;

  Limits limits_;
  PagedCache cache_;
  std::deque<std::unique_ptr<Task>> waiting_;  // both in order of rank
  std::vector<std::unique_ptr<Task>> running_;
  std::vector<std::unique_ptr<Task>> paused_;
  std::unordered_map<uint32_t, Conversation> conversations_;
  uint64_t steps_ = 0;
  uint64_t submitted_ = 0;
  uint64_t served_ = 0;
};

}  // namespace cria
