/* SPDX-FileCopyrightText: 2026 The windowkv authors
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* The C functions from C: plans, compresses a made-up cache of one prompt, prints what is left. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "windowkv_c.h"

enum { n_layers = 8, n_heads = 4, n_kv_heads = 2, n_tokens = 600, n_dims = 32, n_rows = 16 };

/* A compact float32 tensor [1, heads, slots, n_dims] of random numbers. */
static windowkv_tensor random_tensor(int64_t shape[4], int64_t heads, int64_t slots) {
  windowkv_tensor t = {NULL, {1, 0}, 4, {2, 32, 1}, shape, NULL, 0};
  size_t const count = (size_t)(heads * slots * n_dims);
  float* const numbers = malloc(count * sizeof *numbers);
  if (numbers == NULL) exit(1);
  for (size_t i = 0; i < count; ++i) numbers[i] = (float)rand() / (float)RAND_MAX * 4.0f - 2.0f;
  shape[0] = 1;
  shape[1] = heads;
  shape[2] = slots;
  shape[3] = n_dims;
  t.data = numbers;
  return t;
}

static int compress(windowkv_options const* options) {
  static windowkv_tensor tensors[3][n_layers];
  static int64_t shapes[3][n_layers][4];
  windowkv_tensor const* lists[3][n_layers];
  int32_t lengths[n_layers];
  char error[256] = "";
  for (int l = 0; l < n_layers; ++l) {
    tensors[0][l] = random_tensor(shapes[0][l], n_kv_heads, n_tokens);
    tensors[1][l] = random_tensor(shapes[1][l], n_kv_heads, n_tokens);
    tensors[2][l] = random_tensor(shapes[2][l], n_heads, n_rows);
    for (int role = 0; role < 3; ++role) lists[role][l] = &tensors[role][l];
  }
  windowkv_cache const cache = {sizeof cache, n_layers, lists[0], lists[1], lists[2], NULL, NULL};
  windowkv_report report = {sizeof report, 0, lengths, NULL, NULL, 0, 0};
  int32_t const code = windowkv_compress(options, &cache, &report, error, sizeof error);
  if (code != windowkv_ok) {
    fprintf(stderr, "windowkv: %s\n", error);
  } else {
    for (int l = 0; l < n_layers; ++l)
      printf("layer %d: %d of %d tokens\n", l, (int)lengths[l], (int)n_tokens);
    printf("%lld -> %lld bytes\n", (long long)report.bytes_before, (long long)report.bytes_after);
  }
  for (int l = 0; l < n_layers; ++l) {
    for (int role = 0; role < 3; ++role) free(tensors[role][l].data);
  }
  return code == windowkv_ok ? 0 : 1;
}

int main(void) {
  windowkv_options options = {0};
  int32_t suffix = 0;
  char error[256] = "";
  options.size = sizeof options;
  options.budget = 90;
  options.layers_per_group = 2;
  if (windowkv_plan(&options, n_layers, n_tokens, NULL, &suffix, NULL, NULL, error, sizeof error) !=
      windowkv_ok) {
    fprintf(stderr, "windowkv: %s\n", error);
    return 1;
  }
  printf("windowkv %d: the last %d queries of every layer observe the prompt\n", (int)windowkv_version(),
         (int)suffix);
  return suffix <= n_rows ? compress(&options) : 1;
}
