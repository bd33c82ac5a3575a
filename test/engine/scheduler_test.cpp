// The scheduler: order, shares, pages. Under random schedules no page is lost or shared by mistake,
// every request ends, and draws the tokens that it draws alone.
#include "engine/scheduler.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "model/kv_cache.h"
#include "sampling/numbers.h"
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

std::unique_ptr<Task> make_task(int id, std::vector<int32_t> prompt, uint32_t sequence = 0,
                                int priority = 0, const std::string& key = {}) {
  auto request = std::make_shared<Request>();
  request->id = id;
  request->sequence = sequence;
  request->priority = priority;
  request->cache_key = key;
  return std::make_unique<Task>(request, std::move(prompt), tokenizer());
}

std::vector<int32_t> count_from(int first, int count) {
  std::vector<int32_t> ids;
  for (int i = 0; i < count; ++i) ids.push_back(first + i);
  return ids;
}

/// What a token means after all before it, as keys and values do.
uint64_t meaning(uint64_t before, int32_t token) {
  return random_bits(before, static_cast<uint64_t>(token));
}
uint64_t meaning_of_nothing(const std::string& key) {
  return std::hash<std::string>()(key);
}

/// A network whose next token depends on all tokens before it, through pages as the scheduler deals
/// them out: one token of another request, or at another place, and it says something else.
class FakeNetwork {
 public:
  explicit FakeNetwork(int words) : words_(words) {}

  Scheduler::CopyPage copier() {
    return [this](int32_t from, int32_t to) {
      CHECK(from != to);
      for (int i = 0; i < kPageTokens; ++i) places_[{to, i}] = places_[{from, i}];
      ++copies;
    };
  }

  /// The token that each drawing task gets.
  std::vector<int32_t> compute(const Step& step) {
    std::vector<int32_t> drawn;
    size_t row = 0;
    for (size_t s = 0; s < step.slices.size(); ++s) {
      const Slice& slice = step.slices[s];
      const Task& task = *step.tasks[s];
      CHECK_EQ(slice.past, task.cached);
      uint64_t state = slice.past == 0 ? meaning_of_nothing(task.request->cache_key)
                                       : place(slice, slice.past - 1);
      for (int i = 0; i < slice.count; ++i, ++row) {
        const int position = slice.past + i;
        CHECK_EQ(step.ids[row], task.tokens[static_cast<size_t>(position)]);
        place(slice, position) = state = meaning(state, step.ids[row]);
      }
      check_all(slice, task);
      if (std::ranges::find(step.drawing, &task) != step.drawing.end())
        drawn.push_back(draw(state));
    }
    return drawn;
  }

  /// What a request gets alone.
  std::vector<int32_t> alone(std::vector<int32_t> tokens, int goal, const std::string& key) const {
    uint64_t state = meaning_of_nothing(key);
    for (const int32_t token : tokens) state = meaning(state, token);
    while (static_cast<int>(tokens.size()) < goal) {
      tokens.push_back(draw(state));
      state = meaning(state, tokens.back());
    }
    return tokens;
  }

  int copies = 0;

 private:
  int32_t draw(uint64_t state) const {
    return static_cast<int32_t>(state % static_cast<uint64_t>(words_));
  }
  uint64_t& place(const Slice& slice, int position) {
    return places_[{slice.pages[position / kPageTokens], position % kPageTokens}];
  }
  /// Every position that attention reads holds what was computed for this request's tokens.
  void check_all(const Slice& slice, const Task& task) {
    uint64_t state = meaning_of_nothing(task.request->cache_key);
    bool right = true;
    for (int position = 0; position < slice.past + slice.count; ++position) {
      state = meaning(state, task.tokens[static_cast<size_t>(position)]);
      right &= place(slice, position) == state;
    }
    CHECK(right);
  }

  int words_;
  std::map<std::pair<int32_t, int>, uint64_t> places_;
};

/// Each page is free, cached, or one task's own.
void check_pages(const Scheduler& scheduler, int total) {
  std::set<int32_t> own;
  size_t count = 0;
  for (const Task* task : scheduler.tasks()) {
    CHECK(task->shared <= task->pages.size());
    own.insert(task->pages.begin() + static_cast<std::ptrdiff_t>(task->shared), task->pages.end());
    count += task->pages.size() - task->shared;
    CHECK(task->reused <= task->prompt_tokens - 1);
    CHECK(KvCache::pages_for(task->cached) <= static_cast<int>(task->pages.size()));
  }
  CHECK_EQ(own.size(), count);
  CHECK_EQ(static_cast<int>(count) + scheduler.cache().pages() + scheduler.free_pages(), total);
  CHECK(scheduler.cache().evictable() >= 0);
}

