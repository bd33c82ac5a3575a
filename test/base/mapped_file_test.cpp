// Mapping of files: what is refused, and the guard against files that shrink while they are mapped.
#include "base/mapped_file.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "base/temp_folder.h"
#include "support/check.h"

using namespace cria;
using cria::test::TempFolder;

namespace {

const auto kPage = static_cast<size_t>(::sysconf(_SC_PAGESIZE));

std::vector<std::byte> pattern(size_t size) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i % 251 + 1);  // never zero
  return bytes;
}

/// Bytes that are not zero, read one by one.
size_t count_non_zero(std::span<const std::byte> bytes) {
  size_t count = 0;
  for (const std::byte byte : bytes) count += byte != std::byte{0};
  return count;
}

/// The SIGBUS handler that was there before Cria's: installed before main, so before any mapping.
constexpr int kEarlierHandler = 42;
const bool earlier_handler_installed = [] {
  struct sigaction action = {};
  action.sa_sigaction = [](int, siginfo_t*, void*) { ::_exit(kEarlierHandler); };
  action.sa_flags = SA_SIGINFO;
  return ::sigaction(SIGBUS, &action, nullptr) == 0;
}();

/// Runs `body` in a child process and returns its wait status.
template <class Body>
int status_of_child(Body body) {
  const pid_t child = ::fork();
  if (child == 0) {
    body();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

/// Maps a file without the guard and reads behind its end, which raises SIGBUS.
void fault_elsewhere(const TempFolder& folder) {
  const auto path = folder.write("foreign", pattern(kPage));
  FILE* stream = std::fopen(path.c_str(), "rb");
  void* mapped = ::mmap(nullptr, 2 * kPage, PROT_READ, MAP_SHARED, ::fileno(stream), 0);
  const volatile char* bytes = static_cast<char*>(mapped);
  (void)bytes[kPage];
}

}  // namespace

TEST(a_mapped_file_has_the_bytes_of_the_file) {
  const TempFolder folder;
  for (const size_t size : {size_t{1}, kPage - 1, kPage, 3 * kPage + 7}) {
    const auto bytes = pattern(size);
    const auto file = MappedFile::open(folder.write("file", bytes));
    CHECK(std::ranges::equal(file->bytes(), bytes));
    CHECK(!file->damaged());
    CHECK_EQ(file->path(), folder / "file");
  }
}

TEST(what_is_not_a_readable_file_is_refused_with_the_reason) {
  const TempFolder folder;
  CHECK_THROWS(ErrorCode::kFile, MappedFile::open(folder / "absent"), "No such file");
  CHECK_THROWS(ErrorCode::kFile, MappedFile::open(folder / ""), "a directory");
  CHECK_THROWS(ErrorCode::kFile, MappedFile::open(folder.write("empty", {})), "empty");
  CHECK_THROWS(ErrorCode::kFile, MappedFile::open("/dev/null"), "a device");
  CHECK_THROWS(ErrorCode::kFile, MappedFile::open(""), "cannot open");
  CHECK_THROWS(ErrorCode::kFile, MappedFile::open(std::string("a\0b", 3)), "zero byte");
  const auto pipe = folder / "pipe";
  CHECK_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  CHECK_THROWS(ErrorCode::kFile, MappedFile::open(pipe), "a pipe");  // and does not wait
}

TEST(a_file_without_permission_is_refused) {
  if (::geteuid() == 0) throw test::Skip{"root may read everything"};
  const TempFolder folder;
  const auto path = folder.write("secret", pattern(10));
  std::filesystem::permissions(path, std::filesystem::perms::none);
  CHECK_THROWS(ErrorCode::kFile, MappedFile::open(path), "Permission denied");
}

TEST(a_file_cut_short_reads_as_zeros_and_is_damaged) {
  const TempFolder folder;
  const auto path = folder.write("file", pattern(16 * kPage));
  const auto file = MappedFile::open(path);
  std::filesystem::resize_file(path, 4 * kPage);
  CHECK_EQ(count_non_zero(file->bytes().first(4 * kPage)), 4 * kPage);
  CHECK(!file->damaged());
  CHECK_EQ(count_non_zero(file->bytes().subspan(9 * kPage, 10)),
           size_t{0});  // a page in the middle
  CHECK(file->damaged());
  CHECK_EQ(count_non_zero(file->bytes()), 4 * kPage);
}

TEST(only_the_file_that_was_cut_is_damaged) {
  const TempFolder folder;
  const auto whole = MappedFile::open(folder.write("whole", pattern(2 * kPage)));
  const auto cut_path = folder.write("cut", pattern(2 * kPage + 5));
  auto cut = MappedFile::open(cut_path);
  std::filesystem::resize_file(cut_path, 0);
  CHECK_EQ(count_non_zero(cut->bytes()), size_t{0});
  CHECK(cut->damaged());
  CHECK(!whole->damaged());
  cut.reset();
  // A slot used again starts clean.
  for (int i = 0; i < 3; ++i) CHECK(!MappedFile::open(folder / "whole")->damaged());
}

TEST(threads_may_read_a_damaged_file_together) {
  const TempFolder folder;
  const auto path = folder.write("file", pattern(64 * kPage));
  const auto file = MappedFile::open(path);
  std::filesystem::resize_file(path, kPage);
  std::vector<size_t> found(4);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < found.size(); ++t)
    threads.emplace_back([&, t] { found[t] = count_non_zero(file->bytes()); });
  for (auto& thread : threads) thread.join();
  for (const size_t count : found) CHECK_EQ(count, kPage);
  CHECK(file->damaged());
}

