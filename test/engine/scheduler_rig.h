// A scheduler, and a network that holds it to account: one wrong page changes a token.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/scheduler.h"
#include "model/kv_cache.h"
#include "sampling/numbers.h"
#include "support/check.h"

namespace cria::test {

inline text::Tokenizer small_tokenizer() {
  text::Vocab vocab;
  vocab.pieces = {"<unk>", "<s>", "</s>", "a"};
  vocab.types = {text::PieceType::kUnknown, text::PieceType::kControl, text::PieceType::kControl,
                 text::PieceType::kNormal};
  vocab.scores.assign(4, 0);
  vocab.unknown = 0;
  return text::Tokenizer(vocab);
}

inline const text::Tokenizer& tokenizer() {
  static const text::Tokenizer instance = small_tokenizer();
  return instance;
}

inline std::unique_ptr<Task> make_task(int id, std::vector<int32_t> prompt, uint32_t sequence = 0,
                                       int priority = 0, const std::string& key = {}) {
  auto request = std::make_shared<Request>();
  request->id = id;
  request->sequence = sequence;
  request->priority = priority;
  request->cache_key = key;
  return std::make_unique<Task>(request, std::move(prompt), tokenizer());
}

inline std::vector<int32_t> count_from(int first, int count) {
  std::vector<int32_t> ids;
  for (int i = 0; i < count; ++i) ids.push_back(first + i);
  return ids;
}

/// What a token means after all before it, as keys and values do.
inline uint64_t meaning(uint64_t before, int32_t token) {
  return random_bits(before, static_cast<uint64_t>(token));
}
inline uint64_t meaning_of_nothing(const std::string& key) {
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

  /// What each drawing task gets after its last token, and after each of its guesses.
  std::vector<std::vector<int32_t>> compute(const Step& step) {
    std::vector<std::vector<int32_t>> drawn;
    size_t row = 0;
    for (size_t s = 0; s < step.slices.size(); ++s) {
      const Slice& slice = step.slices[s];
      const Task& task = *step.tasks[s];
      CHECK_EQ(slice.past, task.kv.cached);
      uint64_t state = slice.past == 0 ? meaning_of_nothing(task.request->cache_key)
                                       : place(slice, slice.past - 1);
      std::vector<int32_t> known = task.tokens, draws;
      known.insert(known.end(), task.guessed.begin(), task.guessed.end());
      for (int i = 0; i < slice.count; ++i, ++row) {
        const int position = slice.past + i;
        CHECK_EQ(step.ids[row], known[static_cast<size_t>(position)]);
        place(slice, position) = state = meaning(state, step.ids[row]);
        if (position + 1 >= static_cast<int>(task.tokens.size())) draws.push_back(draw(state));
      }
      check_all(slice, task, known);
      if (std::ranges::find(step.drawing, &task) != step.drawing.end()) {
        CHECK_EQ(draws.size(), task.guessed.size() + 1);
        drawn.push_back(std::move(draws));
      }
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
  void check_all(const Slice& slice, const Task& task, const std::vector<int32_t>& tokens) {
    uint64_t state = meaning_of_nothing(task.request->cache_key);
    bool right = true;
    for (int position = 0; position < slice.past + slice.count; ++position) {
      state = meaning(state, tokens[static_cast<size_t>(position)]);
      right &= place(slice, position) == state;
    }
    CHECK(right);
  }

  int words_;
  std::map<std::pair<int32_t, int>, uint64_t> places_;
};

/// Each page is free, cached, or one task's own.
inline void check_pages(const Scheduler& scheduler, int total) {
  std::set<int32_t> own;
  size_t count = 0;
  for (const Task* task : scheduler.tasks()) {
    CHECK(task->kv.shared <= task->kv.pages.size());
    own.insert(task->kv.pages.begin() + static_cast<std::ptrdiff_t>(task->kv.shared),
               task->kv.pages.end());
    count += task->kv.pages.size() - task->kv.shared;
    CHECK(task->reused <= task->prompt_tokens - 1);
    CHECK(KvCache::pages_for(task->kv.cached) <= static_cast<int>(task->kv.pages.size()));
  }
  CHECK_EQ(own.size(), count);
  CHECK_EQ(static_cast<int>(count) + scheduler.prefixes().pages() + scheduler.free_pages(), total);
  CHECK(scheduler.prefixes().evictable() >= 0);
}

/// A scheduler, its network, and what a step of both is.
struct Rig {
  explicit Rig(Scheduler::Limits limits, int words = 1000)
      : network(words), scheduler(limits, network.copier()) {}

  bool turn() {
    if (!scheduler.next(step)) return false;
    drawn = network.compute(step);
    scheduler.computed(step);
    for (size_t i = 0; i < drawn.size(); ++i) take(*step.drawing[i], drawn[i]);
    return true;
  }
  /// Takes the first token, and those after it as long as they were guessed.
  void take(Task& task, const std::vector<int32_t>& draws) {
    const std::vector<int32_t> guessed = std::exchange(task.guessed, {});
    for (size_t i = 0; i < draws.size(); ++i) {
      task.tokens.push_back(draws[i]);
      if (i == guessed.size() || guessed[i] != draws[i]) return;
      scheduler.accept_guess(task);
      ++accepted;
    }
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
  std::vector<std::vector<int32_t>> drawn;
  int accepted = 0;  // guesses
};

}  // namespace cria::test
