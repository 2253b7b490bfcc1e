// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "model.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace needle {
namespace {

using size = std::ptrdiff_t;

// ---- arithmetic ---------------------------------------------------------------------------------

constexpr int lanes = 16;  // floats in the inner loops: a fixed count, so that the compiler vectorises them
constexpr int tile_rows = 4;  // rows of a product computed together, to use each loaded row of B that often

constexpr int round_up(int n) { return (n + lanes - 1) / lanes * lanes; }

/// One tile C[Rows][16] = A[Rows][inner] * B[inner][16]. The loop over lanes is outside the one over rows:
/// g++ and clang++ then both keep `sum` in vector registers.
template <int Rows>
void multiply_tile(float const* a, size a_stride, float const* b, size b_stride, int inner, float* c,
                   size c_stride) {
  float sum[Rows][lanes] = {};
  for (int k = 0; k < inner; ++k) {
    float const* row = b + k * b_stride;
    float x[Rows];
    for (int r = 0; r < Rows; ++r) x[r] = a[r * a_stride + k];
    for (int i = 0; i < lanes; ++i)
      for (int r = 0; r < Rows; ++r) sum[r][i] += x[r] * row[i];
  }
  for (int r = 0; r < Rows; ++r)
    for (int i = 0; i < lanes; ++i) c[r * c_stride + i] = sum[r][i];
}

/// C[rows][cols] = A[rows][inner] * B[inner][cols], all row-major with the given strides; cols a multiple
/// of 16. The only matrix product here: linear layers, attention scores and weighted sums of values all use
/// it.
void multiply(float const* a, size a_stride, float const* b, size b_stride, int rows, int inner, int cols,
              float* c, size c_stride) {
  int r = 0;
  for (; r + tile_rows <= rows; r += tile_rows)
    for (int j = 0; j < cols; j += lanes)
      multiply_tile<tile_rows>(a + r * a_stride, a_stride, b + j, b_stride, inner, c + r * c_stride + j,
                               c_stride);
  for (; r < rows; ++r)
    for (int j = 0; j < cols; j += lanes)
      multiply_tile<1>(a + r * a_stride, a_stride, b + j, b_stride, inner, c + r * c_stride + j, c_stride);
}

/// y[rows][m.stride] = x[rows][m.inner] * m.
void linear(std::vector<float> const& x, matrix const& m, int rows, std::vector<float>& y) {
  multiply(x.data(), m.inner, m.data.data(), m.stride, rows, m.inner, m.stride, y.data(), m.stride);
}

constexpr float exp_limit = 87.f;

/// e^x to about 1e-7 relative for |x| <= exp_limit, without branches or calls so that loops over it
/// vectorise.
inline float fast_exp(float x) {
  float const shifted = x * 1.44269504f + 12582912.f;  // 1.5 * 2^23: the sum's low bits are round(x / ln 2)
  float const n = shifted - 12582912.f;
  float const r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.f;
  std::uint32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 127u) << 23;  // 2^n
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return p * power;
}

/// Turns `count` scores into exponentials relative to their maximum and returns their sum. Entries up to the
/// next multiple of 16 must exist; they become 0.
float exponentials(float* scores, int count) {
  int const padded = round_up(count);
  std::fill(scores + count, scores + padded, -1e30f);
  float top[lanes];
  std::fill(top, top + lanes, -1e30f);
  for (int j = 0; j < padded; j += lanes)
    for (int i = 0; i < lanes; ++i) top[i] = scores[j + i] > top[i] ? scores[j + i] : top[i];
  float const maximum = *std::max_element(top, top + lanes);
  for (int j = 0; j < padded; ++j) scores[j] = std::max(scores[j] - maximum, -exp_limit);
  for (int j = 0; j < padded; ++j)
    scores[j] = fast_exp(scores[j]);  // apart, or g++ makes branches of the limit
  std::fill(scores + count, scores + padded, 0.f);
  float sums[lanes] = {};
  for (int j = 0; j < padded; j += lanes)
    for (int i = 0; i < lanes; ++i) sums[i] += scores[j + i];
  float sum = 0;
  for (float partial : sums) sum += partial;
  return sum;
}

