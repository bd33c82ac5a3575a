// F3. The kernels of one table, by name. Each instruction-set folder defines them in the namespace
// of its table (CRIA_TABLE, set by the build), so that no two tables, not even two compilations of
// one folder, share a symbol: a linker may fold equal names, and would then run AVX-512 code on a
// machine without it. For the same reason all else in those folders has internal linkage.
#pragma once

#include "cpu/kernels.h"

namespace cria::cpu::CRIA_TABLE {

void matmul_f32(const MatmulArgs& args);
void matmul_f16(const MatmulArgs& args);
void matmul_bf16(const MatmulArgs& args);
void matmul_q4_0(const MatmulArgs& args);
void matmul_q4_1(const MatmulArgs& args);
void matmul_q5_0(const MatmulArgs& args);
void matmul_q5_1(const MatmulArgs& args);
void matmul_q8_0(const MatmulArgs& args);
void matmul_q2_k(const MatmulArgs& args);
void matmul_q3_k(const MatmulArgs& args);
void matmul_q4_k(const MatmulArgs& args);
void matmul_q5_k(const MatmulArgs& args);
void matmul_q6_k(const MatmulArgs& args);
void matmul_iq4_nl(const MatmulArgs& args);
void matmul_iq4_xs(const MatmulArgs& args);

void panels_f32(const PanelArgs& args);
void panels_f16(const PanelArgs& args);
void panels_bf16(const PanelArgs& args);
void panels_q4_0(const PanelArgs& args);
void panels_q4_1(const PanelArgs& args);
void panels_q5_0(const PanelArgs& args);
void panels_q5_1(const PanelArgs& args);
void panels_q8_0(const PanelArgs& args);
void panels_q2_k(const PanelArgs& args);
void panels_q3_k(const PanelArgs& args);
void panels_q4_k(const PanelArgs& args);
void panels_q5_k(const PanelArgs& args);
void panels_q6_k(const PanelArgs& args);
void panels_iq4_nl(const PanelArgs& args);
void panels_iq4_xs(const PanelArgs& args);

void quantize_q8_32(const float* x, int64_t cols, std::byte* out);
void quantize_q8_256(const float* x, int64_t cols, std::byte* out);
void rmsnorm(const float* x, const float* weight, float eps, int64_t n, float* out);
void rope(const RopeArgs& rope, float* x);
void store_kv(const KvStoreArgs& args);
void attention(const AttentionArgs& args);
void merge_splits(const MergeArgs& args);
void silu_mul(const float* gate, const float* up, int64_t n, float* out);
void add(float* x, const float* y, int64_t n);
void exp(const float* x, int64_t n, float* out);

int64_t dot_ceiling(int64_t iterations);
int64_t fma_ceiling(int64_t iterations);
uint64_t read_ceiling(const std::byte* p, int64_t bytes, int64_t times, bool prefetch);

/// The functions above as a table; a constant expression, so that the table needs no start-up code.
consteval Kernels make_kernels() {
  Kernels k{};
  const auto type = [&k](DType dtype) -> Matmul& { return k.matmul[static_cast<uint32_t>(dtype)]; };
  type(DType::kF32) = {Activation::kF32, matmul_f32, panels_f32};
  type(DType::kF16) = {Activation::kF32, matmul_f16, panels_f16};
  type(DType::kBF16) = {Activation::kF32, matmul_bf16, panels_bf16};
  type(DType::kQ4_0) = {Activation::kQ8_32, matmul_q4_0, panels_q4_0};
  type(DType::kQ4_1) = {Activation::kQ8_32, matmul_q4_1, panels_q4_1};
  type(DType::kQ5_0) = {Activation::kQ8_32, matmul_q5_0, panels_q5_0};
  type(DType::kQ5_1) = {Activation::kQ8_32, matmul_q5_1, panels_q5_1};
  type(DType::kQ8_0) = {Activation::kQ8_32, matmul_q8_0, panels_q8_0};
  type(DType::kIQ4_NL) = {Activation::kQ8_32, matmul_iq4_nl, panels_iq4_nl};
  type(DType::kQ2_K) = {Activation::kQ8_256, matmul_q2_k, panels_q2_k};
  type(DType::kQ3_K) = {Activation::kQ8_256, matmul_q3_k, panels_q3_k};
  type(DType::kQ4_K) = {Activation::kQ8_256, matmul_q4_k, panels_q4_k};
  type(DType::kQ5_K) = {Activation::kQ8_256, matmul_q5_k, panels_q5_k};
  type(DType::kQ6_K) = {Activation::kQ8_256, matmul_q6_k, panels_q6_k};
  type(DType::kIQ4_XS) = {Activation::kQ8_256, matmul_iq4_xs, panels_iq4_xs};
  k.quantize_q8_32 = quantize_q8_32;
  k.quantize_q8_256 = quantize_q8_256;
  k.rmsnorm = rmsnorm;
  k.rope = rope;
  k.store_kv = store_kv;
  k.attention = attention;
  k.merge_splits = merge_splits;
  k.silu_mul = silu_mul;
  k.add = add;
  k.exp = exp;
  k.ceilings = {dot_ceiling, fma_ceiling, read_ceiling};
  return k;
}

/// The one symbol that select.cpp takes from the folder.
extern const Kernels kernels;

}  // namespace cria::cpu::CRIA_TABLE
