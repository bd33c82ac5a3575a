// read_vocab: keys, defaults, and what each wrong value is refused with.
#include "model/vocab.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "support/check.h"

using namespace cria;
using gguf::ValueType;
using text::PieceType;
using text::Vocab;

namespace {

template <class T>
std::string raw(T value) {
  std::string out(sizeof value, '\0');
  std::memcpy(out.data(), &value, sizeof value);
  return out;
}

std::string string_value(const std::string& text) {
  return raw(uint64_t{text.size()}) + text;
}

// A metadata value: its type and its bytes as they lie in a file.
struct Value {
  ValueType type;
  std::string bytes;
};

Value u32(uint32_t value) {
  return {ValueType::kU32, raw(value)};
}
Value boolean(bool value) {
  return {ValueType::kBool, raw(uint8_t{value})};
}
Value string(const std::string& text) {
  return {ValueType::kString, string_value(text)};
}
Value strings(const std::vector<std::string>& texts) {
  std::string bytes = raw(ValueType::kString) + raw(uint64_t{texts.size()});
  for (const std::string& text : texts) bytes += string_value(text);
  return {ValueType::kArray, bytes};
}
Value floats(const std::vector<float>& values) {
  std::string bytes = raw(ValueType::kF32) + raw(uint64_t{values.size()});
  for (const float value : values) bytes += raw(value);
  return {ValueType::kArray, bytes};
}
Value ints(const std::vector<int32_t>& values) {
  std::string bytes = raw(ValueType::kI32) + raw(uint64_t{values.size()});
  for (const int32_t value : values) bytes += raw(value);
  return {ValueType::kArray, bytes};
}

/// The metadata of a small vocabulary, to be changed by each test.
struct Keys {
  std::vector<std::pair<std::string, Value>> entries = {
      {"model", string("llama")},
      {"tokens", strings({"<unk>", "<s>", "</s>", "<0x41>", "a", "<|im_end|>", "<|eot_id|>"})},
      {"scores", floats({0, 0, 0, 0, -1, 0, 0})},
      {"token_type", ints({2, 3, 3, 6, 1, 3, 1})},
  };

  Keys& set(const std::string& key, const Value& value) {
    drop(key);
    entries.emplace_back(key, value);
    return *this;
  }
  Keys& drop(const std::string& key) {
    std::erase_if(entries, [&](const auto& entry) { return entry.first == key; });
    return *this;
  }
  Vocab read() const {
    std::string bytes =
        "GGUF" + raw(uint32_t{3}) + raw(uint64_t{0}) + raw(uint64_t{entries.size()});
    for (const auto& [key, value] : entries)
      bytes += string_value("tokenizer.ggml." + key) + raw(value.type) + value.bytes;
    bytes.resize((bytes.size() + 31) / 32 * 32);
    return read_vocab(gguf::File::parse(std::as_bytes(std::span(bytes))));
  }
};

std::string shown(const std::vector<int32_t>& ids) {
  std::string out;
  for (const int32_t id : ids) out += cat(" ", id);
  return out;
}

}  // namespace

TEST(vocab_defaults) {
  const Vocab vocab = Keys().read();
  CHECK_EQ(vocab.pieces.size(), 7u);
  CHECK_EQ(vocab.pieces[4], "a");
  CHECK_EQ(vocab.scores[4], -1.0f);
  CHECK(vocab.types[3] == PieceType::kByte);
  CHECK_EQ(vocab.unknown, 0);
  CHECK_EQ(vocab.bos, 1);
  CHECK_EQ(vocab.eos, 2);
  CHECK(vocab.add_bos && vocab.add_space_prefix);
  // 5 is a control piece spelt as an end of turn; 6 is spelt so but is plain text.
  CHECK_EQ(shown(vocab.end_of_generation), " 2 5");
}

TEST(vocab_every_key) {
  Keys keys;
  keys.set("bos_token_id", u32(2)).set("eos_token_id", u32(1)).set("unknown_token_id", u32(4));
  keys.set("eot_token_id", u32(6)).set("eom_token_id", u32(3)).set("eos_token_ids", ints({1, 4}));
  keys.set("add_bos_token", boolean(false));
  keys.set("add_space_prefix", boolean(false));
  const Vocab vocab = keys.read();
  CHECK_EQ(vocab.bos, 2);
  CHECK_EQ(vocab.eos, 1);
  CHECK_EQ(vocab.unknown, 4);
  CHECK(!vocab.add_bos && !vocab.add_space_prefix);
  CHECK_EQ(shown(vocab.end_of_generation), " 1 3 4 5 6");
}

TEST(vocab_defaults_only_where_the_ids_exist) {
  Keys keys;
  keys.set("tokens", strings({"a"})).set("scores", floats({0})).set("token_type", ints({1}));
  const Vocab vocab = keys.read();
  CHECK_EQ(vocab.unknown, 0);
  CHECK_EQ(vocab.bos, -1);
  CHECK_EQ(vocab.eos, -1);
  CHECK_EQ(shown(vocab.end_of_generation), "");
}

