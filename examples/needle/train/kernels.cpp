// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Single-threaded float kernels that train the tiny model: causal grouped-query attention, RoPE and RMSNorm,
// forward and backward. Python loads them through ctypes and runs one process per core.
//
// Attention never stores its probabilities: it works on eight queries at a time, skips the keys after them,
// and the backward pass rebuilds the probabilities from the log-sum-exp of each row. Vectors are those of GCC
// and Clang.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

using Index = std::ptrdiff_t;

#if defined(__AVX512F__)
constexpr int lanes = 16;  // floats in a vector
#elif defined(__AVX__)
constexpr int lanes = 8;
#else
constexpr int lanes = 4;
#endif
constexpr int head_size = 16;
constexpr int query_block = 8;  // queries handled together; the number of tokens must be a multiple of it
constexpr int key_vectors = lanes == 16 ? 2 : 1;  // as many as the registers hold
constexpr int key_block = key_vectors * lanes;
constexpr float masked = -1e30F;
constexpr float score_scale = 0.25F;  // 1/sqrt(head_size)
constexpr float rms_epsilon = 1e-6F;

using Vec = float __attribute__((vector_size(lanes * sizeof(float))));
using IntVec = std::int32_t __attribute__((vector_size(lanes * sizeof(std::int32_t))));

inline Vec load(float const* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

inline void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }
inline Vec broadcast(float x) { return Vec{} + x; }

inline float sum(Vec v) {
  float total = 0;
  for (int i = 0; i < lanes; ++i) total += v[i];
  return total;
}

inline float largest(Vec v) {
  float top = v[0];
  for (int i = 1; i < lanes; ++i) top = std::max(top, v[i]);
  return top;
}

// e^x for x in [-87, 87] (clamped): 2^n times a polynomial of the remainder (Cephes).
inline Vec exp(Vec x) {
  x = x < -87.F ? broadcast(-87.F) : x;
  x = x > 87.F ? broadcast(87.F) : x;
  IntVec const n = __builtin_convertvector(x * 1.44269504F + 128.5F, IntVec) - 128;
  Vec const whole = __builtin_convertvector(n, Vec);
  Vec const r = (x - whole * 0.693359375F) + whole * 2.12194440e-4F;
  Vec p = broadcast(1.9875691500e-4F);
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.F;
  IntVec const exponent = (n + 127) << 23;
  Vec scale;
  std::memcpy(&scale, &exponent, sizeof scale);
  return p * scale;
}

// Rows of floats, `stride` apart. The rows of a head are parts of longer ones.
template <typename Float>
struct Rows {
  Float* data;
  Index stride;

  Float* operator[](Index row) const { return data + row * stride; }
  Rows from(Index row) const { return {data + row * stride, stride}; }
  operator Rows<float const>() const { return {data, stride}; }
};
using Input = Rows<float const>;
using Output = Rows<float>;

// A matrix of its own.
struct Buffer {
  Index stride;
  std::vector<float> floats;

  Buffer(Index rows, Index row_size) : stride(row_size), floats(static_cast<std::size_t>(rows * row_size)) {}
  Output rows() { return {floats.data(), stride}; }
};

