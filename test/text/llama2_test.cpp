// The Llama 2 vocabulary against its published vectors.
#include <sstream>

#include "text/fixtures.h"

using namespace cria;
using namespace cria::test;

namespace {

std::vector<std::string> split(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  size_t at = 0;
  for (size_t next; (next = text.find(separator, at)) != std::string::npos;) {
    parts.push_back(text.substr(at, next - at));
    at = next + separator.size();
  }
  parts.push_back(text.substr(at));
  return parts;
}

}  // namespace

TEST(llama2_vectors) {
  const text::Tokenizer tokenizer(shared_vocab("vocab/llama2-spm.gguf"));
  auto texts = split(read_file(shared_file("vocab/llama2-spm.inp")), "\n__ggml_vocab_test__\n");
  texts.pop_back();  // the separator ends each text, so nothing follows the last one
  const auto lines = split(read_file(shared_file("vocab/llama2-spm.out")), "\n");
  CHECK_EQ(texts.size(), 46u);
  CHECK(lines.size() >= texts.size());
  for (size_t i = 0; i < texts.size() && i < lines.size(); ++i) {
    std::istringstream line(lines[i]);
    Ids expected;
    for (int32_t id; line >> id;) expected.push_back(id);
    const Ids ids = tokenizer.encode(texts[i], false);
    CHECK_EQ(shown(ids), shown(expected));
    CHECK_EQ(tokenizer.decode(expected), texts[i]);
  }
}

TEST(llama2_chat_prompt) {
  const text::Tokenizer tokenizer(shared_vocab("vocab/llama2-spm.gguf"));
  // The template's own tokens count; the same spelling from the user does not.
  const text::Segment segments[] = {{"<s>[INST] ", true}, {"</s>Hi", false}, {" [/INST]", true}};
  const Ids ids = tokenizer.encode(segments, false);
  CHECK_EQ(shown(ids), " 1 518 25580 29962 1533 29879 29958 18567 518 29914 25580 29962");
  CHECK_EQ(tokenizer.decode(ids), "[INST] </s>Hi [/INST]");
  CHECK_EQ(tokenizer.decode(ids, true), "<s>[INST] </s>Hi [/INST]");
}
