// Damage at random and on purpose: whatever the bytes, the outcome is a File whose views lie in the
// bytes, or an Error; and a header never makes the reader allocate much more than it is long.
#include <random>

#include "gguf/allocations.h"
#include "gguf/gguf_builder.h"
#include "gguf/inspect.h"
#include "support/check.h"

using namespace cria;
using cria::gguf::File;
using cria::gguf::ValueType;
using cria::test::Bytes;
using cria::test::GgufBuilder;

namespace {

/// A small file with everything in it.
Bytes sample() {
  return GgufBuilder()
      .u32("general.alignment", 32)
      .string("general.architecture", "llama")
      .u8("a", 1)
      .i16("b", -2)
      .u64("c", 3)
      .f32("d", 4.5f)
      .f64("e", 1e9)
      .boolean("f", true)
      .strings("tokens", {"<s>", "", "hello"})
      .floats("scores", {0.0f, -1.0f})
      .array("flags", ValueType::kBool, std::vector<uint8_t>{1, 0})
      .array("wide", ValueType::kI64, std::vector<int64_t>{-1, 2})
      .tensor("x", DType::kF32, {4, 3}, Bytes(48))
      .tensor("y", DType::kQ8_0, {32, 2}, Bytes(68))
      .tensor("z", DType::kF16, {7}, Bytes(14))
      .bytes();
}

struct Outcome {
  int read = 0, refused = 0;
};

/// Reads `bytes` from a block of memory of exactly their size, and all that the result offers.
void attempt(const Bytes& bytes, Outcome& outcome) {
  const Bytes exact(bytes.begin(), bytes.end());
  test::reset_allocations();
  try {
    const File file = File::parse(exact);
    for (const gguf::Tensor& tensor : file.tensors())
      CHECK(test::within({tensor.data, tensor.bytes}, exact));
    for (const gguf::Entry& entry : file.entries())
      CHECK(test::within(std::as_bytes(std::span(entry.key)), exact));
    test::touch(file);
    ++outcome.read;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kBadGguf) {
      CHECK(error.offset().has_value());
    } else {
      CHECK(error.code() == ErrorCode::kUnsupported);
    }
    ++outcome.refused;
  }
  CHECK(test::allocated_bytes() < (size_t{1} << 20) + 1000 * bytes.size());
}

}  // namespace

TEST(a_file_cut_at_any_byte_is_refused) {
  const Bytes whole = sample();
  Outcome outcome;
  attempt(whole, outcome);
  CHECK_EQ(outcome.read, 1);
  for (size_t size = 0; size < whole.size(); ++size)
    attempt(Bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)), outcome);
  CHECK_EQ(outcome.read, 1);
  CHECK_EQ(outcome.refused, static_cast<int>(whole.size()));
}

TEST(a_boundary_number_at_any_place_is_harmless) {
  const Bytes whole = sample();
  Outcome outcome;
  const auto put = [&](size_t at, auto number) {
    if (at + sizeof(number) > whole.size()) return;
    Bytes bytes = whole;
    std::memcpy(bytes.data() + at, &number, sizeof(number));
    attempt(bytes, outcome);
  };
  constexpr uint64_t k31 = uint64_t{1} << 31, k32 = uint64_t{1} << 32, k63 = uint64_t{1} << 63;
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const uint64_t number : {uint64_t{0}, uint64_t{1}, k31 - 1, k31, k32 - 1, k32, k63 - 1,
                                  k63, ~uint64_t{31}, ~uint64_t{0}})
      put(at, number);
    for (const uint64_t number : {uint64_t{0}, uint64_t{1}, k31 - 1, k31, k32 - 1})
      put(at, static_cast<uint32_t>(number));
  }
  CHECK(outcome.refused > 3000);
  CHECK(outcome.read > 1000);  // changed tensor data and plain values are no error
}

TEST(flips_splices_and_repeats_are_harmless) {
  const Bytes whole = sample();
  std::mt19937_64 random(12);
  const auto below = [&](size_t limit) { return static_cast<ptrdiff_t>(random() % limit); };
  Outcome outcome;
  for (int round = 0; round < 6000; ++round) {
    Bytes bytes = whole;
    const auto changes = 1 + below(4);
    for (ptrdiff_t change = 0; change < changes && !bytes.empty(); ++change) {
      const ptrdiff_t at = below(bytes.size());
      const ptrdiff_t size =
          below(std::min<size_t>(bytes.size() - static_cast<size_t>(at), 40) + 1);
      switch (random() % 5) {
        case 0:
          bytes[static_cast<size_t>(at)] ^= static_cast<std::byte>(1u << random() % 8);
          break;
        case 1:
          bytes[static_cast<size_t>(at)] = static_cast<std::byte>(random());
          break;
        case 2:
          bytes.erase(bytes.begin() + at, bytes.begin() + at + size);
          break;
        case 3: {  // a piece of the file, somewhere else
          const ptrdiff_t from = below(whole.size() - 40);
          bytes.insert(bytes.begin() + at, whole.begin() + from, whole.begin() + from + size);
          break;
        }
        default: {
          const ptrdiff_t from = below(whole.size() - 40);
          std::copy_n(whole.begin() + from, size, bytes.begin() + at);
        }
      }
    }
    attempt(bytes, outcome);
  }
  CHECK_EQ(outcome.read + outcome.refused, 6000);
  CHECK(outcome.read > 100 && outcome.refused > 100);
}

TEST(huge_counts_cost_nothing) {
  for (const uint64_t count :
       {uint64_t{1} << 16, uint64_t{1} << 20, uint64_t{1} << 40, uint64_t{1} << 63, ~uint64_t{0}}) {
    const GgufBuilder files[] = {
        GgufBuilder().claim_tensors(count),
        GgufBuilder().claim_entries(count),
        GgufBuilder().u8("k", 0).claim_entries(count).claim_tensors(count),
        GgufBuilder().raw("k", ValueType::kArray,
                          GgufBuilder::array_head(ValueType::kString, count)),
    };
    for (const GgufBuilder& file : files) {
      const Bytes bytes = file.bytes();
      test::reset_allocations();
      CHECK_THROWS(ErrorCode::kBadGguf, File::parse(bytes), "expected at most");
      CHECK(test::allocated_bytes() < size_t{64} << 10);
    }
  }
}

TEST(a_long_file_of_zeros_with_huge_counts_costs_little) {
  // Long enough to hold what the header announces: it must fail at the first entry, not after
  // reserving for all of them.
  Bytes bytes = GgufBuilder().claim_entries(4000).claim_tensors(32000).bytes();
  bytes.resize(size_t{64} << 20);
  test::reset_allocations();
  CHECK_THROWS(ErrorCode::kBadGguf, File::parse(bytes), "key is empty");
  CHECK(test::allocated_bytes() < size_t{2} << 20);
}
