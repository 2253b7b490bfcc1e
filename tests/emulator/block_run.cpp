// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "block_run.hpp"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <new>

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

namespace cuda_emulator {
namespace {

constexpr std::size_t lanes = warp_lanes;
constexpr std::size_t most_static_bytes = std::size_t{48} * 1024;
constexpr std::size_t dynamic_alignment = 16;

block_run* current_block = nullptr;

bool same_place(call_site a, call_site b) { return a.line == b.line && std::strcmp(a.file, b.file) == 0; }

std::string text(uint3 v) {
  std::string all = "(";  // grown in place: g++ 12 suspects the other way of overlapping copies
  for (unsigned x : {v.x, v.y, v.z}) {
    if (all.size() > 1) all += ",";
    all += std::to_string(x);
  }
  return all + ")";
}
std::string text(call_site where) { return std::string(where.file) + ":" + std::to_string(where.line); }

}  // namespace

char block_run::before_launch;
char block_run::after_launch;

class block_run::unobserved {
 public:
  explicit unobserved(fiber& running) : running_(running) { running_.hide(); }
  unobserved(unobserved const&) = delete;
  unobserved& operator=(unobserved const&) = delete;
  ~unobserved() { running_.show(); }

 private:
  fiber& running_;
};

block_run::block_run(launch_state const& launch, uint3 index) : launch_(launch), index_(index) {
  std::size_t const count = std::size_t{launch.block.x} * launch.block.y * launch.block.z;
  for (std::size_t i = 0; i < count; ++i) {
    device_thread& thread = threads_.emplace_back();
    thread.number = i;
    thread.index = {static_cast<unsigned>(i % launch.block.x),
                    static_cast<unsigned>(i / launch.block.x % launch.block.y),
                    static_cast<unsigned>(i / launch.block.x / launch.block.y)};
  }
  tokens_ = std::make_unique<std::uint64_t[]>(count / lanes + 2);
  allocate_shared(nullptr, launch.dynamic_shared_bytes, dynamic_alignment);
  current_block = this;
}

block_run::~block_run() {
  current_block = nullptr;
  for (device_thread& each : threads_) each.context.release(&after_launch, launch_.host);
  for (shared_object const& each : shared_) {
    ::operator delete (each.memory, std::align_val_t{each.alignment});
  }
}

block_run& block_run::current(char const* what) {
  if (current_block == nullptr) throw error(std::string(what) + " outside a kernel");
  return *current_block;
}
bool block_run::is_running() { return current_block != nullptr; }

void block_run::run() {
  blockIdx = index_;
  for (auto each = threads_.rbegin(); each != threads_.rend(); ++each) ready_.push_back(&*each);
  if (current_options().order == order::descending) std::reverse(ready_.begin(), ready_.end());
  resume(take_ready(), launch_.host, false);
  if (failure_) std::rethrow_exception(failure_);
}

void block_run::thread_main() {
  block_run& block = *current_block;
  device_thread& self = *block.running_;
  self.context.acquire(&before_launch, self.context);
  try {
    block.launch_.thread();
  } catch (...) {
    block.failure_ = std::current_exception();
  }
  self.context.hide();
  self.state = state::finished;
  ++block.finished_;
  if (!block.failure_) {
    try {
      block.give_way(true);
    } catch (...) {
      block.failure_ = std::current_exception();
    }
  }
  self.context.switch_to(block.launch_.host, true);
}

void block_run::make_ready(device_thread& thread) {
  thread.state = state::ready;
  ready_.push_back(&thread);
}

block_run::device_thread& block_run::take_ready() {
  if (current_options().order == order::shuffled) {
    std::swap(ready_[launch_.random.below(ready_.size())], ready_.back());
  }
  device_thread& thread = *ready_.back();
  ready_.pop_back();
  return thread;
}

void block_run::resume(device_thread& next, fiber& from, bool for_good) {
  running_ = &next;
  threadIdx = next.index;
  from.switch_to(next.context, for_good);
}

/// Lets another thread run, until this one's turn comes again.
void block_run::give_way(bool for_good) {
  device_thread& self = *running_;
  if (ready_.empty()) {
    if (finished_ != threads_.size()) throw error(why_stuck());
    self.context.switch_to(launch_.host, true);
  }
  device_thread& next = take_ready();
  if (&next != &self) resume(next, self.context, for_good);
}

unsigned block_run::meet_block(bool predicate, call_site where) {
  device_thread& self = *running_;
  unobserved const scope(self.context);
  self.state = state::at_barrier;
  self.where = where;
  ++at_barrier_;
  votes_ += predicate ? 1u : 0u;
  if (at_barrier_ == threads_.size()) {
    for (device_thread const& each : threads_) {
      if (!same_place(each.where, where)) {
        throw error("divergent barrier: " + describe(each) + "; " + describe(self));
      }
    }
    order_memory(&tokens_[threads_.size() / lanes + 1], [](device_thread const&) { return true; });
    for (std::size_t i = 0; i < threads_.size(); ++i) {
      bool const upwards = current_options().order == order::descending;  // the last one goes first
      device_thread& each = threads_[upwards ? i : threads_.size() - 1 - i];
      each.votes = votes_;
      make_ready(each);
    }
    at_barrier_ = 0;
    votes_ = 0;
  }
  give_way(false);
  return self.votes;
}

unsigned block_run::lane() const { return static_cast<unsigned>(running_->number % lanes); }

void block_run::meet_warp(unsigned mask, warp_operation operation, void const* in, void* out,
                          call_site where) {
  device_thread& self = *running_;
  unobserved const scope(self.context);
  if ((mask >> lane() & 1u) == 0) throw error("the calling lane is not in the mask: " + place(where));
  self.state = state::at_warp;
  self.where = where;
  self.mask = mask;
  self.operation = operation;
  self.in = in;
  self.out = out;
  if (warp_has_met(mask)) release_warp(mask);
  give_way(false);
}

bool block_run::warp_has_met(unsigned mask) const {
  device_thread const& self = *running_;
  std::size_t const first = self.number - self.number % lanes;
  for (std::size_t l = 0; l < lanes; ++l) {
    if ((mask >> l & 1u) == 0) continue;
    if (first + l >= threads_.size()) {
      if (mask == ~0u) break;  // the block's last warp is not full
      throw error("the mask names a lane that the block does not have: " + describe(self));
    }
    device_thread const& other = threads_[first + l];
    if (other.state != state::at_warp) return false;
    if (other.mask != mask || other.operation != self.operation || !same_place(other.where, self.where)) {
      throw error("lanes of one mask meet in different places: " + describe(other) + "; " + describe(self));
    }
  }
  return true;
}

void block_run::release_warp(unsigned mask) {
  device_thread& self = *running_;
  std::size_t const first = self.number - self.number % lanes;
  auto const takes_part = [&](device_thread const& thread) {
    return thread.number - first < lanes && (mask >> (thread.number - first) & 1u) != 0;
  };
  warp_meeting meeting;
  meeting.mask = mask;
  for (std::size_t l = 0; l < lanes && first + l < threads_.size(); ++l) {
    if (!takes_part(threads_[first + l])) continue;
    meeting.in[l] = threads_[first + l].in;
    meeting.out[l] = threads_[first + l].out;
  }
  try {
    self.operation(meeting);
  } catch (error const& problem) {
    throw error(std::string(problem.what()) + ": " + describe(self));
  }
  if (self.operation == &synchronise_lanes) order_memory(&tokens_[first / lanes], takes_part);
  for (std::size_t i = 0; i < lanes; ++i) {
    std::size_t const l = current_options().order == order::descending ? i : lanes - 1 - i;
    if (first + l < threads_.size() && takes_part(threads_[first + l])) make_ready(threads_[first + l]);
  }
}

/// What any of the threads did before happens before what any of them does next.
template <class TakesPart>
void block_run::order_memory(void* token, TakesPart takes_part) {
  if (!races_are_watched()) return;
  for (device_thread& each : threads_) {
    if (takes_part(each)) each.context.release(token, running_->context);
  }
  for (device_thread& each : threads_) {
    if (takes_part(each)) each.context.acquire(token, running_->context);
  }
}

void* block_run::dynamic_shared() { return shared_.front().memory; }

void* block_run::static_shared(void const* declaration, std::size_t bytes, std::size_t alignment) {
  for (shared_object const& each : shared_) {
    if (each.declaration == declaration) return each.memory;
  }
  unobserved const scope(running_->context);
  return allocate_shared(declaration, bytes, alignment);
}

void* block_run::allocate_shared(void const* declaration, std::size_t bytes, std::size_t alignment) {
  std::size_t static_bytes = declaration != nullptr ? bytes : 0;
  for (shared_object const& each : shared_) static_bytes += each.declaration != nullptr ? each.bytes : 0;
  std::size_t const most = most_shared_bytes(current_options().capability);
  if (static_bytes > most_static_bytes || static_bytes + launch_.dynamic_shared_bytes > most) {
    throw error("too much shared memory: " + std::to_string(static_bytes) + " bytes declared and " +
                std::to_string(launch_.dynamic_shared_bytes) + " dynamic");
  }
  void* const memory = ::operator new (bytes, std::align_val_t{alignment});
  shared_.push_back({declaration, memory, bytes, alignment});
  std::memset(memory, 0xff, bytes);
  return memory;
}

bool block_run::is_shared(void const* p, std::size_t bytes) const {
  auto const begin = reinterpret_cast<std::uintptr_t>(p);
  for (shared_object const& each : shared_) {
    auto const base = reinterpret_cast<std::uintptr_t>(each.memory);
    if (begin >= base && begin + bytes <= base + each.bytes) return true;
  }
  return false;
}

void block_run::start_copy(pending_copy const& copy) {
  unobserved const scope(running_->context);
  running_->copies.push_back({copy, running_->groups_ended});
}

void block_run::end_copy_group() { ++running_->groups_ended; }

pending_copy block_run::next_landing_copy(int pending) {
  device_thread& self = *running_;
  if (self.landed < self.copies.size()) {
    grouped_copy const& first = self.copies[self.landed];
    if (first.group >= self.groups_ended - pending) return {};
    ++self.landed;
    return first.copy;
  }
  self.copies.clear();
  self.landed = 0;
  return {};
}

std::string block_run::place(call_site where) const {
  return "block " + text(index_) + " thread " + text(running_->index) + " at " + text(where);
}

std::string block_run::describe(device_thread const& thread) const {
  std::string line = "thread " + text(thread.index);
  switch (thread.state) {
    case state::ready:
      return line + " runs";
    case state::finished:
      return line + " has exited";
    case state::at_barrier:
      return line + " at the barrier " + text(thread.where);
    case state::at_warp:
      break;
  }
  char mask[16];
  std::snprintf(mask, sizeof mask, "%08x", thread.mask);
  return line + " with mask " + mask + " at " + text(thread.where);
}

std::string block_run::why_stuck() const {
  std::string why = "block " + text(index_) + " waits for ever";
  if (at_barrier_ != 0) {
    why += ", " + std::to_string(threads_.size() - at_barrier_) + " threads never reach the barrier";
  }
  if (finished_ != 0) why += ", " + std::to_string(finished_) + " threads have exited";
  constexpr std::size_t examples = 6;
  std::size_t named = 0;
  for (std::size_t i = 0; i < threads_.size() && named < examples; ++i) {
    // One of each kind is enough.
    if (i != 0 && threads_[i].state == threads_[i - 1].state &&
        same_place(threads_[i].where, threads_[i - 1].where)) {
      continue;
    }
    why += "\n  " + describe(threads_[i]);
    ++named;
  }
  return why;
}

}  // namespace cuda_emulator
