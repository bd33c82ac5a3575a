// F5. A conversation on disk, with its keys and values.
//
//   0   "cria.kv\n"
//   8   u32 version (1)              u32 tokens
//   16  u64 fingerprint of the model
//   24  u64 bytes of a page
//   32  u32 tokens whose state is here    u32 pages that hold it
//   40  u32 bytes of the state's format   u32 bytes of the cache key
//   48  u64 bytes of the caller's text
//   56  u64 Hash64 of all the rest
//   64  format, cache key, the caller's text, tokens (i32 each), pages
//
// Numbers are little-endian, as the machines are that this is built for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace cria {

/// What a saved conversation is held against.
struct ModelIdentity {
  uint64_t fingerprint = 0;  // of the weights and all that the network is computed by
  /// How keys and values come about and lie in a page; other bits where it differs.
  std::string state_format;
  uint64_t page_bytes = 0;
  int vocab = 0;
};

/// A conversation as the engine has it.
struct Snapshot {
  std::vector<int32_t> tokens;
  std::string cache_key;
  int state_tokens = 0;          // so many of them are computed,
  std::vector<std::byte> pages;  // and these are their pages
};

struct SavedSession {
  Snapshot snapshot;
  std::string text;  // the caller's own
};

/// Writes a file of its own and renames it to `path`, so that there is the old one or the whole new
/// one; gives its size. Throws kFile.
uint64_t write_session(const std::filesystem::path& path, const ModelIdentity& model,
                       const Snapshot& snapshot, const std::string& text);

/// Throws kFile for a file that cannot be read, kBadSession for one that is not whole, of another
/// version or of another model. State of another format is left out: it is computed again.
SavedSession read_session(const std::filesystem::path& path, const ModelIdentity& model);

}  // namespace cria