float dot(float const* a, float const* b, int n) {
  float sums[8] = {};
  for (int i = 0; i < n; i += 8)
    for (int k = 0; k < 8; ++k) sums[k] += a[i + k] * b[i + k];
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

void rms_norm(float const* x, std::vector<float> const& gain, float eps, float* y) {
  int const n = static_cast<int>(gain.size());
  float const scale = 1.f / std::sqrt(dot(x, x, n) / static_cast<float>(n) + eps);
  for (int i = 0; i < n; ++i) y[i] = x[i] * scale * gain[static_cast<std::size_t>(i)];
}

/// Rotates pairs (i, i + D/2) of every head in place; `turn` holds D/2 cosines, then D/2 sines.
void rotate(float* heads, int count, int head_dim, float const* turn) {
  int const half = head_dim / 2;
  for (int h = 0; h < count; ++h, heads += head_dim)
    for (int i = 0; i < half; ++i) {
      float const a = heads[i], b = heads[i + half];
      heads[i] = a * turn[i] - b * turn[half + i];
      heads[i + half] = b * turn[i] + a * turn[half + i];
    }
}

/// The keys of one head with their dimensions as rows, [D][stride]: the right operand of Q * K^T, already
/// scaled by 1 / sqrt(D).
struct transposed_keys {
  transposed_keys(float const* keys, int count, int head_dim)
      : stride(round_up(count)),
        data(static_cast<std::size_t>(stride) * static_cast<std::size_t>(head_dim), 0.f) {
    float const scale = 1.f / std::sqrt(static_cast<float>(head_dim));
    float* out = data.data();
    for (int d = 0; d < head_dim; ++d, out += stride)
      for (int j = 0; j < count; ++j) out[j] = keys[size{j} * head_dim + d] * scale;
  }
  int stride;
  std::vector<float> data;
};

}  // namespace

// ---- one forward pass ---------------------------------------------------------------------------

/// Everything that flows between the steps, for `rows` tokens.
struct model::activations {
  activations(model_config const& c, int tokens)
      : rows(tokens),
        stream(count(c.width)),
        normed(count(c.width)),
        qkv(count(c.qkv_width())),
        attended(count(c.query_width())),
        gate_up(count(round_up(2 * c.ff_width))),
        gated(count(c.ff_width)),
        update(count(c.width)),
        turns(count(c.head_dim)) {}

  std::size_t count(int per_row) const {
    return static_cast<std::size_t>(rows) * static_cast<std::size_t>(per_row);
  }

  int rows;
  std::vector<float> stream;    // [rows][d], the residual stream
  std::vector<float> normed;    // [rows][d]
  std::vector<float> qkv;       // [rows][Hq * D + 2 * Hkv * D]
  std::vector<float> attended;  // [rows][Hq * D]
  std::vector<float> gate_up;   // [rows][2 * ff]
  std::vector<float> gated;     // [rows][ff]
  std::vector<float> update;    // [rows][d]
  std::vector<float> turns;     // [rows][D], cosines and sines of the rows' positions
};

model::model(model_weights weights) : weights_(std::move(weights)) {
  int const dim = config().head_dim;
  for (int i = 0; i < dim; i += 2)
    inverse_frequencies_.push_back(
        std::pow(config().rope_theta, -static_cast<float>(i) / static_cast<float>(dim)));
}

void model::embed(std::vector<int> const& tokens, int first_position, activations& a) const {
  int const width = config().width, half = config().head_dim / 2;
  for (int t = 0; t < a.rows; ++t) {
    float const* row = weights_.embedding.data() + size{tokens[static_cast<std::size_t>(t)]} * width;
    std::copy(row, row + width, a.stream.data() + size{t} * width);
    float* turn = a.turns.data() + size{t} * 2 * half;
    for (int i = 0; i < half; ++i) {
      float const angle =
          static_cast<float>(first_position + t) * inverse_frequencies_[static_cast<std::size_t>(i)];
      turn[i] = std::cos(angle);
      turn[half + i] = std::sin(angle);
    }
  }
}

/// Normalises and projects.
void model::project_qkv(layer_weights const& w, activations& a) const {
  model_config const& c = config();
  for (int t = 0; t < a.rows; ++t)
    rms_norm(a.stream.data() + size{t} * c.width, w.attention_norm, c.rms_eps,
             a.normed.data() + size{t} * c.width);
  linear(a.normed, w.qkv, a.rows, a.qkv);
}

void model::rotate_qk(activations& a) const {
  model_config const& c = config();
  for (int t = 0; t < a.rows; ++t)
    rotate(a.qkv.data() + size{t} * c.qkv_width(), c.query_heads + c.kv_heads, c.head_dim,
           a.turns.data() + size{t} * c.head_dim);
}

