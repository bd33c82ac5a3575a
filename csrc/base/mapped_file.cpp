// F0. Mapping of files, and the SIGBUS guard over the mappings (POSIX).
//
// The guard is the one deliberate piece of process-wide state in Cria. It cannot be anything else:
// a signal's action belongs to the process, the kernel gives the handler nothing but an address,
// and a handler may neither lock nor allocate. So the live mappings stand in a fixed table of
// atomics, which the handler only reads, apart from raising a slot's `damaged` flag.
#include "base/mapped_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace cria {
namespace {

// ---- the table of guarded mappings
// -----------------------------------------------------------------

/// One guarded mapping. `version` is odd while the slot is being changed, and differs afterwards: a
/// handler on another thread that reads the same even version before and after the bounds knows
/// that they belong together.
struct Slot {
  std::atomic<bool> taken{false};
  std::atomic<uint32_t> version{0};
  std::atomic<uintptr_t> begin{0};
  std::atomic<uintptr_t> end{0};
  std::atomic<bool> damaged{false};
};
static_assert(std::atomic<uintptr_t>::is_always_lock_free &&
              std::atomic<bool>::is_always_lock_free);

constinit Slot slots[kMaxMappedFiles];
struct sigaction previous_action;  // written once, before the handler can run
uintptr_t page_bytes = 0;          // likewise

void set_bounds(Slot& slot, uintptr_t begin, uintptr_t end) {
  slot.version.fetch_add(1);
  slot.begin.store(begin);
  slot.end.store(end);
  slot.version.fetch_add(1);
}

/// If `address` lies in a guarded mapping, puts zero pages from its page to the end of the mapping
/// and returns true. To the end, because behind a lost page of a shortened file everything is lost,
/// and because one remapping instead of one per page keeps the kernel's list of mappings short.
bool cover_with_zeros(uintptr_t address) {
  for (Slot& slot : slots) {
    const uint32_t version = slot.version.load();
    const uintptr_t begin = slot.begin.load(), end = slot.end.load();
    if (version % 2 != 0 || slot.version.load() != version) continue;
    if (address < begin || address >= end) continue;
    const uintptr_t page = address & ~(page_bytes - 1);
    void* const covered = ::mmap(reinterpret_cast<void*>(page), end - page, PROT_READ,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (covered == MAP_FAILED) return false;
    slot.damaged.store(true);
    return true;
  }
  return false;
}

/// The SIGBUS handler. A fault that is not ours goes to the handler that was there before, or has
/// the effect it would have had without us.
void on_sigbus(int signal_number, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  const bool from_kernel = info->si_code > 0;  // else `kill` sent it, and si_addr means nothing
  const bool handled = from_kernel && cover_with_zeros(reinterpret_cast<uintptr_t>(info->si_addr));
  errno = saved_errno;
  if (handled) return;
  if (previous_action.sa_flags & SA_SIGINFO) {
    previous_action.sa_sigaction(signal_number, info, context);
  } else if (previous_action.sa_handler == SIG_IGN && !from_kernel) {
    return;
  } else if (previous_action.sa_handler == SIG_DFL || previous_action.sa_handler == SIG_IGN) {
    ::signal(signal_number, SIG_DFL);
    ::raise(signal_number);  // blocked until this handler returns, then ends the process
  } else {
    previous_action.sa_handler(signal_number);
  }
}

void install_guard() {
  static std::once_flag once;
  std::call_once(once, [] {
    page_bytes = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    ::sigaction(SIGBUS, nullptr, &previous_action);
    struct sigaction action = {};
    action.sa_sigaction = on_sigbus;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;  // a thread of the host may have a small stack
    sigemptyset(&action.sa_mask);
    if (::sigaction(SIGBUS, &action, nullptr) != 0)
      fail(ErrorCode::kFile, "cannot install the SIGBUS handler that guards mapped files: ",
           std::generic_category().message(errno));
  });
}

/// Returns the slot that now guards the range, or -1 if all are taken.
int guard(const std::byte* data, size_t size) {
  install_guard();
  const size_t whole_pages = (size + page_bytes - 1) / page_bytes * page_bytes;
  const auto begin = reinterpret_cast<uintptr_t>(data);
  for (int i = 0; i < kMaxMappedFiles; ++i) {
    if (slots[i].taken.exchange(true)) continue;
    slots[i].damaged.store(false);
    set_bounds(slots[i], begin, begin + whole_pages);
    return i;
  }
  return -1;
}

// ---- opening
// ---------------------------------------------------------------------------------------

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

[[noreturn]] void fail_to(const char* verb, const std::filesystem::path& path, int error) {
  fail(error == ENOMEM ? ErrorCode::kOutOfMemory : ErrorCode::kFile, "cannot ", verb, " ",
       path.string(), ": ", std::generic_category().message(error));
}

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

}  // namespace

std::shared_ptr<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  if (path.native().find('\0') != std::string::npos)
    fail(ErrorCode::kFile, "cannot open a file whose path has a zero byte in it");
  // O_NONBLOCK: opening a pipe for reading would otherwise wait for a writer.
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (fd.get() < 0) fail_to("open", path, errno);
  struct stat status = {};
  if (::fstat(fd.get(), &status) != 0) fail_to("examine", path, errno);
  if (!S_ISREG(status.st_mode))
    fail(ErrorCode::kFile, "cannot read ", path.string(), ": expected a regular file, but it is ",
         kind_of(status.st_mode));
  if (status.st_size <= 0)
    fail(ErrorCode::kFile, "cannot read ", path.string(),
         ": the file is empty; was its download interrupted?");

  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = path;
  const auto size = static_cast<size_t>(status.st_size);
  void* const mapped = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (mapped == MAP_FAILED) fail_to("map", path, errno);
  file->data_ = static_cast<const std::byte*>(mapped);
  file->size_ = size;
  file->descriptor_ = fd.release();
  file->guard_slot_ = guard(file->data_, size);
  if (file->guard_slot_ < 0)
    fail(ErrorCode::kFile, "cannot map ", path.string(), ": ", kMaxMappedFiles,
         " files are mapped already, the most this process can have; dispose of models first");
  return file;
}

MappedFile::~MappedFile() {
  // First out of the table: once unmapped, the addresses may belong to someone else.
  if (guard_slot_ >= 0) set_bounds(slots[guard_slot_], 0, 0);
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
  if (descriptor_ >= 0) ::close(descriptor_);
  if (guard_slot_ >= 0) slots[guard_slot_].taken.store(false);
}

void MappedFile::will_need(std::span<const std::byte> bytes) const {
  const uintptr_t begin = reinterpret_cast<uintptr_t>(bytes.data()) / page_bytes * page_bytes;
  const uintptr_t end = reinterpret_cast<uintptr_t>(bytes.data()) + bytes.size();
  if (end > begin) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_WILLNEED);
}

void MappedFile::copy(std::span<const std::byte> bytes, std::byte* to) const noexcept {
  auto offset = static_cast<off_t>(bytes.data() - data_);
  size_t left = bytes.size();
  while (left > 0) {
    const ssize_t count = ::pread(descriptor_, to, left, offset);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {  // as behind a lost page of the mapping
      std::memset(to, 0, left);
      slots[guard_slot_].damaged.store(true);
      return;
    }
    offset += count;
    to += count;
    left -= static_cast<size_t>(count);
  }
}

bool MappedFile::damaged() const {
  return slots[guard_slot_].damaged.load();
}

}  // namespace cria