/// A scheduler, its network, and what a step of both is.
struct Rig {
  explicit Rig(Scheduler::Limits limits, int words = 1000)
      : network(words), scheduler(limits, network.copier()) {}

  bool turn() {
    if (!scheduler.next(step)) return false;
    drawn = network.compute(step);
    scheduler.computed(step);
    for (size_t i = 0; i < drawn.size(); ++i) step.drawing[i]->tokens.push_back(drawn[i]);
    return true;
  }
  /// Computes a prompt alone and ends; gives how much of it was cached.
  int run(std::vector<int32_t> prompt, uint32_t sequence = 0, const std::string& key = {}) {
    std::unique_ptr<Task> task = make_task(1, std::move(prompt), sequence, 0, key);
    Task* raw = task.get();
    scheduler.submit(std::move(task));
    while (raw->completion_tokens() == 0) turn();
    raw->tokens.pop_back();  // as if the text had ended
    return scheduler.remove(raw, true)->reused;
  }
  Task* submit(std::unique_ptr<Task> task) {
    Task* raw = task.get();
    CHECK(scheduler.submit(std::move(task)) == nullptr);
    return raw;
  }

  FakeNetwork network;
  Scheduler scheduler;
  Step step;
  std::vector<int32_t> drawn;
};

}  // namespace

TEST(prompts_are_cut_to_the_step_and_generation_goes_on) {
  Rig rig({.step_tokens = 4, .running = 8, .pages = 8});
  const Task* first = rig.submit(make_task(1, count_from(100, 3)));
  CHECK(rig.turn());
  CHECK_EQ(rig.step.ids.size(), size_t{3});
  CHECK_EQ(rig.step.drawing.size(), size_t{1});
  rig.submit(make_task(2, count_from(200, 6)));
  CHECK(rig.scheduler.next(rig.step));
  CHECK(rig.step.ids == (std::vector<int32_t>{first->tokens.back(), 200, 201, 202}));
  CHECK_EQ(rig.step.logit_rows.size(), size_t{1});
  CHECK_EQ(rig.step.logit_rows[0], 0);
}

TEST(nothing_to_do_is_no_step) {
  Rig rig({.step_tokens = 4, .running = 8, .pages = 8});
  CHECK(!rig.turn());
}

TEST(a_long_prompt_leaves_room_for_who_generates) {
  CHECK_EQ(Scheduler::default_prompt_tokens(512), 64);
  CHECK_EQ(Scheduler::default_prompt_tokens(128), 32);
  CHECK_EQ(Scheduler::default_prompt_tokens(8), 8);
  Rig rig({.step_tokens = 512, .running = 8, .pages = 64});
  rig.submit(make_task(1, count_from(5000, 3)));
  CHECK(rig.turn());
  rig.submit(make_task(2, count_from(0, 1000)));
  for (int steps = 0; steps < 10; ++steps) {
    CHECK(rig.turn());
    CHECK_EQ(rig.step.ids.size(), size_t{65});
    CHECK_EQ(rig.step.drawing.size(), size_t{1});
  }
  rig.scheduler.remove(rig.step.drawing[0], false);
  CHECK(rig.turn());  // nobody waits for the next token any more
  CHECK_EQ(rig.step.ids.size(), size_t{360});
}

TEST(a_budget_below_the_number_of_streams_goes_round) {
  for (const int budget : {1, 2, 3}) {
    Rig rig({.step_tokens = budget, .running = 8, .pages = 16});
    std::vector<const Task*> tasks;
    for (int id = 0; id < 5; ++id) tasks.push_back(rig.submit(make_task(id, {1000 * id, 7})));
    for (int turn = 0; turn < 60; ++turn) CHECK(rig.turn());
    std::vector<int> progress;
    for (const Task* task : tasks) progress.push_back(task->completion_tokens());
    const auto [least, most] = std::ranges::minmax(progress);
    CHECK(least >= 60 * budget / 5 - 12);
    CHECK(most - least <= 10);  // by whose prompt came first
    const std::vector<int> then = progress;
    for (int turn = 0; turn < 50; ++turn) CHECK(rig.turn());
    for (size_t i = 0; i < tasks.size(); ++i)
      CHECK_EQ(tasks[i]->completion_tokens() - then[i], 10 * budget);
  }
}

