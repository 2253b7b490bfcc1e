// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// One compression on one backend, seen from host memory. What a backend needs beyond the host's is built in
// where GOLDEN_WITH_CUDA and GOLDEN_WITH_THRUST are defined: compiled by nvcc they work on a GPU, otherwise
// the CUDA backend works on the emulator and Thrust on its CPU system.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <new>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include "windowkv/windowkv.hpp"

#if defined(GOLDEN_WITH_CUDA)
#include "windowkv/windowkv.cuh"
#endif
#if defined(GOLDEN_WITH_THRUST)
#include <thrust/execution_policy.h>

#include "windowkv/thrust/compress.cuh"
#endif

namespace golden {

namespace wkv = windowkv;

inline void require_ok(wkv::status const& status) {
  if (!status.ok()) throw std::runtime_error(status.message().text);
}
template <class T>
T value_of(wkv::result<T> result) {
  require_ok(result.error());
  return *std::move(result);
}

struct alignas(wkv::workspace_alignment) memory_block {
  unsigned char bytes[wkv::workspace_alignment];
};

struct host_backend {
  /// Numbers that policies read, in the backend's memory.
  class floats {
   public:
    floats(float const* source, std::size_t /*count*/) : data_(source) {}
    float const* data() const { return data_; }

   private:
    float const* data_;
  };

  /// A plan, its workspace and the compression between them; stays where it was made.
  template <class Method>
  class pipeline {
   public:
    pipeline(Method const& method, wkv::model_shape const& shape, wkv::prompt const& prompt)
        : plan_(value_of(wkv::make_plan(method, shape, prompt))),
          memory_(plan_.workspace_bytes / sizeof(memory_block) + 1),
          run_(value_of(wkv::begin(plan_, {memory_.data(), memory_.size() * sizeof(memory_block)}))) {}
    pipeline(pipeline const&) = delete;
    pipeline& operator=(pipeline const&) = delete;

    wkv::plan<Method> const& plan() const { return plan_; }

    template <class... Sources>
    void score(int layer, Sources const&... sources) {
      require_ok(wkv::score(on_, run_, layer, sources...));
    }
    wkv::selection select(int group) { return value_of(wkv::select(on_, run_, group)); }
    template <class View>
    void compact(int layer, wkv::selection const& chosen, View const& cache) {
      require_ok(wkv::compact(on_, run_, layer, chosen, cache));
    }

    /// Copies the kept rows of every list to a flattened cache, one list behind the other.
    template <class View>
    void flatten(wkv::selection const& chosen, View const& cache, float* keys, float* values) {
      wkv::ragged_layout const layout{chosen.offsets, cache.keys.head_dim};
      auto const flat = [&](float* rows) {
        return wkv::make_plane(rows, std::max(chosen.kept, 1), cache.keys.heads, cache.keys.head_dim, layout,
                               wkv::element_accessor<float>{});
      };
      require_ok(wkv::compact_copy(on_, chosen, cache, wkv::kv_view{flat(keys), flat(values)}));
    }

    /// [lists][windows] of the group selected last.
    std::vector<float> window_scores(int /*group*/) const {
      return {run_.window_scores(), run_.window_scores() + std::int64_t{plan_.lists} * plan_.windows};
    }
    /// [score_rows][R] of the layer that scored last, or empty if the backend never has them.
    std::vector<float> token_scores(int layer) const {
      float const* const scores = run_.token_scores(plan_.layer[layer].group);
      return {scores, scores + std::int64_t{plan_.score_rows} * plan_.review};
    }

   private:
    wkv::host_executor<> on_;
    wkv::plan<Method> plan_;
    std::vector<memory_block> memory_;
    wkv::compression<Method> run_;
  };
};

#if defined(GOLDEN_WITH_CUDA) || defined(GOLDEN_WITH_THRUST)

#if defined(__CUDACC__)
inline void require_success(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
}
inline void* allocate(std::size_t bytes) {
  void* data = nullptr;
  require_success(cudaMalloc(&data, bytes + 1));
  return data;
}
inline void release(void* data) { cudaFree(data); }
inline void copy_bytes(void* to, void const* from, std::size_t bytes) {
  require_success(cudaMemcpy(to, from, bytes, cudaMemcpyDefault));
}
#else
inline void* allocate(std::size_t bytes) {
  return ::operator new (bytes, std::align_val_t{wkv::workspace_alignment});
}
inline void release(void* data) { ::operator delete (data, std::align_val_t{wkv::workspace_alignment}); }
inline void copy_bytes(void* to, void const* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}
#endif

template <class T>
std::vector<T> fetch(T const* data, std::int64_t count) {
  std::vector<T> all(static_cast<std::size_t>(count));
  copy_bytes(all.data(), data, all.size() * sizeof(T));
  return all;
}

/// Bytes in the backend's memory.
class backend_memory {
 public:
  explicit backend_memory(std::size_t bytes) : bytes_(bytes), data_(allocate(bytes)) {}
  backend_memory(void const* source, std::size_t bytes) : backend_memory(bytes) {
    copy_bytes(data_, source, bytes);
  }
  backend_memory(backend_memory const&) = delete;
  backend_memory& operator=(backend_memory const&) = delete;
  ~backend_memory() { release(data_); }

