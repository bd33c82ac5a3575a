// Saved conversations: what comes back, and everything that is refused.
#include "engine/session_file.h"

#include <fstream>
#include <iterator>
#include <set>

#include "base/temp_folder.h"
#include "model/kv_cache.h"
#include "support/check.h"

namespace cria::test {
namespace {

constexpr uint64_t kPageBytes = 192;

ModelIdentity some_model() {
  return {0x1234567890abcdef, "cpu scalar packed f16 32", kPageBytes, 300};
}

Snapshot some_snapshot(int tokens, int state_tokens) {
  Snapshot snapshot;
  for (int i = 0; i < tokens; ++i) snapshot.tokens.push_back(i * 7 % 300);
  snapshot.cache_key = "tenant";
  snapshot.state_tokens = state_tokens;
  const auto bytes = static_cast<size_t>(KvCache::pages_for(state_tokens)) * kPageBytes;
  for (size_t i = 0; i < bytes; ++i) snapshot.pages.push_back(static_cast<std::byte>(i * 13));
  return snapshot;
}

std::vector<std::byte> contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

TEST(a_saved_session_comes_back) {
  const TempFolder folder;
  for (const auto& [tokens, state] : {std::pair{0, 0}, {5, 0}, {5, 5}, {70, 64}, {70, 70}}) {
    const Snapshot snapshot = some_snapshot(tokens, state);
    const uint64_t bytes =
        write_session(folder / "a.session", some_model(), snapshot, "{\"messages\":[]}");
    CHECK_EQ(bytes, contents(folder / "a.session").size());
    const SavedSession saved = read_session(folder / "a.session", some_model());
    CHECK(saved.snapshot.tokens == snapshot.tokens);
    CHECK(saved.snapshot.pages == snapshot.pages);
    CHECK_EQ(saved.snapshot.state_tokens, state);
    CHECK_EQ(saved.snapshot.cache_key, snapshot.cache_key);
    CHECK_EQ(saved.text, "{\"messages\":[]}");
  }
}

TEST(a_session_is_written_whole_or_not_at_all) {
  const TempFolder folder;
  write_session(folder / "a.session", some_model(), some_snapshot(5, 5), "old");
  write_session(folder / "a.session", some_model(), some_snapshot(5, 5), "new");
  CHECK_EQ(read_session(folder / "a.session", some_model()).text, "new");
  CHECK_THROWS(ErrorCode::kFile,
               write_session(folder / "none/a", some_model(), some_snapshot(5, 5), ""),
               "cannot be written");
  std::filesystem::create_directory(folder / "taken");
  CHECK_THROWS(ErrorCode::kFile,
               write_session(folder / "taken", some_model(), some_snapshot(5, 5), ""),
               "cannot be written");
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder / ""))
    names.insert(entry.path().filename().string());
  CHECK(names == (std::set<std::string>{"a.session", "taken"}));  // nothing is left behind
}

TEST(a_damaged_session_is_refused_at_every_byte) {
  const TempFolder folder;
  write_session(folder / "a.session", some_model(), some_snapshot(40, 40), "text");
  const std::vector<std::byte> whole = contents(folder / "a.session");
  const auto refused = [&](std::span<const std::byte> bytes) {
    CHECK_THROWS(ErrorCode::kBadSession, read_session(folder.write("b", bytes), some_model()), "");
  };
  for (size_t at = 0; at < whole.size(); ++at) {
    std::vector<std::byte> damaged = whole;
    damaged[at] ^= static_cast<std::byte>(1u << at % 8);
    refused(damaged);
    if (at % 5 == 0) refused(std::span(whole).first(at));
  }
  // Sizes that no file has.
  for (const size_t field : {12, 24, 32, 36, 40, 44, 48}) {
    std::vector<std::byte> huge = whole;
    for (size_t i = 0; i < (field == 24 || field == 48 ? 8u : 4u); ++i)
      huge[field + i] = std::byte{0xff};
    refused(huge);
  }
  std::vector<std::byte> longer = whole;
  longer.push_back({});
  refused(longer);
  refused({});
}

TEST(a_session_of_another_model_is_refused_and_state_of_another_kind_left_out) {
  const TempFolder folder;
  const Snapshot snapshot = some_snapshot(40, 40);
  write_session(folder / "a.session", some_model(), snapshot, "text");
  ModelIdentity other = some_model();
  other.fingerprint ^= 1;
  CHECK_THROWS(ErrorCode::kBadSession, read_session(folder / "a.session", other), "another model");
  ModelIdentity small = some_model();
  small.vocab = 100;
  CHECK_THROWS(ErrorCode::kBadSession, read_session(folder / "a.session", small), "a token");
  ModelIdentity table = some_model();
  table.state_format = "cpu avx2 packed f16 32";
  const SavedSession saved = read_session(folder / "a.session", table);
  CHECK(saved.snapshot.tokens == snapshot.tokens);
  CHECK_EQ(saved.snapshot.state_tokens, 0);
  CHECK(saved.snapshot.pages.empty());
}

TEST(what_is_no_session_file_is_refused) {
  const TempFolder folder;
  CHECK_THROWS(ErrorCode::kFile, read_session(folder / "none", some_model()), "cannot be read");
  CHECK_THROWS(ErrorCode::kFile, read_session(folder / "", some_model()), "not a regular file");
  const std::string text(200, 'x');
  CHECK_THROWS(ErrorCode::kBadSession,
               read_session(folder.write("x", std::as_bytes(std::span(text))), some_model()),
               "not a saved session");
}

}  // namespace cria::test
