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

void StepCost::record(int rows, double ms) {
  if (rows < 1 || rows > kMostRows) return;
  double& mean = ms_[static_cast<size_t>(rows)];
  // A machine that others use is now and then away for long: that says nothing of the step.
  mean = mean == 0 ? ms : mean + kNew * (std::min(ms, 2 * mean) - mean);
}

double StepCost::of(int rows) const {
  const auto seen = [this](int at) { return ms_[static_cast<size_t>(at)]; };
  int below = std::min(rows, kMostRows), above = rows;
  while (below > 0 && seen(below) == 0) --below;
  while (above <= kMostRows && seen(above) == 0) ++above;
  if (below == 0 && above > kMostRows) return 1 + kSlope * (rows - 1);
  if (below == 0) return seen(above) * (1 + kSlope * (rows - 1)) / (1 + kSlope * (above - 1));
  if (above > kMostRows)
    return seen(below) * (1 + kSlope * (rows - 1)) / (1 + kSlope * (below - 1));
  if (above == below) return seen(below);
  return seen(below) + (seen(above) - seen(below)) * (rows - below) / (above - below);
}

void Speculator::propose(std::span<Task* const> running, int rows, int context) {
  Load load;
  for (Task* task : running) {
    task->guessed.clear();
    if (task->generating()) load.tokens += 1;
  }
  // A prompt may be through with this step, and then wants a row as well.
  load.rows = static_cast<int>(running.size());
  for (Task* task : running) {
    if (!task->generating() || !task->speculation) continue;
    const auto size = static_cast<int>(task->tokens.size());
    int most = std::min({kMostGuesses, rows - load.rows, context - size});
    if (const int max_tokens = task->request->max_tokens; max_tokens > 0)
      most = std::min(most, max_tokens - task->completion_tokens() - 1);
    if (most > 0) look_up(*task, most, load);
  }
}

void Speculator::look_up(Task& task, int most, Load& load) {
  Speculation& speculation = *task.speculation;
  const NgramLookup::Match match = speculation.lookup.find(task.tokens);
  if (match.length == 0) return;
  speculation.kind = match.length < kLongMatch ? GuessKind::kShortMatch : GuessKind::kLongMatch;
  const int count = worthwhile(speculation, most, load);
  NgramLookup::read(task.tokens, match.next, count, task.guessed);
  load.rows += count;
  load.tokens += speculation.rate().tokens(count) - 1;
}

/// How many guesses make the step's tokens per millisecond the most; now and then one, for a try.
int Speculator::worthwhile(Speculation& speculation, int most, const Load& load) const {
  int best = 0;
  double best_speed = 0;
  for (int count = 0; count <= most; ++count) {
    const double tokens = load.tokens + speculation.rate().tokens(count) - 1;
    const double speed = tokens / cost_.of(load.rows + count);
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

}  // namespace cria
