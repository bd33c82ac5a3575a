// F5. Prompt lookup: the text is guessed to go on as it did where its end stood before (Yang et al.
// 2023, Inference with Reference; Saxena 2023, Prompt Lookup Decoding). Code that is edited, a
// document that is quoted and a form that is filled in say again what the prompt says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace cria {

class NgramLookup {
 public:
  /// Fewer tokens than this at the end are too common to say what follows.
  static constexpr size_t kLeastMatch = 3;
  /// More are not looked at, nor more places than this.
  static constexpr size_t kMostMatch = 32;
  static constexpr int kMostPlaces = 16;

  /// Where the end of `tokens` stood before, with the longest match of the last kMostPlaces places
  /// (the last of those alike). `tokens` are those of the call before and more, but for `rewind`.
  struct Match {
    size_t length = 0;  // of the match, in tokens; 0: none
    size_t next = 0;    // position of what followed it
  };
  Match find(std::span<const int32_t> tokens);

  /// What follows a match, so many tokens; as in LZ77 a match may reach into what follows it.
  static void read(std::span<const int32_t> tokens, size_t next, int count,
                   std::vector<int32_t>& out);

  /// The tokens from `size` on were taken back.
  void rewind(size_t size);

 private:
  /// An n-gram of kLeastMatch tokens. `ends_[i]` is the one that ends before position
  /// i + kLeastMatch.
  struct End {
    uint64_t gram = 0;
    int32_t before = -1;  // index of the same n-gram's end before this one; -1: none
  };

  std::vector<End> ends_;
  std::unordered_map<uint64_t, int32_t> last_;  // of each n-gram, by hash
};

}  // namespace cria
