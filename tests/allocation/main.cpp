// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Counts allocations: between begin and report there must be none. Every operator new is replaced, and with
// glibc and no sanitizer malloc and its kin as well. Returns the number of failures.
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <vector>

#include "unit/support.hpp"
#include "windowkv/host/thread_pool.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WKV_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define WKV_TEST_SANITIZED 1
#endif
#endif
#if defined(__GLIBC__) && !defined(WKV_TEST_SANITIZED)
#define WKV_TEST_COUNTS_MALLOC 1
#else
#define WKV_TEST_COUNTS_MALLOC 0
#endif

namespace {
std::atomic<long> allocations{0};

void* counted_new(std::size_t bytes, std::size_t alignment) {
  ++allocations;
  void* memory = nullptr;
  if (alignment <= alignof(std::max_align_t)) {
    memory = std::malloc(bytes == 0 ? 1 : bytes);
  } else {
    memory = std::aligned_alloc(alignment, (bytes + alignment) / alignment * alignment);
  }
  if (memory == nullptr) std::abort();
  return memory;
}
}  // namespace

void* operator new(std::size_t n) { return counted_new(n, 1); }
void* operator new[](std::size_t n) { return counted_new(n, 1); }
void* operator new(std::size_t n, std::nothrow_t const&) noexcept { return counted_new(n, 1); }
void* operator new[](std::size_t n, std::nothrow_t const&) noexcept { return counted_new(n, 1); }
void* operator new(std::size_t n, std::align_val_t a) { return counted_new(n, static_cast<std::size_t>(a)); }
void* operator new[](std::size_t n, std::align_val_t a) {
  return counted_new(n, static_cast<std::size_t>(a));
}
void* operator new(std::size_t n, std::align_val_t a, std::nothrow_t const&) noexcept {
  return counted_new(n, static_cast<std::size_t>(a));
}
void* operator new[](std::size_t n, std::align_val_t a, std::nothrow_t const&) noexcept {
  return counted_new(n, static_cast<std::size_t>(a));
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::nothrow_t const&) noexcept { std::free(p); }
void operator delete[](void* p, std::nothrow_t const&) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t, std::nothrow_t const&) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t, std::nothrow_t const&) noexcept { std::free(p); }

