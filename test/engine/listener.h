// What requests hear of an engine.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/temp_folder.h"
#include "engine/engine.h"
#include "model/tiny_llama.h"

namespace cria::test {

struct Heard {
  std::string text;
  std::vector<int32_t> tokens;
  std::vector<TokenLogprob> logprobs;
  std::vector<float> values;
  std::optional<End> end;
};

/// Options with a draft of that shape, in a file that lives as long as the object.
struct WithDraft {
  explicit WithDraft(const TinyShape& shape = {}, LoadOptions rest = {}) : options(rest) {
    options.draft = TinyLlama(shape).file().write(folder / "draft.gguf");
  }
  TempFolder folder;
  LoadOptions options;
};

/// An engine of a tiny model, and what its requests hear.
class Listener final : public UpdateSink {
 public:
  explicit Listener(LoadOptions options = {}) {
    options.device.threads = 2;
    options.time_steps = false;
    const TinyLlama tiny({});
    engine =
        std::make_unique<Engine>(LoadedModel::load(
                                     tiny.file().write(folder_ / "tiny.gguf"), options,
                                     [](uint64_t, uint64_t) { return true; }, uint64_t{1} << 40),
                                 *this);
  }
  ~Listener() override { engine.reset(); }

  void publish(std::vector<Update> updates) noexcept override {
    const std::lock_guard lock(mutex_);
    for (Update& update : updates) {
      Heard& heard = heard_[update.request];
      heard.text += update.text;
      std::ranges::copy(update.tokens, std::back_inserter(heard.tokens));
      std::ranges::move(update.logprobs, std::back_inserter(heard.logprobs));
      if (!update.values.empty()) heard.values = update.values;
      if (update.end) heard.end = std::move(update.end);
    }
    changed_.notify_all();
  }

  int32_t post(std::shared_ptr<Request> request) {
    request->id = ++last_;
    engine->post(std::move(request));
    return last_;
  }
  Heard wait(int32_t id) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return heard_[id].end.has_value(); });
    return heard_[id];
  }
  Heard ask(std::shared_ptr<Request> request) { return wait(post(std::move(request))); }

 private:
  TempFolder folder_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int32_t, Heard> heard_;
  int32_t last_ = 0;

 public:
  std::unique_ptr<Engine> engine;
};

}  // namespace cria::test
