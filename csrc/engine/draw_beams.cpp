// Engine's part of a beam search: a round of it, between rows of logits and the beams that go on.
#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/engine.h"

namespace cria {
namespace {

/// What becomes of a beam's text by a choice.
struct Continued {
  BeamChoice choice;
  std::vector<int32_t> tokens;  // without the prompt
  TextStream text;
  std::optional<Constraint> constraint;
  std::string said;
  std::vector<TokenLogprob> logprobs;
  bool stopped = false;  // by itself
  bool ended = false;    // stopped, or its length is used up
};

/// One round: all beams have offered their choices.
class Round {
 public:
  Round(Task& lead, Scheduler& scheduler, const text::Tokenizer& tokenizer, int context)
      : lead_(lead),
        search_(lead.group->search),
        scheduler_(scheduler),
        tokenizer_(tokenizer),
        context_(context),
        beams_(lead.group->beams) {
    if (beams_.empty()) beams_.push_back(&lead);
  }

  enum class Outcome { kGoesOn, kOver, kStarved };  // kStarved: for want of pages
  /// Ends the texts that end, and has the likeliest others go on.
  Outcome run();

 private:
  std::vector<BeamChoice> choices() const;
  Continued text_of(const BeamChoice& choice) const;
  Continued ended_by(const BeamChoice& choice) const;
  Continued continued_by(const BeamChoice& choice) const;
  void end(Continued text);
  void go_on(std::vector<Continued> texts);
  Task* child_of(Task& parent, bool last);

  size_t length() const { return static_cast<size_t>(beams_.front()->completion_tokens()) + 1; }

