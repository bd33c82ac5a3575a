// F5. A load before anything large is allocated: files opened and checked, devices chosen, memory
// planned, of a model and of its draft.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "engine/placement.h"
#include "gguf/gguf.h"
#include "model/config.h"
#include "text/tokenizer.h"

namespace cria {

struct Opened {
  gguf::File file;
  Config config;
  LoadOptions options;
  Placement placed = {};
  std::shared_ptr<const text::Tokenizer> tokenizer = nullptr;  // see read_tokenizer
};

struct OpenedLoad {
  Opened model;  // its plan counts the draft
  std::optional<Opened> draft;
};

/// Throws as `LoadedModel::load` does, but for memory: the plan may not fit.
OpenedLoad open_load(const std::filesystem::path& path, const LoadOptions& options,
                     uint64_t available);

/// Takes time, and a plan needs none. Throws kBadGguf where it does not go with the network.
void read_tokenizer(Opened& model);

}  // namespace cria
