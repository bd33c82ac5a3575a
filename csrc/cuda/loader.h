// F3. Finding and opening the CUDA plugin, and the devices it sees. Nothing of it happens before a
// device is asked for, so the core runs on machines that have no driver.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cuda/plugin.h"

namespace cria::cuda {

/// The oldest architecture (compute capability) that the kernels are written for.
inline constexpr int kLeastMajor = 7, kLeastMinor = 5;

/// An opened plugin of this version with no entry missing. The library stays in the process.
class Plugin {
 public:
  /// Opens `path`, or where it is empty the library beside the file that this code is in (the
  /// addon, or a test). Throws kNoDevice with the reason and what to do.
  static std::shared_ptr<const Plugin> open(const std::string& path);

  const CriaCudaTable& table() const { return *table_; }
  const std::string& path() const { return path_; }

  /// Devices that the driver shows. Throws kNoDevice where there is no driver, or one too old.
  int device_count() const;
  /// Facts of device `index`. Throws kNoDevice where the driver does not give them.
  CriaCudaDevice device(int index) const;
  /// As `device`, of one to compute on: kNoDevice, too, for an index out of range and for an
  /// architecture that the kernels are not written for.
  CriaCudaDevice usable_device(int index) const;

 private:
  Plugin(std::string path, const CriaCudaTable* table) : path_(std::move(path)), table_(table) {}

  std::string path_;
  const CriaCudaTable* table_;
};

/// Where `Plugin::open("")` looks.
std::string default_plugin_path();

/// "9.0"
std::string capability(const CriaCudaDevice& device);

/// What a look at this machine found, for reports.
struct Survey {
  struct Seen {
    CriaCudaDevice facts;
    std::string problem;  // why Cria cannot compute on it; empty: it can
  };
  std::string path;     // of the plugin that was looked for
  std::string build;    // the plugin's own words; empty: none was opened
  std::string problem;  // why there is no device; empty where there is one
  std::vector<Seen> devices;
};
/// Never throws for what it finds.
Survey survey(const std::string& path);

}  // namespace cria::cuda
