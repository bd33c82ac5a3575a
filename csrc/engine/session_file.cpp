#include "engine/session_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <span>

#include "base/error.h"
#include "base/hash.h"
#include "model/kv_cache.h"

namespace cria {
namespace {

constexpr char kMagic[8] = {'c', 'r', 'i', 'a', '.', 'k', 'v', '\n'};
constexpr uint32_t kVersion = 1;

struct Header {
  char magic[8];
  uint32_t version, tokens;
  uint64_t fingerprint, page_bytes;
  uint32_t state_tokens, pages;
  uint32_t format_bytes, key_bytes;
  uint64_t text_bytes, checksum;
};
static_assert(sizeof(Header) == 64);

using Bytes = std::span<const std::byte>;

uint64_t checksum(Header header, std::initializer_list<Bytes> parts) {
  header.checksum = 0;
  Hash64 hash;
  hash.add_values(std::span<const Header>(&header, 1));
  for (const Bytes part : parts) hash.add(part);
  return hash.digest();
}

template <class Container>
Bytes bytes_of(const Container& values) {
  return std::as_bytes(std::span(values.data(), values.size()));
}

std::string reason() {
  return std::strerror(errno);
}

/// A file beside `path` that becomes it, or goes.
class NewFile {
 public:
  explicit NewFile(const std::filesystem::path& path) : path_(path) {
    static std::atomic<unsigned> count{0};
    temporary_ = path_;
    temporary_ += cat(".", ::getpid(), "-", count++, ".tmp");
    file_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file_ < 0) refuse();
  }
  ~NewFile() {
    if (file_ >= 0) ::close(file_);
    if (!done_) ::unlink(temporary_.c_str());
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  void write(Bytes bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) refuse();
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
  }
  void finish() {
    if (::fsync(file_) != 0) refuse();
    const int file = file_;
    file_ = -1;
    if (::close(file) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) refuse();
    done_ = true;
  }

 private:
  [[noreturn]] void refuse() const {
    fail(ErrorCode::kFile, path_.string(), ": the session cannot be written: ", reason());
  }

  std::filesystem::path path_, temporary_;
  int file_ = -1;
  bool done_ = false;
};

/// The rest of a file, piece by piece; the sizes were held against the file's before.
template <class Container>
Container take(std::ifstream& file, uint64_t count) {
  Container values;
  values.resize(static_cast<size_t>(count));
  file.read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(count * sizeof(*values.data())));
  return values;
}

/// Holds the header against the size of the file.
void check_header(const Header& header, uint64_t size, const std::string& name) {
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0)
    fail(ErrorCode::kBadSession, name, ": not a saved session: it does not begin as one");
  if (header.version != kVersion)
    fail(ErrorCode::kBadSession, name, ": a saved session of version ", header.version,
         "; this release reads version ", kVersion);
  constexpr uint64_t kMost = uint64_t{1} << 40;
  const bool counts = header.page_bytes < kMost && header.text_bytes < kMost;
  const uint64_t tokens = uint64_t{header.tokens} * sizeof(int32_t);
  // 32-bit counts times sizes below 2^40: the product may pass 2^64, so it is divided instead.
  const uint64_t before = sizeof(Header) + header.format_bytes + header.key_bytes +
                          (counts ? header.text_bytes : 0) + tokens;
  const bool fits =
      counts && size >= before &&
      (header.pages == 0 ? size == before
                         : header.page_bytes > 0 && (size - before) % header.page_bytes == 0 &&
                               (size - before) / header.page_bytes == header.pages);
  if (!fits || header.state_tokens > header.tokens ||
      header.pages != static_cast<uint32_t>(KvCache::pages_for(header.state_tokens)))
    fail(ErrorCode::kBadSession, name, ": damaged: ", size,
         " bytes are not what its header speaks of; save it again");
}

}  // namespace

uint64_t write_session(const std::filesystem::path& path, const ModelIdentity& model,
                       const Snapshot& snapshot, const std::string& text) {
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.version = kVersion;
  header.tokens = static_cast<uint32_t>(snapshot.tokens.size());
  header.fingerprint = model.fingerprint;
  header.page_bytes = model.page_bytes;
  header.state_tokens = static_cast<uint32_t>(snapshot.state_tokens);
  header.pages = static_cast<uint32_t>(KvCache::pages_for(snapshot.state_tokens));
  header.format_bytes = static_cast<uint32_t>(model.state_format.size());
  header.key_bytes = static_cast<uint32_t>(snapshot.cache_key.size());
  header.text_bytes = text.size();
  const std::initializer_list<Bytes> parts = {bytes_of(model.state_format),
                                              bytes_of(snapshot.cache_key), bytes_of(text),
                                              bytes_of(snapshot.tokens), bytes_of(snapshot.pages)};
  header.checksum = checksum(header, parts);

  NewFile file(path);
  file.write(std::as_bytes(std::span<const Header>(&header, 1)));
  uint64_t size = sizeof header;
  for (const Bytes part : parts) {
    file.write(part);
    size += part.size();
  }
  file.finish();
  return size;
}

SavedSession read_session(const std::filesystem::path& path, const ModelIdentity& model) {
  const std::string name = path.string();
  std::error_code error;
  const bool regular = std::filesystem::is_regular_file(path, error);
  const uint64_t size = regular ? std::filesystem::file_size(path, error) : 0;
  std::ifstream file(path, std::ios::binary);
  if (!regular || error || !file)
    fail(ErrorCode::kFile, name, ": the session cannot be read: ",
         error     ? error.message()
         : regular ? reason()
                   : "not a regular file");
  Header header{};
  if (size >= sizeof header) file.read(reinterpret_cast<char*>(&header), sizeof header);
  check_header(header, size, name);

  SavedSession saved;
  Snapshot& snapshot = saved.snapshot;
  const auto format = take<std::string>(file, header.format_bytes);
  snapshot.cache_key = take<std::string>(file, header.key_bytes);
  saved.text = take<std::string>(file, header.text_bytes);
  snapshot.tokens = take<std::vector<int32_t>>(file, header.tokens);
  snapshot.pages = take<std::vector<std::byte>>(file, header.pages * header.page_bytes);
  snapshot.state_tokens = static_cast<int>(header.state_tokens);
  if (!file ||
      checksum(header, {bytes_of(format), bytes_of(snapshot.cache_key), bytes_of(saved.text),
                        bytes_of(snapshot.tokens), bytes_of(snapshot.pages)}) != header.checksum)
    fail(ErrorCode::kBadSession, name, ": damaged: its checksum is wrong; save it again");
  if (header.fingerprint != model.fingerprint)
    fail(ErrorCode::kBadSession, name,
         ": saved from another model; load the one that it was saved from");
  if (std::ranges::any_of(snapshot.tokens, [&](int32_t id) { return id < 0 || id >= model.vocab; }))
    fail(ErrorCode::kBadSession, name, ": damaged: a token that the model does not have");
  if (format != model.state_format || header.page_bytes != model.page_bytes) {
    snapshot.state_tokens = 0;
    snapshot.pages.clear();
  }
  return saved;
}

}  // namespace cria