  void* data() const { return data_; }
  wkv::workspace workspace() const { return {data_, bytes_}; }

 private:
  std::size_t bytes_;
  void* data_;
};

/// A plane without gaps, copied to the backend's memory.
template <class T, wkv::memory_space Space>
class plane_copy {
 public:
  explicit plane_copy(wkv::dense_plane<T> const& source)
      : bytes_(static_cast<std::size_t>(source.slots) * static_cast<std::size_t>(source.row_bytes())),
        memory_(source.data, bytes_),
        plane{
            static_cast<T*>(memory_.data()), source.slots, source.heads, source.head_dim, source.layout, {}} {
  }

  void copy_back(void* to) const { copy_bytes(to, memory_.data(), bytes_); }

 private:
  std::size_t bytes_;
  backend_memory memory_;

 public:
  wkv::dense_plane<T, Space> plane;
};

/// A backend that queues its work. `Traits` gives its executor and its own names.
template <class Traits>
struct deferred_backend {
  /// As in the host's backend.
  class floats {
   public:
    floats(float const* source, std::size_t count) : memory_(source, count * sizeof(float)) {}
    float const* data() const { return static_cast<float const*>(memory_.data()); }

   private:
    backend_memory memory_;
  };

  template <class Method>
  class pipeline {
   public:
    pipeline(Method const& method, wkv::model_shape const& shape, wkv::prompt const& prompt)
        : plan_(value_of(wkv::make_plan(method, shape, prompt))),
          memory_(Traits::workspace_bytes(plan_)),
          run_(value_of(wkv::begin(on_, plan_, memory_.workspace()))) {}
    pipeline(pipeline const&) = delete;
    pipeline& operator=(pipeline const&) = delete;

    wkv::plan<Method> const& plan() const { return plan_; }

    template <class T>
    void score(int layer, wkv::suffix_queries<wkv::dense_plane<T>> const& source,
               wkv::dense_plane<std::remove_const_t<T>> const& keys) {
      plane_copy<T, space> const queries_there(source.queries);
      plane_copy<std::remove_const_t<T>, space> const keys_there(keys);
      require_ok(wkv::score(on_, run_, layer, wkv::suffix_queries{queries_there.plane}, keys_there.plane));
      wait();
    }
    /// By a scorer of cached rows, or of queries and values.
    template <class T, class KeyPlane, class ValuePlane>
    void score(int layer, wkv::suffix_queries<wkv::dense_plane<T>> const& source,
               wkv::kv_view<KeyPlane, ValuePlane> const& kv) {
      plane_copy<T, space> const queries_there(source.queries);
      score_rows(layer, wkv::suffix_queries{queries_there.plane}, kv);
    }
    template <class KeyPlane, class ValuePlane>
    void score(int layer, wkv::no_queries const& source, wkv::kv_view<KeyPlane, ValuePlane> const& kv) {
      score_rows(layer, source, kv);
    }
    void score(int layer, wkv::token_scores source) {
      std::int64_t const count = std::int64_t{source.heads} * source.head_stride;
      backend_memory const there(source.data, static_cast<std::size_t>(count) * sizeof(float));
      source.data = static_cast<float const*>(there.data());
      require_ok(wkv::score(on_, run_, layer, source));
      wait();
    }
    /// What it points to stays here.
    wkv::selection select(int group) {
      auto const queued = value_of(wkv::select(on_, run_, group));
      fetched& here = selected_[group];
      here.counts = fetch(queued.counts, 1)[0];
      here.slots = fetch(queued.slots, queued.lists == 1 ? here.counts.kept : here.counts.rows);
      here.windows = fetch(queued.window_ids, here.counts.windows);
      wkv::selection chosen{group,
                            queued.tokens,
                            here.counts.kept,
                            here.slots.data(),
                            here.counts.windows,
                            here.windows.data(),
                            here.counts.retained};
      chosen.lists = queued.lists;
      if (queued.lists > 1) {
        here.offsets = fetch(queued.offsets, queued.lists + 1);
        here.window_offsets = fetch(queued.window_offsets, queued.lists + 1);
        chosen.offsets = here.offsets.data();
        chosen.window_offsets = here.window_offsets.data();
      }
      return chosen;
    }
    template <class KeyPlane, class ValuePlane>
    void compact(int layer, wkv::selection const& chosen, wkv::kv_view<KeyPlane, ValuePlane> const& cache) {
      plane_copy<typename KeyPlane::element_type, space> const keys(cache.keys);
      plane_copy<typename ValuePlane::element_type, space> const values(cache.values);
      require_ok(wkv::compact(on_, run_, layer, run_.selected(chosen.group),
                              wkv::kv_view{keys.plane, values.plane}));
      keys.copy_back(cache.keys.data);
      values.copy_back(cache.values.data);
    }

