// F1. The table of tensor types. The position in the table is the id in the file, so a lookup is an
// index; a static_assert holds every row to its place.
#include "quant/dtype.h"

#include <iterator>

#include "base/error.h"

namespace cria {
namespace {

constexpr bool kComputed = true;
constexpr bool kKnown = false;  // can be named and measured, so that a message can say what it is

// Source: the public list of ggml types. Ids 4, 5, 31 to 33 and 36 to 38 were withdrawn from the
// format, and Q8_1 and Q8_K only ever hold activations; old files can still name them.
constexpr DTypeInfo kTypes[] = {
    {0, "F32", 1, 4, kComputed},        {1, "F16", 1, 2, kComputed},
    {2, "Q4_0", 32, 18, kComputed},     {3, "Q4_1", 32, 20, kComputed},
    {4, "Q4_2", 16, 10, kKnown},        {5, "Q4_3", 16, 12, kKnown},
    {6, "Q5_0", 32, 22, kComputed},     {7, "Q5_1", 32, 24, kComputed},
    {8, "Q8_0", 32, 34, kComputed},     {9, "Q8_1", 32, 36, kKnown},
    {10, "Q2_K", 256, 84, kComputed},   {11, "Q3_K", 256, 110, kComputed},
    {12, "Q4_K", 256, 144, kComputed},  {13, "Q5_K", 256, 176, kComputed},
    {14, "Q6_K", 256, 210, kComputed},  {15, "Q8_K", 256, 292, kKnown},
    {16, "IQ2_XXS", 256, 66, kKnown},   {17, "IQ2_XS", 256, 74, kKnown},
    {18, "IQ3_XXS", 256, 98, kKnown},   {19, "IQ1_S", 256, 50, kKnown},
    {20, "IQ4_NL", 32, 18, kComputed},  {21, "IQ3_S", 256, 110, kKnown},
    {22, "IQ2_S", 256, 82, kKnown},     {23, "IQ4_XS", 256, 136, kComputed},
    {24, "I8", 1, 1, kKnown},           {25, "I16", 1, 2, kKnown},
    {26, "I32", 1, 4, kKnown},          {27, "I64", 1, 8, kKnown},
    {28, "F64", 1, 8, kKnown},          {29, "IQ1_M", 256, 56, kKnown},
    {30, "BF16", 1, 2, kComputed},      {31, "Q4_0_4_4", 32, 18, kKnown},
    {32, "Q4_0_4_8", 32, 18, kKnown},   {33, "Q4_0_8_8", 32, 18, kKnown},
    {34, "TQ1_0", 256, 54, kKnown},     {35, "TQ2_0", 256, 66, kKnown},
    {36, "IQ4_NL_4_4", 32, 18, kKnown}, {37, "IQ4_NL_4_8", 32, 18, kKnown},
    {38, "IQ4_NL_8_8", 32, 18, kKnown}, {39, "MXFP4", 32, 17, kKnown},
    {40, "NVFP4", 64, 36, kKnown},      {41, "Q1_0", 128, 18, kKnown},
    {42, "Q2_0", 64, 18, kKnown},
};

constexpr bool each_row_at_its_id() {
  uint32_t id = 0;
  for (const DTypeInfo& info : kTypes)
    if (info.id != id++) return false;
  return true;
}
static_assert(each_row_at_its_id());

}  // namespace

const DTypeInfo* find_dtype(uint32_t id) {
  return id < std::size(kTypes) ? &kTypes[id] : nullptr;
}

const DTypeInfo& dtype_info(DType type) {
  const DTypeInfo* info = find_dtype(static_cast<uint32_t>(type));
  if (!info || !info->computed)
    fail(ErrorCode::kUnsupported, "tensor type ", info ? info->name : "with an unknown id", " (id ",
         static_cast<uint32_t>(type), ") is not one that Cria computes");
  return *info;
}

}  // namespace cria