TEST(vocab_types_from_spellings) {
  const Vocab vocab = Keys().drop("token_type").read();
  const PieceType expected[] = {PieceType::kUnknown, PieceType::kControl, PieceType::kControl,
                                PieceType::kByte,    PieceType::kNormal,  PieceType::kNormal,
                                PieceType::kNormal};
  CHECK(std::ranges::equal(vocab.types, expected));
}

TEST(vocab_refuses_what_it_cannot_read) {
  const auto unsupported = [](const char* model) {
    CHECK_THROWS(ErrorCode::kUnsupported, Keys().set("model", string(model)).read(), model);
  };
  unsupported("bert");
  unsupported("t5");
  Keys gpt2;
  gpt2.set("model", string("gpt2"));
  CHECK_THROWS(ErrorCode::kUnsupported, gpt2.read(), "got none");
  CHECK_THROWS(ErrorCode::kUnsupported, gpt2.set("pre", string("qwen2")).read(), "qwen2");
}

TEST(vocab_byte_level) {
  Keys keys;
  keys.set("model", string("gpt2")).set("pre", string("llama-bpe")).drop("scores");
  CHECK_THROWS(ErrorCode::kBadGguf, keys.read(), "merges");
  keys.set("merges", strings({"a b", "ab c"})).set("add_space_prefix", boolean(true));
  const Vocab vocab = keys.read();
  CHECK(vocab.algorithm == text::Algorithm::kByteBpe);
  CHECK_EQ(vocab.merges.size(), 2u);
  CHECK_EQ(vocab.merges[1], "ab c");
  CHECK(vocab.scores.empty() && vocab.add_bos && !vocab.add_space_prefix);
  CHECK_EQ(vocab.bos, -1);
  CHECK_EQ(vocab.eos, -1);
  CHECK_EQ(vocab.unknown, -1);
  CHECK(keys.drop("token_type").read().types[3] == PieceType::kNormal);
  CHECK_THROWS(ErrorCode::kBadGguf, keys.set("merges", ints({1})).read(), "merges");
}

TEST(vocab_refuses_bad_values) {
  // The key, a value it cannot have, and what the message says besides the key.
  const std::tuple<const char*, Value, const char*> cases[] = {
      {"model", u32(1), "string"},
      {"tokens", string("a"), "string"},
      {"tokens", ints({1, 2}), "string"},
      {"tokens", strings({}), "got 0"},
      {"scores", floats({0, 1}), "expected 7 values"},
      {"scores", u32(1), "array"},
      {"scores", strings({"1", "2"}), "array"},
      {"token_type", ints({1, 1, 1}), "expected 7 values"},
      {"token_type", ints({2, 3, 3, 6, 0, 3, 1}), "got 0 for piece 4"},
      {"token_type", ints({2, 3, 3, 6, 7, 3, 1}), "got 7 for piece 4"},
      {"token_type", ints({2, 3, 3, 6, 257, 3, 1}), "got 257 for piece 4"},
      {"token_type", ints({2, 3, 3, 6, -1, 3, 1}), "got -1 for piece 4"},
      {"token_type", floats({2, 3, 3, 6, 1, 3, 1}), "array"},
      {"bos_token_id", u32(7), "7"},
      {"eos_token_id", u32(0xFFFFFFFFu), "4294967295"},
      {"unknown_token_id", string("0"), "whole number"},
      {"eot_token_id", u32(7), "7"},
      {"eom_token_id", boolean(true), "whole number"},
      {"eos_token_ids", ints({2, 7}), "got 7"},
      {"eos_token_ids", ints({-1}), "got -1"},
      {"eos_token_ids", u32(2), "array"},
      {"add_bos_token", u32(1), "bool"},
      {"add_space_prefix", string("yes"), "bool"},
  };
  for (const auto& [key, value, part] : cases) {
    CHECK_THROWS(ErrorCode::kBadGguf, Keys().set(key, value).read(), part);
    CHECK_THROWS(ErrorCode::kBadGguf, Keys().set(key, value).read(), key);
  }
  for (const char* key : {"model", "tokens", "scores"})
    CHECK_THROWS(ErrorCode::kBadGguf, Keys().drop(key).read(), key);
}

TEST(vocab_of_the_shared_files) {
  for (const auto& [name, pieces] : {std::pair<const char*, size_t>{"vocab/llama2-spm.gguf", 32000},
                                     {"models/stories260k-f32.gguf", 512},
                                     {"models/cria-demo-q8_0.gguf", 2048}}) {
    const auto path = std::filesystem::path("../shared") / name;
    if (!std::filesystem::exists(path)) throw cria::test::Skip{path.string() + " is not here"};
    const text::Tokenizer tokenizer(read_vocab(gguf::File::open(path)));
    CHECK_EQ(static_cast<size_t>(tokenizer.size()), pieces);
    CHECK_EQ(tokenizer.vocab().bos, 1);
    CHECK(tokenizer.is_end_of_generation(2));
    CHECK_EQ(tokenizer.decode(tokenizer.encode(" Once upon a time", true)), " Once upon a time");
  }
}
