// F0. A file mapped read-only. If another process cuts the file short while it is mapped, a read
// past the new end would raise SIGBUS and end the process; here the lost part reads as zeros and
// the mapping remembers that it is damaged, so that its owner can fail with an error instead.
#pragma once

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

namespace cria {

/// How many files can be mapped at once in one process.
inline constexpr int kMaxMappedFiles = 1024;

class MappedFile {
 public:
  /// Maps the whole of a regular file. Throws kFile (missing, a directory or pipe, unreadable,
  /// empty, too many mapped …) or kOutOfMemory (no address space left), with the system's reason.
  static std::shared_ptr<MappedFile> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  /// The contents, as long as the file was when it was opened; starts at a page boundary.
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }
  /// Tells the system that these bytes of the contents are read next, so that it may fetch them
  /// meanwhile; or that they are not read again, so that the process need not keep them.
  void will_need(std::span<const std::byte> bytes) const;
  void done_with(std::span<const std::byte> bytes) const;
  /// Whether a read has met a part of the file that is not there any more.
  bool damaged() const;

 private:
  MappedFile() = default;
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  int guard_slot_ = -1;
};

}  // namespace cria