/// [rows][Hq * D], without the keys and values between them.
void model::copy_queries(activations const& a, std::vector<float>& to) const {
  model_config const& c = config();
  for (int t = 0; t < a.rows; ++t) {
    float const* q = a.qkv.data() + size{t} * c.qkv_width();
    std::copy(q, q + c.query_width(), to.data() + size{t} * c.query_width());
  }
}

/// Appends the rows' keys and values to the cache.
void model::store_rows(activations const& a, kv_cache& cache, int layer) const {
  model_config const& c = config();
  for (int kv = 0; kv < c.kv_heads; ++kv) {
    int const slot = cache.length(layer, kv);
    for (int t = 0; t < a.rows; ++t) {
      float const* k = a.qkv.data() + size{t} * c.qkv_width() + c.query_width() + size{kv} * c.head_dim;
      float const* v = k + c.kv_width();
      std::copy(k, k + c.head_dim, cache.key(layer, kv, slot + t));
      std::copy(v, v + c.head_dim, cache.value(layer, kv, slot + t));
    }
    cache.set_length(layer, kv, slot + a.rows);
  }
}

/// Causal attention of all prompt tokens to the layer's rows, a few queries at a time: O(N) memory.
void model::attend_prompt(kv_cache const& cache, int layer, activations& a) const {
  model_config const& c = config();
  int const heads_per_kv = c.query_heads / c.kv_heads;
  size const q_stride = c.qkv_width(), out_stride = c.query_width();
  size const score_stride = round_up(a.rows);
  std::vector<float> scores(static_cast<std::size_t>(tile_rows * score_stride));
  for (int kv = 0; kv < c.kv_heads; ++kv) {
    transposed_keys const keys(cache.key(layer, kv), a.rows, c.head_dim);
    for (int head = kv * heads_per_kv; head < (kv + 1) * heads_per_kv; ++head)
      for (int first = 0; first < a.rows; first += tile_rows) {
        int const rows = std::min(tile_rows, a.rows - first);
        int const seen = first + rows;  // keys that the last of these queries sees
        multiply(a.qkv.data() + first * q_stride + head * c.head_dim, q_stride, keys.data.data(), keys.stride,
                 rows, c.head_dim, round_up(seen), scores.data(), score_stride);
        float scale[tile_rows] = {};
        for (int r = 0; r < rows; ++r) {
          float* row = scores.data() + r * score_stride;
          scale[r] = 1.f / exponentials(row, first + r + 1);
          std::fill(row + std::min(round_up(first + r + 1), seen), row + seen, 0.f);
        }
        float* out = a.attended.data() + first * out_stride + head * c.head_dim;
        multiply(scores.data(), score_stride, cache.value(layer, kv), c.head_dim, rows, seen, c.head_dim, out,
                 out_stride);
        for (int r = 0; r < rows; ++r)
          for (int d = 0; d < c.head_dim; ++d) out[r * out_stride + d] *= scale[r];
      }
  }
}

/// Attention of one token to whatever rows its layer and head still hold.
void model::attend_cache(kv_cache const& cache, int layer, activations& a) const {
  model_config const& c = config();
  float const scale = 1.f / std::sqrt(static_cast<float>(c.head_dim));
  std::vector<float> scores(static_cast<std::size_t>(round_up(cache.capacity())));
  for (int head = 0; head < c.query_heads; ++head) {
    int const kv = head / (c.query_heads / c.kv_heads);
    int const length = cache.length(layer, kv);
    float const* query = a.qkv.data() + size{head} * c.head_dim;
    float const* keys = cache.key(layer, kv);
    for (int j = 0; j < length; ++j)
      scores[static_cast<std::size_t>(j)] = dot(query, keys + size{j} * c.head_dim, c.head_dim) * scale;
    float const sum = exponentials(scores.data(), length);
    float* out = a.attended.data() + size{head} * c.head_dim;
    multiply(scores.data(), 0, cache.value(layer, kv), c.head_dim, 1, length, c.head_dim, out, 0);
    for (int d = 0; d < c.head_dim; ++d) out[d] /= sum;
  }
}

