#include "sampling/mirostat.h"

#include <algorithm>
#include <cmath>

#include "sampling/numbers.h"

namespace cria {
namespace {

constexpr size_t kFitted = 100;  // tokens that Zipf's exponent is fitted to
constexpr double kLn2 = 0.6931471805599453;

double log2_of(double x) {
  return portable_log(x) / kLn2;
}

}  // namespace

double MirostatState::most_surprise() const {
  return learnt_.empty() ? 2.0 * sampling_.mirostat_tau : learnt_.back().most_surprise;
}

void MirostatState::truncate(Candidates& candidates) {
  std::vector<Candidate>& all = candidates.weighed();
  size_t count = 0;
  if (sampling_.mirostat == Mirostat::kV1) {
    const auto front = std::min(all.size(), kFitted);
    candidates.rank_first(front);
    count = zipf_count({all.begin(), all.begin() + static_cast<std::ptrdiff_t>(front)}, all.size());
  } else {
    const double least = portable_exp(-most_surprise() * kLn2);
    count = static_cast<size_t>(
        std::ranges::count_if(all, [least](const Candidate& c) { return c.p >= least; }));
  }
  candidates.keep_top(std::max<size_t>(count, 1));
  kept_ = candidates.list();
  candidates.changed();
}

size_t MirostatState::zipf_count(const std::vector<Candidate>& ranked, size_t all) const {
  double products = 0, squares = 0;
  for (size_t i = 0; i + 1 < ranked.size() && ranked[i + 1].p > 0; ++i) {
    const double t = portable_log(static_cast<double>(i + 2) / static_cast<double>(i + 1));
    products += t * portable_log(ranked[i].p / ranked[i + 1].p);
    squares += t * t;
  }
  if (squares == 0) return 1;
  // Equal probabilities have no slope, a steep one no second token: both ends are clamped below.
  const double s = std::max(products / squares, 1e-6), n = static_cast<double>(all);
  const double bits = portable_exp(std::clamp(most_surprise(), -1000.0, 1000.0) * kLn2);
  // (1 - n^(1 - s)) / (s - 1) tends to log n as s tends to 1.
  const double spread = std::abs(s - 1) < 1e-9
                            ? portable_log(n)
                            : (1 - portable_exp((1 - s) * portable_log(n))) / (s - 1);
  const double k = portable_exp(portable_log(bits / spread) / s);
  return static_cast<size_t>(std::clamp(std::floor(k + 0.5), 1.0, n));
}

void MirostatState::learn(int32_t id, size_t position) {
  const auto at = std::ranges::find(kept_, id, &Candidate::id);
  if (at == kept_.end()) return;
  const double error = -log2_of(at->p) - sampling_.mirostat_tau;
  learnt_.push_back({position, most_surprise() - sampling_.mirostat_eta * error});
}

void MirostatState::rewind(size_t position) {
  while (!learnt_.empty() && learnt_.back().position >= position) learnt_.pop_back();
}

}  // namespace cria