TEST(higher_priorities_go_first_and_nobody_starves) {
  Rig rig({.step_tokens = 8, .running = 1, .pages = 8});
  const Task* low = rig.submit(make_task(1, {1, 2}, 0, -1));
  Task* running = rig.submit(make_task(2, {1, 3}, 0, 0));
  CHECK(rig.turn());
  CHECK(rig.step.tasks[0] == running);
  // A stream of requests of a higher priority, each of four steps.
  int before_low = 0;
  for (int turn = 0; low->completion_tokens() == 0 && turn < 1000; ++turn) {
    if (turn % 4 == 0) rig.submit(make_task(10 + turn, {1, 4 + turn}, 0, 1));
    CHECK(rig.turn());
    Task* task = rig.step.tasks[0];
    if (task == low) break;
    ++before_low;
    if (task->completion_tokens() >= 4) rig.scheduler.remove(task, false);
  }
  CHECK(before_low >= Scheduler::kAgeing);
  CHECK(before_low <= 2 * Scheduler::kAgeing + 8);
}

TEST(a_higher_priority_takes_the_place_of_a_lower_one) {
  Rig rig({.step_tokens = 64, .running = 2, .pages = 4});
  Task* low = rig.submit(make_task(1, count_from(0, 70), 0, 0));  // three of the four pages
  for (int i = 0; i < 3; ++i) CHECK(rig.turn());
  Task* high = rig.submit(make_task(2, count_from(500, 40), 0, 5));
  CHECK(rig.turn());
  CHECK(rig.step.tasks == std::vector<Task*>{high});
  CHECK(low->node == nullptr);
  const std::vector<int32_t> drawn(low->tokens.begin() + 70, low->tokens.end());
  rig.scheduler.remove(high, false);
  while (low->tokens.size() < 90) CHECK(rig.turn());
  CHECK(low->tokens == rig.network.alone(count_from(0, 70), 90, ""));
  CHECK_EQ(low->reused, 0);  // its own work, found again
}

TEST(a_full_queue_refuses) {
  Rig rig({.step_tokens = 8, .running = 2, .pages = 8, .waiting = 1});
  for (int id = 1; id <= 3; ++id) CHECK(!rig.scheduler.submit(make_task(id, {1, id})));
  CHECK(rig.scheduler.submit(make_task(4, {1, 4})) != nullptr);
  CHECK_EQ(rig.scheduler.running(), 2);
  CHECK_EQ(rig.scheduler.waiting(), 1);
  CHECK(rig.turn());
  rig.scheduler.remove(rig.step.tasks[0], false);
  CHECK(!rig.scheduler.submit(make_task(5, {1, 5})));

  Rig strict({.step_tokens = 8, .running = 1, .pages = 8, .waiting = 0});
  CHECK(!strict.scheduler.submit(make_task(1, {1})));
  CHECK(strict.scheduler.submit(make_task(2, {1})) != nullptr);
}

TEST(a_prompt_begins_with_what_is_cached) {
  Rig rig({.step_tokens = 512, .running = 8, .pages = 8});
  CHECK_EQ(rig.run(count_from(0, 50)), 0);
  CHECK_EQ(rig.run(count_from(0, 60)), 50);  // a page shared, 18 tokens copied
  CHECK_EQ(rig.run(count_from(0, 50)), 49);  // the last token is computed for its logits
  CHECK_EQ(rig.run(count_from(0, 64)), 60);
  std::vector<int32_t> edited = count_from(0, 40);
  edited[10] = 7777;
  CHECK_EQ(rig.run(edited), 10);
  edited[5] = 7777;
  CHECK_EQ(rig.run(edited), 0);  // five tokens are sooner computed than copied
  CHECK_EQ(rig.run(count_from(0, 60), 0, "other"), 0);
  CHECK_EQ(rig.run(count_from(0, 60), 0, "other"), 59);
}