// scores[8][keys] = queries[8][head_size] * columns[head_size][keys]; keys is a multiple of key_block.
inline void multiply_transposed(Input queries, Input columns, int keys, Output scores) {
  for (int j = 0; j < keys; j += key_block) {
    Vec totals[query_block][key_vectors] = {};
    for (int d = 0; d < head_size; ++d) {
      Vec column[key_vectors];
      for (int c = 0; c < key_vectors; ++c) column[c] = load(columns[d] + j + c * lanes);
#pragma GCC unroll 8
      for (int r = 0; r < query_block; ++r) {
        for (int c = 0; c < key_vectors; ++c) totals[r][c] += column[c] * queries[r][d];
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < query_block; ++r) {
      for (int c = 0; c < key_vectors; ++c) store(scores[r] + j + c * lanes, totals[r][c]);
    }
  }
}

// target[8][head_size] = weights[8][keys] * rows[keys][head_size], row r divided by divisors[r]
inline void weighted_sums(Input weights, Input rows, int keys, float const* divisors, Output target) {
  for (int part = 0; part < head_size; part += lanes) {
    Vec sums[query_block] = {};
    for (int j = 0; j < keys; ++j) {
      Vec const row = load(rows[j] + part);
#pragma GCC unroll 8
      for (int r = 0; r < query_block; ++r) sums[r] += row * weights[r][j];
    }
    for (int r = 0; r < query_block; ++r) store(target[r] + part, sums[r] / divisors[r]);
  }
}

// target[keys][head_size] += transpose(weights[8][keys]) * rows[8][head_size]
inline void add_outer(Input weights, Input rows, int keys, Output target) {
  for (int part = 0; part < head_size; part += lanes) {
    Vec row[query_block];
    for (int r = 0; r < query_block; ++r) row[r] = load(rows[r] + part);
    for (int j = 0; j < keys; ++j) {
      Vec total = load(target[j] + part);
#pragma GCC unroll 8
      for (int r = 0; r < query_block; ++r) total += row[r] * weights[r][j];
      store(target[j] + part, total);
    }
  }
}

inline float dot(float const* a, float const* b) {
  Vec total{};
  for (int part = 0; part < head_size; part += lanes) total += load(a + part) * load(b + part);
  return sum(total);
}

// Floats in a row of scores: whole key blocks, and a little more so that columns do not share cache sets.
inline Index score_stride(int tokens) { return (tokens + key_block - 1) / key_block * key_block + 16; }

// Keys that the queries starting at `first` read: all up to the last of them, rounded up to whole key blocks.
inline int padded_keys(int first) { return (first + query_block + key_block - 1) / key_block * key_block; }

Buffer transposed(Input rows, int tokens, float scale) {
  Buffer columns(head_size, score_stride(tokens));
  for (int j = 0; j < tokens; ++j) {
    for (int d = 0; d < head_size; ++d) columns.rows()[d][j] = rows[j][d] * scale;
  }
  return columns;
}

// Turns a row of scores into exponentials relative to the largest, `top`. Returns their sum.
float exponentials(float* scores, int visible, int padded, float& top) {
  std::fill(scores + visible, scores + padded, masked);
  Vec running = broadcast(masked);
  for (int j = 0; j < padded; j += lanes) {
    Vec const s = load(scores + j);
    running = s > running ? s : running;
  }
  top = largest(running);
  Vec total{};
  for (int j = 0; j < padded; j += lanes) {
    Vec const e = exp(load(scores + j) - top);
    store(scores + j, e);
    total += e;
  }
  return sum(total);
}

// Turns a row of scores into probabilities p, and the row of dL/dp into dL/d(q k).
void softmax_backward(float* scores, float* slopes, int visible, int padded, float log_sum,
                      float mean_slope) {
  for (int j = 0; j < padded; j += lanes) store(scores + j, exp(load(scores + j) - log_sum));
  std::fill(scores + visible, scores + padded, 0.F);
  for (int j = 0; j < padded; j += lanes) {
    store(slopes + j, load(scores + j) * (load(slopes + j) - mean_slope) * score_scale);
  }
}

// Queries, keys and values of one head of one document, or their gradients.
template <typename Float>
struct Head {
  Rows<Float> q, k, v;
};

void head_forward(Head<float const> const& head, int tokens, Output out, float* log_sums) {
  Buffer keys = transposed(head.k, tokens, score_scale);
  Buffer scores(query_block, keys.stride);
  for (int first = 0; first < tokens; first += query_block) {
    int const padded = padded_keys(first);
    multiply_transposed(head.q.from(first), keys.rows(), padded, scores.rows());
    float totals[query_block];
    for (int r = 0; r < query_block; ++r) {
      float top = 0;
      totals[r] = exponentials(scores.rows()[r], first + r + 1, padded, top);
      log_sums[first + r] = top + std::log(totals[r]);
    }
    weighted_sums(scores.rows(), head.v, first + query_block, totals, out.from(first));
  }
}

// Adds to d.k and d.v, which the heads of a group share.
void head_backward(Head<float const> const& head, int tokens, Input out, float const* log_sums, Input d_out,
                   Head<float> const& d) {
  constexpr float ones[query_block] = {1, 1, 1, 1, 1, 1, 1, 1};
  Buffer keys = transposed(head.k, tokens, score_scale);
  Buffer values = transposed(head.v, tokens, 1.F);
  Buffer scores(query_block, keys.stride), slopes(query_block, keys.stride);
  for (int first = 0; first < tokens; first += query_block) {
    int const visible = first + query_block;
    int const padded = padded_keys(first);
    multiply_transposed(head.q.from(first), keys.rows(), padded, scores.rows());
    multiply_transposed(d_out.from(first), values.rows(), padded, slopes.rows());
    for (int r = 0; r < query_block; ++r) {
      int const query = first + r;
      softmax_backward(scores.rows()[r], slopes.rows()[r], query + 1, padded, log_sums[query],
                       dot(d_out[query], out[query]));
    }
    weighted_sums(slopes.rows(), head.k, visible, ones, d.q.from(first));
    add_outer(scores.rows(), d_out.from(first), visible, d.v);
    add_outer(slopes.rows(), head.q.from(first), visible, d.k);
  }
}

struct Shape {
  int tokens, heads, kv_heads;
};

// Head h of document b in (batch, tokens, q heads | k heads | v heads, head_size).
template <typename Float>
Head<Float> head_of(Float* qkv, Shape s, int b, int h) {
  Index const row_size = Index{s.heads + 2 * s.kv_heads} * head_size;
  auto const column = [&](int c) {
    return Rows<Float>{qkv + b * s.tokens * row_size + c * head_size, row_size};
  };
  int const kv = h / (s.heads / s.kv_heads);
  return {column(h), column(s.heads + kv), column(s.heads + s.kv_heads + kv)};
}

// Head h of document b in (batch, tokens, heads, head_size).
template <typename Float>
Rows<Float> output_of(Float* out, Shape s, int b, int h) {
  Index const row_size = Index{s.heads} * head_size;
  return {out + b * s.tokens * row_size + h * head_size, row_size};
}

}  // namespace

