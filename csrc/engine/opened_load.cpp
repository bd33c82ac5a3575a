#include "engine/opened_load.h"

#include <algorithm>

#include "model/vocab.h"

namespace cria {
namespace {

Opened open_file(const std::filesystem::path& path, const LoadOptions& options) {
  gguf::File file = gguf::File::open(path);
  Config config = read_checked_config(file);
  return {std::move(file), std::move(config), options};
}

/// A guess is an id, so the same id has to be the same text.
void check_same_vocabulary(const text::Tokenizer& model, const text::Tokenizer& draft) {
  const auto refuse = [](const auto&... difference) {
    fail(ErrorCode::kBadArgument, "draft: expected a model of the same vocabulary, but ",
         difference..., "; take a smaller model of the same family");
  };
  if (model.size() != draft.size())
    refuse("it has ", draft.size(), " tokens and the model ", model.size());
  for (int32_t id = 0; id < model.size(); ++id) {
    const auto at = static_cast<size_t>(id);
    if (model.vocab().pieces[at] != draft.vocab().pieces[at] ||
        model.vocab().types[at] != draft.vocab().types[at])
      refuse("token ", id, " is ", gguf::quoted(draft.vocab().pieces[at]), " there and ",
             gguf::quoted(model.vocab().pieces[at]), " in the model");
  }
}

/// The draft that the options name, held against the model's tokenizer.
std::optional<Opened> open_draft(const LoadOptions& options, Opened& model) {
  if (options.draft.empty()) return std::nullopt;
  LoadOptions own = options;
  own.draft.clear();
  own.context_size = 0;
  Opened draft = open_file(options.draft, own);
  draft.options.batch_size = std::min(kDraftBatch, draft.config.trained_context);
  read_tokenizer(draft);
  read_tokenizer(model);
  check_same_vocabulary(*model.tokenizer, *draft.tokenizer);
  return draft;
}

MemoryPlan plan(const Opened& model, uint64_t available) {
  return plan_memory(model.file, model.config, *model.placed.device.backend, model.options,
                     available);
}

/// Places the draft beside the model, on the same device. Its sequences are as long as the model's,
/// as far as it was trained for; the model's are bounded by what the rest of the draft leaves.
void place_draft(Opened& model, Opened& draft, uint64_t available) {
  draft.options.device.device = model.placed.device.name;
  draft.placed = place(draft.file, draft.config, draft.options, available);
  const MemoryPlan least = plan(draft, 0);
  const uint64_t room = model.placed.available;
  model.placed.plan = plan(model, room - std::min(room, least.weight_bytes + least.scratch_bytes));
  draft.options.context_size =
      std::min(model.placed.plan.context_size, draft.config.trained_context);
  draft.placed.plan = plan(draft, room);
  model.placed.plan.draft_bytes = draft.placed.plan.total();
}

}  // namespace

void read_tokenizer(Opened& model) {
  model.tokenizer = std::make_shared<const text::Tokenizer>(read_vocab(model.file));
  if (model.tokenizer->size() != model.config.vocab)
    fail(ErrorCode::kBadGguf, "tokenizer.ggml.tokens: expected the ", model.config.vocab,
         " pieces that token_embd.weight has rows for, got ", model.tokenizer->size());
}

OpenedLoad open_load(const std::filesystem::path& path, const LoadOptions& options,
                     uint64_t available) {
  OpenedLoad load{open_file(path, options), std::nullopt};
  load.draft = open_draft(options, load.model);
  load.model.placed = place(load.model.file, load.model.config, options, available);
  if (!load.draft) return load;
  place_draft(load.model, *load.draft, available);
  if (options.device.device == "auto" && load.model.placed.device.is_gpu &&
      !load.model.placed.fits()) {  // with its draft it does not fit there
    load.model.options.device.device = "cpu";
    load.model.placed = place(load.model.file, load.model.config, load.model.options, available);
    load.draft->options.context_size = 0;
    place_draft(load.model, *load.draft, available);
  }
  return load;
}

}  // namespace cria