  Task& lead_;
  BeamSearch& search_;
  Scheduler& scheduler_;
  const text::Tokenizer& tokenizer_;
  const int context_;
  std::vector<Task*> beams_;
  bool starved_ = false;
};

Round::Outcome Round::run() {
  const std::vector<BeamChoice> choices = this->choices();
  std::vector<Continued> going;
  for (size_t i = 0; i < choices.size() && going.size() < search_.beams(); ++i) {
    if (tokenizer_.is_end_of_generation(choices[i].id)) {
      // One that no beam would go on with says nothing of how good it is to end here.
      if (i < search_.beams()) end(ended_by(choices[i]));
      continue;
    }
    Continued text = continued_by(choices[i]);
    if (text.ended)
      end(std::move(text));
    else
      going.push_back(std::move(text));
  }
  if (going.empty() || !search_.may_improve(going.front().choice.total, length()))
    return Outcome::kOver;
  go_on(std::move(going));
  return starved_ ? Outcome::kStarved : Outcome::kGoesOn;
}

std::vector<BeamChoice> Round::choices() const {
  std::vector<BeamChoice> all;
  for (const Task* beam : beams_)
    all.insert(all.end(), beam->beam->choices.begin(), beam->beam->choices.end());
  return search_.best(std::move(all));
}

/// The beam's text, before the choice is part of it.
Continued Round::text_of(const BeamChoice& choice) const {
  const Task& parent = *beams_[choice.beam];
  return {choice,
          {parent.tokens.begin() + parent.prompt_tokens, parent.tokens.end()},
          parent.text,
          parent.constraint,
          parent.beam->text,
          parent.logprobs};
}

/// The text ends with a token that is no part of it.
Continued Round::ended_by(const BeamChoice& choice) const {
  Continued text = text_of(choice);
  text.text.flush(text.said);
  text.stopped = text.ended = true;
  return text;
}

Continued Round::continued_by(const BeamChoice& choice) const {
  const Task& parent = *beams_[choice.beam];
  const Request& request = *parent.request;
  Continued next = text_of(choice);
  next.tokens.push_back(choice.id);
  if (request.logprobs >= 0)
    next.logprobs.push_back(token_logprob(parent.beam->logits, choice.id, request.logprobs));
  const TextStream::Pushed pushed =
      next.constraint ? next.text.push(next.constraint->take(choice.id), next.said)
                      : next.text.push(choice.id, next.said);
  next.stopped = pushed.stopped || (next.constraint && next.constraint->finished());
  const bool full = static_cast<int>(parent.tokens.size()) + 1 >= context_;
  const bool enough =
      request.max_tokens > 0 && parent.completion_tokens() + 1 >= request.max_tokens;
  next.ended = next.stopped || full || enough;
  if (next.ended && !pushed.stopped) next.text.flush(next.said);
  return next;
}

void Round::end(Continued text) {
  BeamEnding ending;
  ending.text.tokens = std::move(text.tokens);
  ending.text.text = std::move(text.said);
  ending.text.score = search_.score(text.choice.total, length());
  ending.text.stopped = text.stopped;
  if (text.constraint) ending.text.grammar_complete = text.constraint->complete();
  ending.logprobs = std::move(text.logprobs);
  search_.end(std::move(ending));
}

/// The last text that goes on from a beam takes it over; those before it fork.
void Round::go_on(std::vector<Continued> texts) {
  std::vector<size_t> children(beams_.size(), 0);
  for (const Continued& text : texts) ++children[text.choice.beam];
  for (size_t i = 0; i < beams_.size(); ++i)
    if (children[i] == 0 && beams_[i] != &lead_) {
      std::erase(lead_.group->beams, beams_[i]);
      scheduler_.drop_beam(beams_[i]);
    }
  std::vector<Task*> tasks;
  for (const Continued& text : texts) {
    Task* task = child_of(*beams_[text.choice.beam], --children[text.choice.beam] == 0);
    if (!task) return;
    tasks.push_back(task);
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    Task& task = *tasks[i];
    Continued& text = texts[i];
    task.tokens.push_back(text.choice.id);
    task.text = text.text;
    task.constraint = std::move(text.constraint);
    task.logprobs = std::move(text.logprobs);
    task.beam->total = text.choice.total;
    task.beam->text = std::move(text.said);
    task.beam->offered = false;
  }
  lead_.group->beams = std::move(tasks);
}

/// Null where the search has begun again, or is starved.
Task* Round::child_of(Task& parent, bool last) {
  if (last && &parent != &lead_) return &parent;
  Task* child = scheduler_.fork(parent, starved_);
  if (child) lead_.group->beams.push_back(child);  // so that whoever ends the search finds it
  return child;
}

}  // namespace

/// A row of a beam, or of the prompt that they all begin with.
void Engine::offer(Task& task, std::span<float> logits, std::vector<Task*>& searches) {
  Task& lead = task.whole();
  Beam& beam = *task.beam;
  try {
    if (task.request->logprobs >= 0) beam.logits.assign(logits.begin(), logits.end());
    for (const auto& [id, bias] : task.request->sampling.logit_bias)
      logits[static_cast<size_t>(id)] += bias;
    const double all = log_sum_exp(logits);
    if (!std::isfinite(all))
      fail(ErrorCode::kBackend, "the logits are not finite numbers; the model file may be damaged");
    if (task.constraint) task.constraint->mask(logits);
    const std::vector<Task*>& beams = lead.group->beams;
    const auto index = static_cast<size_t>(std::ranges::find(beams, &task) - beams.begin());
    beam.choices = lead.group->search.offer(index, beam.total, logits, all);
    beam.offered = true;
  } catch (const Error& error) {
    lead.beam->failure = error;
  }
  if (std::ranges::find(searches, &lead) == searches.end()) searches.push_back(&lead);
}

/// After all rows of the step are drawn, for a fork may send others back.
void Engine::advance(const std::vector<Task*>& searches, StepRecord& record) {
  for (Task* lead : searches) {
    if (lead->beam->failure) {
      finish(lead, FinishReason::kError, {}, lead->beam->failure);
      continue;
    }
    const std::vector<Task*>& beams = lead->group->beams;
    const auto offered = [](const Task* beam) { return beam->beam->offered; };
    // One that had to give way to another search meanwhile begins again.
    if (beams.empty() ? !lead->beam->offered : !std::ranges::all_of(beams, offered)) continue;
    ++record.generated_tokens;
    if (lead->first_token == Clock::time_point{}) lead->first_token = Clock::now();
    Round round(*lead, scheduler_, *model_->tokenizer, model_->plan.context_size);
    switch (round.run()) {
      case Round::Outcome::kGoesOn:
        break;
      case Round::Outcome::kOver:
        finish_search(*lead);
        break;
      case Round::Outcome::kStarved:
        finish(lead, FinishReason::kError, {}, no_room_for_beams(*lead));
    }
  }
}

void Engine::finish_search(Task& lead) {
  std::vector<BeamEnding> endings = lead.group->search.take_endings();
  if (endings.empty())
    return finish(&lead, FinishReason::kError, {},
                  Error(ErrorCode::kBadArgument,
                        "logitBias leaves no token that could go on with any beam; ban fewer"));
  BeamEnding& best = endings.front();
  lead.tokens.insert(lead.tokens.end(), best.text.tokens.begin(), best.text.tokens.end());
  lead.logprobs = std::move(best.logprobs);
  const bool stopped = best.text.stopped;
  const std::optional<bool> complete = best.text.grammar_complete;
  std::string text = best.text.text;
  std::vector<BeamText> texts;
  for (BeamEnding& ending : endings) texts.push_back(std::move(ending.text));
  finish(&lead, stopped ? FinishReason::kStop : FinishReason::kLength, std::move(text));
  End& end = *updates_.back().end;
  end.beams = std::move(texts);
  end.grammar_complete = complete;
}

}  // namespace cria
