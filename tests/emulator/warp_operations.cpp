// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the lanes of a warp exchange, once all of them have come.

#include <cstdint>
#include <string>

#include "device_side.hpp"
#include "windowkv/core/half.hpp"

namespace cuda_emulator {
namespace {

bool takes_part(warp_meeting const& meeting, int lane) { return meeting.in[lane] != nullptr; }

template <class T>
T const& in(warp_meeting const& meeting, int lane) {
  return *static_cast<T const*>(meeting.in[lane]);
}
template <class T>
T& out(warp_meeting const& meeting, int lane) {
  return *static_cast<T*>(meeting.out[lane]);
}

void require_all_lanes(warp_meeting const& meeting, char const* what) {
  for (int l = 0; l < warp_lanes; ++l) {
    if (!takes_part(meeting, l)) throw error(std::string(what) + " needs all 32 lanes of a warp");
  }
}

/// Element `half` (0: the lower bits) of a register with two.
template <class T>
float unpack(unsigned bits, int half) {
  T element;
  element.bits = static_cast<std::uint16_t>(bits >> (16 * half));
  return static_cast<float>(element);
}

/// mma.m16n8k16. Register r of lane l holds two elements that follow each other in k (of a and b) or column
/// (of c), from 2 (l % 4) on, of row or column l / 4; an odd r of a and the second half of c are 8 rows
/// below; r of a from 2 on and b[1] are 8 further in k.
template <class T>
void multiply_lanes(warp_meeting& meeting) {
  require_all_lanes(meeting, "multiply_tile");
  float a[16][16];
  float b[8][16];
  for (int l = 0; l < warp_lanes; ++l) {
    auto const& lane = in<multiply_input>(meeting, l);
    for (int half = 0; half < 2; ++half) {
      int const k = 2 * (l % 4) + half;
      for (int r = 0; r < 4; ++r) a[l / 4 + 8 * (r % 2)][k + 8 * (r / 2)] = unpack<T>(lane.a[r], half);
      for (int r = 0; r < 2; ++r) b[l / 4][k + 8 * r] = unpack<T>(lane.b[r], half);
    }
  }
  for (int l = 0; l < warp_lanes; ++l) {
    float* const result = &out<float>(meeting, l);
    for (int r = 0; r < 4; ++r) {
      int const row = l / 4 + 8 * (r / 2);
      int const column = 2 * (l % 4) + r % 2;
      float sum = in<multiply_input>(meeting, l).c[r];
      for (int k = 0; k < 16; ++k) sum += a[row][k] * b[column][k];
      result[r] = sum;
    }
  }
}

}  // namespace

void synchronise_lanes(warp_meeting& /*meeting*/) {}

void shuffle_lanes(warp_meeting& meeting) {
  for (int l = 0; l < warp_lanes; ++l) {
    if (!takes_part(meeting, l)) continue;
    int const source = in<shuffle_input>(meeting, l).source;
    if (source < 0 || source >= warp_lanes || !takes_part(meeting, source)) {
      throw error("shuffle: lane " + std::to_string(l) + " reads lane " + std::to_string(source) +
                  ", which does not take part");
    }
    out<unsigned long long>(meeting, l) = in<shuffle_input>(meeting, source).bits;
  }
}

void ballot_lanes(warp_meeting& meeting) {
  unsigned votes = 0;
  for (int l = 0; l < warp_lanes; ++l) {
    if (takes_part(meeting, l) && in<bool>(meeting, l)) votes |= 1u << l;
  }
  for (int l = 0; l < warp_lanes; ++l) {
    if (takes_part(meeting, l)) out<unsigned>(meeting, l) = votes;
  }
}

void match_lanes(warp_meeting& meeting) {
  for (int l = 0; l < warp_lanes; ++l) {
    if (!takes_part(meeting, l)) continue;
    unsigned same = 0;
    for (int m = 0; m < warp_lanes; ++m) {
      if (takes_part(meeting, m) &&
          in<unsigned long long>(meeting, m) == in<unsigned long long>(meeting, l)) {
        same |= 1u << m;
      }
    }
    out<unsigned>(meeting, l) = same;
  }
}

void multiply_float16_lanes(warp_meeting& meeting) { multiply_lanes<windowkv::float16>(meeting); }
void multiply_bfloat16_lanes(warp_meeting& meeting) { multiply_lanes<windowkv::bfloat16>(meeting); }

/// ldmatrix.x4: matrix m has its rows from lanes 8 m to 8 m + 7.
void load_tiles_lanes(warp_meeting& meeting) {
  require_all_lanes(meeting, "load_tiles");
  for (int l = 0; l < warp_lanes; ++l) {
    unsigned* const result = &out<unsigned>(meeting, l);
    for (int m = 0; m < 4; ++m) {
      auto const& row = in<uint4>(meeting, 8 * m + l / 4);
      unsigned const pairs[] = {row.x, row.y, row.z, row.w};
      result[m] = pairs[l % 4];
    }
  }
}

}  // namespace cuda_emulator