/// Output projection and the SwiGLU block, both added to the residual stream.
void model::finish_layer(layer_weights const& w, activations& a) const {
  model_config const& c = config();
  auto const add_update = [&] {
    for (std::size_t i = 0; i < a.stream.size(); ++i) a.stream[i] += a.update[i];
  };
  linear(a.attended, w.attention_out, a.rows, a.update);
  add_update();
  for (int t = 0; t < a.rows; ++t)
    rms_norm(a.stream.data() + size{t} * c.width, w.ff_norm, c.rms_eps, a.normed.data() + size{t} * c.width);
  linear(a.normed, w.gate_up, a.rows, a.gate_up);
  for (int t = 0; t < a.rows; ++t) {
    float const* gate = a.gate_up.data() + size{t} * w.gate_up.stride;
    float const* up = gate + c.ff_width;
    float* out = a.gated.data() + size{t} * c.ff_width;
    for (int i = 0; i < c.ff_width; ++i) {
      float const limited = std::min(std::max(-gate[i], -exp_limit), exp_limit);
      out[i] = gate[i] / (1.f + fast_exp(limited)) * up[i];
    }
  }
  linear(a.gated, w.ff_out, a.rows, a.update);
  add_update();
}

std::vector<float> model::logits(activations& a) const {
  model_config const& c = config();
  std::vector<float> normed(static_cast<std::size_t>(c.width));
  rms_norm(a.stream.data() + size{a.rows - 1} * c.width, weights_.final_norm, c.rms_eps, normed.data());
  std::vector<float> out(static_cast<std::size_t>(weights_.head.stride));
  linear(normed, weights_.head, 1, out);
  out.resize(static_cast<std::size_t>(c.vocabulary));
  return out;
}

std::vector<float> model::prefill(std::vector<int> const& tokens, kv_cache& cache,
                                  layer_callback const& on_layer_done) const {
  model_config const& c = config();
  int const rows = static_cast<int>(tokens.size());
  if (rows > cache.capacity())
    throw std::runtime_error("the prompt has " + std::to_string(rows) + " tokens: more than the cache holds");
  activations a(c, rows);
  embed(tokens, 0, a);
  std::vector<float> unrotated(a.count(c.query_width())), rotated(unrotated.size());
  for (int l = 0; l < c.layers; ++l) {
    layer_weights const& w = weights_.layers[static_cast<std::size_t>(l)];
    project_qkv(w, a);
    copy_queries(a, unrotated);
    rotate_qk(a);
    copy_queries(a, rotated);
    store_rows(a, cache, l);
    attend_prompt(cache, l, a);
    on_layer_done(l, {rows, c.query_width(), rotated.data(), unrotated.data()});
    finish_layer(w, a);
  }
  return logits(a);
}

std::vector<float> model::decode(int token, int position, kv_cache& cache) const {
  activations a(config(), 1);
  embed({token}, position, a);
  for (int l = 0; l < config().layers; ++l) {
    layer_weights const& w = weights_.layers[static_cast<std::size_t>(l)];
    project_qkv(w, a);
    rotate_qk(a);
    store_rows(a, cache, l);
    attend_cache(cache, l, a);
    finish_layer(w, a);
  }
  return logits(a);
}

// ---- observation --------------------------------------------------------------------------------

std::vector<float> suffix_attention(kv_cache const& cache, int layer, float const* suffix_queries, int suffix,
                                    int query_heads) {
  int const dim = cache.head_dim(), length = cache.length(layer, 0), review = length - suffix;
  std::vector<float> sums(static_cast<std::size_t>(query_heads) * static_cast<std::size_t>(review), 0.f);
  std::vector<float> scores(static_cast<std::size_t>(round_up(length)));
  for (int kv = 0; kv < cache.heads(); ++kv) {
    transposed_keys const keys(cache.key(layer, kv), length, dim);
    int const heads_per_kv = query_heads / cache.heads();
    for (int head = kv * heads_per_kv; head < (kv + 1) * heads_per_kv; ++head) {
      float* sum = sums.data() + size{head} * review;
      for (int s = 0; s < suffix; ++s) {
        multiply(suffix_queries + (size{s} * query_heads + head) * dim, 0, keys.data.data(), keys.stride, 1,
                 dim, keys.stride, scores.data(), 0);
        float const scale = 1.f / exponentials(scores.data(), review + s + 1);
        for (int j = 0; j < review; ++j) sum[j] += scores[static_cast<std::size_t>(j)] * scale;
      }
    }
  }
  return sums;
}

int best_token(std::vector<float> const& logits) {
  return static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace needle
