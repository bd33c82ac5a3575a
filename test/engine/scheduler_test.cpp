// The scheduler under random schedules: no page is lost or shared, every request ends, and what is
// computed for a request is its tokens in order, whatever else runs.
#include "engine/scheduler.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "model/kv_cache.h"
#include "support/check.h"

namespace cria::test {
namespace {

text::Tokenizer small_tokenizer() {
  text::Vocab vocab;
  vocab.pieces = {"<unk>", "<s>", "</s>", "a"};
  vocab.types = {text::PieceType::kUnknown, text::PieceType::kControl, text::PieceType::kControl,
                 text::PieceType::kNormal};
  vocab.scores.assign(4, 0);
  vocab.unknown = 0;
  return text::Tokenizer(vocab);
}

const text::Tokenizer& tokenizer() {
  static const text::Tokenizer instance = small_tokenizer();
  return instance;
}

std::unique_ptr<Task> make_task(int id, std::vector<int32_t> prompt, uint32_t sequence = 0) {
  auto request = std::make_shared<Request>();
  request->id = id;
  request->sequence = sequence;
  return std::make_unique<Task>(request, std::move(prompt), tokenizer());
}

std::vector<int32_t> count_from(int first, int count) {
  std::vector<int32_t> ids;
  for (int i = 0; i < count; ++i) ids.push_back(first + i);
  return ids;
}

/// A cache that remembers which token was computed into which place of which page.
class FakeCache {
 public:
  /// Stores the step's tokens and checks that each sees all its predecessors.
  void compute(const Step& step) {
    size_t row = 0;
    for (size_t s = 0; s < step.slices.size(); ++s) {
      const Slice& slice = step.slices[s];
      const Task& task = *step.tasks[s];
      CHECK_EQ(slice.past, task.cached);
      for (int i = 0; i < slice.count; ++i, ++row) {
        const int position = slice.past + i;
        CHECK_EQ(step.ids[row], task.tokens[static_cast<size_t>(position)]);
        place(slice, position) = step.ids[row];
      }
      for (int position = 0; position < slice.past + slice.count; ++position)
        CHECK_EQ(place(slice, position), task.tokens[static_cast<size_t>(position)]);
    }
  }