#if WKV_TEST_COUNTS_MALLOC
extern "C" {
// glibc's own entry points behind malloc and its kin.
void* __libc_malloc(std::size_t);                 // NOLINT(bugprone-reserved-identifier)
void* __libc_calloc(std::size_t, std::size_t);    // NOLINT(bugprone-reserved-identifier)
void* __libc_realloc(void*, std::size_t);         // NOLINT(bugprone-reserved-identifier)
void* __libc_memalign(std::size_t, std::size_t);  // NOLINT(bugprone-reserved-identifier)

void* malloc(std::size_t bytes) noexcept {
  ++allocations;
  return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) noexcept {
  ++allocations;
  return __libc_calloc(count, bytes);
}
void* realloc(void* old, std::size_t bytes) noexcept {
  ++allocations;
  return __libc_realloc(old, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  ++allocations;
  return __libc_memalign(alignment, bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes) noexcept {
  ++allocations;
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** out, std::size_t alignment, std::size_t bytes) noexcept {
  ++allocations;
  *out = __libc_memalign(alignment, bytes);
  return *out != nullptr ? 0 : ENOMEM;
}
}
#endif

namespace {

int failures = 0;

void check(bool holds, char const* what) {
  if (holds) return;
  std::printf("failed: %s\n", what);
  ++failures;
}

/// Runs f and reports the allocations it makes, if any.
template <class F>
void check_allocates_nothing(char const* what, F&& f) {
  long const before = allocations;
  bool const succeeded = f();
  long const made = allocations - before;
  check(succeeded, what);
  if (made == 0) return;
  std::printf("failed: %s allocates %ld times\n", what, made);
  ++failures;
}

constexpr wkv::model_shape shape{5, 4, 2, 16};
constexpr int tokens = 1100;

template <class T, class ParallelFor, class Method>
void check_method(wkv::host_executor<ParallelFor> const& on, Method const& method) {
  for (wkv::task task : {wkv::task::localization, wkv::task::aggregation}) {
    auto const plan = wkv::make_plan(method, shape, {tokens, task});
    check(plan.ok(), "make_plan");
    wkv_test::scratch const memory(plan->workspace_bytes);
    wkv_test::sequence<T> by_stages(shape, tokens, 32);
    wkv_test::sequence<T> by_driver(shape, tokens, 32);
    check_allocates_nothing("begin, score, select, compact, report", [&] {
      auto run = wkv::begin(*plan, memory.get());
      if (!run) return false;
      int next = 0;
      for (int l = 0; l < shape.layers; ++l) {
        if (!wkv::score(on, *run, l, by_stages.queries(l), by_stages.kv(l).keys)) return false;
        if (!plan->completes_group(l)) continue;
        auto const selected = wkv::select(on, *run, plan->layer[l].group);
        if (!selected) return false;
        for (; next < shape.layers && plan->layer[next].group == selected->group; ++next) {
          if (!wkv::compact(on, *run, next, *selected, by_stages.kv(next))) return false;
        }
      }
      return next == shape.layers && wkv::report(*run).tokens_after() < std::int64_t{shape.layers} * tokens;
    });
    check_allocates_nothing("compress", [&] {
      return wkv::compress(
                 on, *plan, memory.get(), [&](int l) { return by_driver.queries(l); },
                 [&](int l) { return by_driver.kv(l); })
          .ok();
    });
    check_allocates_nothing("a refusal and its message", [&] {
      auto const refused = wkv::begin(*plan, wkv::workspace{memory.get().data, 1});
      return refused.error().message().text[0] == 'w';
    });
  }
}

template <class ParallelFor>
void check_executor(wkv::host_executor<ParallelFor> const& on) {
  auto const paper = wkv::paper_method().with_budget(200).with_layer_grouping(wkv::uniform_groups{2});
  auto const ours = wkv::default_method(2).with_budget(200);
  check_method<float>(on, paper);
  check_method<float>(on, ours);
  check_method<wkv::bfloat16>(on, paper);
  check_method<wkv::bfloat16>(on, ours);
}

/// A paged, quantised cache in a batch, and what engines with movers and page tables of their own call.
void check_paged_batch() {
  constexpr int page_size = 16;
  constexpr int pages = (tokens + page_size - 1) / page_size;
  std::vector<std::int8_t> numbers(std::size_t{2} * pages * page_size * 2 * 16, 1);
  std::vector<float> scales(std::size_t{tokens} * 2, 1.f);
  std::vector<std::int32_t> table(pages);
  for (int i = 0; i < pages; ++i) table[static_cast<std::size_t>(i)] = (7 * i) % pages;
  auto const page_plane = [&](int which) {
    return wkv::paged(numbers.data() + which * pages * page_size * 2 * 16, pages, page_size, 2, 16,
                      table.data(), pages, tokens);
  };
  wkv::kv_view const view{wkv::with_scales(page_plane(0), wkv::slot_head_dim(scales.data(), tokens, 2, 1)),
                          page_plane(1)};
  wkv_test::sequence<float> queries(shape, 1, 32);
  auto const plan = wkv::make_plan(wkv::default_method(5).with_budget(200), {1, 4, 2, 16}, {tokens});
  wkv_test::scratch const memory(plan->workspace_bytes);
  auto run = wkv::begin(*plan, memory.get());
  check_allocates_nothing("compress a batch of paged, quantised caches", [&] {
    return wkv::compress(
               wkv_test::serial, &*run, 1, [&](int, int l) { return queries.queries(l); },
               [&](int, int) { return view; })
        .ok();
  });
  wkv::slot_list const kept{wkv::report(*run).group[0].slots, wkv::report(*run).group[0].kept};
  std::vector<wkv::slot_move> moves(static_cast<std::size_t>(kept.count));
  std::vector<std::int32_t> freed(pages);
  std::vector<std::int32_t> slots(tokens);
  check_allocates_nothing("move lists and page-table edits", [&] {
    if (!wkv::list_moves(kept, moves.data(), kept.count)) return false;
    if (!wkv::for_each_byte_move(kept, view, [](void const*, void*, std::size_t) {})) return false;
    auto const edit = wkv::edit_page_table<std::int32_t>(
        kept, tokens, {table.data(), pages, page_size, pages, nullptr},
        {freed.data(), pages, nullptr, 0, slots.data(), tokens}, wkv::partial_pages::keep_whole);
    return edit.ok() && edit->freed > 0;
  });
}

/// A counter that sees nothing proves nothing.
void check_the_counter() {
  long const before = allocations;
  int* volatile one = new int(1);
  delete one;
  check(allocations > before, "the counter sees operator new");
#if WKV_TEST_COUNTS_MALLOC
  long const between = allocations;
  void* volatile other = std::malloc(1);
  std::free(other);
  check(allocations == between + 1, "the counter sees malloc");
#endif
}

}  // namespace

int main() {
  check_the_counter();
  check_allocates_nothing("make_plan", [] {
    return wkv::make_plan(wkv::default_method(), shape, {tokens}).ok() &&
           wkv::make_plan(wkv::paper_method(), shape, {tokens}).ok();
  });
  check_executor(wkv_test::serial);
  wkv::thread_pool pool(3);
  check_executor(wkv::host_executor{pool.hook()});
  check_paged_batch();
  return failures;
}
