// libFuzzer entry: the first bytes make a vocabulary and cut the rest into segments of mixed trust.
// Checks what must hold for every vocabulary and every text, whatever is in them.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/byte_spelling.h"
#include "text/tokenizer.h"

namespace {

using cria::text::Algorithm;
using cria::text::PieceType;
using cria::text::Segment;
using cria::text::Tokenizer;
using cria::text::Vocab;

/// Takes bytes off the input; zeros once it is used up.
class Input {
 public:
  explicit Input(std::string_view bytes) : bytes_(bytes) {}
  uint8_t byte() {
    const std::string_view one = take(1);
    return one.empty() ? 0 : static_cast<uint8_t>(one.front());
  }
  std::string_view take(size_t count) {
    const std::string_view front = bytes_.substr(0, count);
    bytes_.remove_prefix(front.size());
    return front;
  }
  bool empty() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
};

void add(Vocab& vocab, std::string_view piece, PieceType type, float score) {
  vocab.pieces.emplace_back(piece);
  vocab.types.push_back(type);
  vocab.scores.push_back(score);
}

void add_bytes(Vocab& vocab, int first) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (int byte = first; byte < 256; ++byte) {
    if (vocab.algorithm == Algorithm::kSpm) {
      const std::string piece = {'<', '0', 'x', kDigits[byte / 16], kDigits[byte % 16], '>'};
      add(vocab, piece, PieceType::kByte, 0);
    } else {
      const char c = static_cast<char>(byte);
      std::string piece;
      cria::text::append_spelt({&c, 1}, piece);
      add(vocab, piece, PieceType::kNormal, 0);
    }
  }
}

/// The 256 bytes, <unk>, <s>, </s> and up to 31 pieces of any type, spelling and score; for
/// byte-level BPE, up to 31 merges as well. In some, a byte is missing.
Vocab make_vocab(Input& input) {
  Vocab vocab;
  const uint8_t flags = input.byte();
  vocab.algorithm = input.byte() & 1 ? Algorithm::kByteBpe : Algorithm::kSpm;
  add(vocab, "<unk>", PieceType::kUnknown, 0);
  add(vocab, "<s>", PieceType::kControl, 0);
  add(vocab, "</s>", PieceType::kControl, 0);
  add_bytes(vocab, flags & 1);
  for (int count = flags >> 3; count > 0; --count) {
    if (vocab.algorithm == Algorithm::kByteBpe) {
      const std::string left = vocab.pieces[input.byte()];
      const std::string right = vocab.pieces[vocab.pieces.size() - 1 - input.byte()];
      vocab.merges.push_back(left + " " + right);
      add(vocab, left + right, PieceType::kNormal, 0);
    }
    const uint8_t head =
        input.byte();  // 3 bits of type, of which 0 and 7 do not exist; 5 of length
    std::string piece(input.take(head >> 3));
    for (char& c : piece)
      if (c == '_') c = '\x81';  // reached less easily: the last byte of U+2581
    add(vocab, piece, static_cast<PieceType>(head & 7), static_cast<float>(input.byte() % 16) - 8);
  }
  vocab.bos = 1;
  vocab.eos = 2;
  vocab.unknown = flags & 2 ? 0 : -1;
  vocab.add_space_prefix = (flags & 4) != 0 && vocab.algorithm == Algorithm::kSpm;
  vocab.end_of_generation = {2};
  return vocab;
}

void require(bool holds) {
  if (!holds) std::abort();  // how a fuzz target reports a finding
}

void check(const Tokenizer& tokenizer, const std::vector<Segment>& segments) {
  size_t bytes = 0;
  bool trusted = false;
  std::string whole;
  for (const Segment& segment : segments) {
    bytes += segment.text.size();
    trusted = trusted || segment.special;
    whole += segment.text;
  }
  const std::vector<int32_t> ids = tokenizer.encode(segments, false);
  require(bytes <= ids.size() * tokenizer.max_piece_bytes());
  for (const int32_t id : ids) {
    require(id >= 0 && id < tokenizer.size());
    const PieceType type = tokenizer.vocab().types[static_cast<size_t>(id)];
    require(trusted || type != PieceType::kControl);
  }
  if (!trusted) require(ids == tokenizer.encode(whole, false));
  // Decoded text is UTF-8: to read it as such changes nothing.
  for (const bool special : {false, true}) {
    const std::string text = tokenizer.decode(ids, special);
    cria::text::Utf8Stream stream;
    std::string again;
    stream.push(text, again);
    require(!stream.holding() && again == text);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input({reinterpret_cast<const char*>(data), size});
  try {
    const Tokenizer tokenizer(make_vocab(input));
    std::vector<Segment> segments;
    while (!input.empty()) {
      const uint8_t head = input.byte();
      segments.push_back({input.take(head >> 1), (head & 1) != 0});
    }
    check(tokenizer, segments);
  } catch (const cria::Error& error) {
    require(error.code() == cria::ErrorCode::kBadGguf);  // only the vocabulary may be refused
  }
  return 0;
}
