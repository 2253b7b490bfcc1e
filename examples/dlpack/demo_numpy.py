# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A decoder with random weights answers from a compressed cache as from the full one with the evicted tokens
masked out: rows that moved keep their rotation, and new tokens go on at position N. Needs NumPy; exits 1 if not."""

from __future__ import annotations

import math
import sys

import numpy as np

import windowkv

LAYERS, HEADS, KV_HEADS, DIM, VOCABULARY = 6, 4, 2, 16, 97
PROMPT, STEPS, BUDGET = 400, 6, 60


def rotate(x: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """RoPE over the last axis of [H, n, D]."""
    half = x.shape[-1] // 2
    angle = positions[:, None] * 10000.0 ** (-np.arange(half) / half)
    cos, sin = np.cos(angle), np.sin(angle)
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1).astype(np.float32)


def attend(q: np.ndarray, k: np.ndarray, v: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """[Hq, m, D] queries over [Hkv, n, D] keys; `hidden` [m, n] is true where a query must not look."""
    k, v = (np.repeat(x, len(q) // len(x), 0) for x in (k, v))
    logits = np.where(hidden, -np.inf, q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1]))
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


class Decoder:
    """Attention layers with residuals between an embedding and a head. Caches are lists of [1, Hkv, n, D]."""

    def __init__(self, seed: int) -> None:
        r = np.random.default_rng(seed)
        width = HEADS * DIM

        def weights(*shape: int, scale: float = 1.0) -> np.ndarray:
            return (scale * r.normal(size=shape) / math.sqrt(width)).astype(np.float32)

        self.embedding = r.normal(size=(VOCABULARY, width)).astype(np.float32)
        # Large queries and keys make the attention sharp, so that it matters which tokens stay.
        self.q = weights(LAYERS, width, width, scale=1.6)
        self.kv = weights(LAYERS, width, 2 * KV_HEADS * DIM, scale=1.6)
        self.out = weights(LAYERS, width, width)

    def run(
        self, tokens: list[int], position: int, keys: list, values: list, hidden: list[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Appends to the caches; returns the last token's logits and the queries [1, Hq, len(tokens), D] of every
        layer. hidden[l] [slots] is true for slots of layer l that nobody may look at."""
        positions = position + np.arange(len(tokens))
        x = self.embedding[tokens]
        all_queries = []
        for layer in range(LAYERS):
            normed = x / np.sqrt((x * x).mean(-1, keepdims=True))
            q = (normed @ self.q[layer]).reshape(len(tokens), HEADS, DIM).transpose(1, 0, 2)
            k, v = (normed @ self.kv[layer]).reshape(len(tokens), 2, KV_HEADS, DIM).transpose(1, 2, 0, 3)
            q, k = rotate(q, positions), rotate(k, positions)
            keys[layer] = np.concatenate([keys[layer], k[None]], 2)
            values[layer] = np.concatenate([values[layer], v[None]], 2)
            causal = np.triu(np.ones((len(tokens), len(tokens)), bool), 1)
            before = np.broadcast_to(hidden[layer], (len(tokens), len(hidden[layer])))
            y = attend(q, keys[layer][0], values[layer][0], np.concatenate([before, causal], 1))
            x = x + y.transpose(1, 0, 2).reshape(len(tokens), -1) @ self.out[layer]
            all_queries.append(np.ascontiguousarray(q[None]))
        return x[-1] @ self.embedding.T, all_queries


def decode(model: Decoder, tokens: list[int], keys: list, values: list, hidden: list[np.ndarray]) -> np.ndarray:
    """Logits after each of the tokens, one by one, from position PROMPT on."""
    keys, values, hidden = list(keys), list(values), list(hidden)
    all_logits = []
    for step, token in enumerate(tokens):
        logits, _ = model.run([token], PROMPT + step, keys, values, hidden)
        hidden = [np.append(h, False) for h in hidden]
        all_logits.append(logits)
    return np.stack(all_logits)


def check(method: str, task: str) -> bool:
    model = Decoder(seed=1)
    tokens = [int(t) for t in np.random.default_rng(2).integers(0, VOCABULARY, PROMPT + STEPS)]
    prompt, more = tokens[:PROMPT], tokens[PROMPT:]
    keys = [np.zeros((1, KV_HEADS, 0, DIM), np.float32) for _ in range(LAYERS)]
    values = [k.copy() for k in keys]
    nothing = [np.zeros(0, bool)] * LAYERS
    _, queries = model.run(prompt, 0, keys, values, nothing)

    policy = dict(method=method, task=task, budget=BUDGET, layers_per_group=2)
    plan = windowkv.plan(LAYERS, PROMPT, **policy)
    suffix = [q[:, :, -plan.suffix :] if needed else None for q, needed in zip(queries, plan.needs_queries)]
    small_keys, small_values = [k.copy() for k in keys], [v.copy() for v in values]
    report = windowkv.compress(small_keys, small_values, suffix, with_positions=True, **policy)

    masks = [np.ones(PROMPT, bool) for _ in range(LAYERS)]
    for mask, (kept,) in zip(masks, report.positions):
        mask[kept] = False
    visible = [np.zeros(n, bool) for (n,) in report.lengths]
    compressed = decode(
        model, more,
        [k[:, :, :n] for k, (n,) in zip(small_keys, report.lengths)],
        [v[:, :, :n] for v, (n,) in zip(small_values, report.lengths)], visible,
    )  # fmt: skip
    masked = decode(model, more, keys, values, masks)
    full = decode(model, more, keys, values, [np.zeros(PROMPT, bool)] * LAYERS)
    scale = np.abs(masked).max()
    error, distance = np.abs(compressed - masked).max() / scale, np.abs(full - masked).max() / scale
    print(
        f"{method:8} {task:13} kept {[n for (n,) in report.lengths]} of {PROMPT}, "
        f"{report.bytes_before} -> {report.bytes_after} bytes; "
        f"against masks {error:.1e}, against all tokens {distance:.1e}"
    )
    return bool(error < 1e-4 < 1e-2 < distance)  # the second number shows that the masks hide something


def main() -> int:
    results = [check(method, task) for method in windowkv.METHODS for task in windowkv.TASKS]
    print("ok" if all(results) else "FAILED")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
