// F3. What the CUDA plugin (libcria_cuda.so) gives the core: one table of C functions, taken by
// its version. The plugin holds all that needs nvcc, cudart and a driver: memory, streams, graphs
// and kernels. The core holds what decides: the backend, its checks, its step (cuda/backend.cpp).
// The same sources compiled by g++ against cuda/emulation/ are a plugin whose device is the CPU.
//
// Plain data only. Every function that may fail returns 0 or a status that `error_text` explains;
// none throws. Operations are put on the device's stream and return at once; a fault of one shows
// in `synchronize`. Pointers are device memory except where said. Shape letters: backend/backend.h.
//
// Graphs. What a step computes differs from step to step only in the memory it reads, never in an
// argument: counts, positions, tokens and page tables lie in `CriaCudaStep` in device memory, and
// `rows` is the number of rows of the bucket, at least as many as are alive. So one captured graph
// serves every step of its bucket. A row beyond `alive` may be computed, from finite garbage, but
// is never stored to the cache and never read.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CRIA_CUDA_VERSION 1

extern "C" {

typedef struct CriaCudaDevice {
  char name[128];
  int32_t major, minor;  // compute capability
  int32_t multiprocessors;
  int32_t driver;  // of CUDA that the driver knows: 13000 is 13.0
  uint64_t memory_bytes, free_bytes;
} CriaCudaDevice;

/// A device that was opened: its stream and what its kernels keep.
typedef struct CriaCuda CriaCuda;
typedef struct CriaCudaGraph CriaCudaGraph;

/// A slice of a ragged batch, as `cria::Slice`; `first_page` is where its page table begins in
/// CriaCudaStep::pages.
typedef struct CriaCudaSlice {
  int32_t first_row, count, past, first_page;
} CriaCudaSlice;

/// What differs between the steps of a bucket, in device memory. The arrays are as long as the
/// bucket's limits (host: cuda/step.h); of them `slices` and `alive` entries are used.
typedef struct CriaCudaStep {
  int32_t alive;                // rows with a token
  int32_t slices;               // of the batch
  const int32_t* ids;           // [rows], 0 beyond alive
  const CriaCudaSlice* slice;   // [slices]
  const int32_t* slice_of_row;  // [rows], -1 beyond alive
  const int32_t* pages;         // the slices' page tables, one after the other
  const int32_t* gathered;      // rows that `gather` takes, 0 beyond those asked for
} CriaCudaStep;

/// [rows × cols] of a GGUF type, in the plugin's packed form.
typedef struct CriaCudaWeight {
  uint32_t type;  // cria::DType
  int64_t rows, cols;
  const void* data;  // null: absent
} CriaCudaWeight;

/// One product of one input: cria::Projection.
typedef struct CriaCudaProduct {
  CriaCudaWeight weight, gate;
  const float *bias, *gate_bias;  // [N] or null
  float* out;                     // [rows × N]
  int32_t accumulate;
} CriaCudaProduct;

typedef struct CriaCudaProject {
  const float* x;     // [rows × cols]
  const float* norm;  // [cols] or null
  float epsilon;
  int64_t rows, cols;
  int32_t count;                    // of products
  const CriaCudaProduct* products;  // host memory, read before the call returns
  void* scratch;                    // project_scratch bytes
} CriaCudaProject;

/// Keys and values of one layer: cria::LayerKv.
typedef struct CriaCudaKv {
  uint8_t* pages;
  int64_t page_bytes, head_bytes;
  int32_t type;  // cria::KvType
  int32_t kv_heads, head_width;
} CriaCudaKv;

typedef struct CriaCudaRope {
  const CriaCudaStep* step;
  const float* cos_sin;  // [rows × pairs × 2]
  int32_t pairs;
  int64_t rows;
  int32_t heads;   // H
  float *q, *k;    // [rows × H·K], [rows × G·K], rotated in place
  const float* v;  // [rows × G·K]
  CriaCudaKv kv;
} CriaCudaRope;

typedef struct CriaCudaAttention {
  const CriaCudaStep* step;
  const float* q;  // [rows × H·K]
  float* out;      // [rows × H·K]
  int64_t rows;
  int32_t heads;
  float scale;
  int32_t prefill;      // 0: no slice has more than a few rows (such are right, but slow)
  int32_t most_tokens;  // most tokens of a slice, cached and new, that this bucket serves
  CriaCudaKv kv;
  void* scratch;  // attention_scratch bytes
} CriaCudaAttention;

/// The draw of one row on the device: the token of the greatest logit (greedy), or one of what
/// top-k, top-p and min-p leave, by a number the host drew. The engine's semantics:
/// sampling/sampler.h.
typedef struct CriaCudaDraw {
  float temperature;   // 0: greedy
  int32_t top_k;       // 0: all
  float top_p, min_p;  // 1, 0: off
  double uniform;      // in [0, 1): the random number of this draw (sampling/numbers.h)
} CriaCudaDraw;

typedef struct CriaCudaSample {
  const float* logits;  // [rows × vocab]
  int64_t rows, vocab;
  const CriaCudaDraw* draws;  // [rows], device memory
  int32_t* ids;               // [rows]; -1 where no logit is a number, or one is infinite
  void* scratch;              // sample_scratch bytes
} CriaCudaSample;

typedef struct CriaCudaTable {
  uint32_t version;   // CRIA_CUDA_VERSION
  uint32_t bytes;     // of this struct
  const char* build;  // what it was built by and for: "CUDA 13.0: sm_75 sm_80 …", "emulation"

  const char* (*error_text)(int status);
  /// Whether the status is about memory that was not to be had (else: the device itself).
  int32_t (*is_out_of_memory)(int status);
  int (*device_count)(int32_t* count);
  int (*device_info)(int32_t device, CriaCudaDevice* info);
  int (*open)(int32_t device, CriaCuda** opened);
  void (*close)(CriaCuda*);

  int (*allocate)(CriaCuda*, size_t bytes, void** memory);  // zeroed, aligned to 256
  void (*release)(CriaCuda*, void* memory);
  int (*allocate_pinned)(CriaCuda*, size_t bytes, void** memory);  // host memory
  void (*release_pinned)(CriaCuda*, void* memory);
  /// On the stream; the host memory is pinned and stays as it is until a later synchronize, or
  /// mark and wait.
  int (*upload)(CriaCuda*, void* to, const void* from, size_t bytes);
  int (*download)(CriaCuda*, void* to, const void* from, size_t bytes);
  int (*copy)(CriaCuda*, void* to, const void* from, size_t bytes);
  int (*synchronize)(CriaCuda*);
  /// One of kCriaCudaMarks places on the stream, and waiting until the stream has passed it.
  int (*mark)(CriaCuda*, int32_t index);
  int (*wait)(CriaCuda*, int32_t index);

  /// What is put on the stream between begin and end becomes a graph and does not run.
  int (*begin_capture)(CriaCuda*);
  int (*end_capture)(CriaCuda*, CriaCudaGraph** graph);
  int (*launch_graph)(CriaCuda*, CriaCudaGraph*);
  void (*free_graph)(CriaCuda*, CriaCudaGraph*);

  /// Bytes of the packed form, a multiple of 256; 0 for a type the plugin cannot compute with.
  uint64_t (*weight_bytes)(uint32_t type, int64_t rows, int64_t cols);
  /// Packs rows [first, first + count) from their GGUF blocks, which lie in device memory. `first`
  /// is a multiple of kCriaCudaTileRows, and `count` too but at the weight's end.
  int (*pack_weight)(CriaCuda*, uint32_t type, int64_t rows, int64_t cols, int64_t first,
                     int64_t count, const void* blocks, void* packed);

  int (*embed)(CriaCuda*, const CriaCudaStep*, CriaCudaWeight table, int64_t rows, float* out);
  int (*gather)(CriaCuda*, const CriaCudaStep*, const float* x, int64_t cols, int64_t rows,
                float* out);
  uint64_t (*project_scratch)(CriaCuda*, int64_t rows, int64_t most_cols);
  int (*project)(CriaCuda*, const CriaCudaProject*);
  /// Bytes of a page of one KV head, a multiple of 64; 0 for a width the type cannot store.
  int64_t (*kv_page_bytes)(int32_t type, int32_t head_width);
  int (*rope_store_kv)(CriaCuda*, const CriaCudaRope*);
  uint64_t (*attention_scratch)(CriaCuda*, int64_t rows, int64_t query_cols);
  int (*attention)(CriaCuda*, const CriaCudaAttention*);
  uint64_t (*sample_scratch)(CriaCuda*, int64_t rows, int64_t vocab);
  int (*sample)(CriaCuda*, const CriaCudaSample*);
} CriaCudaTable;

/// The plugin's only symbol. Null where the plugin does not know that version.
const CriaCudaTable* cria_cuda_table(uint32_t version);
}

/// Outputs of a tile of packed weights.
inline constexpr int64_t kCriaCudaTileRows = 64;
inline constexpr int32_t kCriaCudaMarks = 4;
/// A slice of no more rows is computed row by row, whatever else is in the step.
inline constexpr int32_t kCriaCudaFewRows = 8;
