// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// Data, memory and a slow, obvious reference for the tests. Needs no test framework.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

namespace wkv_test {

inline constexpr wkv::host_executor<> serial{};
inline constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
inline constexpr float infinity = std::numeric_limits<float>::infinity();

inline std::string message(wkv::status const& s) { return s.message().c_str(); }
template <class T>
std::string message(wkv::result<T> const& r) {
  return message(r.error());
}

class random_source {
 public:
  explicit random_source(unsigned seed) : engine_(seed) {}
  int below(int n) { return static_cast<int>(bits() % static_cast<unsigned>(n)); }
  int between(int least, int most) { return least + below(most - least + 1); }
  float symmetric() { return static_cast<float>(bits() >> 8) * (2.f / (1 << 24)) - 1.f; }

 private:
  unsigned bits() { return static_cast<unsigned>(engine_()); }
  std::mt19937 engine_;
};

/// A workspace of exactly `bytes` bytes, so that AddressSanitizer notices a step beyond it.
class scratch {
 public:
  explicit scratch(std::size_t bytes) : bytes_(bytes), data_(::operator new(bytes, alignment)) {}
  scratch(scratch const&) = delete;
  scratch& operator=(scratch const&) = delete;
  ~scratch() { ::operator delete(data_, alignment); }
  wkv::workspace get() const { return {data_, bytes_}; }

 private:
  static constexpr std::align_val_t alignment{wkv::workspace_alignment};
  std::size_t bytes_;
  void* data_;
};

/// Numbers [slot][head][dim], whatever way they are stored.
struct tensor {
  int slots = 0;
  int heads = 0;
  int head_dim = 0;
  std::vector<float> numbers;

  tensor(int s, int h, int d)
      : slots(s),
        heads(h),
        head_dim(d),
        numbers(static_cast<std::size_t>(s) * static_cast<std::size_t>(h * d)) {}
  float& at(int slot, int head, int dim) { return numbers[index(slot, head, dim)]; }
  float at(int slot, int head, int dim) const { return numbers[index(slot, head, dim)]; }

 private:
  std::size_t index(int slot, int head, int dim) const {
    return (static_cast<std::size_t>(slot) * static_cast<std::size_t>(heads) +
            static_cast<std::size_t>(head)) *
               static_cast<std::size_t>(head_dim) +
           static_cast<std::size_t>(dim);
  }
};

inline tensor random_tensor(unsigned seed, int slots, int heads, int head_dim, float scale = 1.f) {
  tensor t(slots, heads, head_dim);
  random_source random(seed);
  for (float& x : t.numbers) x = scale * random.symmetric();
  return t;
}

template <class Plane>
tensor read(Plane const& plane) {
  tensor t(plane.slots, plane.heads, plane.head_dim);
  for (int s = 0; s < t.slots; ++s) {
    for (int h = 0; h < t.heads; ++h) {
      for (int d = 0; d < t.head_dim; ++d) t.at(s, h, d) = plane.load(s, h, d);
    }
  }
  return t;
}

enum class order { slot_head_dim, head_slot_dim, head_dim_slot, padded };
inline constexpr order orders[] = {order::slot_head_dim, order::head_slot_dim, order::head_dim_slot,
                                   order::padded};

/// A plane and its memory, which is filled with canaries between the elements, and with `margin` of them
/// before and behind.
template <class T>
struct stored {
  static constexpr float canary = 123.f;
  std::vector<T> memory;
  wkv::dense_plane<T> plane;

  stored(tensor const& t, order o, std::size_t margin = 5) {
    int const s = t.slots;
    int const h = t.heads;
    int const d = t.head_dim;
    wkv::dense_layout const with_gaps{std::int64_t{h} * (2 * d + 3) + 4, 2 * d + 3, 2};
    std::size_t const span = static_cast<std::size_t>(with_gaps(s, 0, 0));
    memory.assign((o == order::padded ? span : t.numbers.size()) + 2 * margin, T(canary));
    T* const base = memory.data() + margin;
    plane = o == order::slot_head_dim   ? wkv::slot_head_dim(base, s, h, d)
            : o == order::head_slot_dim ? wkv::head_slot_dim(base, s, h, d)
            : o == order::head_dim_slot ? wkv::head_dim_slot(base, s, h, d)
                                        : wkv::strided(base, s, h, d, with_gaps);
    write(t);
  }
  stored(stored const&) = delete;
  stored& operator=(stored const&) = delete;
  stored(stored&&) = default;