TEST(a_copy_has_the_files_bytes_and_zeros_behind_a_new_end) {
  const TempFolder folder;
  const auto path = folder.write("file", pattern(3 * kPage));
  const auto file = MappedFile::open(path);
  std::vector<std::byte> got(2 * kPage, std::byte{1});
  const auto middle = file->bytes().subspan(kPage / 2, got.size());
  file->copy(middle, got.data());
  CHECK(std::equal(got.begin(), got.end(), middle.begin()));
  file->copy(file->bytes().first(0), got.data());
  CHECK(!file->damaged());

  std::filesystem::resize_file(path, kPage);
  file->copy(middle, got.data());
  CHECK(std::equal(got.begin(), got.begin() + static_cast<ptrdiff_t>(kPage / 2), middle.begin()));
  CHECK_EQ(count_non_zero(got), kPage / 2);
  CHECK(file->damaged());
}

TEST(the_number_of_mapped_files_is_bounded_by_an_error) {
  const TempFolder folder;
  const auto path = folder.write("file", pattern(10));
  std::vector<std::shared_ptr<MappedFile>> files;
  for (int i = 0; i < kMaxMappedFiles; ++i) files.push_back(MappedFile::open(path));
  CHECK_THROWS(ErrorCode::kFile, MappedFile::open(path), "dispose of models");
  files.pop_back();
  CHECK_EQ(MappedFile::open(path)->bytes().size(), size_t{10});
}

TEST(a_sigbus_that_is_not_ours_goes_to_the_earlier_handler) {
  CHECK(earlier_handler_installed);
  const TempFolder folder;
  const auto file = MappedFile::open(folder.write("file", pattern(10)));
  const int faulted = status_of_child([&] { fault_elsewhere(folder); });
  CHECK(WIFEXITED(faulted) && WEXITSTATUS(faulted) == kEarlierHandler);
  // `kill` gives no address: the handler must not take the sender's id for one.
  const int sent = status_of_child([] { ::kill(::getpid(), SIGBUS); });
  CHECK(WIFEXITED(sent) && WEXITSTATUS(sent) == kEarlierHandler);
  CHECK(!file->damaged());
}
