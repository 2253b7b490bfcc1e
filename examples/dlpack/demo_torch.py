# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention of a new token over compressed caches equals attention with masks over the full ones, for the types and
layouts that PyTorch engines keep their caches in. Needs PyTorch; exits 1 if not."""

from __future__ import annotations

import sys

import torch

import windowkv

LAYERS, BATCH, HEADS, KV_HEADS, TOKENS, DIM = 4, 2, 4, 2, 300, 64


def contiguous(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous()


def token_major(x: torch.Tensor) -> torch.Tensor:
    """[B, H, N, D] seen in memory that is [B, N, H, D]."""
    return x.transpose(1, 2).contiguous().transpose(1, 2)


def preallocated(x: torch.Tensor) -> torch.Tensor:
    """The used part of a static cache with room for more tokens, one layer of many in one allocation."""
    b, h, n, d = x.shape
    pool = torch.full((b, 3, h, n + 50, d), float("nan"), dtype=x.dtype)
    part = pool[:, 1, :, :n]
    part.copy_(x)
    return part


def transposed(x: torch.Tensor) -> torch.Tensor:
    """Slots contiguous, as some engines keep their values."""
    return x.transpose(2, 3).contiguous().transpose(2, 3)


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, visible: torch.Tensor | None = None) -> torch.Tensor:
    group = q.shape[1] // k.shape[1]
    k, v = (x.float().repeat_interleave(group, 1) for x in (k, v))
    logits = q.float() @ k.transpose(2, 3) / q.shape[-1] ** 0.5
    if visible is not None:
        logits = logits.masked_fill(~visible, float("-inf"))
    return logits.softmax(-1) @ v


def check(dtype: torch.dtype, layout) -> bool:
    torch.manual_seed(1)
    full_keys = [layout(2 * torch.randn(BATCH, KV_HEADS, TOKENS, DIM).to(dtype)) for _ in range(LAYERS)]
    full_values = [layout(torch.randn(BATCH, KV_HEADS, TOKENS, DIM).to(dtype)) for _ in range(LAYERS)]
    queries = [torch.randn(BATCH, HEADS, 16, DIM).to(dtype) for _ in range(LAYERS)]
    keys = [layout(k.clone()) for k in full_keys]
    values = [layout(v.clone()) for v in full_values]
    report = windowkv.compress(keys, values, queries, budget=60, layers_per_group=2, with_positions=True)

    error, distance = 0.0, 0.0
    for layer in range(LAYERS):
        q = torch.randn(BATCH, HEADS, 1, DIM).to(dtype)
        for b, n in enumerate(report.lengths[layer]):
            one = slice(b, b + 1)
            visible = torch.zeros(1, TOKENS, dtype=torch.bool)
            visible[0, report.positions[layer][b]] = True
            masked = attend(q[one], full_keys[layer][one], full_values[layer][one], visible)
            small = attend(q[one], keys[layer][one, :, :n], values[layer][one, :, :n])
            full = attend(q[one], full_keys[layer][one], full_values[layer][one])
            error = max(error, (small - masked).abs().max().item())
            distance = max(distance, (full - masked).abs().max().item())
    print(f"{str(dtype):15} {layout.__name__:13} kept {report.lengths}; against masks {error:.1e}, all {distance:.1e}")
    return error < 1e-5 < 1e-2 < distance


def main() -> int:
    types = (torch.float32, torch.float16, torch.bfloat16)
    layouts = (contiguous, token_major, preallocated, transposed)
    results = [check(dtype, layout) for dtype in types for layout in layouts]
    print("ok" if all(results) else "FAILED")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
