// F2. Shapes in words, and what every backend holds an operation's arguments against before its
// kernels trust them. All throw kBadArgument unless said otherwise.
#pragma once

#include <span>
#include <string>

#include "backend/backend.h"
#include "base/error.h"

namespace cria {

inline std::string shape(int64_t rows, int64_t cols) {
  return cat("[", rows, "×", cols, "]");
}
inline std::string shape(const Matrix& m) {
  return shape(m.rows, m.cols);
}
inline std::string shape(const Weight& w) {
  return shape(w.rows, w.cols);
}

inline void check_same(const char* op, const char* a_name, const Matrix& a, const char* b_name,
                       const Matrix& b) {
  if (a.rows == b.rows && a.cols == b.cols) return;
  fail(ErrorCode::kBadArgument, op, ": ", a_name, " is ", shape(a), " but ", b_name, " is ",
       shape(b), "; both must have one shape");
}

/// A matrix as a file has it, of a computed type.
inline void check_weight(DType type, int64_t rows, int64_t cols, const Blocks& blocks) {
  const DTypeInfo& facts = dtype_info(type);
  if (rows >= 1 && cols >= 1 && cols % facts.block_weights == 0 && blocks.data) return;
  fail(ErrorCode::kBadArgument, "a weight of type ", facts.name, " and shape ", shape(rows, cols),
       blocks.data ? "" : " without data", "; columns must be a multiple of ", facts.block_weights);
}

inline void check_embed(const Weight& table, std::span<const int32_t> ids, const Matrix& out) {
  if (static_cast<int64_t>(ids.size()) != out.rows || table.cols != out.cols) {
    fail(ErrorCode::kBadArgument, "embed: ", ids.size(), " ids from a table ", shape(table),
         " into ", shape(out), "; expected ", shape(static_cast<int64_t>(ids.size()), table.cols));
  }
  for (int32_t id : ids) {
    if (id < 0 || id >= table.rows)
      fail(ErrorCode::kBadArgument, "embed: id ", id, " is not in [0, ", table.rows, ")");
  }
}

inline void check_projection(const Matrix& x, const Projection& p) {
  if (!p.weight) fail(ErrorCode::kBadArgument, "project: a weight without data, ", shape(p.weight));
  if (p.weight.cols != x.cols) {
    fail(ErrorCode::kBadArgument, "project: the input is ", shape(x), " but the weight is ",
         shape(p.weight), "; it takes ", p.weight.cols, " inputs");
  }
  if (p.out.rows != x.rows || p.out.cols != p.weight.rows) {
    fail(ErrorCode::kBadArgument, "project: the output is ", shape(p.out), " but the input ",
         shape(x), " times the weight ", shape(p.weight), " gives ", shape(x.rows, p.weight.rows));
  }
  if (!p.gate) return;
  if (p.gate->rows != p.weight.rows || p.gate->cols != p.weight.cols || !*p.gate) {
    fail(ErrorCode::kBadArgument, "project: the gate is ", shape(*p.gate), " but the weight is ",
         shape(p.weight), "; both must have one shape, and data");
  }
  if (p.accumulate) fail(ErrorCode::kBadArgument, "project: a gated product cannot accumulate");
}

inline void check_reserved(const Matrix& x, int64_t tokens, int64_t cols) {
  if (x.rows <= tokens && x.cols <= cols) return;
  fail(ErrorCode::kBadArgument, "project: the input is ", shape(x), " but ", shape(tokens, cols),
       " was reserved; call reserve first");
}

inline void check_batch(const char* op, std::span<const Slice> batch, const Matrix& q) {
  for (const Slice& s : batch) {
    const bool inside = s.first_row >= 0 && s.count >= 0 && s.first_row + s.count <= q.rows;
    if (!inside || s.past < 0 || (s.count > 0 && !s.pages)) {
      fail(ErrorCode::kBadArgument, op, ": a slice of ", s.count, " rows from ", s.first_row,
           " after ", s.past, " tokens, of a batch ", shape(q),
           "; it must lie in the batch and have a page table");
    }
  }
}

/// Whether pages of a type can hold heads of this width; kUnsupported with the remedy where the
/// type cannot.
inline void check_kv_width(KvType type, int head_width) {
  if (head_width < 2 || head_width % 2 != 0 || head_width > kMaxHeadWidth) {
    fail(ErrorCode::kBadArgument, "a KV cache of heads of width ", head_width,
         "; an even width up to ", kMaxHeadWidth, " is needed");
  }
  if (type == KvType::kQ8_0 && head_width % kKvGroup != 0) {
    fail(ErrorCode::kUnsupported, "a KV cache of type q8_0 needs heads of a multiple of ", kKvGroup,
         " elements, and this model's have ", head_width, "; use the type f16");
  }
}

/// Query heads of a KV head, after checking that q can be cut into heads and the pages, which take
/// `page_bytes`, hold them.
inline int group_heads(const char* op, const Matrix& q, const LayerKv& kv, int64_t page_bytes) {
  if (!kv.pages || kv.page_bytes < page_bytes || kv.head_bytes < kv.page_bytes || kv.kv_heads < 1)
    fail(ErrorCode::kBadArgument, op, ": a cache of ", kv.kv_heads, " heads with ",
         kv.pages ? kv.page_bytes : 0, " bytes a page and ", kv.head_bytes, " a head; pages need ",
         page_bytes, " and heads at least one page");
  const int64_t group = int64_t{kv.kv_heads} * kv.head_width;
  if (q.cols < group || q.cols % group != 0) {
    fail(ErrorCode::kBadArgument, op, ": queries ", shape(q), " over ", kv.kv_heads,
         " KV heads of width ", kv.head_width, "; the columns must be a multiple of ", group);
  }
  return static_cast<int>(q.cols / group);
}

inline void check_rope(const RopeAngles& angles, const Matrix& q, const Matrix& k, const Matrix& v,
                       const LayerKv& kv) {
  check_same("rope_store_kv", "k", k, "v", v);
  if (k.rows != q.rows || k.cols != int64_t{kv.kv_heads} * kv.head_width) {
    fail(ErrorCode::kBadArgument, "rope_store_kv: queries ", shape(q), " with keys ", shape(k),
         "; expected ", shape(q.rows, int64_t{kv.kv_heads} * kv.head_width));
  }
  if (angles.pairs < 0 || 2 * angles.pairs > kv.head_width) {
    fail(ErrorCode::kBadArgument, "rope_store_kv: ", angles.pairs,
         " pairs to rotate in heads of width ", kv.head_width);
  }
}

inline void check_gather(const Matrix& x, std::span<const int64_t> rows, const Matrix& out) {
  if (out.rows != static_cast<int64_t>(rows.size()) || out.cols != x.cols) {
    fail(ErrorCode::kBadArgument, "gather_rows: ", rows.size(), " rows of ", shape(x), " into ",
         shape(out), "; expected ", shape(static_cast<int64_t>(rows.size()), x.cols));
  }
  for (const int64_t r : rows) {
    if (r < 0 || r >= x.rows)
      fail(ErrorCode::kBadArgument, "gather_rows: row ", r, " of a matrix ", shape(x));
  }
}

}  // namespace cria
