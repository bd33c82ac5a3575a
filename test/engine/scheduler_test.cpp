// The scheduler: order, shares, pages.
#include "engine/scheduler_rig.h"

namespace cria::test {

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
  CHECK(low->kv.node == nullptr);
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
      CHECK_EQ(tasks[i]->kv.pages[5], tasks[0]->kv.pages[5]);
      CHECK(tasks[i]->kv.pages[6] != tasks[0]->kv.pages[6]);
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
    return rig.scheduler.prefixes().find("", count_from(first, 40)).second;
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
  CHECK_EQ(rig.scheduler.prefixes().find("", count_from(1000, 40)).second, 40);
  CHECK_EQ(rig.scheduler.prefixes().find("", count_from(2000, 40)).second, 32);

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
  const auto [pages, held] = rig.scheduler.prefixes().find("", tokens);
  CHECK_EQ(held, 70);
  const auto restored = rig.scheduler.restore(2, {tokens, "k"}, held);
  CHECK_EQ(restored.size(), size_t{3});
  for (const int32_t page : restored) CHECK(std::ranges::find(pages, page) == pages.end());
  rig.scheduler.restored(2, restored, held);
  check_pages(rig.scheduler, 8);
  CHECK_EQ(rig.scheduler.prefixes().find("k", tokens).second, 70);
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
  CHECK_EQ(rig.scheduler.prefixes().evictable(), 2);
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

}  // namespace cria::test