 private:
  int32_t& place(const Slice& slice, int position) {
    return places_[{slice.pages[position / kPageTokens], position % kPageTokens}];
  }
  std::map<std::pair<int32_t, int>, int32_t> places_;
};

void check_pages(const Scheduler& scheduler, int total) {
  std::set<int32_t> held;
  size_t count = 0;
  for (const Task* task : scheduler.tasks()) {
    held.insert(task->pages.begin(), task->pages.end());
    count += task->pages.size();
    CHECK(task->reused <= task->cached);  // also after it was sent back
    CHECK(KvCache::pages_for(task->cached) <= static_cast<int>(task->pages.size()));
  }
  CHECK_EQ(held.size(), count);  // no page has two owners
  CHECK(static_cast<int>(count) + scheduler.free_pages() <= total);
}

}  // namespace

TEST(prompts_are_cut_to_the_step_and_generation_comes_first) {
  Scheduler scheduler({.step_tokens = 4, .running = 8, .pages = 8});
  scheduler.submit(make_task(1, count_from(100, 3)));
  Step step;
  CHECK(scheduler.next(step));
  CHECK_EQ(step.ids.size(), size_t{3});
  CHECK_EQ(step.drawing.size(), size_t{1});
  scheduler.computed(step);
  step.drawing[0]->tokens.push_back(103);
  scheduler.submit(make_task(2, count_from(200, 6)));
  CHECK(scheduler.next(step));
  CHECK(step.ids == (std::vector<int32_t>{103, 200, 201, 202}));
  CHECK_EQ(step.logit_rows.size(), size_t{1});
  CHECK_EQ(step.logit_rows[0], 0);
}

TEST(nothing_to_do_is_no_step) {
  Scheduler scheduler({.step_tokens = 4, .running = 8, .pages = 8});
  Step step;
  CHECK(!scheduler.next(step));
}

TEST(a_conversation_reuses_what_its_prompt_shares) {
  Scheduler scheduler({.step_tokens = 512, .running = 8, .pages = 8});
  FakeCache cache;
  Step step;
  const auto run = [&](std::vector<int32_t> prompt) {
    scheduler.submit(make_task(1, std::move(prompt), 9));
    scheduler.next(step);
    cache.compute(step);
    scheduler.computed(step);
    const auto task = scheduler.remove(step.tasks[0], true);
    return task->reused;
  };
  CHECK_EQ(run(count_from(0, 50)), 0);
  CHECK_EQ(scheduler.idle_sequences(), 1);
  CHECK_EQ(run(count_from(0, 60)), 50);
  CHECK_EQ(run(count_from(0, 40)), 39);  // the last token is computed for its logits
  std::vector<int32_t> edited = count_from(0, 40);
  edited[10] = 7777;
  CHECK_EQ(run(edited), 10);
  scheduler.release_sequence(9);
  CHECK_EQ(scheduler.free_pages(), 8);
  CHECK_EQ(run(count_from(0, 40)), 0);
}

TEST(releasing_a_running_conversation_leaves_nothing_behind) {
  Scheduler scheduler({.step_tokens = 512, .running = 8, .pages = 8});
  scheduler.submit(make_task(1, count_from(0, 40), 9));
  Step step;
  scheduler.next(step);
  scheduler.computed(step);
  scheduler.release_sequence(9);
  scheduler.remove(step.tasks[0], true);
  CHECK_EQ(scheduler.idle_sequences(), 0);
  CHECK_EQ(scheduler.free_pages(), 8);
}

TEST(idle_conversations_give_way_the_longest_unused_first) {
  Scheduler scheduler({.step_tokens = 512, .running = 8, .pages = 4});
  Step step;
  for (const uint32_t sequence : {1u, 2u}) {
    scheduler.submit(make_task(1, count_from(static_cast<int>(sequence) * 1000, 40), sequence));
    scheduler.next(step);
    scheduler.computed(step);
    scheduler.remove(step.tasks[0], true);
  }
  CHECK_EQ(scheduler.free_pages(), 0);
  scheduler.submit(make_task(3, count_from(5000, 30)));
  scheduler.next(step);
  scheduler.computed(step);
  CHECK_EQ(scheduler.idle_sequences(), 1);
  scheduler.remove(step.tasks[0], false);
  scheduler.submit(make_task(4, count_from(2000, 40), 2));  // the younger one is still there
  scheduler.next(step);
  CHECK_EQ(step.tasks[0]->cached, 39);
}

TEST(random_schedules) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](int least, int most) {
      return least + static_cast<int>(random() % static_cast<unsigned>(most - least + 1));
    };
    const int pages = pick(2, 10), context = pages * kPageTokens;
    Scheduler scheduler({.step_tokens = pick(1, 80), .running = pick(1, 6), .pages = pages});
    FakeCache cache;
    Step step;
    std::map<int32_t, int> goals;  // tokens in all that a request wants
    int next_id = 1, ended = 0, posted = 0;
    for (int turn = 0; turn < 4000 && (posted < 25 || !goals.empty()); ++turn) {
      if (posted < 25 && pick(0, 3) == 0) {
        const int prompt = pick(1, context - 1);
        goals[next_id] = pick(prompt + 1, context);
        scheduler.submit(make_task(next_id, count_from(pick(0, 3) * 10000, prompt),
                                   static_cast<uint32_t>(pick(0, 3))));
        ++next_id;
        ++posted;
      }
      if (pick(0, 15) == 0) scheduler.release_sequence(static_cast<uint32_t>(pick(1, 3)));
      const auto all = scheduler.tasks();
      if (!all.empty() && pick(0, 30) == 0) {  // cancel one
        Task* task = all[random() % all.size()];
        goals.erase(task->request->id);
        scheduler.remove(task, pick(0, 1) == 1);
        ++ended;
      }
      if (!scheduler.next(step)) {
        CHECK(scheduler.tasks().empty());  // whoever waits can always be computed
        continue;
      }
      check_pages(scheduler, pages);
      cache.compute(step);
      scheduler.computed(step);
      for (Task* task : std::vector<Task*>(step.drawing)) {
        task->tokens.push_back(static_cast<int32_t>(task->tokens.size() * 7));
        if (static_cast<int>(task->tokens.size()) < goals[task->request->id]) continue;
        goals.erase(task->request->id);
        scheduler.remove(task, pick(0, 1) == 1);
        ++ended;
      }
    }
    CHECK_EQ(ended, 25);
    CHECK(scheduler.tasks().empty());
    for (const uint32_t sequence : {1u, 2u, 3u}) scheduler.release_sequence(sequence);
    CHECK_EQ(scheduler.free_pages(), pages);
  }
}

}  // namespace cria::test