    /// As on the host; `chosen` has several lists.
    template <class KeyPlane, class ValuePlane>
    void flatten(wkv::selection const& chosen, wkv::kv_view<KeyPlane, ValuePlane> const& cache, float* keys,
                 float* values) {
      plane_copy<float, space> const keys_there(cache.keys);
      plane_copy<float, space> const values_there(cache.values);
      auto const queued = run_.selected(chosen.group);
      int const dims = cache.keys.head_dim;
      auto const bytes =
          static_cast<std::size_t>(queued.max_rows) * static_cast<std::size_t>(dims) * sizeof(float);
      backend_memory const flat_keys(bytes);
      backend_memory const flat_values(bytes);
      wkv::ragged_layout const layout{queued.offsets, dims};
      auto const flat = [&](backend_memory const& memory) {
        return wkv::make_plane<space>(static_cast<float*>(memory.data()), queued.max_kept, chosen.lists, dims,
                                      layout, wkv::element_accessor<float>{});
      };
      require_ok(wkv::compact_copy(on_, queued, wkv::kv_view{keys_there.plane, values_there.plane},
                                   wkv::kv_view{flat(flat_keys), flat(flat_values)}));
      wait();
      auto const used =
          static_cast<std::size_t>(chosen.rows()) * static_cast<std::size_t>(dims) * sizeof(float);
      copy_bytes(keys, flat_keys.data(), used);
      copy_bytes(values, flat_values.data(), used);
    }

    std::vector<float> window_scores(int group) const {
      return fetch(run_.window_scores(group), std::int64_t{plan_.lists} * plan_.windows);
    }
    std::vector<float> token_scores(int layer) const { return Traits::token_scores(run_, layer); }

   private:
    static constexpr wkv::memory_space space = Traits::space;
    struct fetched {
      wkv::selection_counts counts;
      std::vector<std::int32_t> slots;
      std::vector<std::int32_t> windows;
      std::vector<std::int32_t> offsets;
      std::vector<std::int32_t> window_offsets;
    };
    template <class Source, class KeyPlane, class ValuePlane>
    void score_rows(int layer, Source const& source, wkv::kv_view<KeyPlane, ValuePlane> const& kv) {
      plane_copy<typename KeyPlane::element_type, space> const keys(kv.keys);
      plane_copy<typename ValuePlane::element_type, space> const values(kv.values);
      require_ok(wkv::score(on_, run_, layer, source, wkv::kv_view{keys.plane, values.plane}));
      wait();
    }
    void wait() const { fetch(run_.counts(), 1); }

    typename Traits::executor on_ = Traits::on();
    wkv::plan<Method> plan_;
    backend_memory memory_;
    decltype(value_of(wkv::begin(on_, plan_, wkv::workspace{}))) run_;
    std::map<int, fetched> selected_;
  };
};

#endif

#if defined(GOLDEN_WITH_CUDA)
struct cuda_traits {
  using executor = wkv::cuda_executor<wkv::head_dims<64>>;
  static constexpr wkv::memory_space space = wkv::memory_space::device;
  static executor on() { return {}; }
  template <class Plan>
  static std::size_t workspace_bytes(Plan const& p) {
    return wkv::cuda_workspace_bytes(p);
  }
  /// Only where windows need every head's: other forms hold sums over windows.
  template <class Run>
  static std::vector<float> token_scores(Run const& run, int layer) {
    auto const& memory = wkv::compression_access::memory(run);
    if (memory.record[layer].form != wkv::detail::score_form::token_rows) return {};
    return fetch(memory.scores + memory.score_slot[layer] * memory.slot_floats,
                 std::int64_t{run.plan().score_rows} * run.plan().review);
  }
};
using cuda_backend = deferred_backend<cuda_traits>;
#endif

#if defined(GOLDEN_WITH_THRUST)
struct thrust_traits {
  using executor = wkv::thrust_executor<std::decay_t<decltype(thrust::device)>>;
  static constexpr wkv::memory_space space = executor::space;
  static executor on() { return {thrust::device}; }
  template <class Plan>
  static std::size_t workspace_bytes(Plan const& p) {
    return wkv::thrust_workspace_bytes(p);
  }
  template <class Run>
  static std::vector<float> token_scores(Run const& run, int layer) {
    wkv::plan_data const& p = run.plan();
    return fetch(wkv::compression_access::memory(run).buffer_of(p, p.layer[layer].group).scores,
                 std::int64_t{p.score_rows} * p.review);
  }
};
using thrust_backend = deferred_backend<thrust_traits>;
#endif

}  // namespace golden
