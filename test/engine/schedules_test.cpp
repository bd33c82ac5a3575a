// Random schedules: no page is lost or shared by mistake, every request ends, and draws the tokens
// that it draws alone.
#include <random>

#include "engine/scheduler_rig.h"

namespace cria::test {

TEST(random_schedules) {
  int copies = 0, sent_back = 0, cached = 0, pauses = 0, accepted = 0, rejected = 0;
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
        CHECK(task->kv.pages.empty());
      }
      if (!all.empty() && pick(0, 40) == 0) {  // cancel one
        Task* task = all[random() % all.size()];
        goals.erase(task->request->id);
        rig.scheduler.remove(task, pick(0, 1) == 1);
        ++ended;
      }
      for (Task* task : rig.scheduler.running_tasks()) {  // some guess, mostly right
        const std::vector<int32_t>& goal = goals[task->request->id];
        const auto left = static_cast<int>(goal.size() - task->tokens.size()) - 1;
        task->guessed.clear();
        if (!task->generating() || left <= 0 || pick(0, 2) == 0) continue;
        for (int i = 0; i < pick(1, std::min(left, 40)); ++i)
          task->guessed.push_back(pick(0, 9) == 0
                                      ? pick(0, words - 1)
                                      : goal[task->tokens.size() + static_cast<size_t>(i)]);
        rejected += static_cast<int>(task->guessed.size());
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
    CHECK_EQ(rig.scheduler.prefixes().evictable(), rig.scheduler.prefixes().pages());
    copies += rig.network.copies;
    accepted += rig.accepted;
  }
  // The schedules did come by what is to be tested.
  CHECK(copies > 100);
  CHECK(sent_back > 100);
  CHECK(cached > 500);
  CHECK(pauses > 500);
  CHECK(accepted > 1000);
  CHECK(rejected - accepted > 1000);
}

}  // namespace cria::test
