# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tests of windowkv.py with NumPy, and with PyTorch where it is installed. $WINDOWKV_C_LIBRARY names the library."""

from __future__ import annotations

import math
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
try:
    import numpy as np
except ImportError:
    print("skipped: Python has no NumPy")
    sys.exit(0)
try:
    import torch
except ImportError:
    torch = None

import windowkv

LAYERS, BATCH, HEADS, KV_HEADS, TOKENS, DIM = 4, 3, 4, 2, 150, 16
WINDOW, SUFFIX = 8, {"localization": 32, "aggregation": 16}  # of the paper
POLICY = dict(budget=40, layers_per_group=2)


def made_up(*shape: int, seed: int) -> list[np.ndarray]:
    r = np.random.default_rng(seed)
    return [r.normal(size=shape).astype(np.float32) for _ in range(LAYERS)]


class Batch:
    def __init__(self, tokens: int = TOKENS) -> None:
        self.keys = made_up(BATCH, KV_HEADS, tokens, DIM, seed=1)
        self.values = made_up(BATCH, KV_HEADS, tokens, DIM + 2, seed=2)
        self.queries = made_up(BATCH, HEADS, 32, DIM, seed=3)

    def compress(self, **options) -> windowkv.Report:
        return windowkv.compress(self.keys, self.values, self.queries, with_positions=True, **{**POLICY, **options})


