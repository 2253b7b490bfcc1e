#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The authors' algorithm as it was published (arXiv 2503.17922), written anew from its formulas: keys and values are
repeated to all query heads before, every window is a slice of its own whose score is read back to the host, windows
are sorted there, and the kept slices are concatenated in the order of their scores, layer by layer."""

import torch

import common


def select(queries, keys, rule, kept):
    """Ids of the kept windows, best first."""
    query_heads, suffix, dim = queries.shape
    tokens = keys.shape[1]
    review = tokens - suffix
    logits = torch.matmul(queries, keys.transpose(1, 2)) / dim**0.5
    mask = torch.full((suffix, suffix), torch.finfo(logits.dtype).min, device=keys.device, dtype=logits.dtype).triu(1)
    logits[:, :, review:] += mask
    attention = torch.softmax(logits, dim=-1, dtype=torch.float32).to(queries.dtype)
    scores = attention[:, :, :review].sum(dim=1)
    ranking = []
    for begin in range(0, review, common.WINDOW):
        window = scores[:, begin : begin + common.WINDOW]
        if rule.top < common.WINDOW:
            window = torch.topk(window, min(rule.top, window.shape[-1]), dim=-1).values
        ranking.append((begin // common.WINDOW, window.mean().item()))
    ranking.sort(key=lambda entry: entry[1], reverse=True)
    return [window for window, _ in ranking[:kept]]


def gather(tensor, windows, review):
    parts = [tensor[:, w * common.WINDOW : min((w + 1) * common.WINDOW, review)] for w in windows]
    return torch.cat(parts + [tensor[:, review:]], dim=1)


def compress(caches, model, rule, kept):
    out = None
    for group, count in enumerate(kept):
        first = group * model.layers_per_group
        queries, keys, _ = caches.layer(first)
        review = keys.shape[1] - rule.suffix
        windows = select(queries, keys, rule, count)
        for layer in range(first, first + model.layers_per_group):
            _, keys, values = caches.layer(layer)
            out = gather(keys, windows, review), gather(values, windows, review)
    return out


if __name__ == "__main__":
    given = common.parse_arguments(__doc__, [8192, 32768], 3)
    common.measure(given, "authors_algorithm", lambda model: model.query_heads, 4, compress)