TEST(requests_that_run_share_what_they_begin_with) {
  for (const int budget : {32, 512}) {
    Rig rig({.step_tokens = budget, .running = 8, .pages = 32});
    std::vector<Task*> tasks;
    for (int id = 0; id < 4; ++id) {
      std::vector<int32_t> prompt = count_from(0, 200);
      prompt.push_back(9000 + id);
      tasks.push_back(rig.submit(make_task(id, prompt)));
    }
    size_t computed = 0;
    while (tasks[3]->completion_tokens() == 0) {
      CHECK(rig.turn());
      computed += rig.step.ids.size();
    }
    // The beginning once, the ends apart, and what the first ones generated meanwhile.
    CHECK(computed <= 201 + 3 * 9 + 10);
    for (size_t i = 1; i < tasks.size(); ++i) {
      CHECK_EQ(tasks[i]->pages[5], tasks[0]->pages[5]);
      CHECK(tasks[i]->pages[6] != tasks[0]->pages[6]);
      CHECK(tasks[i]->reused >= 192);
    }
    check_pages(rig.scheduler, 32);
  }
}

TEST(what_nobody_uses_gives_way_the_longest_unused_first) {
  Rig rig({.step_tokens = 512, .running = 8, .pages = 4});
  rig.run(count_from(1000, 40), 1);
  rig.run(count_from(2000, 40), 2);
  CHECK_EQ(rig.scheduler.free_pages(), 0);
  CHECK_EQ(rig.run(count_from(5000, 30)), 0);
  const auto cached = [&](int first) {
    return rig.scheduler.cache().find("", count_from(first, 40)).second;
  };
  CHECK_EQ(cached(1000), 32);  // of the older one, the end
  CHECK_EQ(cached(2000), 40);
  CHECK_EQ(rig.run(count_from(1000, 40)), 32);  // used, it is the younger one now
  CHECK_EQ(cached(1000), 40);
  CHECK_EQ(cached(2000), 32);
}

TEST(a_conversation_that_is_released_gives_way_first) {
  Rig rig({.step_tokens = 512, .running = 8, .pages = 4});
  rig.run(count_from(1000, 40), 1);
  rig.run(count_from(2000, 40), 2);
  CHECK_EQ(rig.scheduler.conversation(2)->tokens.size(), size_t{40});
  rig.scheduler.release_sequence(2);
  CHECK(rig.scheduler.conversation(2) == nullptr);
  rig.run(count_from(5000, 30));
  CHECK_EQ(rig.scheduler.cache().find("", count_from(1000, 40)).second, 40);
  CHECK_EQ(rig.scheduler.cache().find("", count_from(2000, 40)).second, 32);

  Task* running = rig.submit(make_task(1, count_from(1000, 40), 9));
  CHECK(rig.turn());
  rig.scheduler.release_sequence(9);
  rig.scheduler.remove(running, true);
  CHECK(rig.scheduler.conversation(9) == nullptr);
}

TEST(a_conversation_comes_back_with_its_pages) {
  Rig rig({.step_tokens = 512, .running = 8, .pages = 8});
  const std::vector<int32_t> tokens = count_from(0, 70);
  rig.run(tokens, 1);
  const auto [pages, held] = rig.scheduler.cache().find("", tokens);
  CHECK_EQ(held, 70);
  const auto restored = rig.scheduler.restore(2, {tokens, "k"}, held);
  CHECK_EQ(restored.size(), size_t{3});
  for (const int32_t page : restored) CHECK(std::ranges::find(pages, page) == pages.end());
  rig.scheduler.restored(2, restored, held);
  check_pages(rig.scheduler, 8);
  CHECK_EQ(rig.scheduler.cache().find("k", tokens).second, 70);
  // With less room than it takes, as much as there is.
  Task* hog = rig.submit(make_task(1, count_from(3000, 150)));
  CHECK(rig.scheduler.next(rig.step));
  CHECK_EQ(rig.scheduler.restore(3, {count_from(9000, 200), "k"}, 200).size(), size_t{3});
  rig.scheduler.remove(hog, false);
}