def paper_windows(queries: np.ndarray, keys: np.ndarray, task: str, budget: int) -> list[int]:
    """Positions that the paper's method keeps of one sequence, in double precision and the obvious way."""
    s, n = SUFFIX[task], keys.shape[1]
    review = n - s
    q, k = queries[:, -s:].astype(float), np.repeat(keys, HEADS // KV_HEADS, 0).astype(float)
    logits = q @ k.transpose(0, 2, 1) / math.sqrt(DIM)
    logits[:, np.arange(n)[None, :] > review + np.arange(s)[:, None]] = -np.inf
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    scores = (weights / weights.sum(-1, keepdims=True)).sum(1)[:, :review]  # [Hq, R]
    windows = [range(i, min(i + WINDOW, review)) for i in range(0, review, WINDOW)]
    top = WINDOW // 2 if task == "localization" else WINDOW

    def score(window: range) -> float:
        return np.sort(scores[:, list(window)], 1)[:, ::-1][:, :top].mean()

    kept = len(windows) - math.ceil((review - budget) / WINDOW)
    best = sorted(range(len(windows)), key=lambda i: -score(windows[i]))[:kept]
    return sorted(j for i in best for j in windows[i]) + list(range(review, n))


class Selection(unittest.TestCase):
    def test_the_papers_windows_are_kept(self) -> None:
        for task in SUFFIX:
            before, after = Batch(), Batch()
            report = after.compress(method="paper", task=task, threads=2)
            last = 40 * 2 // 14
            for layer, budget in ((0, 80 - last), (2, last)):  # two groups: 2C - last, last
                for b in range(BATCH):
                    wanted = paper_windows(before.queries[layer][b], before.keys[layer][b], task, budget)
                    self.assertEqual(report.positions[layer][b], wanted, (task, layer, b))
                    for member in (layer, layer + 1):
                        n = report.lengths[member][b]
                        self.assertEqual(n, len(wanted))
                        for old, new in ((before.keys, after.keys), (before.values, after.values)):
                            self.assertTrue((new[member][b, :, :n] == old[member][b][:, wanted]).all())

    def test_plan_tells_what_compress_needs(self) -> None:
        plan = windowkv.plan(LAYERS, TOKENS, method="paper", **POLICY)
        self.assertEqual((plan.suffix, plan.needs_queries), (32, [True, False, True, False]))
        batch = Batch()
        batch.queries = [q if needed else None for q, needed in zip(batch.queries, plan.needs_queries)]
        report = batch.compress(method="paper")
        for lengths, most in zip(report.lengths, plan.max_kept):
            self.assertTrue(all(n <= most for n in lengths))
        batch.queries[2] = None
        with self.assertRaisesRegex(windowkv.WindowkvError, "layer 2 queries: tensor: must be given") as refusal:
            batch.compress(method="paper")
        self.assertEqual(refusal.exception.code, 2)

    def test_the_default_budget_is_exact_and_counted_in_bytes(self) -> None:
        report = Batch().compress()
        for b in range(BATCH):
            self.assertEqual(sum(of_layer[b] for of_layer in report.lengths), LAYERS * POLICY["budget"])
        token = KV_HEADS * (DIM + DIM + 2) * 4
        self.assertEqual(report.bytes_before, LAYERS * BATCH * TOKENS * token)
        self.assertEqual(report.bytes_after, LAYERS * BATCH * POLICY["budget"] * token)
        self.assertTrue(all(0 < r < 1 for of_layer in report.retained for r in of_layer))

    def test_axes(self) -> None:
        one, other = Batch(), Batch()
        for tensors in (other.keys, other.values, other.queries):
            tensors[:] = [np.ascontiguousarray(t.transpose(0, 2, 1, 3)) for t in tensors]
        self.assertEqual(one.compress(), other.compress(axes="bnhd"))
        for a, b in zip(one.values, other.values):
            self.assertTrue((a == b.transpose(0, 2, 1, 3)).all())

    def test_padding(self) -> None:
        lengths = [150, 97, 60]
        for padding in windowkv.PADDINGS:
            padded, alone = Batch(), Batch()
            starts = [TOKENS - n if padding == "left" else 0 for n in lengths]
            for tensors, originals in ((padded.keys, alone.keys), (padded.values, alone.values)):
                for tensor, original in zip(tensors, originals):
                    for b, (n, start) in enumerate(zip(lengths, starts)):
                        tensor[b] = np.nan
                        tensor[b, :, start : start + n] = original[b, :, :n]
            report = padded.compress(lengths=lengths, padding=padding)
            for b, n in enumerate(lengths):
                keys, values, queries = (
                    [np.ascontiguousarray(t[b : b + 1, :, :rows]) for t in tensors]
                    for tensors, rows in ((alone.keys, n), (alone.values, n), (alone.queries, 32))
                )
                single = windowkv.compress(keys, values, queries, with_positions=True, **POLICY)
                for layer in range(LAYERS):
                    self.assertEqual(report.positions[layer][b], single.positions[layer][0])
                    m = single.lengths[layer][0]
                    self.assertTrue((padded.values[layer][b, :, :m] == values[layer][0, :, :m]).all())

    def test_layers_that_are_left_alone(self) -> None:
        batch = Batch()
        batch.keys[1] = batch.values[1] = batch.queries[1] = None
        report = batch.compress(evictable=[True, False, True, True])
        self.assertEqual(report.lengths[1], [TOKENS] * BATCH)
        batch.keys[1] = "of another kind, and not looked at"
        batch.compress(evictable=[True, False, True, True])
        self.assertEqual(report.positions[0], report.positions[2])

    def test_nothing_is_kept_alive(self) -> None:
        batch = Batch()
        before = [sys.getrefcount(t) for t in batch.keys + batch.values + batch.queries]
        batch.compress()
        self.assertEqual(before, [sys.getrefcount(t) for t in batch.keys + batch.values + batch.queries])


class Refusals(unittest.TestCase):
    def refuse(self, batch: Batch, error: type, text: str, **options) -> None:
        before = [None if t is None else np.array(t) for t in batch.keys + batch.values]
        with self.assertRaisesRegex(error, text):
            batch.compress(**options)
        for old, new in zip(before, batch.keys + batch.values):
            self.assertTrue(old is None or (old == new).all(), "a tensor was written to")

    def test_tensors(self) -> None:
        batch = Batch()
        batch.values[3] = batch.values[3].astype(np.float64)
        self.refuse(batch, windowkv.WindowkvError, "layer 3 values: tensor.dtype: must be float32")
        batch = Batch()
        batch.keys[2] = batch.keys[2][:, :, ::-1]
        self.refuse(batch, windowkv.WindowkvError, r"layer 2 keys: tensor.strides \(N, slots\): got -16")
        batch = Batch()
        batch.keys[1].flags.writeable = False
        self.refuse(batch, BufferError, "read-?only")
        batch = Batch()
        batch.keys[1] = batch.keys[1].tolist()
        self.refuse(batch, TypeError, "list has no __dlpack__")
        batch = Batch()
        batch.keys[0] = None
        self.refuse(batch, windowkv.WindowkvError, "layer 0 keys: tensor: must not be null")

    def test_numbers_and_names(self) -> None:
        self.refuse(Batch(), windowkv.WindowkvError, "options.budget: got -1", budget=-1)
        self.refuse(Batch(), windowkv.WindowkvError, "cache.lengths: got 151", lengths=[1, 151, 1])
        self.refuse(Batch(), ValueError, "lengths are of 2 sequences, the tensors of 3", lengths=[1, 2])
        self.refuse(Batch(), ValueError, "evictable is of 1 layers, not of 4", evictable=[True])
        self.refuse(Batch(), ValueError, "method must be one of default, paper, not 'snapkv'", method="snapkv")
        self.refuse(Batch(), TypeError, "windows", windows=8)
        batch = Batch()
        batch.queries.pop()
        self.refuse(batch, ValueError, "of 4, 4 and 3 layers")


class Demo(unittest.TestCase):
    def test_a_compressed_cache_answers_like_a_masked_one(self) -> None:
        import demo_numpy

        self.assertEqual(demo_numpy.main(), 0)


@unittest.skipIf(torch is None, "PyTorch is not installed")
class Torch(unittest.TestCase):
    def test_attention(self) -> None:
        import demo_torch

        self.assertEqual(demo_torch.main(), 0)

    def test_the_attention_that_the_demo_compares_with(self) -> None:
        from demo_torch import attend

        q = torch.full((1, 4, 1, 4), 0.0)
        q[..., 0] = 2  # two query heads for each KV head; divided by sqrt(4)
        k = torch.zeros(1, 2, 3, 4)
        k[0, 0, 0, 0] = k[0, 1, 1, 0] = torch.tensor(3.0).log()
        k[0, :, 2, 0] = 50  # the mask hides it
        v = torch.tensor([4.0, 8.0, 99.0]).reshape(1, 1, 3, 1).repeat(1, 2, 1, 1)
        got = attend(q, k, v, torch.tensor([[True, True, False]])).flatten()
        self.assertTrue(torch.allclose(got, torch.tensor([5.0, 5.0, 7.0, 7.0])), got)
        self.assertTrue(torch.allclose(attend(q, k, v), torch.tensor(99.0)))

    def test_a_tensor_with_a_gradient_is_refused(self) -> None:
        keys, values = (torch.zeros(1, 1, 64, 8, requires_grad=True) for _ in range(2))
        with self.assertRaises((BufferError, RuntimeError)):
            windowkv.compress([keys], [values], [torch.zeros(1, 1, 16, 8)], budget=32)


if __name__ == "__main__":
    unittest.main(verbosity=2)
