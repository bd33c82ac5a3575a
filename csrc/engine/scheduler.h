// F5. Which tokens the next step computes, and who holds which pages.
//
// Requests are admitted first come, first served, once the pool has room for their whole prompt. A
// step takes one token of every generating request, then fills its budget with prompt chunks. When
// a request needs a page and none is free, idle conversations are evicted, the longest unused
// first; then the youngest request is sent back to the queue. It gives up its pages and is computed
// again later, which by batch invariance yields the same tokens. The oldest request is never sent
// back and the pool holds one full context at least, so every request ends.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "backend/backend.h"
#include "engine/page_pool.h"
#include "engine/task.h"

namespace cria {

/// A ragged batch, and the task behind each slice.
struct Step {
  std::vector<int32_t> ids;
  std::vector<Slice> slices;
  std::vector<Task*> tasks;  // of each slice
  std::vector<int64_t> logit_rows;
  std::vector<Task*> drawing;     // task of each row of logits
  std::vector<size_t> measuring;  // slices of tasks that draw nothing

  void clear();
};

class Scheduler {
 public:
  struct Limits {
    int step_tokens;  // most tokens in a step
    int running;      // most requests at once
    int pages;        // of the pool
  };
  explicit Scheduler(Limits limits) : limits_(limits), pool_(limits.pages) {}

  void submit(std::unique_ptr<Task> task) { waiting_.push_back(std::move(task)); }

  /// Fills `step` with the next batch; false when there is nothing to compute.
  bool next(Step& step);
  /// Records that the step's tokens are in the cache now.
  void computed(const Step& step);

  /// Takes a task out, wherever it is. With `keep` its conversation keeps the cache for the next
  /// turn; otherwise its pages are given back.
  std::unique_ptr<Task> remove(Task* task, bool keep);
  /// Gives back what an idle conversation holds; a running one will hold nothing after its end.
  void release_sequence(uint32_t sequence);

  /// Every task there is: running ones first.
  std::vector<Task*> tasks() const;
  int running() const { return static_cast<int>(running_.size()); }
  int free_pages() const { return pool_.free_pages(); }
  /// Pages that no running request holds and that are kept for the next turn of a conversation.
  int cached_pages() const { return idle_pages(); }
  int idle_sequences() const { return static_cast<int>(idle_.size()); }

 private:
  /// The cache of a conversation between two turns.
  struct Idle {
    std::vector<int32_t> tokens;
    std::vector<int32_t> pages;
    uint64_t used = 0;
  };

  void admit();
  void attach_idle(Task& task);
  bool make_room(std::vector<int32_t>& pages, int count);
  bool evict_idle();
  void drop_idle(uint32_t sequence);
  int idle_pages() const;
  void send_back_youngest();
  std::vector<int> share_budget() const;
  void append(Step& step, Task& task, int count) const;

  Limits limits_;
  PagePool pool_;
  std::deque<std::unique_ptr<Task>> waiting_;
  std::vector<std::unique_ptr<Task>> running_;  // oldest first
  std::unordered_map<uint32_t, Idle> idle_;
  uint64_t clock_ = 0;  // counts turns, for `Idle::used`
};

}  // namespace cria
