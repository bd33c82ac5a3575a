// F5. A draft model, which guesses what a larger one of the same vocabulary will say (Leviathan et
// al. 2023; Chen et al. 2023, Accelerating Large Language Model Decoding with Speculative
// Sampling).
//
// It goes along with each text in a cache of its own, and draws its guesses as the request's next
// tokens are drawn: by the same random numbers, under the same grammar and with the same options,
// as far as these look at the logits alone. Two models that agree then draw the same token, also at
// a temperature.
//
//   tokens    prompt … the  cat  sat │ on  a              round 1 computes "sat" (and what else is
//   computed  ───────────────────▶    │                    new), draws "on"; round 2 computes "on",
//   rounds                      1 ────▶ 2 ──▶              draws "a"; of a round, one row a request
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "backend/backend.h"
#include "engine/constraint.h"
#include "engine/paged_cache.h"
#include "engine/step_cost.h"
#include "sampling/sampler.h"

namespace cria {

class LoadedModel;
struct Task;

class Drafter {
 public:
  /// `model` outlives the object. `share`: what a step of it takes of one of the large model, until
  /// its own were seen.
  Drafter(LoadedModel& model, double share);

  /// Guesses wanted for a task, at most.
  struct Order {
    Task* task;
    int most;
  };
  /// Makes guesses, each task's until one is less likely than `least` together with those before.
  /// A long text is caught up with in several calls, and has no guesses before that; nor has one
  /// for which there is no room. Where the draft fails there are none any more: no text needs them.
  void draft(std::span<const Order> orders, double least);
  /// Lets go of all other tasks.
  void keep_only(std::span<Task* const> tasks);
  /// Milliseconds of a round of so many requests, if a step of the large model takes `step_ms`.
  double round_ms(int requests, double step_ms) const;

  int free_pages() const { return cache_.pool().free_pages() + cache_.prefixes().evictable(); }

 private:
  /// A task's text here.
  struct Line {
    explicit Line(const Sampling& wanted);

    const Sampling sampling;  // of the task, the stages that look at more than the logits left out
    Sampler sampler;
    PageTable kv;
    std::vector<int32_t> tokens;           // the task's and then guesses
    size_t certain = 0;                    // of them the task's
    std::optional<Constraint> constraint;  // as the task's, and the guesses taken
  };
  struct Running {
    Order order;
    Line* line;
    double probability = 1;  // of all guesses so far
    int feeds = 0;           // tokens in this round
  };

  Line& line_of(const Task& task);
  void catch_up(Line& line, const Task& task);
  bool compute(std::span<Running> running);
  void round(std::vector<Running>& running, double least);
  bool draw(Running& one, std::span<float> logits);
  void close(Line& line);

  LoadedModel& model_;
  const double share_;
  bool failed_ = false;
  PagedCache cache_;
  std::unordered_map<uint64_t, std::unique_ptr<Line>> lines_;  // by the serial of the task
  StepCost cost_;
  std::vector<float> logits_;  // [kMaxRunning × V]
  std::vector<float> raw_;     // [V]
  std::vector<int32_t> ids_;
  std::vector<Slice> slices_;
  std::vector<int64_t> rows_;
};

}  // namespace cria
