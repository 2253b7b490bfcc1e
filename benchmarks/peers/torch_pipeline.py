#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The paper's method in vectorised torch: grouped-query attention without repeated keys, no loop over windows, one
index for all layers of a group. `--check` compares its selections with the authors' algorithm's."""

import sys

import torch

import common


def select(queries, keys, rule, kept):
    """Slots that a group keeps, ascending: `kept` windows and the suffix."""
    query_heads, suffix, dim = queries.shape
    kv_heads, tokens, _ = keys.shape
    review = tokens - suffix
    grouped = queries.view(kv_heads, query_heads // kv_heads * suffix, dim)
    logits = torch.matmul(grouped, keys.transpose(1, 2)) * dim**-0.5
    logits = logits.view(query_heads, suffix, tokens)
    hidden = torch.ones(suffix, suffix, dtype=torch.bool, device=keys.device).triu(1)
    logits[:, :, review:].masked_fill_(hidden, float("-inf"))
    scores = torch.softmax(logits, dim=-1, dtype=torch.float32)[:, :, :review].sum(dim=1)
    whole = review // common.WINDOW
    windows = scores[:, : whole * common.WINDOW].view(query_heads, whole, common.WINDOW)
    windows = per_window(windows, rule)
    if whole * common.WINDOW < review:
        last = per_window(scores[:, None, whole * common.WINDOW :], rule)
        windows = torch.cat([windows, last], dim=1)
    ids = torch.topk(windows.mean(dim=0), kept).indices.sort().values
    slots = (ids[:, None] * common.WINDOW + torch.arange(common.WINDOW, device=ids.device)).flatten()
    if review % common.WINDOW:
        slots = slots[: int((slots < review).sum())]  # of the short last window; reads the count back
    return torch.cat([slots, torch.arange(review, tokens, device=ids.device)])


def per_window(scores, rule):
    """[Hq, Nw, tokens of a window] to [Hq, Nw]."""
    top = min(rule.top, scores.shape[-1])
    if top < scores.shape[-1]:
        scores = scores.topk(top, dim=-1).values
    return scores.mean(dim=-1)


def compress(caches, model, rule, kept):
    out = None
    for group, windows in enumerate(kept):
        first = group * model.layers_per_group
        queries, keys, _ = caches.layer(first)
        slots = select(queries, keys, rule, windows)
        for layer in range(first, first + model.layers_per_group):
            _, keys, values = caches.layer(layer)
            out = keys.index_select(1, slots), values.index_select(1, slots)
    return out


def check():
    import authors_loop

    torch.manual_seed(7)
    model = common.MODELS["tiny"]
    for tokens in (400, 403):
        for rule in common.RULES.values():
            kept = common.kept_windows(model, tokens, 64, rule)
            caches = common.Caches(model, tokens, rule.suffix, "cpu", torch.float32, model.kv_heads, 2)
            queries, keys, _ = caches.layer(0)
            ours = select(queries, keys, rule, kept[0]).tolist()
            repeated = keys.repeat_interleave(model.query_heads // model.kv_heads, dim=0)
            ids = authors_loop.select(queries, repeated, rule, kept[0])
            review = tokens - rule.suffix
            theirs = [s for w in ids for s in range(w * common.WINDOW, min((w + 1) * common.WINDOW, review))]
            theirs = sorted(theirs) + list(range(review, tokens))
            if ours != theirs:
                return f"selections differ at {tokens} tokens, {rule}: {ours} and {theirs}"
    return None


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(check())
    given = common.parse_arguments(__doc__, [8192, 32768, 131072], 9)
    common.measure(given, "torch_vectorised", lambda model: model.kv_heads, 8, compress)