extern "C" {

// qkv: RoPE applied. log_sums: (batch, heads, tokens).
void attention_forward(float const* qkv, float* out, float* log_sums, int batch, int tokens, int heads,
                       int kv_heads) {
  Shape const s{tokens, heads, kv_heads};
  for (int b = 0; b < batch; ++b) {
    for (int h = 0; h < heads; ++h, log_sums += tokens) {
      head_forward(head_of(qkv, s, b, h), tokens, output_of(out, s, b, h), log_sums);
    }
  }
}

// d_out: gradient of out. d_qkv: all zeros, receives the gradient of qkv.
void attention_backward(float const* qkv, float const* out, float const* log_sums, float const* d_out,
                        float* d_qkv, int batch, int tokens, int heads, int kv_heads) {
  Shape const s{tokens, heads, kv_heads};
  for (int b = 0; b < batch; ++b) {
    for (int h = 0; h < heads; ++h, log_sums += tokens) {
      head_backward(head_of(qkv, s, b, h), tokens, output_of(out, s, b, h), log_sums,
                    output_of(d_out, s, b, h), head_of(d_qkv, s, b, h));
    }
  }
}

// Rotates, in place, the first `heads` heads of each row. angles: per row, 8 cosines then 8 sines.
// direction: +1 forward, -1 backward (the gradient turns the other way).
void rope(float* rows, float const* angles, long count, int heads, int row_size, float direction) {
  constexpr int half = head_size / 2;
  for (long n = 0; n < count; ++n) {
    float const* const cosine = angles + n * head_size;
    float const* const sine = cosine + half;
    for (int h = 0; h < heads; ++h) {
      float* const head = rows + n * row_size + h * head_size;
      for (int i = 0; i < half; ++i) {
        float const a = head[i], b = head[i + half], s = sine[i] * direction;
        head[i] = a * cosine[i] - b * s;
        head[i + half] = b * cosine[i] + a * s;
      }
    }
  }
}

// inverse_rms receives 1/rms of each row, for the backward pass.
void rms_norm_forward(float const* x, float const* gain, float* y, float* inverse_rms, long count, int size) {
  for (long n = 0; n < count; ++n) {
    float const* const row = x + n * size;
    float squares = 0;
    for (int i = 0; i < size; ++i) squares += row[i] * row[i];
    float const inverse = 1.F / std::sqrt(squares / static_cast<float>(size) + rms_epsilon);
    inverse_rms[n] = inverse;
    for (int i = 0; i < size; ++i) y[n * size + i] = row[i] * inverse * gain[i];
  }
}

void rms_norm_backward(float const* x, float const* gain, float const* inverse_rms, float const* dy,
                       float* dx, float* d_gain, long count, int size) {
  std::fill(d_gain, d_gain + size, 0.F);
  for (long n = 0; n < count; ++n) {
    float const* const row = x + n * size;
    float const* const d_row = dy + n * size;
    float const inverse = inverse_rms[n];
    float slope = 0;
    for (int i = 0; i < size; ++i) slope += d_row[i] * gain[i] * row[i];
    slope *= inverse * inverse * inverse / static_cast<float>(size);
    for (int i = 0; i < size; ++i) {
      dx[n * size + i] = inverse * gain[i] * d_row[i] - row[i] * slope;
      d_gain[i] += d_row[i] * row[i] * inverse;
    }
  }
}

}  // extern "C"
