#include "engine/speculation.h"

#include <algorithm>

#include "engine/task.h"

namespace cria {
namespace {

// A match of so many tokens says more of what follows than a shorter one.
constexpr size_t kLongMatch = 8;
// Chances that are left between tries, where guesses do not pay: doubled each time.
constexpr int kLeastPatience = 4, kMostPatience = 256;

}  // namespace

void AcceptanceRate::record(int right, int guesses) {
  right_ = kKeep * right_ + right;
  tested_ = kKeep * tested_ + std::min(right + 1, guesses);
}

double AcceptanceRate::tokens(int guesses) const {
  double sum = 1, power = 1;
  for (int i = 0; i < guesses; ++i) sum += power *= rate();
  return sum;
}

void Speculator::propose(std::span<Task* const> running, int rows, int context) {
  Load load;
  for (Task* task : running) {
    task->guessed.clear();
    if (task->generating()) load.tokens += 1;
  }
  // A prompt may be through with this step, and then wants a row as well.
  load.rows = static_cast<int>(running.size());
  if (drafter_) drafter_->keep_only(running);
  std::vector<Drafter::Order> orders;
  for (Task* task : running) {
    if (!task->generating() || !task->speculation) continue;
    const auto size = static_cast<int>(task->tokens.size());
    int most = std::min({kMostGuesses, rows - load.rows, context - size});
    if (const int max_tokens = task->request->max_tokens; max_tokens > 0)
      most = std::min(most, max_tokens - task->completion_tokens() - 1);
    if (most < 1 || look_up(*task, most, load)) continue;
    if (!drafter_ || task->request->guesses != Guesses::kAll) continue;
    load.round_ms = drafter_->round_ms(static_cast<int>(orders.size()) + 1, cost_.of(1));
    task->speculation->kind = GuessKind::kDraft;
    if (const int count = plan(*task->speculation, most, load); count > 0)
      orders.push_back({task, count});
  }
  if (!orders.empty()) drafter_->draft(orders, least_probability(load));
}

bool Speculator::look_up(Task& task, int most, Load& load) {
  Speculation& speculation = *task.speculation;
  const NgramLookup::Match match = speculation.lookup.find(task.tokens);
  if (match.length == 0) return false;
  speculation.kind = match.length < kLongMatch ? GuessKind::kShortMatch : GuessKind::kLongMatch;
  const int count = plan(speculation, most, load);
  NgramLookup::read(task.tokens, match.next, count, task.guessed);
  return count > 0;
}

/// How many guesses of the kind at hand are to be made; the step is so much larger.
int Speculator::plan(Speculation& speculation, int most, Load& load) const {
  const int count = worthwhile(speculation, most, load);
  load.rows += count;
  load.tokens += speculation.rate().tokens(count) - 1;
  if (speculation.kind == GuessKind::kDraft) load.rounds = std::max(load.rounds, count);
  return count;
}

/// How many guesses make the step's tokens per millisecond the most; now and then one, for a try.
int Speculator::worthwhile(Speculation& speculation, int most, const Load& load) const {
  const bool drafted = speculation.kind == GuessKind::kDraft;
  int best = 0;
  double best_speed = 0;
  for (int count = 0; count <= most; ++count) {
    const double tokens = load.tokens + speculation.rate().tokens(count) - 1;
    const double speed = tokens / ms(load, count, drafted ? count : 0);
    if (speed > best_speed) {
      best = count;
      best_speed = speed;
    }
  }
  if (best > 0) {
    speculation.patience = kLeastPatience;
  } else if (++speculation.idle > speculation.patience) {
    speculation.patience = std::clamp(2 * speculation.patience, kLeastPatience, kMostPatience);
    best = 1;
  }
  if (best > 0) speculation.idle = 0;
  return best;
}

/// What the step takes with so many rows more, the draft's rounds before it included.
double Speculator::ms(const Load& load, int more_rows, int rounds) const {
  return cost_.of(load.rows + more_rows) + load.round_ms * std::max(load.rounds, rounds);
}

/// A guess less likely than this takes longer, to make and to test, than what it saves.
double Speculator::least_probability(const Load& load) const {
  const double per_token = ms(load, 0, 0) / load.tokens;
  const double guess = cost_.of(load.rows + 1) - cost_.of(load.rows) + load.round_ms;
  return std::clamp(guess / per_token, 0.02, 0.9);
}

}  // namespace cria
