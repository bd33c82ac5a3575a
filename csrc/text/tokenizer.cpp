// F1. Text to token ids and back: cuts the special pieces out of a text, hands the rest to a
// PlainEncoder.
#include "text/tokenizer.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "text/piece_index.h"
#include "text/piece_texts.h"
#include "text/plain_encoder.h"
#include "text/special_matcher.h"
#include "text/vocab_check.h"

namespace cria::text {
namespace {

// A space becomes three bytes for Spm; with them a text must stay within a Symbol's 32 bits.
constexpr size_t kMaxTextBytes = size_t{1} << 30;
// A code point that is no piece becomes one unknown token, and is at most this long.
constexpr size_t kMaxCodePointBytes = 4;

Vocab checked(Vocab vocab) {
  check_vocab(vocab);
  return vocab;
}

// The segments as one text. A single one, the usual case, is not copied.
class JoinedText {
 public:
  explicit JoinedText(std::span<const Segment> segments) {
    size_t total = 0;
    for (const Segment& segment : segments) {
      total += segment.text.size();
      if (segment.text.size() > kMaxTextBytes || total > kMaxTextBytes)
        fail(ErrorCode::kBadArgument, "text of over ", kMaxTextBytes,
             " bytes; expected at most that: encode it in parts");
    }
    if (segments.size() == 1) {
      text_ = segments.front().text;
      return;
    }
    copy_.reserve(total);
    for (const Segment& segment : segments) copy_ += segment.text;
    text_ = copy_;
  }
  JoinedText(const JoinedText&) = delete;
  JoinedText& operator=(const JoinedText&) = delete;

  std::string_view text() const { return text_; }

 private:
  std::string copy_;
  std::string_view text_;
};

}  // namespace

struct Tokenizer::Impl {
  explicit Impl(Vocab given);

  /// The special pieces in the text that the segments make together, in order.
  std::vector<SpecialHit> find_special(std::span<const Segment> segments,
                                       std::string_view text) const;
  void check_id(int32_t id) const;

  const Vocab vocab;
  const PieceIndex index;
  const SpecialMatcher special;
  const SpecialMatcher user_defined;
  const std::unique_ptr<const PlainEncoder> plain;
  const PieceTexts texts;
  std::vector<bool> ends;  // [V] whether the id ends a generation
  size_t max_piece_bytes = 1;
};

Tokenizer::Impl::Impl(Vocab given)
    : vocab(checked(std::move(given))),
      index(vocab),
      special(vocab, SpecialMatcher::Kind::kAll),
      user_defined(vocab, SpecialMatcher::Kind::kUserDefined),
      plain(make_plain_encoder(vocab)),
      texts(vocab),
      ends(vocab.pieces.size()) {
  for (const int32_t id : vocab.end_of_generation) ends[static_cast<size_t>(id)] = true;
  // In the pieces' own spelling: a U+2581 that stands in the text is three bytes of it.
  for (size_t id = 0; id < vocab.pieces.size(); ++id) {
    if (vocab.types[id] != PieceType::kByte)
      max_piece_bytes = std::max(max_piece_bytes, vocab.pieces[id].size());
  }
  if (!plain->has_all_bytes()) max_piece_bytes = std::max(max_piece_bytes, kMaxCodePointBytes);
}

std::vector<SpecialHit> Tokenizer::Impl::find_special(std::span<const Segment> segments,
                                                      std::string_view text) const {
  // First inside each trusted segment alone, so that what stands beside it can neither complete a
  // control token nor take part of one away.
  std::vector<SpecialHit> trusted;
  size_t begin = 0;
  for (const Segment& segment : segments) {
    if (segment.special) special.find(segment.text, begin, trusted);
    begin += segment.text.size();
  }
  if (user_defined.empty()) return trusted;
  // Then user-defined pieces in all that is left, across seams.
  std::vector<SpecialHit> all;
  size_t free = 0;
  for (const SpecialHit& hit : trusted) {
    user_defined.find(text.substr(free, hit.at - free), free, all);
    all.push_back(hit);
    free = hit.at + hit.bytes;
  }
  user_defined.find(text.substr(free), free, all);
  return all;
}

void Tokenizer::Impl::check_id(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= vocab.pieces.size())
    fail(ErrorCode::kBadArgument, "token id ", id, "; expected 0 to ", vocab.pieces.size() - 1);
}

Tokenizer::Tokenizer(Vocab vocab) : impl_(std::make_unique<Impl>(std::move(vocab))) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

std::vector<int32_t> Tokenizer::encode(std::span<const Segment> segments, bool bos) const {
  const JoinedText joined(segments);
  const std::string_view text = joined.text();
  std::vector<int32_t> ids;
  if (bos && impl_->vocab.bos >= 0) ids.push_back(impl_->vocab.bos);
  size_t free = 0;
  for (const SpecialHit& hit : impl_->find_special(segments, text)) {
    impl_->plain->encode(text.substr(free, hit.at - free), ids);
    ids.push_back(hit.id);
    free = hit.at + hit.bytes;
  }
  impl_->plain->encode(text.substr(free), ids);
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool special) const {
  std::string out;
  StreamDecoder decoder(*this, special);
  for (const int32_t id : ids) decoder.push(id, out);
  decoder.flush(out);
  return out;
}

std::string_view Tokenizer::bytes_of(int32_t id, bool special) const {
  impl_->check_id(id);
  return impl_->texts.of(id, special);
}

const Vocab& Tokenizer::vocab() const {
  return impl_->vocab;
}

int32_t Tokenizer::size() const {
  return static_cast<int32_t>(impl_->vocab.pieces.size());
}

std::optional<int32_t> Tokenizer::id_of(std::string_view piece) const {
  const int32_t id = impl_->index.find(piece);
  return id < 0 ? std::nullopt : std::optional(id);
}

bool Tokenizer::is_end_of_generation(int32_t id) const {
  impl_->check_id(id);
  return impl_->ends[static_cast<size_t>(id)];
}

size_t Tokenizer::max_piece_bytes() const {
  return impl_->max_piece_bytes;
}

}  // namespace cria::text
