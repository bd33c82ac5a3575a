// What keeps a device from being used, each with its reason and what to do.
#include <dlfcn.h>

#include <filesystem>
#include <fstream>

#include "base/temp_folder.h"
#include "cuda/loader.h"
#include "device/device.h"

namespace cria::test {
namespace {

void check_refused(const std::string& plugin, const char* part) {
  const cuda::Options options{0, plugin};
  CHECK_THROWS(ErrorCode::kNoDevice, cuda::make_backend(options), part);
  CHECK_THROWS(ErrorCode::kNoDevice, cuda::make_backend(options), "'cpu'");
  const cuda::Survey found = cuda::survey(plugin);
  const std::string said =
      found.problem.empty() && !found.devices.empty() ? found.devices[0].problem : found.problem;
  CHECK(said.find(part) != std::string::npos);
}

}  // namespace

TEST(loader_says_why_there_is_no_plugin) {
  TempFolder folder;
  check_refused((folder / "libcria_cuda.so").string(), "no CUDA plugin");
  check_refused((folder / "libcria_cuda.so").string(), "npm run build:cuda");
  std::ofstream(folder / "text.so") << "not a library";
  check_refused((folder / "text.so").string(), "cannot be opened");
  Dl_info info{};
  CHECK(dladdr(reinterpret_cast<const void*>(&std::free), &info) != 0);
  check_refused(std::filesystem::canonical(info.dli_fname).string(), "no cria_cuda_table");
}

TEST(loader_looks_beside_its_own_file) {
  const std::filesystem::path path = cuda::default_plugin_path();
  CHECK(path.is_absolute());
  CHECK_EQ(path.filename().string(), "libcria_cuda.so");
  CHECK(std::filesystem::exists(path.parent_path() / "test_device"));  // the loader is linked in
}

TEST(loader_says_why_there_is_no_device) {
  const std::pair<const char*, const char*> faults[] = {
      {"version", "of another version"},
      {"incomplete", "lacks functions"},
      {"no-driver", "no CUDA driver is installed"},
      {"old-driver", "older than the runtime"},
      {"no-device", "shows no CUDA device"},
      {"old-architecture", "compute capability 6.1 and the kernels need 7.5"},
  };
  for (const auto& [name, part] : faults) {
    const Fault fault(name);
    check_refused(CRIA_PLAIN_PLUGIN, part);
  }
  CHECK_THROWS(ErrorCode::kNoDevice, cuda::make_backend({1, CRIA_PLAIN_PLUGIN}), "no cuda:1");
}

TEST(loader_surveys_a_device) {
  const cuda::Survey found = cuda::survey(CRIA_PLAIN_PLUGIN);
  CHECK_EQ(found.problem, "");
  CHECK(found.build.find("plain") != std::string::npos);
  CHECK_EQ(found.devices.size(), size_t{1});
  CHECK_EQ(std::string(found.devices[0].facts.name), "plain");
  CHECK_EQ(found.devices[0].problem, "");
}

}  // namespace cria::test
