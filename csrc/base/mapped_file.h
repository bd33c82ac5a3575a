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

/// How many files can be mapped at once in one process. Each has a descriptor, too, of which a
/// process often may have no more than 1024.
inline constexpr int kMaxMappedFiles = 512;

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
  /// meanwhile.
  void will_need(std::span<const std::byte> bytes) const;
  /// Copies bytes of the contents to `to`, by reading the file. For what is read once this costs a
  /// fraction of looking at the mapping, which takes a page fault for every few pages, and leaves
  /// no page mapped. From any thread.
  void copy(std::span<const std::byte> bytes, std::byte* to) const noexcept;
  /// Whether a read has met a part of the file that is not there any more.
  bool damaged() const;

 private:
  MappedFile() = default;
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  int descriptor_ = -1;
  int guard_slot_ = -1;
};

}  // namespace cria
