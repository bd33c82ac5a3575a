#include "engine/ngram_lookup.h"

#include <algorithm>

#include "base/hash.h"

namespace cria {
namespace {

uint64_t hash_of(std::span<const int32_t> gram) {
  Hash64 hash;
  hash.add_values(gram);
  return hash.digest();
}

}  // namespace

NgramLookup::Match NgramLookup::find(std::span<const int32_t> tokens) {
  if (tokens.size() < kLeastMatch) return {};
  while (ends_.size() + kLeastMatch <= tokens.size()) {
    const uint64_t gram = hash_of(tokens.subspan(ends_.size(), kLeastMatch));
    const auto [at, added] = last_.try_emplace(gram, -1);
    const auto index = static_cast<int32_t>(ends_.size());
    ends_.push_back({gram, at->second});
    at->second = index;
  }
  Match best;
  int32_t index = ends_.back().before;
  for (int place = 0; index >= 0 && place < kMostPlaces; ++place) {
    const size_t next = static_cast<size_t>(index) + kLeastMatch;
    size_t length = 0;  // counted from the end: two n-grams may share a hash
    while (length < std::min(next, kMostMatch) &&
           tokens[next - 1 - length] == tokens[tokens.size() - 1 - length])
      ++length;
    if (length >= kLeastMatch && length > best.length) best = {length, next};
    index = ends_[static_cast<size_t>(index)].before;
  }
  return best;
}

void NgramLookup::read(std::span<const int32_t> tokens, size_t next, int count,
                       std::vector<int32_t>& out) {
  const size_t begin = out.size();
  for (size_t at = next; at < next + static_cast<size_t>(count); ++at)
    out.push_back(at < tokens.size() ? tokens[at] : out[begin + at - tokens.size()]);
}

void NgramLookup::rewind(size_t size) {
  while (!ends_.empty() && ends_.size() - 1 + kLeastMatch > size) {
    const End& end = ends_.back();
    if (end.before < 0)
      last_.erase(end.gram);
    else
      last_[end.gram] = end.before;
    ends_.pop_back();
  }
}

}  // namespace cria