  void write(tensor const& t) {
    for (int s = 0; s < t.slots; ++s) {
      for (int h = 0; h < t.heads; ++h) {
        for (int d = 0; d < t.head_dim; ++d) *plane.address(s, h, d) = T(t.at(s, h, d));
      }
    }
  }
  std::vector<float> floats() const {
    std::vector<float> all;
    for (T const& x : memory) all.push_back(static_cast<float>(x));
    return all;
  }
};

/// Softmax(q.k / sqrt(D)) of the last `suffix` queries over all keys, causal, in double precision: element
/// (head, row, token) at [(head * suffix + row) * tokens + token].
inline std::vector<double> naive_attention(tensor const& q, tensor const& k, int suffix) {
  std::vector<double> all;
  std::vector<double> row(static_cast<std::size_t>(k.slots));
  int const heads_per_kv = q.heads / k.heads;
  for (int head = 0; head < q.heads; ++head) {
    for (int i = 0; i < suffix; ++i) {
      int const seen = k.slots - suffix + i + 1;
      double largest = -std::numeric_limits<double>::infinity();
      for (int j = 0; j < seen; ++j) {
        double dot = 0;
        for (int d = 0; d < q.head_dim; ++d) {
          dot += static_cast<double>(q.at(q.slots - suffix + i, head, d)) *
                 static_cast<double>(k.at(j, head / heads_per_kv, d));
        }
        double const logit = dot / std::sqrt(static_cast<double>(q.head_dim));
        row[static_cast<std::size_t>(j)] = logit;
        largest = logit > largest ? logit : largest;
      }
      double sum = 0;
      for (int j = 0; j < seen; ++j) sum += std::exp(row[static_cast<std::size_t>(j)] - largest);
      for (int j = 0; j < k.slots; ++j) {
        all.push_back(j < seen ? std::exp(row[static_cast<std::size_t>(j)] - largest) / sum : 0.);
      }
    }
  }
  return all;
}

/// `fold(probabilities of the suffix rows)` of every (head, review token): [heads][R].
template <class Fold>
std::vector<double> naive_scores(tensor const& q, tensor const& k, int suffix, Fold fold) {
  std::vector<double> const attention = naive_attention(q, k, suffix);
  std::vector<double> scores;
  std::vector<double> rows(static_cast<std::size_t>(suffix));
  for (int head = 0; head < q.heads; ++head) {
    for (int j = 0; j < k.slots - suffix; ++j) {
      for (int i = 0; i < suffix; ++i) {
        rows[static_cast<std::size_t>(i)] =
            attention[static_cast<std::size_t>((head * suffix + i) * k.slots + j)];
      }
      scores.push_back(fold(rows));
    }
  }
  return scores;
}
inline std::vector<double> naive_scores(tensor const& q, tensor const& k, int suffix) {
  return naive_scores(q, k, suffix, [](std::vector<double> const& rows) {
    double sum = 0;
    for (double p : rows) sum += p;
    return sum;
  });
}

/// The fold of wkv::recent_attention.
struct naive_recent {
  double decay = static_cast<double>(wkv::recent_attention{}.decay);
  double operator()(std::vector<double> const& rows) const {
    double sum = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      sum += rows[i] * std::pow(decay, static_cast<double>(rows.size() - 1 - i));
    }
    return sum;
  }
};

/// Mean over the rows of a [rows][length] matrix.
inline std::vector<double> row_mean(std::vector<double> const& matrix, int rows) {
  std::size_t const length = matrix.size() / static_cast<std::size_t>(rows);
  std::vector<double> mean(length);
  for (std::size_t i = 0; i < matrix.size(); ++i) mean[i % length] += matrix[i] / rows;
  return mean;
}

/// Largest error of `got`, as a share of the largest expected value of its row; infinite for a NaN.
inline double worst_error(float const* got, std::vector<double> const& expected, int row_length) {
  double worst = 0;
  auto const length = static_cast<std::size_t>(row_length);
  for (std::size_t start = 0; start < expected.size(); start += length) {
    double largest = 0;
    for (std::size_t j = start; j < start + length; ++j) largest = std::fmax(largest, std::fabs(expected[j]));
    for (std::size_t j = start; j < start + length; ++j) {
      double const error = std::fabs(static_cast<double>(got[j]) - expected[j]) / largest;
      worst = error <= worst ? worst : std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
    }
  }
  return worst;
}

/// A made-up prompt in a model: queries and cache of every layer. The same arguments give the same bytes.
template <class T>
struct sequence {
  struct layer {
    stored<T> queries;
    stored<T> keys;
    stored<T> values;
    std::vector<std::int32_t> positions;
  };
  std::vector<layer> layers;

  sequence(wkv::model_shape const& shape, int tokens, int rows, order o = order::slot_head_dim,
           unsigned seed = 1, std::size_t margin = 5) {
    for (int l = 0; l < shape.layers; ++l) {
      unsigned const s = seed + 3 * static_cast<unsigned>(l);
      float const sharp = 3.f;
      layers.push_back({{random_tensor(s, rows, shape.query_heads, shape.head_dim, sharp), o, margin},
                        {random_tensor(s + 1, tokens, shape.kv_heads, shape.head_dim, sharp), o, margin},
                        {random_tensor(s + 2, tokens, shape.kv_heads, shape.head_dim + 3), o, margin},
                        {}});
      for (int i = 0; i < tokens; ++i) layers.back().positions.push_back(i);
    }
  }

  layer& at(int l) { return layers[static_cast<std::size_t>(l)]; }
  layer const& at(int l) const { return layers[static_cast<std::size_t>(l)]; }
  wkv::suffix_queries<wkv::dense_plane<T>> queries(int l) const { return {at(l).queries.plane}; }
  wkv::kv_view<wkv::dense_plane<T>, wkv::dense_plane<T>> kv(int l) {
    return {at(l).keys.plane, at(l).values.plane, at(l).positions.data()};
  }
  /// Everything that a compression may change.
  std::vector<float> contents() const {
    std::vector<float> all;
    for (layer const& each : layers) {
      for (auto const* part : {&each.keys, &each.values}) {
        std::vector<float> const floats = part->floats();
        all.insert(all.end(), floats.begin(), floats.end());
      }
      all.insert(all.end(), each.positions.begin(), each.positions.end());
    }
    return all;
  }
};

inline std::vector<int> slots_of(wkv::selection const& s) { return {s.slots, s.slots + s.kept}; }
inline std::vector<int> windows_of(wkv::selection const& s) {
  return {s.window_ids, s.window_ids + s.windows};
}

/// begin, begin + 1, ..., end - 1.
inline std::vector<int> range(int begin, int end) {
  std::vector<int> all;
  for (int i = begin; i < end; ++i) all.push_back(i);
  return all;
}
inline std::vector<int> operator+(std::vector<int> a, std::vector<int> const& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline std::vector<int> budgets_of(wkv::plan_data const& p) {
  std::vector<int> all;
  for (int g = 0; g < p.groups; ++g) all.push_back(p.group[g].budget);
  return all;
}

}  // namespace wkv_test
