#include "cuda/loader.h"

#include <dlfcn.h>

#include <cstddef>
#include <cstring>
#include <filesystem>

#include "base/error.h"

namespace cria::cuda {
namespace {

constexpr const char* kLibrary = "libcria_cuda.so";
constexpr const char* kRemedy = "; or compute on 'cpu'";

/// A place in this library, for the loader to say which file it is in.
const char kHere = 0;

/// Every entry after the three facts is a pointer to a function: none may be missing.
bool complete(const CriaCudaTable& table) {
  constexpr size_t kFirst = offsetof(CriaCudaTable, error_text);
  static_assert((sizeof(CriaCudaTable) - kFirst) % sizeof(void*) == 0);
  const auto* bytes = reinterpret_cast<const std::byte*>(&table);
  for (size_t at = kFirst; at < sizeof(CriaCudaTable); at += sizeof(void*)) {
    void* entry;
    std::memcpy(&entry, bytes + at, sizeof entry);
    if (!entry) return false;
  }
  return table.build != nullptr;
}

/// The runtime says of a driver that is missing what it says of one too old: that it is too old.
const char* driver_remedy() {
  void* driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver) dlclose(driver);
  return driver ? "; update the NVIDIA driver"
                : "; libcuda.so.1, the NVIDIA driver, is not found: install it";
}

std::string reason() {
  const char* text = dlerror();
  return text ? text : "unknown reason";
}

}  // namespace

std::string default_plugin_path() {
  Dl_info info;
  if (dladdr(&kHere, &info) == 0 || !info.dli_fname) return kLibrary;
  std::error_code error;
  const auto file = std::filesystem::absolute(info.dli_fname, error);
  return (file.parent_path() / kLibrary).string();
}

std::shared_ptr<const Plugin> Plugin::open(const std::string& path) {
  const std::string file = path.empty() ? default_plugin_path() : path;
  std::error_code error;
  if (!std::filesystem::exists(file, error))
    fail(ErrorCode::kNoDevice, "this build has no CUDA plugin: there is no ", file,
         "; build one with `npm run build:cuda` where nvcc is", kRemedy);
  // Never unloaded: a driver keeps threads and exit handlers that point into the library.
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!library)
    fail(ErrorCode::kNoDevice, "the CUDA plugin cannot be opened: ", reason(),
         "; build it again with `npm run build:cuda`", kRemedy);
  using Entry = const CriaCudaTable* (*)(uint32_t);
  const auto entry = reinterpret_cast<Entry>(dlsym(library, "cria_cuda_table"));
  const CriaCudaTable* table = entry ? entry(CRIA_CUDA_VERSION) : nullptr;
  dlclose(library);
  if (!entry)
    fail(ErrorCode::kNoDevice, file, " is no CUDA plugin of Cria: it has no cria_cuda_table; ",
         "build one with `npm run build:cuda`", kRemedy);
  if (!table || table->version != CRIA_CUDA_VERSION || table->bytes != sizeof(CriaCudaTable))
    fail(ErrorCode::kNoDevice, file,
         " is a CUDA plugin of another version of Cria: this one needs ", "version ",
         CRIA_CUDA_VERSION, "; build it again with `npm run build:cuda`", kRemedy);
  if (!complete(*table))
    fail(ErrorCode::kNoDevice, file, " is a CUDA plugin that lacks functions; build it again with ",
         "`npm run build:cuda`", kRemedy);
  return std::shared_ptr<const Plugin>(new Plugin(file, table));
}

int Plugin::device_count() const {
  int32_t count = 0;
  if (const int status = table_->device_count(&count))
    fail(ErrorCode::kNoDevice, "CUDA cannot be used here: ", table_->error_text(status),
         driver_remedy(), kRemedy);
  if (count <= 0)
    fail(ErrorCode::kNoDevice, "the driver shows no CUDA device to this process; look at ",
         "`nvidia-smi` and CUDA_VISIBLE_DEVICES", kRemedy);
  return count;
}

CriaCudaDevice Plugin::device(int index) const {
  CriaCudaDevice facts{};
  if (const int status = table_->device_info(index, &facts))
    fail(ErrorCode::kNoDevice, "cuda:", index, " cannot be looked at: ", table_->error_text(status),
         "; look at `nvidia-smi`", kRemedy);
  facts.name[sizeof facts.name - 1] = 0;
  return facts;
}

CriaCudaDevice Plugin::usable_device(int index) const {
  const int count = device_count();
  if (index < 0 || index >= count)
    fail(ErrorCode::kNoDevice, "there is no cuda:", index, ": this process sees ", count,
         count == 1 ? " CUDA device, cuda:0" : " CUDA devices, from cuda:0 on", kRemedy);
  const CriaCudaDevice facts = device(index);
  if (facts.major < kLeastMajor || (facts.major == kLeastMajor && facts.minor < kLeastMinor))
    fail(ErrorCode::kNoDevice, "cuda:", index, " (", facts.name, ") has compute capability ",
         capability(facts), " and the kernels need ", kLeastMajor, ".", kLeastMinor,
         " or later; take a newer device", kRemedy);
  return facts;
}

std::string capability(const CriaCudaDevice& device) {
  return cat(device.major, ".", device.minor);
}

Survey survey(const std::string& path) {
  Survey found;
  found.path = path.empty() ? default_plugin_path() : path;
  try {
    const auto plugin = Plugin::open(path);
    found.build = plugin->table().build;
    const int count = plugin->device_count();
    for (int i = 0; i < count; ++i) {
      Survey::Seen seen{};
      try {
        seen.facts = plugin->device(i);
        plugin->usable_device(i);
      } catch (const Error& error) {
        seen.problem = error.what();
      }
      found.devices.push_back(std::move(seen));
    }
  } catch (const Error& error) {
    found.problem = error.what();
  }
  return found;
}

}  // namespace cria::cuda