TEST(a_paused_task_holds_no_page_and_goes_on_where_it_was) {
  Rig rig({.step_tokens = 64, .running = 4, .pages = 4}, 1000);
  Task* task = rig.submit(make_task(1, count_from(100, 40)));
  const auto alone = rig.network.alone(count_from(100, 40), 60, "");
  for (int i = 0; i < 6; ++i) CHECK(rig.turn());
  rig.scheduler.pause(task);
  CHECK(!rig.turn());
  CHECK_EQ(rig.scheduler.paused(), 1);
  CHECK_EQ(rig.scheduler.cache().evictable(), 2);
  check_pages(rig.scheduler, 4);

  // Nobody took its pages meanwhile: a step computes no more than one before did.
  rig.scheduler.resume(task);
  CHECK(rig.turn());
  CHECK_EQ(rig.step.ids.size(), size_t{1});

  // They are taken: it is computed again.
  rig.scheduler.pause(task);
  Task* other = rig.submit(make_task(2, count_from(500, 120)));
  while (other->completion_tokens() < 2) CHECK(rig.turn());
  rig.scheduler.remove(other, false);
  rig.scheduler.resume(task);
  while (task->tokens.size() < 60) CHECK(rig.turn());
  CHECK(task->tokens == alone);
  rig.scheduler.pause(task);
  CHECK(rig.scheduler.remove(task, true).get() == task);
  check_pages(rig.scheduler, 4);
}

TEST(random_schedules) {
  int copies = 0, sent_back = 0, cached = 0, pauses = 0;
  for (uint32_t seed = 0; seed < 120; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](int least, int most) {
      return least + static_cast<int>(random() % static_cast<unsigned>(most - least + 1));
    };
    const int pages = pick(2, 12), context = pages * kPageTokens, words = pick(2, 50);
    Rig rig({.step_tokens = pick(1, 80),
             .running = pick(1, 6),
             .pages = pages,
             .prompt_tokens = pick(0, 20)},
            words);
    const std::vector<int32_t> stem = rig.network.alone({1}, context, "");
    std::map<int32_t, std::vector<int32_t>> goals;  // what each request is to end with
    int ended = 0, posted = 0;
    for (int turn = 0; turn < 20000 && (posted < 30 || !goals.empty()); ++turn) {
      if (posted < 30 && pick(0, 3) == 0) {
        // Beginnings that many share, then some words of its own.
        const int shared = pick(0, context / 2), own = pick(1, context - 1 - shared);
        std::vector<int32_t> prompt(stem.begin(), stem.begin() + shared);
        const int variant = pick(0, 2);
        for (int i = 0; i < own; ++i) prompt.push_back((variant * 7 + i * 3) % words);
        const std::string key = pick(0, 3) == 0 ? "tenant" : "";
        const int goal = pick(static_cast<int>(prompt.size()) + 1, context);
        goals[++posted] = rig.network.alone(prompt, goal, key);
        rig.submit(make_task(posted, prompt, static_cast<uint32_t>(pick(0, 3)), pick(-2, 2), key));
      }
      if (pick(0, 15) == 0) rig.scheduler.release_sequence(static_cast<uint32_t>(pick(1, 3)));
      const auto all = rig.scheduler.tasks();
      if (!all.empty() && pick(0, 10) == 0) {  // a reader stops, or goes on
        Task* task = all[random() % all.size()];
        pauses += !task->paused && task->completion_tokens() > 0;
        task->paused ? rig.scheduler.resume(task) : rig.scheduler.pause(task);
        CHECK(task->pages.empty());
      }
      if (!all.empty() && pick(0, 40) == 0) {  // cancel one
        Task* task = all[random() % all.size()];
        goals.erase(task->request->id);
        rig.scheduler.remove(task, pick(0, 1) == 1);
        ++ended;
      }
      if (!rig.turn()) {
        // Whoever waits can always be computed.
        for (Task* task : rig.scheduler.tasks()) {
          CHECK(task->paused);
          rig.scheduler.resume(task);
        }
        continue;
      }
      check_pages(rig.scheduler, pages);
      for (Task* task : std::vector<Task*>(rig.step.drawing)) {
        const std::vector<int32_t>& goal = goals[task->request->id];
        if (task->tokens.size() < goal.size()) continue;
        CHECK(task->tokens == goal);
        sent_back += task->sent_back;
        cached += task->reused > 0;
        goals.erase(task->request->id);
        rig.scheduler.remove(task, pick(0, 1) == 1);
        ++ended;
      }
    }
    CHECK_EQ(ended, 30);
    CHECK(rig.scheduler.tasks().empty());
    check_pages(rig.scheduler, pages);
    CHECK_EQ(rig.scheduler.cache().evictable(), rig.scheduler.cache().pages());
    copies += rig.network.copies;
  }
  // The schedules did come by what is to be tested.
  CHECK(copies > 100);
  CHECK(sent_back > 100);
  CHECK(cached > 500);
  CHECK(pauses > 500);
}

}  // namespace cria::test
