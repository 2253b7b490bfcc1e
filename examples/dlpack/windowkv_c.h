/* SPDX-FileCopyrightText: 2026 The windowkv authors
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef WINDOWKV_C_H
#define WINDOWKV_C_H

/* Compresses the KV caches of a batch of prompts in place: plain C, for callers from any language.
 *
 * Letters: B sequences, L layers, Hq query heads, Hkv KV heads, N slots of the cache, D head dimension, S
 * rows of suffix queries. Every struct starts with its size, which the caller sets to sizeof; a library that
 * knows more members reads the missing ones as zero, and one that knows fewer refuses the others unless they
 * are zero, so a struct is to be cleared before it is filled in. Zero always means the default. No exception
 * leaves the library, nothing is kept after a call, and calls on different memory may run at the same time.
 */

/* NOLINTBEGIN(modernize-deprecated-headers,modernize-use-using): this is C */
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#if defined(WINDOWKV_C_BUILD)
#define WINDOWKV_C_API __declspec(dllexport)
#else
#define WINDOWKV_C_API __declspec(dllimport)
#endif
#else
#define WINDOWKV_C_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What a call returns. */
enum {
  windowkv_ok = 0,
  windowkv_invalid_argument = 1,       /* a shape, stride, pointer, budget or size that cannot be meant */
  windowkv_insufficient_queries = 2,   /* no suffix queries, or too few rows, where a layer must be scored */
  windowkv_insufficient_workspace = 3, /* does not happen: the library brings its own */
  windowkv_misaligned = 4,             /* a tensor's memory is not aligned to its elements */
  windowkv_unsupported = 5,            /* valid, but not done here: device memory, another data type */
  windowkv_wrong_order = 6,            /* does not happen */
  windowkv_device_error = 7,           /* does not happen */
  windowkv_out_of_resources = 8        /* memory for the scratch, or threads */
};

/* A tensor: the members of DLPack's DLTensor, in the same order and of the same size, so that a `DLTensor*`
 * may be cast to a `windowkv_tensor*`. Host memory (kDLCPU, kDLCUDAHost); float32, float16 or bfloat16;
 * strides in elements, positive, null for compact row-major memory. */
typedef struct windowkv_tensor {
  void* data;
  struct {
    int32_t device_type;
    int32_t device_id;
  } device;
  int32_t ndim;
  struct {
    uint8_t code;
    uint8_t bits;
    uint16_t lanes;
  } dtype;
  int64_t* shape;
  int64_t* strides;
  uint64_t byte_offset;
} windowkv_tensor;

/* Which tokens stay. */
enum { windowkv_method_default = 0, windowkv_method_paper = 1 };

/* What the prompts ask for: find a fact, or digest everything. */
enum { windowkv_task_localization = 0, windowkv_task_aggregation = 1 };

/* The order of the axes of all tensors. */
enum { windowkv_axes_bhnd = 0, windowkv_axes_bnhd = 1 };

/* Where a sequence that is shorter than N lies: in slots [0, length) or [N - length, N). */
enum { windowkv_padding_right = 0, windowkv_padding_left = 1 };

typedef struct windowkv_options {
  uint32_t size;
  int32_t method;           /* windowkv_method_... */
  int32_t task;             /* windowkv_task_..., one for the batch */
  int32_t axes;             /* windowkv_axes_... */
  int32_t padding;          /* windowkv_padding_... */
  int32_t budget;           /* tokens to keep per layer, the mean over the layers; 0: the method's */
  int32_t suffix;           /* S: last queries of a prompt that observe it; 0: the method's */
  int32_t layers_per_group; /* layers that share a selection; 0: 8 */
  int32_t threads;  /* that work on one call, the caller included; 0: 1. Results do not depend on it. */
  int32_t reserved; /* 0 */
} windowkv_options;

/* The caches of a batch. Keys, values and queries of a layer have one data type; layers may differ. No two
 * tensors may share memory, but for queries. */
typedef struct windowkv_cache {
  uint32_t size;
  int32_t layers;                       /* L */
  windowkv_tensor const* const* keys;   /* [L] of [B, Hkv, N, D], after RoPE; changed in place */
  windowkv_tensor const* const* values; /* [L] of [B, Hkv, N, D'], D' may differ from D; changed in place */
  /* [L] of [B, Hq, rows, D], after RoPE; null where windowkv_plan needs none. Rows are the last real tokens
   * of every sequence, at least S of them or all its tokens. A tensor of N rows is padded as the cache is. */
  windowkv_tensor const* const* queries;
  int32_t const* lengths;   /* [B] tokens of each sequence, in [1, N]; null: N each. The rest is padding. */
  uint8_t const* evictable; /* [L] 0: this layer is left as it is, and its tensors may be null; null: all 1 */
} windowkv_cache;

/* What was done. Arrays are the caller's, and may be null where they are not wanted. */
typedef struct windowkv_report {
  uint32_t size;
  int32_t reserved; /* 0 */
  /* [L][B] slots that hold something now. Slots [0, lengths) of a sequence are its kept tokens in ascending
   * order of position, on whichever side the padding was; slots behind them are stale. In a layer that is not
   * evictable: N. */
  int32_t* lengths;
  /* [L][B][N] position of the token in each slot, counted from 0 without padding; -1 for slots that hold
   * none. The next token of a sequence has its old length for a position. */
  int32_t* positions;
  float* retained; /* [L][B] share of the observed attention that the kept tokens had received, 1 at most */
  int64_t bytes_before; /* keys and values of all tokens but padding, in evictable layers */
  int64_t bytes_after;
} windowkv_report;

/* The library's version: major * 10000 + minor * 100 + patch. */
WINDOWKV_C_API int32_t windowkv_version(void);

/* Tells, before there is a cache, what the compression of a prompt of `tokens` tokens will need and leave.
 *
 * - evictable [layers]: as in windowkv_cache; null: all 1
 * - suffix, out: S as observed, at most `tokens`; may be null
 * - needs_queries [layers], out: 1 where suffix queries must be given; may be null. A batch needs what its
 * longest sequence needs.
 * - max_kept [layers], out: most tokens that a layer may keep; may be null
 * - error: text of the error, of at most error_size bytes with the final zero; may be null
 *
 * Returns windowkv_ok or the reason; nothing is written but `error` then. */
WINDOWKV_C_API int32_t windowkv_plan(windowkv_options const* options, int32_t layers, int32_t tokens,
                                     uint8_t const* evictable, int32_t* suffix, uint8_t* needs_queries,
                                     int32_t* max_kept, char* error, size_t error_size);

/* Compresses. All sequences are scored and selected by themselves: padding is never read, and neither does
 * one prompt see another. Scratch memory is allocated for the time of the call. Returns windowkv_ok or the
 * reason; no tensor and no report has been written to then, only `error`. */
WINDOWKV_C_API int32_t windowkv_compress(windowkv_options const* options, windowkv_cache const* cache,
                                         windowkv_report* report, char* error, size_t error_size);

#ifdef __cplusplus
}
#endif
/* NOLINTEND(modernize-deprecated-headers,modernize-use-using) */
#endif
